//! The use cases of audiences: make, read, list, remove.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use futures::TryStreamExt;
use graph::{
    Asset, On, Priority,
    audiences::{self as calls, NewList},
};
use jiff::Timestamp;
use prost::Message;
use proto::operations::v1::Operation;
use rpc::Caller;
use storage::operations::New;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;
use vocabulary::{
    Clock,
    ids::{AdAccountId, AudienceId, TenantId},
    names,
};

use crate::{
    announce::{Announce, Taken},
    audience,
    error::Error,
    flights::Flights,
    operations,
    store::{Begun, Creation, CreationState, Listed, Mirrored, NewCreation, Store},
};

/// Which worker looks for creates.
pub(crate) const CREATE: &str = "audience.create";

/// How long a prepared intent belongs to the process that wrote it, and a call that was begun may still be answered.
pub(crate) const STALE: Duration = Duration::from_secs(150);

/// How long a create may take in all.
const CREATE_SECONDS_MAX: u64 = 90;
/// How long reading an account whole may take.
const CRAWL_SECONDS_MAX: u64 = 300;
/// How long a caller waits for that: a little less than calls have, so that what is stored can still answer.
const CRAWL_WAIT: Duration = Duration::from_secs(25);

/// What a caller does with audiences.
#[derive(Clone)]
pub(crate) struct Audiences<C> {
    store: Store,
    graph: graph::Client,
    clock: C,
    /// Creates and crawls run here, so that a caller who goes away stops none.
    tasks: TaskTracker,
    /// Crawls, and nothing else, end with it.
    stop: CancellationToken,
    crawls: Flights<(TenantId, AdAccountId)>,
}

/// A list of people to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewAudience {
    /// Where.
    pub(crate) account: AdAccountId,
    /// Checked by [`audience::check`], as the rest.
    pub(crate) name: String,
    /// For people.
    pub(crate) description: String,
    /// Meta's word.
    pub(crate) customer_file_source: String,
    /// The caller's key of it.
    pub(crate) request_id: Uuid,
    /// SHA-256 of the request without that key.
    pub(crate) fingerprint: [u8; 32],
}

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// What is stored.
    Stored,
    /// Read at this moment or later.
    Since(Timestamp),
    /// The same; what is stored answers where Meta cannot be asked now.
    SinceOrStale(Timestamp),
}

/// What came of a create.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is made.
    Made(Box<Mirrored>),
    /// Nobody knows: this operation looks.
    Looking(Box<Operation>),
}

/// An answer and how fresh it is.
#[derive(Debug)]
pub(crate) struct Fresh<T> {
    /// The answer.
    pub(crate) value: T,
    /// When Meta said so.
    pub(crate) time: Timestamp,
    /// It is older than was asked for, because Meta could not be asked.
    pub(crate) stale: bool,
}

impl<C: Clock> Audiences<C> {
    /// The audiences of `store`, made and read by `graph`.
    pub(crate) fn new(
        store: Store,
        graph: graph::Client,
        clock: C,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { store, graph, clock, tasks, stop, crawls: Flights::default() }
    }

    /// Makes a list of people, once per request. A drop in the middle leaves the create running to its outcome.
    pub(crate) async fn create(&self, caller: &Caller, new: NewAudience) -> Result<Outcome, Error> {
        let creation = NewCreation {
            request_id: new.request_id,
            fingerprint: new.fingerprint,
            account: new.account,
            marker: audience::marker(new.request_id),
            name: new.name,
            description: new.description,
            customer_file_source: new.customer_file_source,
            subject: caller.subject.to_string(),
        };
        match self.store.begin(&caller.tenant, &creation, STALE).await? {
            Begun::Mine => {}
            Begun::Earlier(earlier) => return self.earlier(*earlier, &creation).await,
            Begun::Blocked => return Err(Error::InFlight(format!("another audience of the name {:?}", creation.name))),
        }
        let creation = Creation {
            tenant: caller.tenant.clone(),
            new: creation,
            state: CreationState::Prepared,
            send_time: None,
            lost_for: Duration::ZERO,
            operation: None,
        };
        let this = self.clone();
        self.tasks.spawn(async move { this.send(&creation).await }).await?
    }

    /// What a request of the same key came to.
    async fn earlier(&self, earlier: Creation, asked: &NewCreation) -> Result<Outcome, Error> {
        if earlier.new.fingerprint != asked.fingerprint {
            return Err(Error::RequestIdReused(asked.request_id));
        }
        let tenant = &earlier.tenant;
        match earlier.state {
            CreationState::Prepared | CreationState::Sending => {
                Err(Error::InFlight(format!("request {}", asked.request_id)))
            }
            CreationState::Done(id) => {
                let fresh = self.get(tenant, earlier.new.account, id, Freshness::Stored).await?;
                Ok(Outcome::Made(Box::new(fresh.value)))
            }
            CreationState::Failed => Err(Error::NeverMade),
            CreationState::Unknown | CreationState::Lost => {
                let id = earlier.operation.ok_or(Error::Corrupt("create"))?;
                let stored = self.store.operations().get(tenant.as_str(), id).await?;
                let stored = stored.ok_or_else(|| Error::NotFound(operations::name(id)))?;
                Ok(Outcome::Looking(Box::new(operations::read(&stored)?)))
            }
        }
    }

