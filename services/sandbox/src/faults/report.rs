//! What becomes of a report run: stuck, falsely done, failed or skipped. It is kept with the run, in the journal.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::action::Action;
use crate::params::Params;
use crate::state::{Change, Kind, State};
use crate::version::Version;

/// The member of a run that holds its fate.
const MEMBER: &str = "_fault";
/// Failed runs say why since this version (Meta, "Insights API: asynchronous jobs").
const TELLS_WHY: Version = Version(25);

/// Why a report ended without rows, in Meta's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReportError {
    pub(crate) code: i64,
    pub(crate) subcode: i64,
    pub(crate) message: String,
    pub(crate) user_title: String,
    pub(crate) user_message: String,
}

impl Default for ReportError {
    fn default() -> Self {
        Self {
            code: -2,
            subcode: 2_490_547,
            message: "The report run failed.".to_owned(),
            user_title: "Report failed".to_owned(),
            user_message: "Ask for the report again, or for less data.".to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    Stuck { percent: u8 },
    FalselyDone { until: Timestamp },
    RowsLate { until: Timestamp },
    Failed(ReportError),
    Skipped(ReportError),
}

fn fate(action: &Action, now: Timestamp) -> Option<Fate> {
    let until = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    Some(match action {
        Action::StuckReport { percent } => Fate::Stuck { percent: *percent },
        Action::FalseReport { seconds } => Fate::FalselyDone { until: until(*seconds) },
        Action::LateRows { seconds } => Fate::RowsLate { until: until(*seconds) },
        Action::FailedReport(error) => Fate::Failed(error.clone()),
        Action::SkippedReport(error) => Fate::Skipped(error.clone()),
        _ => return None,
    })
}

/// Settles what becomes of a run, unless it is settled already.
pub(super) fn settle(state: &mut State, run: u64, action: &Action, now: Timestamp) {
    let Some(fate) = fate(action, now) else { return };
    let Some(mut run) = state.of_kind(run, Kind::Run).cloned() else { return };
    if run.fields.contains_key(MEMBER) {
        return;
    }
    run.fields.insert(MEMBER.to_owned(), json!(fate));
    state.commit(Change::Put(Box::new(run)));
}

/// What became of a run, where a rule struck it.
pub(super) fn of(state: &State, run: u64) -> Option<Fate> {
    let fate = state.of_kind(run, Kind::Run)?.fields.get(MEMBER)?;
    serde_json::from_value(fate.clone()).ok()
}

/// How a run is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Its rows, not the run itself.
    pub(super) is_rows: bool,
    pub(super) asked: &'a Params,
    pub(super) version: Version,
    pub(super) now: Timestamp,
}

/// Makes the answer of a run, or of its rows, one of its fate.
pub(super) fn tell(fate: Fate, about: About<'_>, body: &mut Value) {
    let About { is_rows, asked, version, now } = about;
    let Value::Object(body) = body else { return };
    if is_rows {
        rows(&fate, now, body);
        return;
    }
    match fate {
        Fate::Stuck { percent } => status(body, "Job Running", percent, true),
        Fate::FalselyDone { until } if now < until => status(body, "Job Running", 100, true),
        Fate::FalselyDone { .. } | Fate::RowsLate { .. } => {}
        Fate::Failed(error) => {
            status(body, "Job Failed", 0, false);
            why(body, &error, asked, version);
        }
        Fate::Skipped(error) => {
            status(body, "Job Skipped", 0, false);
            why(body, &error, asked, version);
        }
    }
}

fn rows(fate: &Fate, now: Timestamp, body: &mut Map<String, Value>) {
    match fate {
        Fate::FalselyDone { until } if now >= *until => {}
        Fate::RowsLate { until } if now >= *until => {}
        Fate::RowsLate { .. } => {
            if let Some(Value::Array(rows)) = body.get_mut("data") {
                rows.truncate(rows.len() / 2);
            }
        }
        _ => {
            body.clear();
            body.insert("data".to_owned(), json!([]));
        }
    }
}

/// Only members that the call asked for are there, and only those are changed.
fn status(body: &mut Map<String, Value>, word: &str, percent: u8, is_running: bool) {
    let told = [
        ("async_status", json!(word)),
        ("async_percent_completion", json!(percent)),
        ("is_running", json!(is_running)),
    ];
    for (name, value) in told {
        if let Some(member) = body.get_mut(name) {
            *member = value;
        }
    }
    body.remove("time_completed");
}

fn why(body: &mut Map<String, Value>, error: &ReportError, asked: &Params, version: Version) {
    if version < TELLS_WHY {
        return;
    }
    let fields = asked.words("fields").ok().flatten();
    let told = [
        ("error_code", json!(error.code)),
        ("error_subcode", json!(error.subcode)),
        ("error_message", json!(error.message)),
        ("error_user_title", json!(error.user_title)),
        ("error_user_msg", json!(error.user_message)),
    ];
    for (name, value) in told {
        if fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field == name)) {
            body.insert(name.to_owned(), value);
        }
    }
}
