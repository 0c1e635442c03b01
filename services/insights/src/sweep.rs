//! Drops what nobody may ask for any more: answers of old requests, and operations that ended long ago.

use std::time::Duration;

use storage::{operations::Operations, requests::Requests};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_mins(10);

/// As the proto of operations promises.
const OPERATIONS_KEPT: Duration = Duration::from_hours(30 * 24);

/// Sweeps until `stop` fires. Replicas may sweep at once: each deletes what is still there.
pub(crate) async fn run(operations: Operations, requests: Requests, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let swept =
            async { Ok::<_, storage::Error>((operations.sweep(OPERATIONS_KEPT).await?, requests.sweep().await?)) };
        match swept.await {
            Ok((0, 0)) => {}
            Ok((operations, requests)) => tracing::info!(operations, requests, "swept"),
            Err(error) => tracing::warn!(error = %error, "not swept; the next round tries again"),
        }
    }
}