    /// Intent row, call, outcome row. The row says `sending` once lease and permit are in hand, just before the bytes go.
    async fn send(&self, creation: &Creation) -> Result<Outcome, Error> {
        let (tenant, new) = (&creation.tenant, &creation.new);
        let description = audience::marked(&new.description, &new.marker);
        let list =
            NewList { name: &new.name, description: &description, customer_file_source: &new.customer_file_source };
        let on = on(tenant, new.account, Priority::Interactive, CREATE_SECONDS_MAX, "audiences.write");
        let announce = Announce { store: &self.store, creation };
        match self.graph.send_announced(&on, calls::create(new.account, &list), &announce).await {
            Ok(answer) => {
                let (graph, now) = (answer.value, self.clock.now());
                self.store.created(creation, &graph, now, answer.trace_id.as_deref(), None).await?;
                let id = graph.id.parse().map_err(|_| Error::Corrupt("id"))?;
                Ok(Outcome::Made(Box::new(Mirrored { id, graph, fetch_time: now })))
            }
            Err(error @ (graph::Error::OutcomeUnknown { .. } | graph::Error::Malformed { .. })) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the outcome of a create is unknown");
                Ok(Outcome::Looking(Box::new(look_for(&self.store, creation).await?)))
            }
            Err(graph::Error::Withheld { cause, .. }) if cause.is::<Taken>() => {
                Err(Error::InFlight(format!("request {}", new.request_id)))
            }
            Err(error) => {
                self.store.withdraw(tenant, new.request_id).await?;
                Err(Error::from(error).hide(names::of_ad_account(new.account)))
            }
        }
    }

    /// One audience.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        id: AudienceId,
        freshness: Freshness,
    ) -> Result<Fresh<Mirrored>, Error> {
        let stored = self.store.audience(tenant, account, id).await?;
        if let Some(stored) = stored.clone().filter(|stored| suffices(freshness, stored.fetch_time)) {
            return Ok(Fresh { time: stored.fetch_time, value: stored, stale: false });
        }
        match (self.read(tenant, account, id).await, stored, freshness) {
            (Ok(read), ..) => Ok(Fresh { time: read.fetch_time, value: read, stale: false }),
            (Err(error), Some(stored), Freshness::SinceOrStale(_)) if error.is_temporary() => {
                Ok(Fresh { time: stored.fetch_time, value: stored, stale: true })
            }
            (Err(error), ..) => Err(error),
        }
    }

    /// Asks Meta and keeps the answer. An audience of another account is not there.
    async fn read(&self, tenant: &TenantId, account: AdAccountId, id: AudienceId) -> Result<Mirrored, Error> {
        let now = self.clock.now();
        let on = on(tenant, account, Priority::Interactive, 25, "audiences.read");
        let graph = match self.graph.send(&on, calls::get(id)).await {
            Ok(graph) if audience::is_of(&graph, account) => graph,
            Ok(_) | Err(graph::Error::Missing { .. }) => {
                return Err(Error::NotFound(names::of_audience(account, id)));
            }
            Err(error) => return Err(Error::from(error).hide(names::of_audience(account, id))),
        };
        self.store.keep(tenant, account, std::slice::from_ref(&graph), now).await?;
        Ok(Mirrored { id, graph, fetch_time: now })
    }

    /// A page of an account's audiences. Only a first page asks Meta, so that pages fit together.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        listed: Listed<'_>,
        freshness: Freshness,
    ) -> Result<Fresh<Vec<Mirrored>>, Error> {
        let known = self.store.listed_at(tenant, account).await?;
        let enough = known.filter(|time| listed.after.is_some() || suffices(freshness, *time));
        let (time, stale) = match (enough, known) {
            (Some(time), _) => (time, false),
            (None, known) => match (self.crawled(tenant, account, freshness).await, known, freshness) {
                (Ok(time), ..) => (time, false),
                (Err(error), Some(time), Freshness::SinceOrStale(_)) if error.is_temporary() => (time, true),
                (Err(error), ..) => return Err(error),
            },
        };
        Ok(Fresh { value: self.store.audiences(tenant, account, listed).await?, time, stale })
    }

    /// When the account was read whole, as fresh as is wanted. One crawl of an account at a time, however many callers want
    /// it; it goes on when they go away, and the next one who asks finds it under way or done.
    async fn crawled(&self, tenant: &TenantId, account: AdAccountId, freshness: Freshness) -> Result<Timestamp, Error> {
        let waiting = tokio::time::timeout(CRAWL_WAIT, self.crawl_in_turn(tenant, account, freshness));
        waiting.await.unwrap_or_else(|_| Err(being_read(account)))
    }

    async fn crawl_in_turn(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        freshness: Freshness,
    ) -> Result<Timestamp, Error> {
        let turn = self.crawls.turn((tenant.clone(), account)).await;
        let known = self.store.listed_at(tenant, account).await?;
        if let Some(time) = known.filter(|time| suffices(freshness, *time)) {
            return Ok(time);
        }
        let (this, tenant) = (self.clone(), tenant.clone());
        let crawl = async move {
            let crawled = Box::pin(this.stop.run_until_cancelled(this.crawl(&tenant, account))).await;
            drop(turn);
            crawled.unwrap_or_else(|| Err(being_read(account)))
        };
        self.tasks.spawn(crawl).await?
    }

    /// Reads an account whole. A drop in the middle leaves what was read and no claim that it is all.
    async fn crawl(&self, tenant: &TenantId, account: AdAccountId) -> Result<Timestamp, Error> {
        let begun = self.clock.now();
        let on = on(tenant, account, Priority::Sync, CRAWL_SECONDS_MAX, "audiences.read");
        let mut pages = std::pin::pin!(self.graph.pages(&on, calls::list(account)));
        let hidden = |error| Error::from(error).hide(names::of_ad_account(account));
        while let Some(page) = pages.try_next().await.map_err(hidden)? {
            self.store.keep(tenant, account, &page, self.clock.now()).await?;
        }
        self.store.listed(tenant, account, begun).await?;
        Ok(begun)
    }

    /// Removes an audience, if it still is what `etag` says.
    pub(crate) async fn delete(
        &self,
        caller: &Caller,
        account: AdAccountId,
        id: AudienceId,
        etag: &str,
        request_id: Option<Uuid>,
        validate_only: bool,
    ) -> Result<(), Error> {
        let tenant = &caller.tenant;
        // Read anew: the etag guards against what others changed, and the account against a foreign id.
        let current = match self.read(tenant, account, id).await {
            // Removed before, by a repeat of this very call perhaps.
            Err(Error::NotFound(_)) if self.store.audience(tenant, account, id).await?.is_some() => {
                return Ok(self.store.forget(tenant, account, id, (&caller.subject, request_id), None).await?);
            }
            read => read?,
        };
        let now = audience::etag(&current.graph);
        if !etag.is_empty() && etag != now {
            return Err(Error::EtagMismatch { etag: now });
        }
        if validate_only {
            return Ok(());
        }
        let on = on(tenant, account, Priority::Interactive, 25, "audiences.write");
        let trace = match self.graph.send_traced(&on, calls::delete(id)).await {
            Ok(answer) => answer.trace_id,
            Err(graph::Error::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(self.store.forget(tenant, account, id, (&caller.subject, request_id), trace.as_deref()).await?)
    }
}

/// Hands a create whose outcome is unknown to the operation that looks for it.
pub(crate) async fn look_for(store: &Store, creation: &Creation) -> Result<Operation, Error> {
    let resource = names::of_ad_account(creation.new.account);
    let id = Uuid::now_v7();
    let operation = operations::begun(id, &resource, "looking whether Meta made the audience");
    let new = New {
        tenant: creation.tenant.as_str(),
        id,
        kind: CREATE,
        resource: &resource,
        input: creation.new.request_id.as_bytes(),
        body: &operation.encode_to_vec(),
    };
    let kept = store.unknown(creation, new).await?;
    Ok(Operation { name: operations::name(kept), ..operation })
}

/// The SHA-256 of a request, for telling a repeat from a reuse of its key.
pub(crate) fn fingerprint(request: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, request).as_ref());
    fingerprint
}

/// For this tenant, on this account.
pub(crate) fn on(
    tenant: &TenantId,
    account: AdAccountId,
    priority: Priority,
    seconds: u64,
    purpose: &'static str,
) -> On {
    On {
        tenant: tenant.clone(),
        asset: Asset::AdAccount(account),
        priority,
        deadline: Instant::now() + Duration::from_secs(seconds),
        purpose,
        reservation: None,
    }
}

fn being_read(account: AdAccountId) -> Error {
    Error::InFlight(format!("the list of {}'s audiences", names::of_ad_account(account)))
}

fn suffices(freshness: Freshness, read: Timestamp) -> bool {
    match freshness {
        Freshness::Stored => true,
        Freshness::Since(time) | Freshness::SinceOrStale(time) => read >= time,
    }
}
