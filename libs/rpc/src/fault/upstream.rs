//! What another service of ours answered, passed on with its meaning.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{ErrorReason, Fault, PUSHBACK, Precondition, QuotaViolation, Violation, complete, reason_of_word, status};

/// The keys of `ErrorInfo.metadata` that the comments of `ErrorReason` name. Others are not passed on.
const KEYS: [&str; 25] = [
    "bytes_max",
    "cause",
    "connection",
    "etag",
    "fbtrace_id",
    "field",
    "graph_call",
    "guardrail",
    "limit",
    "meta_code",
    "meta_subcode",
    "meta_type",
    "method",
    "next_action",
    "operation",
    "request_id",
    "resource",
    "scope",
    "scopes",
    "service",
    "state",
    "tenant",
    "tenants",
    "upstream",
    "version",
];

/// A failure that another service of ours answered. Its code, reason, metadata, fields and delay are kept, so that a
/// caller sees the cause and not the way it took.
#[derive(Clone)]
pub struct Upstream(Status);

impl Upstream {
    /// The code, with the one that tonic's own client gives for a deadline put right.
    pub fn code(&self) -> Code {
        let timed_out = self.0.code() == Code::Cancelled && self.0.message().contains("Timeout expired");
        if timed_out { Code::DeadlineExceeded } else { self.0.code() }
    }

    /// The status as it came.
    pub fn status(&self) -> &Status {
        &self.0
    }
}

impl From<Status> for Upstream {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

impl From<Upstream> for Status {
    /// As it came, where it says enough: the other service's headers are left behind, its details go on whole.
    #[expect(clippy::disallowed_methods, reason = "the details were made by the other service's fault")]
    fn from(upstream: Upstream) -> Self {
        let told = &upstream.0;
        if upstream.code() == Code::Internal || told.get_details_error_info().is_none() {
            return status(&upstream);
        }
        let mut passed_on = Self::with_details(upstream.code(), told.message(), Bytes::copy_from_slice(told.details()));
        if let Some(pushback) = told.metadata().get(PUSHBACK) {
            passed_on.metadata_mut().insert(PUSHBACK, pushback.clone());
        }
        passed_on
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({:?}: {})", self.0.code(), self.0.message())
    }
}

impl std::error::Error for Upstream {}

impl Fault for Upstream {
    fn code(&self) -> Code {
        Self::code(self)
    }

    fn reason(&self) -> ErrorReason {
        let told = self.0.get_details_error_info().and_then(|info| reason_of_word(&info.reason));
        told.unwrap_or_else(|| complete::reason_of_code(self.code()))
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut told = self.0.get_details_error_info().map(|info| info.metadata).unwrap_or_default();
        KEYS.iter().filter_map(|key| Some((*key, told.remove(*key)?))).collect()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.0.get_details_retry_info().and_then(|info| info.retry_delay)
    }

    fn violations(&self) -> Vec<Violation> {
        let told = self.0.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        let violation = |told: tonic_types::FieldViolation| Violation {
            field: told.field,
            description: told.description,
            reason: "UPSTREAM",
        };
        told.into_iter().map(violation).collect()
    }

    fn preconditions(&self) -> Vec<Precondition> {
        let told = self.0.get_details_precondition_failure().map(|failure| failure.violations).unwrap_or_default();
        let precondition = |told: tonic_types::PreconditionViolation| Precondition {
            kind: "UPSTREAM",
            subject: told.subject,
            description: told.description,
        };
        told.into_iter().map(precondition).collect()
    }

    fn quota(&self) -> Vec<QuotaViolation> {
        let told = self.0.get_details_quota_failure().map(|failure| failure.violations).unwrap_or_default();
        told.into_iter().map(|q| QuotaViolation { subject: q.subject, description: q.description }).collect()
    }
}
