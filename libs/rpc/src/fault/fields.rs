//! Fields of a request that are wrong: all of them at once, so that a caller fixes them in one go.

use std::fmt;

use tonic::{Code, Status};
use vocabulary::page::PageError;

use super::{ErrorReason, Fault, Violation, status};

/// One or more fields to fix: INVALID_ARGUMENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    violations: Vec<Violation>,
}

impl FieldError {
    /// `field` is its path in the request, `description` completes it to a sentence ("must be positive"), `reason` is a
    /// stable rule name in SCREAMING_SNAKE_CASE.
    pub fn new(field: impl Into<String>, description: impl Into<String>, reason: &'static str) -> Self {
        let violation = Violation { field: field.into(), description: description.into(), reason };
        Self { violations: vec![violation] }
    }

    /// A field that has to be there.
    pub fn required(field: impl Into<String>) -> Self {
        Self::new(field, "is required", "REQUIRED")
    }

    /// The same error within a larger request: `prefix` is put before each field, such as `rows[3].`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        for violation in &mut self.violations {
            violation.field.insert_str(0, prefix);
        }
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldError {}

impl Fault for FieldError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }

    fn reason(&self) -> ErrorReason {
        ErrorReason::InvalidField
    }

    fn violations(&self) -> Vec<Violation> {
        self.violations.clone()
    }
}

impl From<PageError> for FieldError {
    fn from(error: PageError) -> Self {
        Self::new(error.field(), error.to_string(), "PAGE")
    }
}

impl From<FieldError> for Status {
    fn from(error: FieldError) -> Self {
        status(&error)
    }
}

/// Collects what is wrong while a request is decoded.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records the field unless the condition holds.
    pub fn check(&mut self, holds: bool, field: &str, description: impl Into<String>, reason: &'static str) {
        if !holds {
            self.add(FieldError::new(field, description, reason));
        }
    }

    /// Records an error.
    pub fn add(&mut self, error: FieldError) {
        self.violations.extend(error.violations);
    }

    /// The value, or `None` with its error recorded.
    pub fn take<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// The value, or `None` with the field recorded under the error's own words.
    pub fn parse<T, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>, reason: &'static str) -> Option<T> {
        self.take(result.map_err(|error| FieldError::new(field, error.to_string(), reason)))
    }

    /// Fails where anything was recorded.
    pub fn finish(self) -> Result<(), FieldError> {
        if self.violations.is_empty() { Ok(()) } else { Err(FieldError { violations: self.violations }) }
    }
}
