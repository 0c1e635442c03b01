//! What can go wrong here, by what the caller can do about it.

use std::time::Duration;

use graph::codec::CodecError;
use proto::common::v1::ErrorReason;
use rpc::{Code, Fault, Precondition, Violation};
use uuid::Uuid;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Fields are missing or wrong.
    #[error("{}", summary(.0))]
    Invalid(Vec<Violation>),
    /// No such thing, or another tenant's.
    #[error("there is no {0}")]
    NotFound(String),
    /// The request_id belongs to another request.
    #[error("request_id {0} was used before for another request")]
    RequestIdReused(Uuid),
    /// The same request is being worked on, or one that would make the same thing.
    #[error("{0} is being worked on: repeat in a moment")]
    InFlight(String),
    /// Somebody changed it since.
    #[error("{resource} changed since it was read: its etag is {etag}")]
    EtagMismatch {
        /// What.
        resource: String,
        /// As it is now.
        etag: String,
    },
    /// Meta has no way to clear this field.
    #[error("Meta has no way to clear `{0}`")]
    NotClearable(String),
    /// Meta, auth or ratelimit said no.
    #[error(transparent)]
    Graph(#[from] graph::Error),
    /// As [`Error::Graph`], with the fields under the request's own path.
    #[error("{source}")]
    GraphAt {
        /// Where the object stands in the request.
        path: String,
        /// What was said.
        source: graph::Error,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] storage::Error),
    /// A message does not fit its own schema: our mistake.
    #[error("a stored object cannot be read")]
    Codec(#[from] CodecError),
    /// A stored message cannot be read: our mistake.
    #[error("a stored message cannot be read")]
    Decode(#[from] prost::DecodeError),
    /// The stream of an upload broke.
    #[error("the stream of the upload broke: {0}")]
    Stream(Box<rpc::Upstream>),
}

impl Error {
    /// One field, one reason.
    pub(crate) fn field(field: impl Into<String>, description: impl Into<String>, reason: &'static str) -> Self {
        Self::Invalid(vec![Violation { field: field.into(), description: description.into(), reason }])
    }

    /// Another tenant's account answers as one that does not exist, so that nobody learns which accounts there are.
    pub(crate) fn hide(self, resource: impl Into<String>) -> Self {
        let hidden = match &self {
            Self::Graph(error) => matches!(
                error.reason(),
                ErrorReason::NotConnected | ErrorReason::AdAccountTaken | ErrorReason::NotFound
            ),
            _ => false,
        };
        if hidden { Self::NotFound(resource.into()) } else { self }
    }

    /// Meta's words for the fields, under the path of the object in the request.
    pub(crate) fn at(self, path: impl Into<String>) -> Self {
        match self {
            Self::Graph(source) => Self::GraphAt { path: path.into(), source },
            other => other,
        }
    }

    /// Does waiting help, with nothing to change by anybody?
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Graph(error) | Self::GraphAt { source: error, .. } => error.is_temporary(),
            Self::Store(error) => error.is_outage(),
            _ => false,
        }
    }
}

fn summary(violations: &[Violation]) -> String {
    match violations {
        [] => "the request is wrong".to_owned(),
        [one] => format!("{} {}", one.field, one.description),
        [first, rest @ ..] => format!("{} {} (and {} more)", first.field, first.description, rest.len()),
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::RequestIdReused(_) => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
            Self::InFlight(_) | Self::EtagMismatch { .. } => Code::Aborted,
            Self::NotClearable(_) => Code::FailedPrecondition,
            Self::Graph(error) | Self::GraphAt { source: error, .. } => error.code(),
            Self::Store(error) if error.is_outage() => Code::Unavailable,
            Self::Store(storage::Error::Raced) => Code::Aborted,
            Self::Store(_) | Self::Codec(_) | Self::Decode(_) => Code::Internal,
            Self::Stream(upstream) => upstream.code(),
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Invalid(_) => ErrorReason::InvalidField,
            Self::RequestIdReused(_) => ErrorReason::RequestIdReused,
            Self::NotFound(_) => ErrorReason::NotFound,
            Self::InFlight(_) | Self::Store(storage::Error::Raced) => ErrorReason::RequestInFlight,
            Self::EtagMismatch { .. } => ErrorReason::EtagMismatch,
            Self::NotClearable(_) => ErrorReason::FieldNotClearable,
            Self::Graph(error) | Self::GraphAt { source: error, .. } => error.reason(),
            Self::Store(error) if error.is_outage() => ErrorReason::StoreUnavailable,
            Self::Store(_) | Self::Codec(_) | Self::Decode(_) => ErrorReason::Internal,
            Self::Stream(upstream) => upstream.reason(),
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NotFound(resource) => vec![("resource", resource.clone())],
            Self::RequestIdReused(id) => vec![("request_id", id.to_string())],
            Self::EtagMismatch { resource, etag } => vec![("resource", resource.clone()), ("etag", etag.clone())],
            Self::NotClearable(field) => vec![("field", field.clone())],
            Self::Graph(error) | Self::GraphAt { source: error, .. } => error.metadata(),
            Self::Stream(upstream) => upstream.metadata(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InFlight(_) => Some(Duration::from_secs(1)),
            Self::Store(error) if error.is_outage() => Some(Duration::from_secs(1)),
            Self::Store(storage::Error::Raced) => Some(Duration::from_millis(200)),
            Self::Graph(error) | Self::GraphAt { source: error, .. } => error.retry_after(),
            Self::Stream(upstream) => upstream.retry_after(),
            _ => None,
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::Graph(error) => error.violations(),
            Self::GraphAt { path, source } => {
                let mut violations = source.violations();
                for violation in &mut violations {
                    let dot = if violation.field.is_empty() { "" } else { "." };
                    violation.field = format!("{path}{dot}{}", violation.field);
                }
                violations
            }
            _ => Vec::new(),
        }
    }

    fn preconditions(&self) -> Vec<Precondition> {
        match self {
            Self::Graph(error) | Self::GraphAt { source: error, .. } => error.preconditions(),
            _ => Vec::new(),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        rpc::status(&error)
    }
}
