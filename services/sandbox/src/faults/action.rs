//! What a rule does to the calls that it strikes.

use serde::{Deserialize, Serialize};

use super::matcher::Asked;
use super::refusal::{self, GraphError};
use super::report::ReportError;
use crate::error::Refusal;
use crate::route::Verb;
use crate::state::Kind;
use crate::version::Version;

/// What happens to the call. The first twelve end it; those after them change how it goes, and several may come together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// A Graph error; nothing is done.
    Error(GraphError),
    /// A bare HTTP status with a page instead of JSON; nothing is done.
    Http {
        status: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
    },
    /// The connection ends without an answer (an item is null); nothing is done.
    Drop {},
    /// The call is held and then dropped; nothing is done.
    TimeoutBeforeCommit {
        #[serde(default = "hold_default")]
        seconds: u64,
    },
    /// The call is done, held and then dropped.
    TimeoutAfterCommit {
        #[serde(default = "hold_default")]
        seconds: u64,
    },
    /// The call is held and dropped, and done so much later by the sandbox's clock.
    TimeoutThenCommit {
        #[serde(default = "hold_default")]
        seconds: u64,
        commit_seconds: i64,
    },
    /// The item of a batch is answered with null: not done, or done where `commit` says so.
    NullItem {
        #[serde(default)]
        commit: bool,
    },
    /// The call's token dies, for good and in the journal; this call is the first to hear of it.
    DeadToken {
        #[serde(default = "code_of_dead_tokens")]
        code: i64,
        #[serde(default)]
        subcode: Option<i64>,
    },
    /// From this call on every call of its account, or of all, is refused.
    ThrottleStorm {
        code: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subcode: Option<i64>,
        /// How long, by the sandbox's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<i64>,
        /// How many calls are refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        calls: Option<u64>,
        /// Default: `all` for code 4, else `account`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
    },
    /// From this call on its version, or the one named, no longer exists.
    RemovedVersion {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
    },
    /// A read with `after` or `before` is told that its cursor is no longer good.
    ExpiredCursors {
        #[serde(default = "code_of_cursors")]
        code: i64,
    },
    /// A read of more rows than this is told to reduce the amount of data.
    TooMuchData { limit_max: i64 },
    /// The answer comes so much later; the call was done at once.
    Slow { milliseconds: u64 },
    /// The connection ends in the middle of the answer's body.
    CutBody {},
    /// The JSON says that it is something else.
    WrongContentType {
        #[serde(default = "type_default")]
        value: String,
    },
    /// Ids are JSON numbers, which many a client cannot hold exactly.
    IdsAsNumbers {},
    /// A page has at most so many rows, though more were asked for and `next` leads to them.
    PartialPage { rows: u64 },
    /// The read sees what was there so many seconds ago.
    LaggingReads { seconds: i64 },
    /// The report never gets past this percentage.
    StuckReport {
        #[serde(default = "percent_default")]
        percent: u8,
    },
    /// The report says 100 % while its status is `Job Running`, for so many seconds.
    FalseReport { seconds: i64 },
    /// The report is `Job Completed`, and for so many seconds a page of it holds only the first half of its rows.
    LateRows { seconds: i64 },
    /// The report ends as `Job Failed`.
    FailedReport(ReportError),
    /// The report ends as `Job Skipped`.
    SkippedReport(ReportError),
}

/// Whom a storm reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    Account,
    All,
}

/// How long a call that times out is held, unless the rule says otherwise.
fn hold_default() -> u64 {
    60
}

fn code_of_dead_tokens() -> i64 {
    190
}

fn code_of_cursors() -> i64 {
    2642
}

fn type_default() -> String {
    "text/html; charset=utf-8".to_owned()
}

fn percent_default() -> u8 {
    66
}

impl Action {
    /// Whether nothing that other rules say of the call matters any more.
    pub(crate) fn ends(&self) -> bool {
        !matches!(
            self,
            Self::Slow { .. }
                | Self::CutBody {}
                | Self::WrongContentType { .. }
                | Self::IdsAsNumbers {}
                | Self::PartialPage { .. }
                | Self::LaggingReads { .. }
        ) && !self.is_of_report()
    }

    /// Whether it holds from one call on, so that one hit is all unless the rule says otherwise.
    pub(crate) fn lasts(&self) -> bool {
        matches!(self, Self::DeadToken { .. } | Self::ThrottleStorm { .. } | Self::RemovedVersion { .. })
    }

    pub(crate) fn is_of_report(&self) -> bool {
        matches!(
            self,
            Self::StuckReport { .. }
                | Self::FalseReport { .. }
                | Self::LateRows { .. }
                | Self::FailedReport(_)
                | Self::SkippedReport(_)
        )
    }

    /// Whether the action means anything to such a call.
    pub(super) fn concerns(&self, asked: &Asked<'_>) -> bool {
        match self {
            Self::NullItem { .. } => asked.is_item,
            Self::Slow { .. } | Self::CutBody {} | Self::WrongContentType { .. } => !asked.is_item,
            Self::IdsAsNumbers {} => !asked.is_batch,
            Self::PartialPage { .. } | Self::LaggingReads { .. } => asked.verb == Verb::Get,
            Self::ExpiredCursors { .. } => {
                asked.verb == Verb::Get && (asked.params.has("after") || asked.params.has("before"))
            }
            Self::TooMuchData { limit_max } => {
                asked.verb == Verb::Get && asked.parts.len() > 1 && asked.limit() > *limit_max
            }
            Self::RemovedVersion { version: Some(version) } => *version == asked.version,
            Self::DeadToken { .. } => asked.token.is_some() && !asked.is_batch,
            Self::ThrottleStorm { .. } => {
                !asked.is_batch && (self.storm_scope() == Scope::All || asked.account.is_some())
            }
            _ if self.is_of_report() => match asked.verb {
                Verb::Post => asked.parts.get(1).is_some_and(|edge| edge == "insights"),
                Verb::Get => asked.kind == Some(Kind::Run),
                Verb::Delete => false,
            },
            _ => true,
        }
    }

    pub(super) fn storm_scope(&self) -> Scope {
        match self {
            Self::ThrottleStorm { scope: Some(scope), .. } => *scope,
            Self::ThrottleStorm { code: 4, .. } => Scope::All,
            _ => Scope::Account,
        }
    }

    /// The refusal of an action that is one.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Self::Error(error) => error.refusal(),
            Self::DeadToken { code, subcode } => refusal::known(*code, *subcode),
            Self::RemovedVersion { .. } => refusal::known(2635, None),
            Self::ExpiredCursors { code } => match code {
                2642 => refusal::known(2642, None),
                _ => Refusal::new(*code, format!("(#{code}) Invalid cursors values")),
            },
            Self::TooMuchData { .. } => {
                let message = "Please reduce the amount of data you're asking for, then retry your request";
                Refusal::new(1, message).http(500)
            }
            _ => return None,
        })
    }
}
