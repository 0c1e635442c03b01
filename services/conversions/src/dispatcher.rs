//! Carries events to Meta: claims what is due, sends it, and writes down what became of it.
//!
//! Any number of dispatchers run at once, in any number of replicas. One that dies leaves its events under a lease; when
//! that ends, another sends them again under the same ids. One that was only slow finds that its fence is old, and
//! changes nothing.

mod hold;

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use graph::{Asset, On, Priority};
use prost::Message;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use vocabulary::Clock;

use crate::{
    delivery::{self, Next},
    error::Error,
    payload,
    settings::DispatcherSettings,
    store::{Claim, Store, Waiting},
};
use hold::Hold;

/// The most bytes of events in one call.
const CALL_BYTES_MAX: usize = 4 << 20;
/// How long a call may wait for its lease and permit, in seconds. The lease on the events is renewed meanwhile.
const WAIT_SECONDS_MAX: u64 = 90;

/// Sends what is due.
#[derive(Clone)]
pub(crate) struct Dispatcher<C> {
    store: Store,
    clock: C,
    woken: Arc<Notify>,
    settings: DispatcherSettings,
}

/// What Meta said of a call that it took.
pub(crate) struct Taken {
    /// Meta's trace.
    pub(crate) fbtrace_id: Option<String>,
}

/// A way to Meta: one call with these events.
pub(crate) trait Door: Clone + Send + Sync + 'static {
    /// Sends `events`, a JSON list of `count`, as one call.
    fn send(
        &self,
        claim: &Claim,
        events: String,
        count: usize,
        test_event_code: Option<&str>,
    ) -> impl Future<Output = Result<Taken, Error>> + Send;
}

/// The real one.
impl Door for graph::Client {
    async fn send(
        &self,
        claim: &Claim,
        events: String,
        count: usize,
        test_event_code: Option<&str>,
    ) -> Result<Taken, Error> {
        let on = On {
            tenant: claim.tenant.clone(),
            asset: Asset::Dataset(claim.dataset),
            // Nobody waits for the answer, but a shop waits for its numbers.
            priority: Priority::Sync,
            deadline: Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX),
            purpose: "conversions.write",
            reservation: None,
        };
        let call = graph::events::send(claim.dataset, &events, test_event_code);
        let received = graph::Client::send(self, &on, call).await?;
        // Success is read back: a 200 that took fewer events is none.
        if usize::try_from(received.events_received).ok() == Some(count) {
            Ok(Taken { fbtrace_id: received.fbtrace_id })
        } else {
            Err(Error::Miscounted { sent: count, received: received.events_received })
        }
    }
}

impl<C: Clock> Dispatcher<C> {
    /// A dispatcher of the events in `store`, woken by `woken`.
    pub(crate) fn new(store: Store, clock: C, woken: Arc<Notify>, settings: DispatcherSettings) -> Self {
        Self { store, clock, woken, settings }
    }

