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
    connections::{Connections, Look},
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
        tokio::join!(
            self.keep_telling(&stop),
            self.keep_doing(Due::Refresh, &stop),
            self.keep_doing(Due::Inspection, &stop)
        );
    }

    fn ticks(&self) -> tokio::time::Interval {
        let mut tick = tokio::time::interval(self.settings.look());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick
    }

    async fn keep_telling(&self, stop: &CancellationToken) {
        let mut tick = self.ticks();
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            if let Err(error) = notices::tell(&self.store, (self.now)()).await {
                warn!(error = &error as &dyn std::error::Error, "ends are told in the next round");
            }
        }
    }

    /// Does one kind of what is due, in places of its own: while Meta answers no exchange, tokens are inspected all the same.
    async fn keep_doing(&self, due: Due, stop: &CancellationToken) {
        let mut tick = self.ticks();
        let (places, mut running) = (self.settings.places(due), JoinSet::new());
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            loop {
                match self.begin(due, places, &mut running).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        warn!(error = &error as &dyn std::error::Error, "connections wait for the next round");
                        break;
                    }
                }
                // With every place taken there is nothing to claim until one is free.
                if running.len() >= places && stop.run_until_cancelled(running.join_next()).await.is_none() {
                    break;
                }
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Claims as much as there is room for, and begins it. Says how much that was.
    async fn begin(&self, due: Due, places: usize, running: &mut JoinSet<()>) -> Result<usize, Error> {
        while running.try_join_next().is_some() {}
        let room = u32::try_from(places.saturating_sub(running.len())).unwrap_or(0);
        if room == 0 {
            return Ok(0);
        }
        let (now, pace) = ((self.now)(), self.settings.pace(due));
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let claimed = upkeep::claim(&transaction, due, (room, pace), (now, now + CLAIM)).await?;
        transaction.commit().await?;
        let begun = claimed.len();
        for claimed in claimed {
            let lifecycle = self.clone();
            running.spawn(async move { lifecycle.work(due, claimed).await });
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
        let (connection, look) = (&claimed.connection, Look::Due(claimed.claim));
        let inspected = async {
            let token = self.connections.unseal(connection, &claimed.token).await?;
            self.connections.inspect_token(by, connection, &token, look).await
        };
        let inspected = inspected.await;
        if inspected.is_err() {
            upkeep::put_off(&self.store.client().await?, claimed, (self.now)() + INSPECT_AGAIN).await?;
        }
        inspected.map(drop)
    }
}
