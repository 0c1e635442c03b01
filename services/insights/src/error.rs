//! What can go wrong, sorted by what the caller should do next.

use std::time::Duration;

use proto::common::v1::ErrorReason;
use rpc::{Code, Fault, Violation};

/// Why a call of this service failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is wrong.
    #[error(transparent)]
    Field(#[from] rpc::FieldError),
    /// The query breaks rules of Meta's.
    #[error("the query cannot stand: {} {}", .0.len(), if .0.len() == 1 { "finding" } else { "findings" })]
    Query(Vec<Violation>),
    /// The query is for a report, not for an answer at once.
    #[error("the query is too large to be answered at once ({0}): use CreateReport")]
    TooLarge(&'static str),
    /// The tenant has no such thing.
    #[error("there is no {0}")]
    Missing(String),
    /// A report must have ended.
    #[error("the report is still being read")]
    StillRunning,
    /// The request_id was used for something else.
    #[error("the request_id {0} was used before with another request: take a new UUID")]
    RequestReused(String),
    /// The same request is being worked on.
    #[error("the request {0} is being worked on")]
    RequestInFlight(String),
    /// Meta or one of our services on the way to it.
    #[error(transparent)]
    Graph(#[from] graph::Error),
    /// The next page is the one just read.
    #[error("Meta's pages do not end: one names itself as the next")]
    Endless,
    /// PostgreSQL.
    #[error("the report store failed")]
    Store(#[from] storage::Error),
    /// What we stored cannot be read back.
    #[error("a stored {0} cannot be read")]
    Corrupt(&'static str),
}

impl Error {
    /// Another tenant's account answers as one that does not exist, so that nobody learns which accounts there are.
    pub(crate) fn hide(self, resource: impl Into<String>) -> Self {
        match self {
            Self::Graph(error) if error.is_out_of_reach() => Self::Missing(resource.into()),
            other => other,
        }
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Field(error) => error.code(),
            Self::Query(_) => Code::InvalidArgument,
            Self::TooLarge(_) | Self::StillRunning => Code::FailedPrecondition,
            Self::Missing(_) => Code::NotFound,
            Self::RequestReused(_) => Code::InvalidArgument,
            Self::RequestInFlight(_) => Code::Aborted,
            Self::Graph(error) => error.code(),
            Self::Endless => Code::Unavailable,
            Self::Store(error) if error.is_outage() => Code::Unavailable,
            Self::Store(_) | Self::Corrupt(_) => Code::Internal,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Field(error) => error.reason(),
            Self::Query(_) => ErrorReason::InvalidField,
            Self::TooLarge(_) => ErrorReason::QueryTooLarge,
            Self::StillRunning => ErrorReason::WrongState,
            Self::Missing(_) => ErrorReason::NotFound,
            Self::RequestReused(_) => ErrorReason::RequestIdReused,
            Self::RequestInFlight(_) => ErrorReason::RequestInFlight,
            Self::Graph(error) => error.reason(),
            Self::Endless => ErrorReason::MetaUnavailable,
            Self::Store(error) if error.is_outage() => ErrorReason::StoreUnavailable,
            Self::Store(_) | Self::Corrupt(_) => ErrorReason::Internal,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Field(error) => error.metadata(),
            Self::Missing(name) => vec![("resource", name.clone())],
            Self::StillRunning => vec![("state", "RUNNING".to_owned())],
            Self::RequestReused(id) | Self::RequestInFlight(id) => vec![("request_id", id.clone())],
            Self::Graph(error) => error.metadata(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RequestInFlight(_) => Some(Duration::from_secs(1)),
            Self::Store(error) if error.is_outage() => Some(Duration::from_secs(1)),
            Self::Graph(error) => error.retry_after(),
            Self::Endless => Some(Duration::from_mins(1)),
            _ => None,
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Field(error) => error.violations(),
            Self::Query(violations) => violations.clone(),
            Self::Graph(error) => error.violations(),
            _ => Vec::new(),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        rpc::status(&error)
    }
}

/// Why a report ended badly although every call went well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A slice cannot be made smaller, and Meta does not answer it.
    #[error("Meta does not answer {days} in one piece: ask for fewer days, fewer fields or a higher level")]
    TooLarge {
        /// The slice.
        days: String,
    },
    /// Meta failed as often as we asked.
    #[error("Meta's report run for {days} failed {tries} times; the last time it said: {message}")]
    RunFailed {
        /// The slice.
        days: String,
        /// How often it was begun.
        tries: u32,
        /// Meta's words.
        message: String,
    },
    /// The rows do not add up to the account's totals.
    #[error("Meta's rows do not add up to its own totals of the account: {0}; make the report again later")]
    Differed(String),
    /// It took longer than the operator allows.
    #[error("the report was not ready within {0} hours; the last obstacle was: {1}")]
    TooLong(u64, String),
    /// Somebody asked for it to stop.
    #[error("the report was cancelled; the rows that were read are kept")]
    Cancelled,
}

impl Fault for Failure {
    fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::FailedPrecondition,
            Self::RunFailed { .. } | Self::Differed(_) => Code::Unavailable,
            Self::TooLong(..) => Code::DeadlineExceeded,
            Self::Cancelled => Code::Cancelled,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::TooLarge { .. } => ErrorReason::QueryTooLarge,
            Self::RunFailed { .. } | Self::Differed(_) => ErrorReason::MetaUnavailable,
            Self::TooLong(..) => ErrorReason::DeadlinePassed,
            Self::Cancelled => ErrorReason::Cancelled,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        // Meta refreshes its numbers about every 15 minutes.
        matches!(self, Self::RunFailed { .. } | Self::Differed(_)).then_some(Duration::from_mins(15))
    }
}
