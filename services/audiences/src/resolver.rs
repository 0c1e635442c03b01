//! Looks for creates whose answer was lost, until it is sure.
//!
//! Meta may commit after our timeout and reads lag behind writes, so absence now is not absence: it counts after three
//! looks, the last of them when the create has had `settle_seconds` to appear. Nothing is ever sent again.

use std::time::Duration;

use futures::TryStreamExt;
use graph::{Priority, audiences as calls};
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use proto::operations::v1::Operation;
use storage::operations::Claimed;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;
use vocabulary::Clock;

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
/// How long a look may take, and a little more.
const LEASE: Duration = Duration::from_secs(60);

/// Looks for lost creates.
#[derive(Clone)]
pub(crate) struct Resolver<C> {
    store: Store,
    graph: graph::Client,
    clock: C,
    settle: SignedDuration,
}

impl<C: Clock> Resolver<C> {
    /// `settle_seconds` is how long after sending a create may still appear.
    pub(crate) fn new(store: Store, graph: graph::Client, clock: C, settle_seconds: u32) -> Self {
        Self { store, graph, clock, settle: SignedDuration::from_secs(settle_seconds.into()) }
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
        let creation = self.creation(&claimed).await?;
        let operation = Operation::decode(claimed.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
        match self.look(&creation).await {
            Ok(Some(found)) => self.found(&creation, &claimed, operation, found).await?,
            Ok(None) => self.not_found(&creation, &claimed, operation).await?,
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "a look failed");
                self.store.operations().postpone(&claimed, PAUSE, &claimed.body).await?;
            }
        }
        Ok(true)
    }

    async fn creation(&self, claimed: &Claimed) -> Result<Creation, Error> {
        let tenant = claimed.tenant.parse().map_err(|_| Error::Corrupt("tenant"))?;
        let request = Uuid::from_slice(&claimed.input).map_err(|_| Error::Corrupt("operation"))?;
        let creation = self.store.creation(&tenant, request).await?;
        creation.filter(|creation| creation.state == CreationState::Unknown).ok_or(Error::Corrupt("create"))
    }

    async fn look(&self, creation: &Creation) -> Result<Option<Mirrored>, Error> {
        let new = &creation.new;
        let sent = creation.send_time.unwrap_or(Timestamp::UNIX_EPOCH);
        let on = on(&creation.tenant, new.account, Priority::Safety, 45, "audiences.read");
        let now = self.clock.now();
        let mut pages = std::pin::pin!(self.graph.pages(&on, calls::list(new.account)));
        while let Some(page) = pages.try_next().await? {
            let ours = page.into_iter().find(|found| audience::is_made_by(found, &new.name, &new.marker, sent));
            if let Some(graph) = ours {
                let id = graph.id.parse().map_err(|_| Error::Corrupt("id"))?;
                return Ok(Some(Mirrored { id, graph, fetch_time: now }));
            }
        }
        Ok(None)
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
        Ok(self.store.created(creation, &graph, time, Some((claimed, &body))).await?)
    }

    async fn not_found(&self, creation: &Creation, claimed: &Claimed, operation: Operation) -> Result<(), Error> {
        let looks = self.store.looked(&creation.tenant, creation.new.request_id).await?;
        let sent = creation.send_time.unwrap_or(Timestamp::UNIX_EPOCH);
        if is_absent(looks, self.clock.now().duration_since(sent), self.settle) {
            let body = operations::failed(operation, &Error::NeverMade).encode_to_vec();
            return Ok(self.store.absent(creation, claimed, &body).await?);
        }
        Ok(self.store.operations().postpone(claimed, PAUSE, &claimed.body).await?)
    }
}

/// May a create that was not found be taken for not made?
fn is_absent(looks: i32, since_sent: SignedDuration, settle: SignedDuration) -> bool {
    looks >= LOOKS_MIN && since_sent >= settle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_needs_three_looks_and_the_settling_time() {
        let seconds = SignedDuration::from_secs;
        for (looks, since_sent, absent) in [(1, 1_000, false), (3, 179, false), (2, 180, false), (3, 180, true)] {
            assert_eq!(is_absent(looks, seconds(since_sent), seconds(180)), absent, "{looks} {since_sent}");
        }
    }
}
