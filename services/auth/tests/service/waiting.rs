//! Waiting for what becomes so, however slow the machine is that the tests run on.
//!
//! How soon we promise something is measured by the bench, on a machine that does nothing else. Here only what never comes
//! is a failure.

use std::time::Duration;

/// Far longer than anything takes, and less than the two minutes that a token is held in memory: what is awaited is never
/// a matter of age alone.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);
/// Between two looks, so that looking does not take the processor from what is looked for.
const PAUSE: Duration = Duration::from_millis(20);

/// What there is to see at last.
pub(crate) async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    in_time(what, looking).await
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    soon(what, async || is_so().await.then_some(())).await;
}

/// What this comes to, if it ever does.
pub(crate) async fn in_time<T>(what: &str, comes: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, comes).await.unwrap_or_else(|_| panic!("it never comes: {what}"))
}
