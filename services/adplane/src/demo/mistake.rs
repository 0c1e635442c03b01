//! A mistake in one of the files a person handed in: where it stands and what would be right.

use std::{fmt, io, path::Path};

/// File, line, column name and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    file: String,
    line: Option<u64>,
    column: Option<String>,
    reason: String,
}

impl Mistake {
    /// A mistake in the file as a whole.
    pub(crate) fn of(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.display().to_string(), line: None, column: None, reason: reason.into() }
    }

    /// The line, from 1.
    pub(crate) fn line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// The column of a CSV file, or the key of a brief.
    pub(crate) fn column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(out, ", line {line}")?;
        }
        if let Some(column) = &self.column {
            write!(out, ", {column}")?;
        }
        write!(out, ": {}", self.reason)
    }
}

/// All mistakes found, so that a person mends them in one go.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub(crate) struct Mistakes(pub(super) Vec<Mistake>);

/// More than these are counted, not listed: the rest are mostly the same one.
const LISTED_MAX: usize = 20;

fn list(mistakes: &[Mistake]) -> String {
    let mut lines: Vec<String> = mistakes.iter().take(LISTED_MAX).map(Mistake::to_string).collect();
    if mistakes.len() > LISTED_MAX {
        lines.push(format!("and {} more", mistakes.len() - LISTED_MAX));
    }
    lines.push("Nothing was sent.".to_owned());
    lines.join("\n")
}

/// Why a file could not be read, in plain words.
pub(super) fn unread(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not there".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by you".to_owned(),
        io::ErrorKind::IsADirectory => "is a folder, not a file".to_owned(),
        io::ErrorKind::InvalidData => "is no UTF-8 text".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
