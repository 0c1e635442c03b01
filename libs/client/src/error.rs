//! What can go wrong, and how to read it.

use std::time::Duration;

use proto::common::v1::RowError;
use tonic::Status;
use tonic_types::StatusExt;

/// Why a call, or the work it began, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{0:?} is no address: it must be http://host:port")]
    Address(String),
    /// The token has characters that no header can hold.
    #[error("the token is malformed")]
    Token,
    /// The call failed.
    #[error("{}", .0.message())]
    Call(#[from] Status),
    /// The operation ended, and not well.
    #[error("{}", .0.message)]
    Operation(Box<RowError>),
    /// The operation's result is of another type than was asked for.
    #[error("the result is a {0}")]
    OtherResult(String),
}

/// The one word that says why a call failed, such as `META_REJECTED_FIELD`; `None` for what is no failure of Adplane's.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// When a repeat may succeed, where the answer says so.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}
