//! Looks for creates whose answer was lost, until it is sure.
//!
//! Meta may commit after our timeout and reads lag behind writes, so absence now is not absence: it counts after three
//! looks, the last of them when the create has had `settle_seconds` to appear since its answer was lost. Nothing is ever
//! sent again. Where Meta cannot be asked for a day, nobody knows, and the operation says so.

use std::time::Duration;

use futures::TryStreamExt;
use graph::{
    Priority,
    audiences::{self as calls, Audience},
};
use jiff::Timestamp;
use prost::Message;
use proto::{audiences::v1 as pb, operations::v1::Operation};
use storage::operations::Claimed;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;
use vocabulary::{Clock, ids::AudienceId, names};

use crate::{
    audience,
    audiences::{CREATE, STALE, look_for, on},
    error::Error,
    operations,
    store::{Creation, CreationState, Mirrored, Store},
    wire,
};

/// How often a create is looked for at least, before it counts as absent.
const LOOKS_MIN: i32 = 3;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(20);
/// The first pause where a person must act before a look can work; it doubles with each.
const PAUSE_PERSON: Duration = Duration::from_secs(60);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// How long looks may fail before nobody looks any more.
const LOOK_MAX: Duration = Duration::from_hours(24);
/// How long a look may take, and a little more.
const LEASE: Duration = Duration::from_secs(60);

/// Meta, as a look needs it.
pub(crate) trait Door: Clone + Send + Sync + 'static {
    /// The audience that this create made, if Meta shows one.
    fn find(&self, creation: &Creation) -> impl Future<Output = Result<Option<Audience>, Error>> + Send;
}

/// The real one.
impl Door for graph::Client {
    async fn find(&self, creation: &Creation) -> Result<Option<Audience>, Error> {
        let new = &creation.new;
        let sent = creation.send_time.unwrap_or(Timestamp::UNIX_EPOCH);
        let on = on(&creation.tenant, new.account, Priority::Safety, 45, "audiences.read");
        let mut pages = std::pin::pin!(self.pages(&on, calls::list(new.account)));
        while let Some(page) = pages.try_next().await? {
            let ours = page.into_iter().find(|found| audience::is_made_by(found, &new.name, &new.marker, sent));
            if ours.is_some() {
                return Ok(ours);
            }
        }
        Ok(None)
    }
}

/// Looks for lost creates.
#[derive(Clone)]
pub(crate) struct Resolver<C, D> {
    store: Store,
    door: D,
    clock: C,
    settle: Duration,
}

impl<C: Clock, D: Door> Resolver<C, D> {
    /// `settle_seconds` is how long after its answer was lost a create may still appear.
    pub(crate) fn new(store: Store, door: D, clock: C, settle_seconds: u32) -> Self {
        Self { store, door, clock, settle: Duration::from_secs(settle_seconds.into()) }
    }

