//! Waiting with a deadline: for what happens by itself, and for what must not hang.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

/// Far more than anything takes, so that only what hangs meets it.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until there is an answer. Fails after two minutes without one, and at the first failure to ask.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = within(what, ask()).await?? {
            return Ok(answer);
        }
        if began.elapsed() > PATIENCE {
            bail!("{what} did not come in {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The answer, unless it takes more than two minutes.
pub async fn within<T>(what: &str, answer: impl Future<Output = T>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => Ok(answer),
        Err(_) => bail!("{what} took longer than {} s", PATIENCE.as_secs()),
    }
}
