//! Looking again at what a connection reaches, as long work: a row that a worker of any replica takes up.
//!
//! It goes in steps of a hundred ad accounts and says after each how far it is. Where Meta cannot serve or sets a limit, the
//! operation says so and waits; this replica goes on from the step that failed, another one, after a kill, from the start.
//! What was stored before stays until the look is through.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prost::Message;
use proto::{
    auth::v1 as pb,
    operations::v1::{Operation, OperationFilter, OperationMetadata, operation::Outcome},
};
use rpc::{Asked, CANCEL, Caller, Fault, FieldError, OperationPage, OperationStore};
use storage::{
    audit::Entry,
    operations::{Claimed, Listing, New, Stored},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::warn;
use uuid::Uuid;
use vocabulary::{
    ids::{ConnectionId, OperationId, TenantId},
    names,
    page::{PageError, PageRequest},
};

use crate::{
    assets::Walk,
    by::{By, Repeat},
    connections::{Connected, Connections, Reaching},
    error::Error,
    now::Now,
    store::{Store, Told},
    wire::timestamp,
};

const KIND: &str = "discover_assets";
/// How long a discovery stays with a worker that says nothing: what a kill cut goes on soon.
const LEASE: Duration = Duration::from_mins(1);
/// How often a worker says that it is still at work, and hears whether it shall stop.
const BEAT: Duration = Duration::from_secs(5);
/// Longer than a look into many thousands of accounts takes.
const WORK_MAX: Duration = Duration::from_hours(1);
/// One that was begun so often is given up: it may be what ends its workers. More than its patience allows otherwise.
const CLAIMS_MAX: i32 = 40;
/// How many are under way at once on one replica, so that a large tenant keeps no other waiting.
const AT_ONCE: usize = 4;
/// How often a worker looks for work.
const LOOK: Duration = Duration::from_millis(500);
/// How long a discovery that Meta cannot serve now is tried. Meta's windows are an hour long.
const PATIENCE: Duration = Duration::from_hours(2);
/// The longest pause between two tries that Meta did not ask for.
const PAUSE_MAX: Duration = Duration::from_mins(10);
/// How many looks that wait are remembered; what is beyond begins anew.
const WALKS_MAX: usize = 32;

/// The use cases and the worker.
#[derive(Clone)]
pub struct Discovery {
    store: Store,
    connections: Connections,
    now: Now,
    /// Looks that were begun and wait, by their operations.
    walks: Arc<Mutex<HashMap<Uuid, (Instant, Walk)>>>,
}

impl Discovery {
    /// Over the store and the connections.
    pub fn new(store: Store, connections: Connections, now: Now) -> Self {
        Self { store, connections, now, walks: Arc::default() }
    }

    /// Accepts a discovery.
    pub async fn create(
        &self,
        by: &By,
        id: ConnectionId,
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&Operation) -> Vec<u8>),
    ) -> Result<Operation, Error> {
        self.connections.get(by, id).await?.require_active()?;
        let resource = names::of_connection(id);
        if validate_only {
            let metadata = Some(OperationMetadata { resource, ..OperationMetadata::default() });
            return Ok(Operation { name: String::new(), done: true, metadata, outcome: None });
        }
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let operation = enqueue(&self.store, &transaction, (by, id), (self.now)()).await?;
        let detail = serde_json::json!({"operation": operation.name});
        let told = Told { action: "discoveries.create", resource: &resource, detail };
        self.store.commit(transaction, by, told, Some((repeat, answer(&operation)))).await?;
        Ok(operation)
    }

    /// Works until `stop`. A discovery once begun is finished; one that a kill cut is taken up when its lease ends.
    pub async fn run(self, stop: CancellationToken) {
        let (mut tick, mut running) = (tokio::time::interval(LOOK), JoinSet::new());
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            while running.try_join_next().is_some() {}
            if let Err(error) = self.round(&mut running).await {
                warn!(error = &error as &dyn std::error::Error, "discoveries stay in the queue");
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn round(&self, running: &mut JoinSet<()>) -> Result<(), Error> {
        while running.len() < AT_ONCE
            && let Some(claimed) = self.store.operations().claim(&[KIND], LEASE).await?
        {
            let discovery = self.clone();
            running.spawn(async move {
                if let Err(error) = discovery.take_up(&claimed).await {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "a discovery is taken up again when its lease ends");
                }
            });
        }
        Ok(())
    }

    async fn take_up(&self, claimed: &Claimed) -> Result<(), Error> {
        let mut operation = Operation::decode(claimed.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
        let mut walk = self.resumed(claimed.id);
        let goes_on = self.is_young(&operation) && claimed.attempt < CLAIMS_MAX;
        let worked = tokio::time::timeout(WORK_MAX, self.work(claimed, &mut operation, &mut walk)).await;
        match worked.unwrap_or_else(|_| Err(late())) {
            Ok(()) => Ok(()),
            Err(Error::Store(storage::Error::Fenced)) => Err(storage::Error::Fenced.into()),
            Err(error) if is_temporary(&error) && goes_on => {
                self.postpone(claimed, &mut operation, &error).await?;
                self.keep(claimed.id, walk);
                Ok(())
            }
            Err(error) => {
                let body = self.ended(&operation, Outcome::Error(rpc::row_error(&error)));
                Ok(self.store.operations().finish(claimed, &body).await?)
            }
        }
    }

    /// Looks, and stores what was found together with the end of the operation.
    async fn work(&self, claimed: &Claimed, operation: &mut Operation, walk: &mut Walk) -> Result<(), Error> {
        if claimed.cancel_requested {
            return Err(Error::Cancelled);
        }
        if claimed.attempt > CLAIMS_MAX {
            return Err(late());
        }
        let tenant = claimed.tenant.parse().map_err(|_| Error::Corrupt("operation"))?;
        let actor = String::from_utf8_lossy(&claimed.input).into();
        let by = By { actor, ..By::ourselves(tenant) };
        let id = names::connection(&claimed.resource).map_err(|_| Error::Corrupt("operation"))?;
        let reaching = self.connections.reaching(&by, id).await?;
        while self.step(&reaching, walk, (claimed, &*operation)).await? {
            self.describe(operation, "looking into ad accounts", "");
            count(operation, walk);
        }
        count(operation, walk);
        let body = |connected: &Connected| {
            let value = pb::DiscoverAssetsResult::from(connected).encode_to_vec();
            let type_url = "type.googleapis.com/adplane.auth.v1.DiscoverAssetsResult".to_owned();
            self.ended(operation, Outcome::Result(prost_types::Any { type_url, value }))
        };
        self.connections.reached(&by, reaching, std::mem::take(walk), (claimed, body)).await
    }

    /// One step, however long Meta takes for it: meanwhile it is said that the work goes on.
    async fn step(
        &self,
        reaching: &Reaching,
        walk: &mut Walk,
        (claimed, operation): (&Claimed, &Operation),
    ) -> Result<bool, Error> {
        let body = operation.encode_to_vec();
        let mut stepping = Box::pin(self.connections.step(reaching, walk));
        let mut beat = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                _ = beat.tick() => {
                    if self.store.operations().progress(claimed, &body).await?.cancel_requested {
                        return Err(Error::Cancelled);
                    }
                }
                more = &mut stepping => return more,
            }
        }
    }

    /// The operation after its end.
    fn ended(&self, operation: &Operation, outcome: Outcome) -> Vec<u8> {
        let mut operation = Operation { done: true, ..operation.clone() };
        self.describe(&mut operation, "done", "");
        if let (Some(metadata), Outcome::Result(_)) = (&mut operation.metadata, &outcome) {
            metadata.steps_done = metadata.steps_total;
        }
        operation.outcome = Some(outcome);
        operation.encode_to_vec()
    }

    fn is_young(&self, operation: &Operation) -> bool {
        let created = operation.metadata.as_ref().and_then(|metadata| metadata.create_time);
        let until = timestamp((self.now)() - PATIENCE);
        created.is_some_and(|created| (created.seconds, created.nanos) > (until.seconds, until.nanos))
    }

    /// The look that waits, where this replica began it a while ago; else a new one.
    fn resumed(&self, id: Uuid) -> Walk {
        let kept = self.walks().remove(&id).filter(|(since, _)| since.elapsed() < PATIENCE);
        kept.map(|(_, walk)| walk).unwrap_or_default()
    }

    fn keep(&self, id: Uuid, walk: Walk) {
        let mut walks = self.walks();
        walks.retain(|_, (since, _)| since.elapsed() < PATIENCE);
        if walks.len() < WALKS_MAX {
            walks.insert(id, (Instant::now(), walk));
        }
    }

    fn walks(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, Walk)>> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why it waits and how long: as long as Meta asks for, else longer each time.
    async fn postpone(&self, claimed: &Claimed, operation: &mut Operation, error: &Error) -> Result<(), Error> {
        let tries = u32::try_from(claimed.attempt).unwrap_or(1);
        let pause = Duration::from_secs(2_u64.saturating_pow(tries)).min(PAUSE_MAX);
        let delay = pause.max(error.retry_after().unwrap_or_default());
        self.describe(operation, waiting(error), "meta");
        if let Some(metadata) = &mut operation.metadata {
            let until = timestamp((self.now)() + delay);
            metadata.next_attempt_time = Some(until);
            metadata.quota_until = is_limit(error).then_some(until);
        }
        Ok(self.store.operations().postpone(claimed, delay, &operation.encode_to_vec()).await?)
    }

    fn describe(&self, operation: &mut Operation, phase: &str, waiting_on: &str) {
        let metadata = operation.metadata.get_or_insert_default();
        phase.clone_into(&mut metadata.phase);
        waiting_on.clone_into(&mut metadata.waiting_on);
        metadata.update_time = Some(timestamp((self.now)()));
    }
}

