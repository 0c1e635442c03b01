//! Errors that know what the caller should do next, and the one place that makes a `Status` of them.

use std::collections::HashMap;
use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

pub use proto::common::v1::ErrorReason;
use proto::common::v1::{FieldViolation, RowError};
pub use tonic::Code;
use tonic::Status;
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt};
use tracing::error;

use crate::context;

pub(crate) mod complete;
mod fields;
mod upstream;

pub use fields::{FieldError, Fields};
pub use upstream::Upstream;

/// `google.rpc.ErrorInfo.domain` of every failure of ours.
pub const DOMAIN: &str = "adplane";
const PREFIX: &str = "ERROR_REASON_";
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// An error that knows its meaning for the caller. Its text goes to the caller, unless the code is `INTERNAL`.
pub trait Fault: Error {
    /// What the caller should do next, as a code.
    fn code(&self) -> Code;

    /// Why, as one word.
    fn reason(&self) -> ErrorReason;

    /// More about it, as the comments of `ErrorReason` name it. `service` is added by [`status`].
    fn metadata(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// When a repeat may succeed.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The fields to fix.
    fn violations(&self) -> Vec<Violation> {
        Vec::new()
    }

    /// What has to be changed first.
    fn preconditions(&self) -> Vec<Precondition> {
        Vec::new()
    }

    /// The limits that were met.
    fn quota(&self) -> Vec<QuotaViolation> {
        Vec::new()
    }
}

/// One field to fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its path in the request, such as `campaign.daily_budget`.
    pub field: String,
    /// What would be right, for a person.
    pub description: String,
    /// A stable rule name in SCREAMING_SNAKE_CASE.
    pub reason: &'static str,
}

/// One thing that has to be changed before the call can succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// What kind of thing, in SCREAMING_SNAKE_CASE, such as `GUARDRAIL`.
    pub kind: &'static str,
    /// Which one, such as `connections/7`.
    pub subject: String,
    /// What to do about it, for a person.
    pub description: String,
}

/// One limit that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaViolation {
    /// Whose limit, such as `AD_ACCOUNT 1 ads_management`.
    pub subject: String,
    /// The limit and what was used, for a person.
    pub description: String,
}

static SERVICE: OnceLock<&'static str> = OnceLock::new();

/// Names this process's service for failures outside of a served call. The first name stays.
pub fn set_service(name: &'static str) {
    SERVICE.get_or_init(|| name);
}

fn service() -> &'static str {
    context::of_call(|call| call.service).or_else(|| SERVICE.get().copied()).unwrap_or("adplane")
}

/// The answer for a failure: exactly one ErrorInfo, and details that say when and how to try again. The cause of an
/// `INTERNAL` is logged here, once, and hidden.
pub fn status(fault: &dyn Fault) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(word(fault.reason()), DOMAIN, metadata(fault));
    if let Some(delay) = fault.retry_after() {
        details.set_retry_info(Some(delay));
    }
    let violations = fault.violations();
    if !violations.is_empty() {
        details.set_bad_request(violations.into_iter().map(wire_violation).collect::<Vec<_>>());
    }
    let preconditions = fault.preconditions();
    if !preconditions.is_empty() {
        let wire = |p: Precondition| PreconditionViolation::new(p.kind, p.subject, p.description);
        details.set_precondition_failure(preconditions.into_iter().map(wire).collect::<Vec<_>>());
    }
    let quota = fault.quota();
    if !quota.is_empty() {
        let wire = |q: QuotaViolation| tonic_types::QuotaViolation::new(q.subject, q.description);
        details.set_quota_failure(quota.into_iter().map(wire).collect::<Vec<_>>());
    }
    let mut status = Status::with_error_details(fault.code(), message(fault), details);
    if let Some(delay) = fault.retry_after() {
        status.metadata_mut().insert(PUSHBACK, u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).into());
    }
    status
}

/// The same for one row, one item or an operation: what a failed call would have said.
pub fn row_error(fault: &dyn Fault) -> RowError {
    let violations = fault.violations().into_iter().map(|violation| FieldViolation {
        field: violation.field,
        description: violation.description,
        reason: violation.reason.to_owned(),
    });
    RowError {
        code: fault.code().into(),
        reason: word(fault.reason()).to_owned(),
        message: message(fault),
        field_violations: violations.collect(),
        metadata: metadata(fault).into_iter().collect(),
    }
}

/// The reason as `ErrorInfo` says it: without the enum's prefix.
pub(crate) fn word(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches(PREFIX)
}

/// The reason that a word names; `None` for one of a newer version.
pub(crate) fn reason_of_word(word: &str) -> Option<ErrorReason> {
    ErrorReason::from_str_name(&format!("{PREFIX}{word}"))
}

fn metadata(fault: &dyn Fault) -> HashMap<String, String> {
    let given = fault.metadata().into_iter().map(|(key, value)| (key.to_owned(), value));
    std::iter::once(("service".to_owned(), service().to_owned())).chain(given).collect()
}

fn message(fault: &dyn Fault) -> String {
    if fault.code() != Code::Internal {
        return fault.to_string();
    }
    let trace = context::of_call(|call| call.trace.id()).unwrap_or_default();
    error!(error = chain(fault), service.name = service(), trace.id = trace, "a call failed through a fault of ours");
    "a fault of ours; the log has the cause under the trace id of this answer".to_owned()
}

/// The error and its causes, from the outside in.
fn chain(fault: &dyn Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn wire_violation(violation: Violation) -> tonic_types::FieldViolation {
    tonic_types::FieldViolation {
        field: violation.field,
        description: violation.description,
        reason: violation.reason.to_owned(),
        localized_message: None,
    }
}

#[cfg(test)]
mod tests;
