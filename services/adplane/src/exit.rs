//! What a failure says to a person, and to a script by its exit code.

use std::process::ExitCode;

use runtime::settings::SecretError;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    audit::{Tampered, Unreachable},
    demo::{Mistakes, OperationFailed},
    dev::Interrupted,
    keys::Closed,
    sandbox_server::Refused,
};

/// 2 usage, 3 invalid, 4 auth, 5 not found, 6 conflict, 7 throttled, 8 unavailable, 9 unknown outcome, else 1.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_usage) {
        return ExitCode::from(2);
    }
    if error.chain().any(<dyn std::error::Error>::is::<Interrupted>) {
        return ExitCode::from(130); // as a shell says of what Ctrl-C ended
    }
    if error.chain().any(|cause| cause.is::<Mistakes>() || cause.is::<Tampered>()) {
        return ExitCode::from(3);
    }
    if error.chain().any(|cause| cause.is::<Unreachable>() || cause.is::<Closed>()) {
        return ExitCode::from(8);
    }
    let failed = error.chain().find_map(|cause| cause.downcast_ref::<OperationFailed>()).map(|failed| failed.code);
    ExitCode::from(failed.or_else(|| status(error).map(Status::code)).map_or(1, |code| match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 3,
        Code::Unauthenticated | Code::PermissionDenied => 4,
        Code::NotFound => 5,
        Code::AlreadyExists | Code::Aborted => 6,
        Code::ResourceExhausted => 7,
        Code::Unavailable | Code::DeadlineExceeded => 8,
        Code::Unknown => 9,
        _ => 1,
    }))
}

/// Wrong already as it was typed: nothing was sent.
fn is_usage(cause: &(dyn std::error::Error + 'static)) -> bool {
    let mistyped = matches!(cause.downcast_ref(), Some(client::Error::Address(_) | client::Error::Token));
    mistyped || cause.is::<runtime::settings::Faults>() || cause.is::<SecretError>() || cause.is::<Refused>()
}

/// The chain of causes in words; a service's refusal with its fields and what to do next.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let mut lines = Vec::new();
    for cause in error.chain() {
        match cause.downcast_ref::<Status>() {
            Some(status) => lines.extend(refusal(status)),
            None if lines.last().is_some_and(|last| last.contains(&cause.to_string())) => {}
            None => lines.push(cause.to_string()),
        }
    }
    lines.join("\n")
}

fn refusal(status: &Status) -> Vec<String> {
    let mut lines = vec![status.message().to_owned()];
    let details = status.get_error_details();
    for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
        lines.push(format!("  {}: {}", violation.field, violation.description));
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        lines.push(format!("  try again in {} s", delay.as_secs().max(1)));
    }
    if let Some(info) = details.error_info() {
        if info.reason == "TENANT_NOT_SELECTED" {
            lines.push("  name it with --tenant".to_owned());
        }
        let mut metadata: Vec<String> = info.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        metadata.sort();
        lines.push(format!("  ({} {})", info.reason, metadata.join(" ")));
    }
    lines
}

fn status(error: &anyhow::Error) -> Option<&Status> {
    error.chain().find_map(|cause| cause.downcast_ref::<Status>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a status as a server would send it")]
    fn each_class_of_failure_has_its_exit_code() {
        for (grpc, exit) in [
            (Code::InvalidArgument, 3),
            (Code::Unauthenticated, 4),
            (Code::NotFound, 5),
            (Code::Aborted, 6),
            (Code::ResourceExhausted, 7),
            (Code::Unavailable, 8),
            (Code::Unknown, 9),
            (Code::Internal, 1),
        ] {
            let error = anyhow::Error::new(Status::new(grpc, "no")).context("while trying");
            assert_eq!(format!("{:?}", code(&error)), format!("{:?}", ExitCode::from(exit)), "{grpc:?}");
        }
    }

    #[test]
    fn a_refused_field_is_named() {
        let mut details = tonic_types::ErrorDetails::new();
        details.add_bad_request_violation("campaign.daily_budget", "must be at least 1.00");
        let status = Status::with_error_details(Code::InvalidArgument, "one field is wrong", details);
        assert_eq!(words(&status.into()), "one field is wrong\n  campaign.daily_budget: must be at least 1.00");
    }
}