/// What another try may bring; a newer token that came meanwhile may reach something else.
fn is_temporary(error: &Error) -> bool {
    match error {
        Error::Meta(error) => error.is_temporary(),
        Error::Stale { .. } => true,
        error => error.waiting_helps(),
    }
}

fn late() -> Error {
    Error::Meta(graph::Error::Deadline { call: "a discovery".to_owned() })
}

fn is_limit(error: &Error) -> bool {
    matches!(error, Error::Meta(graph::Error::Throttled { .. }))
}

/// Why it waits, for a person.
fn waiting(error: &Error) -> &'static str {
    if is_limit(error) {
        "waiting: Meta limits how much we may ask now; it goes on by itself where it was"
    } else {
        "waiting: Meta does not answer well now; it goes on by itself where it was"
    }
}

/// Writes down how many ad accounts were looked into.
fn count(operation: &mut Operation, walk: &Walk) {
    let (looked, total) = walk.progress();
    let metadata = operation.metadata.get_or_insert_default();
    metadata.steps_done = i64::try_from(looked).unwrap_or(i64::MAX);
    metadata.steps_total = i64::try_from(total.max(1)).unwrap_or(i64::MAX);
}

/// Accepts a look into a connection within the caller's transaction.
pub(crate) async fn enqueue(
    store: &Store,
    transaction: &storage::Transaction<'_>,
    (by, connection): (&By, ConnectionId),
    now: jiff::Timestamp,
) -> Result<Operation, Error> {
    let (id, resource, now) = (Uuid::now_v7(), names::of_connection(connection), Some(timestamp(now)));
    let operation = Operation {
        name: name(id),
        metadata: Some(OperationMetadata {
            resource: resource.clone(),
            phase: "waiting for a worker".to_owned(),
            steps_total: 1,
            create_time: now,
            update_time: now,
            ..OperationMetadata::default()
        }),
        ..Operation::default()
    };
    let (tenant, input, body) = (by.tenant.as_str(), by.actor.as_bytes(), operation.encode_to_vec());
    store
        .operations()
        .create(transaction, New { tenant, id, kind: KIND, resource: &resource, input, body: &body })
        .await?;
    Ok(operation)
}

