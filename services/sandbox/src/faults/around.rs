//! What rules change of a call before it is worked, and of its answer after.

use jiff::Timestamp;
use serde_json::Value;

use super::action::Action;
use super::pages::Short;
use super::{Struck, lag, numbers, pages, report};
use crate::body::Body;
use crate::error::Refusal;
use crate::paging::Link;
use crate::params::Params;
use crate::route::Verb;
use crate::state::{Past, State};
use crate::version::Version;

/// A call that is about to be worked.
#[derive(Debug)]
pub(crate) struct Going<'a> {
    pub(crate) verb: Verb,
    /// With its version.
    pub(crate) path: &'a str,
    /// Without it.
    pub(crate) parts: &'a [String],
    pub(crate) version: Version,
    pub(crate) params: &'a mut Params,
    pub(crate) base: &'a str,
    pub(crate) token: Option<String>,
    pub(crate) now: Timestamp,
}

/// What is to be done to the answer.
#[derive(Debug)]
pub(crate) struct Around {
    short: Option<Short>,
    past: Option<Past>,
    as_numbers: bool,
    /// What becomes of the report that the call starts.
    fate: Option<Action>,
    /// The run that the call reads, and whether it reads its rows.
    run: Option<(u64, bool)>,
    asked: Params,
    version: Version,
    now: Timestamp,
}

impl Around {
    /// Changes the call as the rules say. Must be followed by `end`, or the world stays set back.
    pub(crate) fn begin(struck: &Struck, state: &mut State, going: Going<'_>) -> Self {
        let Going { verb, path, parts, version, params, base, token, now } = going;
        let run = match (verb, parts) {
            (Verb::Get, [run]) => run.parse().ok().map(|run| (run, false)),
            (Verb::Get, [run, edge]) if edge == "insights" => run.parse().ok().map(|run| (run, true)),
            _ => None,
        };
        let was_empty = verb == Verb::Get && pages::open(params);
        let mut around =
            Self { short: None, past: None, as_numbers: false, fate: None, run, asked: params.clone(), version, now };
        for action in &struck.shaping {
            match action {
                Action::PartialPage { rows: 0 } if was_empty => {}
                Action::PartialPage { rows } => {
                    let link = Link { address: format!("{base}{path}"), token: token.clone().unwrap_or_default() };
                    around.short = pages::shorten(params, *rows, link).or(around.short);
                }
                Action::IdsAsNumbers {} => around.as_numbers = true,
                Action::LaggingReads { seconds } => match around.past {
                    Some(_) => {}
                    None => around.past = Some(lag::begin(state, *seconds, now)),
                },
                action if action.is_of_report() => match run {
                    Some((run, _)) => report::settle(state, run, action, now),
                    None => around.fate = Some(action.clone()),
                },
                _ => {}
            }
        }
        around
    }

    /// Sets the world right again, and changes the answer as the rules say.
    pub(crate) fn end(self, state: &mut State, mut result: Result<Body, Refusal>) -> Result<Body, Refusal> {
        if let Some(past) = self.past {
            lag::end(state, past);
        }
        let Ok(body) = &mut result else { return result };
        if let Some(short) = &self.short {
            short.finish(body.tree());
        }
        if let Some(fate) = &self.fate
            && let Some(run) = started(body.tree())
        {
            report::settle(state, run, fate, self.now);
        }
        if let Some((run, is_rows)) = self.run
            && let Some(fate) = report::of(state, run)
        {
            let about = report::About { is_rows, asked: &self.asked, version: self.version, now: self.now };
            report::tell(fate, about, body.tree());
        }
        if self.as_numbers {
            numbers::apply(body.tree());
        }
        result
    }
}

fn started(body: &Value) -> Option<u64> {
    body.get("report_run_id")?.as_str()?.parse().ok()
}
