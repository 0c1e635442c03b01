//! Why a request fails, and what its caller does next. A demand that has to wait is no failure.

use std::time::Duration;

use proto::common::v1::ErrorReason;
use rpc::{Fault, FieldError};
use tonic::{Code, Status};
use uuid::Uuid;
use vocabulary::page::PageError;

/// Everything that can go wrong here.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The request has to change.
    #[error("a field is missing or wrong")]
    Field(#[from] FieldError),
    /// Redis is away, or refused what we asked of it.
    #[error("the quota store failed")]
    Store(#[from] storage::Error),
    /// PostgreSQL is away, or refused what we asked of it.
    #[error("the quota journal failed")]
    Postgres(#[source] storage::Error),
    /// PostgreSQL did not answer in time.
    #[error("the quota journal did not answer in time")]
    Late,
    /// More calls wait for Redis than are worth keeping.
    #[error("too many calls wait for the quota store")]
    Crowded,
    /// Redis did not answer those who asked before, so this was not asked.
    #[error("the quota store does not answer")]
    Unasked,
    /// As many streams as one replica holds are open.
    #[error("too many streams of quotas are open at this replica")]
    TooManyWatchers,
    /// Nobody reads a stream that is held open.
    #[error("nothing was read for {seconds} seconds, so the stream was cut: resume with the last token that you saw")]
    SlowReader {
        /// How long a message waited.
        seconds: u64,
    },
    /// The server behind Redis' address changed again and again while we asked.
    #[error("the quota store keeps changing under us")]
    ServerChanges,
    /// The server cannot hold our counters.
    #[error("Redis cannot hold the quota: {0}")]
    UnfitServer(String),
    /// Something stands in a table that no program of ours writes there.
    #[error("{0} in the database cannot be read")]
    Corrupt(&'static str),
    /// The caller's rights end before this.
    #[error("{0}")]
    OperatorOnly(&'static str),
    /// Each freeze is said again every second.
    #[error("200 freezes of yours hold already; end some of them first")]
    TooManyFreezes,
    /// There is nothing to thaw.
    #[error("{name} is not frozen")]
    NotFrozen {
        /// As asked.
        name: String,
    },
    /// Somebody changed it since it was read.
    #[error("{name} was changed since it was read")]
    Stale {
        /// Which policy.
        name: String,
        /// The current one.
        etag: String,
    },
    /// The same request is at work at this moment.
    #[error("request {0} is at work at this moment")]
    InFlight(Uuid),
    /// The id belongs to another request.
    #[error("request_id {0} was used for another request")]
    RequestIdReused(Uuid),
    /// Nothing of the caller's has this name.
    #[error("no call used {name} in the last day")]
    Unknown {
        /// As asked.
        name: String,
        /// What there is, the most alike first.
        known: Vec<String>,
    },
    /// A script answered what no script of ours answers.
    #[error("a script answered what we cannot read")]
    Script,
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        Self::Store(error.into())
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error.into())
    }
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        Self::Field(error.into())
    }
}

impl Error {
    /// Redis did not answer a moment ago.
    pub(crate) fn away() -> Self {
        Self::Store(storage::Error::Outage("Redis does not answer".to_owned()))
    }

    /// Whether Redis does not answer.
    pub(crate) fn is_redis_away(&self) -> bool {
        matches!(self, Self::Unasked) || matches!(self, Self::Store(error) if error.is_outage())
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Field(error) => error.code(),
            Self::ServerChanges | Self::Late | Self::Crowded | Self::Unasked => Code::Unavailable,
            Self::Store(error) | Self::Postgres(error) if error.is_outage() => Code::Unavailable,
            Self::Unknown { .. } => Code::NotFound,
            Self::OperatorOnly(_) => Code::PermissionDenied,
            Self::NotFrozen { .. } | Self::TooManyFreezes => Code::FailedPrecondition,
            Self::InFlight(_) | Self::Stale { .. } => Code::Aborted,
            Self::RequestIdReused(_) => Code::InvalidArgument,
            Self::SlowReader { .. } | Self::TooManyWatchers => Code::ResourceExhausted,
            Self::Store(_) | Self::Postgres(_) | Self::UnfitServer(_) | Self::Script | Self::Corrupt(_) => {
                Code::Internal
            }
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Field(error) => error.reason(),
            Self::ServerChanges | Self::Late | Self::Crowded | Self::Unasked => ErrorReason::StoreUnavailable,
            Self::Store(error) | Self::Postgres(error) if error.is_outage() => ErrorReason::StoreUnavailable,
            Self::Unknown { .. } => ErrorReason::NotFound,
            Self::OperatorOnly(_) => ErrorReason::ScopeMissing,
            Self::NotFrozen { .. } | Self::TooManyFreezes => ErrorReason::WrongState,
            Self::Stale { .. } => ErrorReason::EtagMismatch,
            Self::InFlight(_) => ErrorReason::RequestInFlight,
            Self::RequestIdReused(_) => ErrorReason::RequestIdReused,
            Self::SlowReader { .. } => ErrorReason::SlowConsumer,
            Self::TooManyWatchers => ErrorReason::Overloaded,
            Self::Store(_) | Self::Postgres(_) | Self::UnfitServer(_) | Self::Script | Self::Corrupt(_) => {
                ErrorReason::Internal
            }
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Field(error) => error.metadata(),
            Self::Unknown { name, .. } => vec![("resource", name.clone())],
            Self::OperatorOnly(_) => vec![("scope", "tenants/*".to_owned())],
            Self::NotFrozen { name } => vec![("resource", name.clone()), ("state", "NOT_FROZEN".to_owned())],
            Self::TooManyFreezes => vec![("state", "TOO_MANY_FREEZES".to_owned())],
            Self::Stale { name, etag } => vec![("resource", name.clone()), ("etag", etag.clone())],
            Self::InFlight(id) | Self::RequestIdReused(id) => vec![("request_id", id.to_string())],
            _ => vec![],
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let soon = matches!(self, Self::InFlight(_) | Self::SlowReader { .. } | Self::TooManyWatchers);
        (self.code() == Code::Unavailable || soon).then_some(Duration::from_secs(1))
    }

    fn violations(&self) -> Vec<rpc::Violation> {
        match self {
            Self::Field(error) => error.violations(),
            Self::Unknown { known, .. } => vec![rpc::Violation {
                field: "name".to_owned(),
                description: match known.as_slice() {
                    [] => "must be what your calls used in the last day: there is nothing yet".to_owned(),
                    known => format!("must be what your calls used in the last day, such as {}", known.join(", ")),
                },
                reason: "UNKNOWN_NAME",
            }],
            _ => vec![],
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        rpc::status(&error)
    }
}
