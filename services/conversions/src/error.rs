//! What can go wrong, by what the caller does next.

use rpc::{Code, ErrorReason, Fault, FieldError, Violation};
use std::time::Duration;
use tonic::Status;

/// Why a call to this service failed, or why an event was refused or given up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// An event breaks rules; its fields are relative to it.
    #[error("the event is refused: {}", told(.0))]
    Refused(Vec<Violation>),
    /// The tenant has no such event.
    #[error("there is no such event")]
    NoEvent {
        /// What was asked for.
        resource: String,
    },
    /// No connection of the tenant reaches the dataset.
    #[error("there is no such dataset, or no connection reaches it")]
    NoDataset {
        /// What was asked for.
        resource: String,
    },
    /// Auth cannot be asked whether a dataset is connected.
    #[error("whether the dataset is connected cannot be told now")]
    AuthAway(#[source] graph::Error),
    /// Meta takes the event no more.
    #[error("the event grew too old for Meta before it could be delivered")]
    TooOld,
    /// It was sent, no answer came for a day, and sending it once more could count it twice.
    #[error("the event was sent and its answers were lost for 24 hours: Meta may or may not have it")]
    Unknown,
    /// Meta refused the event, or could not be asked.
    #[error(transparent)]
    Meta(#[from] graph::Error),
    /// Meta answered that it took another number of events than it was sent.
    #[error("Meta says it took {received} of {sent} events")]
    Miscounted {
        /// Events sent.
        sent: usize,
        /// Events taken, in Meta's words.
        received: u64,
    },
    /// PostgreSQL failed.
    #[error("the event store failed: {0}")]
    Store(#[from] storage::Error),
    /// A task of ours died.
    #[error("a task of this service died")]
    Task(#[from] tokio::task::JoinError),
}

fn told(violations: &[Violation]) -> String {
    let told: Vec<String> = violations
        .iter()
        .map(|violation| format!("{} {}", violation.field, violation.description).trim().to_owned())
        .collect();
    told.join("; ")
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Field(error) => error.code(),
            Self::Refused(_) => Code::InvalidArgument,
            Self::NoEvent { .. } | Self::NoDataset { .. } => Code::NotFound,
            Self::AuthAway(_) => Code::Unavailable,
            Self::TooOld => Code::DeadlineExceeded,
            Self::Unknown | Self::Miscounted { .. } => Code::Unknown,
            Self::Meta(error) => error.code(),
            Self::Store(error) if error.is_outage() => Code::Unavailable,
            Self::Store(_) | Self::Task(_) => Code::Internal,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Field(error) => error.reason(),
            Self::Refused(_) => ErrorReason::InvalidField,
            Self::NoEvent { .. } | Self::NoDataset { .. } => ErrorReason::NotFound,
            Self::AuthAway(_) => ErrorReason::ServiceUnavailable,
            Self::TooOld => ErrorReason::DeadlinePassed,
            Self::Unknown | Self::Miscounted { .. } => ErrorReason::OutcomeUnknown,
            Self::Meta(error) => error.reason(),
            Self::Store(error) if error.is_outage() => ErrorReason::StoreUnavailable,
            Self::Store(_) | Self::Task(_) => ErrorReason::Internal,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::AuthAway(_) => vec![("upstream", "auth".to_owned())],
            Self::NoEvent { resource } | Self::NoDataset { resource } => vec![("resource", resource.clone())],
            Self::Meta(error) => error.metadata(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::AuthAway(_) => Some(Duration::from_secs(1)),
            Self::Store(error) if error.is_outage() => Some(Duration::from_secs(1)),
            Self::Meta(error) => error.retry_after(),
            _ => None,
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Field(error) => error.violations(),
            Self::Refused(violations) => violations.clone(),
            Self::Meta(error) => error.violations(),
            _ => Vec::new(),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        rpc::status(&error)
    }
}