    /// Sends until `stop` fires. A call once begun is finished and written down: only the wait is cut short.
    pub(crate) async fn run<D: Door>(self, door: D, stop: CancellationToken) {
        let poll = Duration::from_millis(self.settings.poll_milliseconds);
        while !stop.is_cancelled() {
            match self.round(&door, &stop).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => warn!(error = &error as &dyn std::error::Error, "events stay for the next round"),
            }
            let wait = async {
                tokio::select! {
                    () = self.woken.notified() => {}
                    () = tokio::time::sleep(poll) => {}
                }
            };
            if stop.run_until_cancelled(wait).await.is_none() {
                break;
            }
        }
    }

    /// Claims and sends once. Says whether there was anything.
    pub(crate) async fn round<D: Door>(&self, door: &D, stop: &CancellationToken) -> Result<bool, Error> {
        let lease = Duration::from_secs(self.settings.lease_seconds);
        let claimed = Instant::now();
        let Some(mut claim) = self.store.claim(self.settings.batch_events, lease).await? else { return Ok(false) };
        let events = std::mem::take(&mut claim.events);
        debug!(dataset.id = claim.dataset.get(), events.claimed = events.len(), "claimed");
        let good = self.bury_over(&claim, events).await?;
        let mut hold = Hold::new(&self.store, &claim, lease, claimed);
        for group in groups(good) {
            self.deliver(door, &claim, &mut hold, &group, stop).await?;
        }
        Ok(true)
    }

    /// Gives up what must not be sent any more, and gives the rest.
    async fn bury_over(&self, claim: &Claim, events: Vec<Waiting>) -> Result<Vec<Waiting>, Error> {
        let now = self.clock.now();
        let mut good = Vec::with_capacity(events.len());
        let (mut old, mut unknown) = (Vec::new(), Vec::new());
        for event in events {
            match delivery::over(&event, now) {
                None => good.push(event),
                Some(Error::Unknown) => unknown.push(event),
                Some(_) => old.push(event),
            }
        }
        for (events, error) in [(old, Error::TooOld), (unknown, Error::Unknown)] {
            if !events.is_empty() {
                self.store.bury(claim, &events, &told(&error), None).await?;
            }
        }
        Ok(good)
    }

    /// Sends events of one kind, halving as long as Meta refuses, so that a bad event is found among a thousand good
    /// ones in about twenty calls.
    async fn deliver<D: Door>(
        &self,
        door: &D,
        claim: &Claim,
        hold: &mut Hold<'_>,
        events: &[Waiting],
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let mut left: Vec<Range<usize>> = Vec::from([Range { start: 0, end: events.len() }]);
        while let Some(range) = left.pop() {
            let part = events.get(range.clone()).unwrap_or_default();
            if stop.is_cancelled() {
                self.store.put_back(claim, part, Duration::ZERO, false, &[]).await?;
                continue;
            }
            if !hold.keep().await? {
                return Ok(());
            }
            match self.attempt(door, claim, hold, part).await? {
                Next::Split => {
                    let middle = range.start + range.len() / 2;
                    left.push(middle..range.end);
                    left.push(range.start..middle);
                }
                // What is left would run into the same wall.
                Next::Later(pause) => {
                    for range in left.drain(..) {
                        let part = events.get(range).unwrap_or_default();
                        self.store.put_back(claim, part, pause, false, &[]).await?;
                    }
                    self.store.pause(claim, pause).await?;
                }
                Next::Delivered | Next::Bury | Next::Resend(_) => {}
            }
        }
        Ok(())
    }

    /// One call, and what became of its events written down, unless they are to be split.
    async fn attempt<D: Door>(
        &self,
        door: &D,
        claim: &Claim,
        hold: &mut Hold<'_>,
        events: &[Waiting],
    ) -> Result<Next, Error> {
        let code = events.first().and_then(|event| event.test_event_code.as_deref());
        let payloads: Vec<&str> = events.iter().map(|event| event.payload.as_str()).collect();
        let sending = door.send(claim, payload::list(&payloads), events.len(), code);
        let result = hold.during(sending).await;
        let attempt = events.iter().map(|event| event.attempt).max().unwrap_or(1);
        let next = delivery::next(result.as_ref().err(), events.len(), attempt);
        let error = result.as_ref().err().map(told).unwrap_or_default();
        let held = match (next, &result) {
            (Next::Delivered, Ok(taken)) => self.store.delivered(claim, events, taken.fbtrace_id.as_deref()).await?,
            (Next::Bury, Err(Error::Meta(refusal))) => {
                let trace = refusal.meta().and_then(|meta| meta.trace_id.as_deref());
                self.store.bury(claim, events, &error, trace).await?
            }
            (Next::Later(pause), _) => self.store.put_back(claim, events, pause, false, &error).await?,
            (Next::Resend(pause), _) => self.store.put_back(claim, events, pause, true, &error).await?,
            _ => return Ok(next),
        };
        if let Err(error) = &result {
            let error = error as &dyn std::error::Error;
            warn!(error, dataset.id = claim.dataset.get(), events.sent = events.len(), "Meta did not take events");
        }
        if usize::try_from(held).ok() != Some(events.len()) {
            warn!(dataset.id = claim.dataset.get(), "the lease on some events had gone to another dispatcher");
        }
        Ok(next)
    }
}

/// Events that may go in one call: with the same test code, and together not too long.
fn groups(events: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut groups: Vec<(usize, Vec<Waiting>)> = Vec::new();
    for event in events {
        let length = event.payload.len() + 1;
        let fits = |(bytes, group): &&mut (usize, Vec<Waiting>)| {
            bytes.saturating_add(length) <= CALL_BYTES_MAX
                && group.first().is_some_and(|first| first.test_event_code == event.test_event_code)
        };
        match groups.iter_mut().find(|group| fits(group)) {
            Some((bytes, group)) => {
                *bytes += length;
                group.push(event);
            }
            None => groups.push((length, vec![event])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The error as the ledger keeps it.
fn told(error: &Error) -> Vec<u8> {
    rpc::row_error(error).encode_to_vec()
}

#[cfg(test)]
mod tests;
