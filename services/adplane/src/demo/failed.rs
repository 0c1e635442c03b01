//! Work that was begun and ended badly, as an error.

use proto::{
    common::v1::RowError,
    operations::v1::{Operation, operation::Outcome},
};
use tonic::Code;

/// An operation that failed. The code is what a failed call would have had, so it decides the exit code alike.
#[derive(Debug, thiserror::Error)]
#[error("{}", words(.what, .error))]
pub(crate) struct OperationFailed {
    pub(crate) code: Code,
    /// What was not done, for a person.
    what: String,
    error: Box<RowError>,
}

impl OperationFailed {
    /// Fails where the operation did; `what` says what was not done.
    pub(crate) fn check(operation: &Operation, what: &str) -> Result<(), Self> {
        match &operation.outcome {
            Some(Outcome::Error(error)) => {
                Err(Self { code: Code::from_i32(error.code), what: what.to_owned(), error: Box::new(error.clone()) })
            }
            _ => Ok(()),
        }
    }
}

fn words(what: &str, error: &RowError) -> String {
    let mut lines = vec![format!("{what}:"), format!("  {}", error.message)];
    for violation in &error.field_violations {
        lines.push(format!("  {}: {}", violation.field, violation.description));
    }
    let metadata: Vec<String> = error.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
    lines.push(format!("  ({} {})", error.reason, metadata.join(" ")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_and_the_words_of_the_operation_are_kept() {
        let error = RowError {
            code: Code::ResourceExhausted.into(),
            reason: "QUOTA".to_owned(),
            message: "the account is throttled".to_owned(),
            ..RowError::default()
        };
        let operation = Operation { outcome: Some(Outcome::Error(error)), ..Operation::default() };
        let failed = OperationFailed::check(&operation, "the report could not be made").unwrap_err();
        assert_eq!(failed.code, Code::ResourceExhausted);
        assert!(failed.to_string().starts_with("the report could not be made:\n  the account is throttled\n  (QUOTA"));
        assert!(OperationFailed::check(&Operation::default(), "nothing").is_ok());
    }
}
