//! Forgets events that ended long ago.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::store::Store;

/// How often the sweep looks. While there is more to delete it goes on at once.
const EVERY: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Deletes what ended more than `days` ago, until `stop` fires. One statement at a time, so that nothing waits long.
pub(crate) async fn run(store: Store, days: u64, stop: CancellationToken) {
    let age = DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
    loop {
        match store.sweep(age).await {
            Ok(0) => {}
            Ok(count) => {
                info!(events.forgotten = count, "old events forgotten");
                if !stop.is_cancelled() {
                    continue;
                }
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "old events stay for the next sweep"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}
