//! The log of everything that was asked: one line a request, and one for each item of a batch.

mod counts;

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use crate::usage::Bucket;

pub(crate) use counts::counts;

/// How many lines are kept; the oldest go first.
const LINES_MAX: usize = 1_000_000;

/// One request. The path has no query, so no secret can be in it.
#[expect(clippy::struct_excessive_bools, reason = "a line of a log, no state")]
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
    /// What it created or changed, as answers name it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) committed_ids: Vec<String>,
    /// Whether a fault on demand struck it.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) fault: bool,
    /// The rule that decided what became of it; of several the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<u64>,
    /// Whether it stands for work that was done long after the call, which has a line of its own.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
    /// Whether it came to Meta's own host names, through the proxy.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) proxy: bool,
    /// What it was, or would have been, counted under.
    #[serde(skip)]
    pub(crate) arrived: Bucket,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Calls that others are said to have made.
#[derive(Debug)]
struct Others {
    at: Timestamp,
    bucket: Bucket,
    calls: u64,
}

/// The lines, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    lines: VecDeque<Line>,
    others: Vec<Others>,
}

impl Requests {
    pub(crate) fn push(&mut self, line: Line) {
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Notes calls of others. They have no lines, but they are counted.
    pub(crate) fn push_others(&mut self, bucket: Bucket, calls: u64, at: Timestamp) {
        self.others.push(Others { at, bucket, calls });
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.others.clear();
    }

    /// All lines but the first `skip`, as JSON lines.
    pub(crate) fn text(&self, skip: usize) -> String {
        let mut text = String::new();
        for line in self.lines.iter().skip(skip) {
            if let Ok(json) = serde_json::to_string(line) {
                text.push_str(&json);
                text.push('\n');
            }
        }
        text
    }
}
