//! Failures that were not made by us: tonic answers unknown methods and unreadable messages itself, without details.

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{ErrorReason, Fault, status};
use crate::MESSAGE_BYTES_MAX;

/// Gives a failed answer its ErrorInfo where it has none. Returns the code that the answer carries then.
///
/// `headers` are those of an answer without a body, or the trailers of one with a body.
pub(crate) fn complete(headers: &mut HeaderMap, method: &str) -> Option<Code> {
    let given = headers.get(Status::GRPC_STATUS)?;
    if given == "0" {
        return Some(Code::Ok);
    }
    let given = Status::from_header_map(headers)?;
    if given.get_details_error_info().is_some() {
        return Some(given.code());
    }
    let completed = status(&Foreign::new(&given, method));
    let code = completed.code();
    for name in [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS] {
        headers.remove(name);
    }
    // Fails only for a message that no header can hold, and then the code alone is what is left to say.
    if completed.add_header(headers).is_err() {
        headers.insert(Status::GRPC_STATUS, i32::from(code).into());
    }
    Some(code)
}

/// The reason that fits a code where nothing more is known.
pub(crate) fn reason_of_code(code: Code) -> ErrorReason {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorReason::InvalidField,
        Code::Unauthenticated => ErrorReason::TokenRefused,
        Code::PermissionDenied => ErrorReason::ScopeMissing,
        Code::NotFound => ErrorReason::NotFound,
        Code::AlreadyExists => ErrorReason::AlreadyExists,
        Code::FailedPrecondition | Code::Aborted => ErrorReason::WrongState,
        Code::ResourceExhausted => ErrorReason::Overloaded,
        Code::DeadlineExceeded => ErrorReason::DeadlinePassed,
        Code::Cancelled => ErrorReason::Cancelled,
        Code::Unavailable => ErrorReason::ServiceUnavailable,
        Code::Unimplemented => ErrorReason::UnknownMethod,
        Code::Unknown => ErrorReason::OutcomeUnknown,
        Code::Ok | Code::Internal | Code::DataLoss => ErrorReason::Internal,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Foreign {
    code: Code,
    reason: ErrorReason,
    message: String,
    metadata: Vec<(&'static str, String)>,
}

impl Foreign {
    /// Knows tonic's failures by their texts, since their codes say something else: an unreadable message is the
    /// caller's to fix, not ours.
    fn new(given: &Status, method: &str) -> Self {
        let text = given.message();
        let (code, reason) =
            if text.starts_with("failed to decode Protobuf message") || text == "Missing request message." {
                (Code::InvalidArgument, ErrorReason::InvalidField)
            } else if text.contains("message length too large") {
                (Code::ResourceExhausted, ErrorReason::TooLarge)
            } else if given.code() == Code::Cancelled && text.contains("Timeout expired") {
                (Code::DeadlineExceeded, ErrorReason::DeadlinePassed)
            } else {
                (given.code(), reason_of_code(given.code()))
            };
        let metadata = match reason {
            ErrorReason::UnknownMethod => vec![("method", method.to_owned())],
            ErrorReason::TooLarge => vec![("bytes_max", limit(text).to_string())],
            _ => Vec::new(),
        };
        let message = match reason {
            ErrorReason::UnknownMethod => format!("this server has no method {method}"),
            _ => text.to_owned(),
        };
        Self { code, reason, message, metadata }
    }
}

impl Fault for Foreign {
    fn code(&self) -> Code {
        self.code
    }

    fn reason(&self) -> ErrorReason {
        self.reason
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        self.metadata.clone()
    }
}

/// tonic says "the limit is: 4194304 bytes".
fn limit(text: &str) -> usize {
    let number = text.split("the limit is: ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(MESSAGE_BYTES_MAX)
}
