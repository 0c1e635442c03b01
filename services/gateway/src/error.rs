//! What the gateway itself refuses.

use std::time::Duration;

use rpc::{Code, ErrorReason, Fault};

/// Why a call did not get to its service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Too much in flight.
    #[error("the gateway is full: repeat in a moment")]
    Overloaded,
    /// No service is set up for this package.
    #[error("there is no route to {0}")]
    NoRoute(String),
    /// No service that we know does such work.
    #[error("there is no {0}")]
    NoOperation(String),
    /// The one request that we must read is compressed.
    #[error("requests of OperationService must not be compressed")]
    Compressed,
    /// The one request that we must read is too long, or no message.
    #[error("the request is no message of OperationService, or longer than {0} bytes")]
    Unreadable(usize),
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Overloaded => Code::ResourceExhausted,
            Self::NoRoute(_) | Self::Compressed => Code::Unimplemented,
            Self::NoOperation(_) => Code::NotFound,
            Self::Unreadable(_) => Code::InvalidArgument,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Overloaded => ErrorReason::Overloaded,
            Self::NoRoute(_) | Self::Compressed => ErrorReason::UnknownMethod,
            Self::NoOperation(_) => ErrorReason::NotFound,
            Self::Unreadable(_) => ErrorReason::InvalidField,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NoRoute(path) => vec![("method", path.clone())],
            Self::NoOperation(name) => vec![("resource", name.clone())],
            Self::Overloaded | Self::Compressed | Self::Unreadable(_) => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Overloaded).then_some(Duration::from_millis(500))
    }
}