fn name(id: Uuid) -> String {
    names::of_operation(&OperationId { service: crate::NAME.to_owned(), id })
}

/// The rows of long work, as `OperationService` shows them.
pub struct Rows(pub Store);

#[tonic::async_trait]
impl OperationStore for Rows {
    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, Status> {
        let stored = self.0.operations().get(tenant.as_str(), id).await.map_err(Error::from)?;
        Ok(stored.map(|stored| shown(&stored)).transpose()?)
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &OperationFilter,
        page: &PageRequest,
    ) -> Result<OperationPage, Status> {
        let after = page.after.as_deref().map(Uuid::try_parse).transpose();
        let after = after.map_err(|_| FieldError::from(PageError::Token))?;
        let listing = Listing { resource: &filter.resource, done: filter.done, after, size: page.size + 1 };
        let mut rows = self.0.operations().list(tenant.as_str(), listing).await.map_err(Error::from)?;
        let next = crate::wire::cut(&mut rows, page, |row| row.id.to_string());
        let operations = rows.iter().map(shown).collect::<Result<_, _>>()?;
        Ok(OperationPage { operations, next })
    }

    async fn cancel(&self, caller: &Caller, asked: Asked<'_>) -> Result<Option<Operation>, Status> {
        let entry = Entry {
            tenant: caller.tenant.as_str(),
            actor: &caller.subject,
            action: CANCEL,
            resource: asked.name,
            request_id: asked.request_id,
            detail: serde_json::json!({}),
        };
        let stored = self.0.operations().cancel(asked.id, entry).await.map_err(Error::from)?;
        Ok(stored.map(|stored| shown(&stored)).transpose()?)
    }
}

/// The operation as it stands: the worker's words, and whether somebody asked for it to stop since.
fn shown(stored: &Stored) -> Result<Operation, Error> {
    let mut operation = Operation::decode(stored.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
    operation.metadata.get_or_insert_default().cancel_requested = stored.cancel_requested;
    Ok(operation)
}
