//! What time takes away: answers to old requests, events of long ago, ended operations and log-ins, and what a crash left of a revocation.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    connection_events::ConnectionEvents, connections::Connections, error::Error, logins::Logins, meta_apps::MetaApps,
    now::Now, revocations::Revocations, store::Store, usage::Usage,
};

const EVERY: Duration = Duration::from_secs(30);
/// A revocation that is younger than this may still be under way.
const LEFTOVER_AFTER: Duration = Duration::from_mins(2);
/// Operations are kept for thirty days after they ended.
const OPERATIONS_KEPT: Duration = Duration::from_hours(30 * 24);

/// Sweeps until it is stopped. Several replicas may do so at once.
pub struct Sweeper {
    /// The tables.
    pub store: Store,
    /// Finishes revocations.
    pub connections: Connections,
    /// Forgets old secrets of apps.
    pub apps: MetaApps,
    /// Forgets log-ins.
    pub logins: Logins,
    /// Forgets what happened to connections long ago.
    pub events: ConnectionEvents,
    /// Forgets what ended long ago.
    pub revocations: Revocations,
    /// Forgets hours of the past.
    pub usage: Usage,
    /// The clock.
    pub now: Now,
}

impl Sweeper {
    /// A round that fails is repeated by the next one.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            if let Err(error) = self.round().await {
                warn!(error = &error as &dyn std::error::Error, "a sweep is left to the next round");
            }
        }
    }

    async fn round(&self) -> Result<(), Error> {
        self.connections.bury_leftovers((self.now)() - LEFTOVER_AFTER).await?;
        self.logins.sweep().await?;
        self.events.sweep().await?;
        self.apps.sweep().await?;
        self.revocations.sweep((self.now)()).await?;
        self.usage.sweep().await?;
        self.store.requests().sweep().await?;
        self.store.operations().sweep(OPERATIONS_KEPT).await?;
        Ok(())
    }
}
