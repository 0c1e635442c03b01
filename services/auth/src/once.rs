//! A write happens once, however often its request is repeated.

use prost::Message;
use storage::requests::Begin;

use crate::{
    by::{By, Repeat},
    error::Error,
    store::Store,
};

/// Runs `work` unless this request was answered before; then its answer is given again. `work` stores its answer in the
/// transaction of its change, so that there is never the one without the other; where it fails, the id is free again.
pub async fn once<A: Message + Default>(
    store: &Store,
    by: &By,
    repeat: &Repeat,
    work: impl Future<Output = Result<A, Error>>,
) -> Result<A, Error> {
    let request_id = || repeat.request_id.map(|id| id.to_string()).unwrap_or_default();
    match store.begin(by, repeat).await? {
        Begin::New => {}
        Begin::Answered(bytes) => return A::decode(bytes.as_slice()).map_err(|_| Error::Corrupt("answer")),
        Begin::InFlight => return Err(Error::RequestInFlight { request_id: request_id() }),
        Begin::Reused => return Err(Error::RequestReused { request_id: request_id() }),
    }
    let done = work.await;
    if done.is_err()
        && let Err(error) = store.abandon(by, repeat).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "a refused request keeps its id for two minutes");
    }
    done
}
