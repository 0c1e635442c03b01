//! What is wrong with a request, all of it.

use std::fmt::Display;

use graph::codec::CodecError;
use rpc::Violation;

use crate::error::Error;

/// Collects violations; says them all at the end.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Violation>);

impl Findings {
    /// Adds a violation unless `holds`.
    pub(crate) fn check(&mut self, holds: bool, field: &str, description: &str, reason: &'static str) {
        if !holds {
            self.add(field, description, reason);
        }
    }

    /// Adds a violation.
    pub(crate) fn add(&mut self, field: impl Display, description: impl Display, reason: &'static str) {
        self.0.push(Violation { field: field.to_string(), description: description.to_string(), reason });
    }

    /// Adds what the codec finds wrong with a message that stands at `path`.
    pub(crate) fn codec(&mut self, path: &str, error: &CodecError) {
        match error {
            CodecError::Field { field, reason, rule } => self.add(format!("{path}.{field}"), reason, rule),
            other => self.add(path, other, "UNREADABLE"),
        }
    }

    /// A list must not be longer than its comment in the proto says.
    pub(crate) fn at_most(&mut self, count: usize, most: usize, field: &str) {
        if count > most {
            self.add(field, format_args!("must have at most {most} members, not {count}"), "TOO_MANY");
        }
    }

    /// Is anything wrong so far?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is wrong, as one error.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }

    #[cfg(test)]
    pub(crate) fn told(&self) -> Vec<(String, &'static str)> {
        self.0.iter().map(|violation| (violation.field.clone(), violation.reason)).collect()
    }
}
