//! Long work, followed to its end.

use std::time::Duration;

use prost::{Message, Name};
use proto::operations::v1::{Operation, WatchOperationRequest, operation::Outcome};
use rpc::Code;
use tonic::{Status, Streaming};

use crate::{Client, Error};

/// Between two tries to watch again after the connection was lost.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries without any word in between.
const TRIES_MAX: u32 = 30;

impl Client {
    /// Follows an operation until it is done, and shows each change of it. Goes on through lost connections for half a
    /// minute each. Fails where the operation cannot be read; one that ended badly is an answer, see [`result`].
    pub async fn wait(&self, name: &str, mut progress: impl FnMut(&Operation)) -> Result<Operation, Error> {
        let mut resume_token = String::new();
        let mut tries = 0;
        loop {
            let request = WatchOperationRequest { name: name.to_owned(), resume_token: resume_token.clone() };
            let watched = match self.operations().watch_operation(request).await {
                Ok(changes) => follow(changes.into_inner(), &mut resume_token, &mut tries, &mut progress).await,
                Err(status) => Err(status),
            };
            match watched {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {} // the server stops, another goes on
                Err(status) if is_lost(&status) && tries < TRIES_MAX => {}
                Err(status) => return Err(status.into()),
            }
            tries += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn follow(
    mut changes: Streaming<proto::operations::v1::WatchOperationResponse>,
    resume_token: &mut String,
    tries: &mut u32,
    progress: &mut impl FnMut(&Operation),
) -> Result<Option<Operation>, Status> {
    while let Some(change) = changes.message().await? {
        *tries = 0;
        *resume_token = change.resume_token;
        let Some(operation) = change.operation else { continue };
        progress(&operation);
        if operation.done {
            return Ok(Some(operation));
        }
    }
    Ok(None)
}

fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded)
}

/// What an operation that is done has made. Fails with its error where it ended badly, and where the result is of
/// another type. An operation that is not done has the empty result's error.
pub fn result<T: Message + Name + Default>(operation: &Operation) -> Result<T, Error> {
    match &operation.outcome {
        Some(Outcome::Result(any)) if any.type_url.ends_with(&T::full_name()) => {
            T::decode(any.value.as_slice()).map_err(|_| Error::OtherResult(any.type_url.clone()))
        }
        Some(Outcome::Result(any)) => Err(Error::OtherResult(any.type_url.clone())),
        Some(Outcome::Error(error)) => Err(Error::Operation(Box::new(error.clone()))),
        None => Err(Error::OtherResult("work that is not done".to_owned())),
    }
}
