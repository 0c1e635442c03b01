//! The log of everything that was asked: one line a request, and one for each item of a batch.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

/// How many lines are kept; the oldest go first.
const LINES_MAX: usize = 1_000_000;

/// One request. The path has no query, so no secret can be in it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The HTTP status; 0 where the connection was dropped instead.
    pub(crate) status: u16,
    /// The error's code, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i64>,
    /// Whether it changed the world.
    pub(crate) committed: bool,
    /// What it was counted under.
    pub(crate) bucket: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The batch item, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<usize>,
    /// What kind of token exchange it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant_type: Option<String>,
    /// Whether a fault on demand made the answer.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) fault: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The lines, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Requests(VecDeque<Line>);

impl Requests {
    pub(crate) fn push(&mut self, line: Line) {
        if self.0.len() >= LINES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// All lines but the first `skip`, as JSON lines.
    pub(crate) fn text(&self, skip: usize) -> String {
        let mut text = String::new();
        for line in self.0.iter().skip(skip) {
            if let Ok(json) = serde_json::to_string(line) {
                text.push_str(&json);
                text.push('\n');
            }
        }
        text
    }
}
