//! Erases what is not needed any more: rows of uploads that never ran, and the records of what ended long ago.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vocabulary::Clock;

use crate::{error::Error, store::Store};

/// How often the sweep looks.
const EVERY: Duration = Duration::from_mins(10);
/// How long operations, creates and the errors of uploads are kept.
const KEEP: Duration = Duration::from_hours(30 * 24);

/// Sweeps until `stop` fires.
pub(crate) async fn run<C: Clock>(store: Store, clock: C, stop: CancellationToken) {
    loop {
        if let Err(error) = round(&store, &clock).await {
            warn!(error = &error as &dyn std::error::Error, "old records stay for the next sweep");
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

async fn round<C: Clock>(store: &Store, clock: &C) -> Result<(), Error> {
    let now = clock.now();
    let expired = store.expire_jobs(now).await?;
    let jobs = store.sweep_jobs(now, KEEP).await?;
    let creations = store.sweep_creations(KEEP).await?;
    let operations = store.operations().sweep(KEEP).await?;
    if expired + jobs + creations + operations > 0 {
        info!(
            jobs.expired = expired,
            jobs.swept = jobs,
            creations.swept = creations,
            operations.swept = operations,
            "swept"
        );
    }
    Ok(())
}