    /// Looks until `stop` fires. A look once begun is finished.
    pub(crate) async fn run(self, poll: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let worked = match self.round().await {
                Ok(worked) => worked,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "lost creates wait for the next look");
                    false
                }
            };
            if !worked && stop.run_until_cancelled(tokio::time::sleep(poll)).await.is_none() {
                return;
            }
        }
    }

    /// One look, and whether there was anything to look for.
    async fn round(&self) -> Result<bool, Error> {
        for creation in self.store.abandoned(STALE).await? {
            warn!(request.id = %creation.new.request_id, "a process died in a create: looking for it");
            look_for(&self.store, &creation).await?;
        }
        let Some(claimed) = self.store.operations().claim(&[CREATE], LEASE).await? else { return Ok(false) };
        let operation = Operation::decode(claimed.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
        let tenant = claimed.tenant.parse().map_err(|_| Error::Corrupt("tenant"))?;
        let request = Uuid::from_slice(&claimed.input).map_err(|_| Error::Corrupt("operation"))?;
        let creation = self.store.creation(&tenant, request).await?;
        match creation.as_ref().map(|creation| (creation, creation.state)) {
            Some((creation, CreationState::Unknown)) => self.look(creation, &claimed, operation).await?,
            // Its sender was slow, not dead, and has told the outcome meanwhile.
            Some((creation, CreationState::Done(id))) => self.told(creation, &claimed, operation, id).await?,
            Some((_, CreationState::Failed)) => self.ends(&claimed, operation, &Error::NeverMade).await?,
            Some(_) | None => self.ends(&claimed, operation, &Error::NotSure).await?,
        }
        Ok(true)
    }

    async fn look(&self, creation: &Creation, claimed: &Claimed, operation: Operation) -> Result<(), Error> {
        let now = self.clock.now();
        match self.door.find(creation).await {
            Ok(Some(graph)) => {
                let id = graph.id.parse().map_err(|_| Error::Corrupt("id"))?;
                self.found(creation, claimed, operation, Mirrored { id, graph, fetch_time: now }).await
            }
            Ok(None) => self.not_found(creation, claimed, operation).await,
            Err(error) if creation.lost_for < LOOK_MAX => {
                let pause = pause(&error, claimed.attempt);
                debug!(error = &error as &dyn std::error::Error, pause.seconds = pause.as_secs(), "a look failed");
                Ok(self.store.operations().postpone(claimed, pause, &claimed.body).await?)
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "a lost create is looked for no more");
                let body = operations::failed(operation, &Error::NotSure).encode_to_vec();
                Ok(self.store.give_up(creation, claimed, &body).await?)
            }
        }
    }

    async fn found(
        &self,
        creation: &Creation,
        claimed: &Claimed,
        operation: Operation,
        found: Mirrored,
    ) -> Result<(), Error> {
        let (graph, time) = (found.graph.clone(), found.fetch_time);
        let result = wire::audience(creation.new.account, found);
        let body = operations::succeeded(operation, "Audience", &result).encode_to_vec();
        Ok(self.store.created(creation, &graph, time, None, Some((claimed, &body))).await?)
    }

    async fn not_found(&self, creation: &Creation, claimed: &Claimed, operation: Operation) -> Result<(), Error> {
        let looks = self.store.looked(&creation.tenant, creation.new.request_id).await?;
        // As long as it was lost when the look began: what appeared meanwhile may not have been seen.
        if is_absent(looks, creation.lost_for, self.settle) {
            let body = operations::failed(operation, &Error::NeverMade).encode_to_vec();
            return Ok(self.store.absent(creation, claimed, &body).await?);
        }
        Ok(self.store.operations().postpone(claimed, PAUSE, &claimed.body).await?)
    }

    /// Ends an operation whose create is made.
    async fn told(
        &self,
        creation: &Creation,
        claimed: &Claimed,
        operation: Operation,
        id: AudienceId,
    ) -> Result<(), Error> {
        let account = creation.new.account;
        let result = match self.store.audience(&creation.tenant, account, id).await? {
            Some(made) => wire::audience(account, made),
            // Removed since.
            None => pb::Audience {
                resource_name: names::of_audience(account, id),
                id: Some(id.to_string()),
                ..pb::Audience::default()
            },
        };
        let body = operations::succeeded(operation, "Audience", &result).encode_to_vec();
        Ok(self.store.operations().finish(claimed, &body).await?)
    }

    async fn ends(&self, claimed: &Claimed, operation: Operation, error: &Error) -> Result<(), Error> {
        let body = operations::failed(operation, error).encode_to_vec();
        Ok(self.store.operations().finish(claimed, &body).await?)
    }
}

/// How long to wait after a look that failed.
fn pause(error: &Error, attempt: i32) -> Duration {
    if error.is_temporary() {
        return rpc::Fault::retry_after(error).unwrap_or(PAUSE).clamp(PAUSE, PAUSE_MAX);
    }
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or_default().min(16);
    PAUSE_PERSON.saturating_mul(2_u32.saturating_pow(doublings)).min(PAUSE_MAX)
}

/// May a create that was not found be taken for not made?
fn is_absent(looks: i32, lost_for: Duration, settle: Duration) -> bool {
    looks >= LOOKS_MIN && lost_for >= settle
}

#[cfg(test)]
mod tests;
