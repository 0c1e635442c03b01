//! What can go wrong, by what the caller does next.

use std::time::Duration;

use rpc::{Code, ErrorReason, Fault, FieldError, Violation};
use tonic::Status;
use uuid::Uuid;

use crate::seal::SealError;

/// Why a call to this service, or long work of it, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The tenant has no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// The key belongs to another request.
    #[error("request_id {0} was used with another request: take a new one")]
    RequestIdReused(Uuid),
    /// The same work is under way.
    #[error("{0} is being worked on: ask again in a moment")]
    InFlight(String),
    /// The job is not in a state for this.
    #[error("the member job is {state}: {advice}")]
    WrongState {
        /// Its state, in the API's word.
        state: &'static str,
        /// What can be done.
        advice: &'static str,
    },
    /// A part came before the one that is expected.
    #[error("part {next_sequence} is expected next: send from there")]
    Gap {
        /// The one that is expected.
        next_sequence: i64,
    },
    /// Somebody changed it since.
    #[error("the audience is not what it was when it was read")]
    EtagMismatch {
        /// What it is now.
        etag: String,
    },
    /// A create that was looked for long enough.
    #[error("Meta lost the request and did not make the audience: create it again under a new request_id")]
    NeverMade,
    /// A create that could not be looked for.
    #[error(
        "the answer of Meta was lost, and for a day Meta could not be asked whether it made the audience: look in Ads \
         Manager before making it again"
    )]
    NotSure,
    /// Meta received another number of rows than it was sent.
    #[error("Meta says it received {} of {sent} rows", told(.received.as_ref()))]
    Miscounted {
        /// Rows sent.
        sent: usize,
        /// Rows received, where Meta says it.
        received: Option<i64>,
        /// How often this happened to the session.
        times: i32,
    },
    /// Somebody asked for it to stop.
    #[error("stopped on request; the sessions that were sent stay sent")]
    Cancelled,
    /// Meta waited too long for us, or we for Meta.
    #[error("the rows of this job were erased, seven days after it was made, before Meta had all of them")]
    TooLate,
    /// Meta refused, or could not be asked.
    #[error(transparent)]
    Meta(#[from] graph::Error),
    /// PostgreSQL failed.
    #[error("the audience store failed: {0}")]
    Store(#[from] storage::Error),
    /// Rows do not seal or open.
    #[error("member rows cannot be sealed or opened")]
    Seal(#[from] SealError),
    /// What we stored is not what we can read.
    #[error("a stored {0} is unreadable")]
    Corrupt(&'static str),
    /// A task of ours died.
    #[error("a task of this service died")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// Another tenant's account answers as one that does not exist, so that nobody learns which accounts there are.
    pub(crate) fn hide(self, resource: impl Into<String>) -> Self {
        match self {
            Self::Meta(error) if error.is_out_of_reach() => Self::NotFound(resource.into()),
            other => other,
        }
    }

    /// Does waiting help, with nothing to change by anybody?
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Meta(error) => error.is_temporary(),
            Self::Store(error) => error.is_outage(),
            Self::InFlight(_) => true,
            _ => false,
        }
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Field(error) => error.code(),
            Self::NotFound(_) => Code::NotFound,
            Self::RequestIdReused(_) => Code::InvalidArgument,
            Self::InFlight(_) | Self::EtagMismatch { .. } => Code::Aborted,
            Self::WrongState { .. } | Self::Gap { .. } | Self::TooLate => Code::FailedPrecondition,
            Self::NeverMade => Code::Unavailable,
            Self::NotSure | Self::Miscounted { .. } => Code::Unknown,
            Self::Cancelled => Code::Cancelled,
            Self::Meta(error) => error.code(),
            Self::Store(error) if error.is_outage() => Code::Unavailable,
            Self::Store(_) | Self::Seal(_) | Self::Corrupt(_) | Self::Task(_) => Code::Internal,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Field(error) => error.reason(),
            Self::NotFound(_) => ErrorReason::NotFound,
            Self::RequestIdReused(_) => ErrorReason::RequestIdReused,
            Self::InFlight(_) => ErrorReason::RequestInFlight,
            Self::EtagMismatch { .. } => ErrorReason::EtagMismatch,
            Self::WrongState { .. } | Self::Gap { .. } | Self::TooLate => ErrorReason::WrongState,
            Self::NeverMade => ErrorReason::MetaUnavailable,
            Self::NotSure | Self::Miscounted { .. } => ErrorReason::OutcomeUnknown,
            Self::Cancelled => ErrorReason::Cancelled,
            Self::Meta(error) => error.reason(),
            Self::Store(error) if error.is_outage() => ErrorReason::StoreUnavailable,
            Self::Store(_) | Self::Seal(_) | Self::Corrupt(_) | Self::Task(_) => ErrorReason::Internal,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NotFound(resource) => vec![("resource", resource.clone())],
            Self::RequestIdReused(id) => vec![("request_id", id.to_string())],
            Self::WrongState { state, .. } => vec![("state", (*state).to_owned())],
            Self::Gap { next_sequence } => vec![("next_action", format!("send from part {next_sequence}"))],
            Self::EtagMismatch { etag } => vec![("etag", etag.clone())],
            Self::Meta(error) => error.metadata(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InFlight(_) => Some(Duration::from_secs(2)),
            Self::Store(error) if error.is_outage() => Some(Duration::from_secs(1)),
            Self::NeverMade => Some(Duration::ZERO),
            Self::Meta(error) => error.retry_after(),
            _ => None,
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Field(error) => error.violations(),
            // Meta's names of the fields of a create, as the request has them.
            Self::Meta(error) => error.violations().into_iter().map(at_audience).collect(),
            _ => Vec::new(),
        }
    }
}

fn told(received: Option<&i64>) -> String {
    received.map_or_else(|| "an unknown number".to_owned(), ToString::to_string)
}

fn at_audience(violation: Violation) -> Violation {
    let field = match violation.field.as_str() {
        "name" | "description" => format!("audience.{}", violation.field),
        "customer_file_source" => "audience.customer_list.customer_file_source".to_owned(),
        _ => violation.field,
    };
    Violation { field, ..violation }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        rpc::status(&error)
    }
}
