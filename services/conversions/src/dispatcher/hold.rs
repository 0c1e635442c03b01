//! A claim's lease, kept alive while its events are worked on.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use tracing::warn;

use crate::{
    error::Error,
    store::{Claim, Store},
};

/// Renews the lease of one claim, so that waiting for a permit or for Meta does not hand its events to another.
pub(super) struct Hold<'a> {
    store: &'a Store,
    claim: &'a Claim,
    lease: Duration,
    /// Before the lease was last given: it ends a lease later at the earliest.
    since: Instant,
}

impl<'a> Hold<'a> {
    /// The lease of a claim that was asked for at `since`.
    pub(super) fn new(store: &'a Store, claim: &'a Claim, lease: Duration, since: Instant) -> Self {
        Self { store, claim, lease, since }
    }

    /// Renews where a third of the lease is over. `false` says that the events have gone to another dispatcher.
    pub(super) async fn keep(&mut self) -> Result<bool, Error> {
        if self.since.elapsed() < self.lease / 3 {
            return Ok(true);
        }
        let now = Instant::now();
        let held = self.store.renew(self.claim, self.lease).await? > 0;
        if held {
            self.since = now;
        } else {
            warn!(dataset.id = self.claim.dataset.get(), "the lease on events has gone to another dispatcher");
        }
        Ok(held)
    }

    /// Waits for `work` and renews meanwhile. The work is never cut: where the lease cannot be renewed it may go to
    /// another, who sends under the same ids, and what this one writes down afterwards changes nothing.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = self.keep_on() => match never {},
        }
    }

    async fn keep_on(&mut self) -> Infallible {
        loop {
            let third = self.lease / 3;
            // At least a moment, so that a database that is away is not asked without a pause.
            tokio::time::sleep(third.saturating_sub(self.since.elapsed()).max(third / 10)).await;
            match self.keep().await {
                Ok(true) => {}
                Ok(false) => std::future::pending().await,
                Err(error) => warn!(error = &error as &dyn std::error::Error, "a lease on events was not renewed"),
            }
        }
    }
}
