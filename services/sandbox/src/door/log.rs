//! The line of the log that a call leaves.

use jiff::Timestamp;

use crate::faults::Struck;
use crate::requests::Line;
use crate::usage::Bucket;

/// What the log says of a call before its answer is known.
pub(super) struct About {
    pub(super) at: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) item: Option<usize>,
    pub(super) grant_type: Option<String>,
    pub(super) origin: Origin,
}

impl About {
    /// Of a call that was worked; what it committed is yet to be said.
    pub(super) fn line(self, status: u16, code: Option<i64>, bucket: Bucket, rules: &[u64], fate: Fate) -> Line {
        Line {
            at: self.at,
            method: self.method,
            path: self.path,
            status: if fate == Fate::Answered { status } else { 0 },
            code,
            committed: false,
            committed_ids: Vec::new(),
            bucket: bucket.word(),
            account: bucket.account().map(|id| format!("act_{id}")),
            item: self.item,
            grant_type: self.grant_type,
            fault: !rules.is_empty(),
            rule: rules.last().copied(),
            late: fate == Fate::Late,
            user_agent: self.origin.user_agent,
            proxy: self.origin.proxy,
            arrived: bucket,
        }
    }

    /// Of a call that a fault kept from being worked.
    pub(super) fn unworked(self, status: u16, struck: &Struck, arrived: Bucket) -> Line {
        let line = self.line(status, None, Bucket::Free, &struck.rules, Fate::Answered);
        Line { arrived, ..line }
    }
}

/// Who called, as the log tells it.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    user_agent: Option<String>,
    proxy: bool,
}

impl Origin {
    /// Only who comes through the proxy speaks TLS.
    pub(super) fn of(user_agent: Option<String>, base: &str) -> Self {
        Self { user_agent, proxy: base.starts_with("https:") }
    }
}

/// What becomes of the answer to a call that is worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// The client does not get it.
    Lost,
    /// The client left long ago.
    Late,
}
