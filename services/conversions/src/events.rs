//! The use cases: accept, check, look up, count.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use proto::conversions::v1 as pb;
use rpc::{Caller, FieldError};
use tokio::sync::Notify;
use uuid::Uuid;
use vocabulary::{
    Clock,
    ids::{DatasetId, TenantId},
    names,
};

use crate::{
    check::{self, Checked, Verdict},
    datasets::Datasets,
    error::Error,
    store::{Batch, Entry, EventState, Ingested, Letter, Stats, Store},
};

/// What a caller does with events.
#[derive(Clone)]
pub(crate) struct Events<C> {
    store: Store,
    datasets: Datasets,
    clock: C,
    /// Told when there is something to deliver.
    woken: Arc<Notify>,
}

/// Events to be accepted.
pub(crate) struct Send {
    /// Where they go.
    pub(crate) dataset: DatasetId,
    /// The events, 1 to 1,000.
    pub(crate) events: Vec<pb::Event>,
    /// The caller's key of the request.
    pub(crate) request_id: Option<Uuid>,
    /// Checks only.
    pub(crate) validate_only: bool,
    /// Meta's code of the test tab.
    pub(crate) test_event_code: Option<String>,
}

/// What became of one event.
pub(crate) struct Outcome {
    /// Given or derived; empty where the event was refused and had none.
    pub(crate) event_id: String,
    /// The rest.
    pub(crate) state: Result<Accepted, Error>,
    /// Values that were left out.
    pub(crate) dropped: Vec<rpc::Violation>,
}

/// How an event was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is durable here and stands so.
    As(EventState),
    /// It was known.
    Deduplicated,
    /// It was known, and is a dead letter that Meta may have: nothing was kept, and nothing will be sent.
    Lost,
}

/// The sums of one request.
pub(crate) struct Receipt {
    /// When the events became durable.
    pub(crate) time: Timestamp,
    /// One per event, in their order.
    pub(crate) outcomes: Vec<Outcome>,
}

impl<C: Clock> Events<C> {
    /// The events of `store`, for `datasets` that are connected. `woken` is told whenever some came in.
    pub(crate) fn new(store: Store, datasets: Datasets, clock: C, woken: Arc<Notify>) -> Self {
        Self { store, datasets, clock, woken }
    }

    /// Accepts events: each is checked by itself, and the good ones are durable when this returns. A drop in the middle
    /// leaves all of them stored or none; repeating finds them again by their ids.
    pub(crate) async fn send(&self, caller: &Caller, send: Send) -> Result<Receipt, Error> {
        let now = self.clock.now();
        self.datasets.check(&caller.tenant, send.dataset, now).await?;
        let verdicts = check_all(send.events, now).await?;
        if send.validate_only {
            return Ok(Receipt { time: now, outcomes: verdicts.into_iter().map(would_be).collect() });
        }
        // The first of the same name and id counts.
        let mut seen = HashSet::new();
        let events: Vec<&Checked> = verdicts
            .iter()
            .filter_map(|verdict| verdict.event.as_ref().ok())
            .filter(|event| seen.insert((event.event_name.as_str(), event.event_id.as_str())))
            .collect();
        let batch = Batch {
            tenant: &caller.tenant,
            dataset: send.dataset,
            subject: &caller.subject,
            now,
            request_id: send.request_id,
            test_event_code: send.test_event_code.as_deref(),
            events: &events,
        };
        let known = if events.is_empty() { HashMap::new() } else { self.store.ingest(batch).await? };
        if known.values().any(|ingested| *ingested == Ingested::New) {
            self.woken.notify_one();
        }
        Ok(Receipt { time: now, outcomes: outcomes(verdicts, &known) })
    }

    /// Checks events and keeps nothing.
    pub(crate) async fn validate(&self, events: Vec<pb::Event>) -> Result<Vec<Verdict>, Error> {
        check_all(events, self.clock.now()).await
    }

    /// The ledger of one event. Without a name the id must be unique.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        dataset: DatasetId,
        event_id: &str,
        event_name: &str,
    ) -> Result<Entry, Error> {
        let mut found = self.store.find(tenant, dataset, event_id, event_name).await?;
        if found.len() > 1 {
            let description = "is needed: events of several names have this id";
            return Err(FieldError::new("event_name", description, "EVENT_NAME_AMBIGUOUS").into());
        }
        let missing = || Error::NoEvent { resource: format!("{}/events/{event_id}", names::of_dataset(dataset)) };
        found.pop().ok_or_else(missing)
    }

    /// A page of dead letters, oldest first.
    pub(crate) async fn dead_letters(
        &self,
        tenant: &TenantId,
        dataset: DatasetId,
        event_name: &str,
        after: Option<&Letter>,
        size: usize,
    ) -> Result<Vec<Entry>, Error> {
        Ok(self.store.dead_letters(tenant, dataset, event_name, after, size).await?)
    }

    /// The counts of a dataset since a moment, and the moment they are of.
    pub(crate) async fn stats(
        &self,
        tenant: &TenantId,
        dataset: DatasetId,
        window: Option<std::time::Duration>,
    ) -> Result<(Stats, Timestamp), Error> {
        let now = self.clock.now();
        let since = window.and_then(|window| now.checked_sub(window).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok((self.store.stats(tenant, dataset, since).await?, now))
    }
}

/// Hashing a thousand events takes milliseconds, which other calls of this thread need not wait for.
async fn check_all(events: Vec<pb::Event>, now: Timestamp) -> Result<Vec<Verdict>, Error> {
    let all = move || events.iter().map(|event| check::check(event, now)).collect();
    Ok(tokio::task::spawn_blocking(all).await?)
}

fn would_be(verdict: Verdict) -> Outcome {
    match verdict.event {
        Ok(event) => {
            Outcome { event_id: event.event_id, state: Ok(Accepted::As(EventState::Pending)), dropped: verdict.dropped }
        }
        Err(refused) => {
            Outcome { event_id: verdict.given_id, state: Err(Error::Refused(refused)), dropped: verdict.dropped }
        }
    }
}

/// What each event became. Of those with the same name and id in one request, all but the first are duplicates.
fn outcomes(verdicts: Vec<Verdict>, known: &HashMap<(String, String), Ingested>) -> Vec<Outcome> {
    let mut seen = HashSet::new();
    let outcome = |verdict: Verdict| {
        let Verdict { event: Ok(event), dropped, .. } = verdict else { return would_be(verdict) };
        let key = (event.event_name, event.event_id);
        let ingested = known.get(&key).copied().unwrap_or(Ingested::Known);
        let event_id = key.1.clone();
        let state = match ingested {
            _ if !seen.insert(key) => Accepted::Deduplicated,
            Ingested::New => Accepted::As(EventState::Pending),
            Ingested::Repeated(state) => Accepted::As(state),
            Ingested::Known => Accepted::Deduplicated,
            Ingested::Lost => Accepted::Lost,
        };
        Outcome { event_id, state: Ok(state), dropped }
    };
    verdicts.into_iter().map(outcome).collect()
}
