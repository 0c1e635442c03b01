//! The life of connections between consent and end: refreshed long before their tokens end, inspected daily, and told of
//! in time.
//!
//! What is due stands in the connections' rows, so every replica may do it. A replica claims a row in one short
//! transaction, calls Meta with none open, and stores the outcome only where the claim is still its own. So N replicas
//! make one exchange per expiry; what a kill leaves behind is a claim that ends by itself, a token that still works, and
//! perhaps a newer one at Meta that nobody knows and that ends unused. All replicas together keep to one pace, and the
//! most urgent goes first.

pub mod notices;
pub mod pace;
pub mod plan;
mod refresh;
mod settings;

use std::time::Duration;

use graph::oauth::Oauth;
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;
use vocabulary::names;

pub use self::settings::LifecycleSettings;
use crate::{
    by::By,
    connections::Connections,
    error::Error,
    now::Now,
    store::{
        Store,
        upkeep::{self, CLAIM, Claimed, Due},
    },
};

/// How long after an inspection that Meta did not answer it is tried again.
const INSPECT_AGAIN: Duration = Duration::from_mins(15);

/// The use cases and the worker.
#[derive(Clone)]
pub struct Lifecycle {
    store: Store,
    connections: Connections,
    oauth: Oauth,
    settings: LifecycleSettings,
    tasks: TaskTracker,
    now: Now,
}

impl Lifecycle {
    /// Over the store, the connections and Meta. Exchanges run on `tasks`, so that a caller who hangs up stops none.
    pub fn new(
        settings: &LifecycleSettings,
        (store, now): (Store, Now),
        (connections, oauth): (Connections, Oauth),
        tasks: TaskTracker,
    ) -> Self {
        Self { store, connections, oauth, settings: settings.clone(), tasks, now }
    }

    /// Does what is due until `stop`. What is begun is finished, or healed by whoever claims it next.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.settings.look());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running = JoinSet::new();
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            if let Err(error) = notices::tell(&self.store, (self.now)()).await {
                warn!(error = &error as &dyn std::error::Error, "ends are told in the next round");
            }
            loop {
                match self.begin(&mut running).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        warn!(error = &error as &dyn std::error::Error, "connections wait for the next round");
                        break;
                    }
                }
                // With every place taken there is nothing to claim until one is free.
                if running.len() >= self.places() && stop.run_until_cancelled(running.join_next()).await.is_none() {
                    break;
                }
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn places(&self) -> usize {
        usize::try_from(self.settings.calls_at_once).unwrap_or(1).max(1)
    }

    /// Claims as much as there is room for, and begins it. Says how much that was.
    async fn begin(&self, running: &mut JoinSet<()>) -> Result<usize, Error> {
        while running.try_join_next().is_some() {}
        let mut begun = 0;
        for (due, pace) in
            [(Due::Refresh, self.settings.refresh_pace()), (Due::Inspection, self.settings.inspection_pace())]
        {
            let room = u32::try_from(self.places().saturating_sub(running.len())).unwrap_or(0);
            if room == 0 {
                break;
            }
            let now = (self.now)();
            let mut client = self.store.client().await?;
            let transaction = client.transaction().await?;
            let claimed = upkeep::claim(&transaction, due, (room, pace), (now, now + CLAIM)).await?;
            transaction.commit().await?;
            begun += claimed.len();
            for claimed in claimed {
                let lifecycle = self.clone();
                running.spawn(async move { lifecycle.work(due, claimed).await });
            }
        }
        Ok(begun)
    }

    async fn work(&self, due: Due, claimed: Claimed) {
        let by = By::ourselves(claimed.connection.tenant.clone());
        let id = claimed.connection.id;
        let worked = match due {
            Due::Refresh => self.refresh(&by, &claimed).await.map(drop),
            Due::Inspection => self.inspect(&by, &claimed).await,
        };
        if let Err(error) = worked {
            let error = &error as &dyn std::error::Error;
            warn!(connection.name = names::of_connection(id), due = ?due, error, "a connection is tried again later");
        }
    }

    async fn inspect(&self, by: &By, claimed: &Claimed) -> Result<(), Error> {
        let (connection, claim) = (&claimed.connection, Some(claimed.claim));
        let inspected = async {
            let token = self.connections.unseal(connection, &claimed.token).await?;
            self.connections.inspect_token(by, connection, &token, claim).await
        };
        let inspected = inspected.await;
        if inspected.is_err() {
            upkeep::put_off(&self.store.client().await?, claimed, (self.now)() + INSPECT_AGAIN).await?;
        }
        inspected.map(drop)
    }
}
