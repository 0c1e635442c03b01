//! Report runs: asked for by POST, done after some polls, read like any insights.

use serde_json::{Map, Value, json};

use super::query::Query;
use crate::body::Body;
use crate::error::Refusal;
use crate::nodes::write;
use crate::params::{Params, as_text};
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State};

pub(crate) const FIELDS: &str = "account_id async_percent_completion async_report_url async_status date_start date_stop \
    emails error_code error_message error_subcode error_user_msg error_user_title friendly_name id is_async_export \
    is_bookmarked is_running schedule_id time_completed time_ref";
pub(crate) const DEFAULTS: &[&str] = &[
    "account_id",
    "time_ref",
    "time_completed",
    "async_status",
    "async_percent_completion",
    "is_running",
    "date_start",
    "date_stop",
];

/// Keeps the call's parameters, to be read when the rows are asked for.
pub(super) fn start(state: &mut State, call: &Call, target: &Object) -> Value {
    let mut run = Object::new(state.fresh_id(), Kind::Run, target.account, call.now);
    let params: Map<String, Value> = call.params.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    run.fields =
        Map::from_iter([("_target".to_owned(), json!(target.id)), ("_params".to_owned(), Value::Object(params))]);
    let id = run.id.to_string();
    write::keep(state, run);
    json!({ "report_run_id": id, "id": id })
}

/// The rows; none before the run is done.
pub(super) fn read(view: &View<'_>, call: &Call, run: &Object) -> Result<Body, Refusal> {
    if !is_done(view.state, run) {
        return Ok(super::not_ready());
    }
    let Some((target, mut params)) = stored(view.state, run) else {
        return Err(Refusal::missing("get", &run.id.to_string()));
    };
    let query = Query::read(view.state, target, &params, None, run.created)?;
    for name in ["limit", "after", "before"] {
        params.remove(name);
        if let Some(value) = call.params.raw(name) {
            params.put(name, value.clone());
        }
    }
    super::answer(view, &query, &call.path.join("/"), &paging(&params), run.created)
}

/// Only what pages needs to stand in the links of a run.
fn paging(params: &Params) -> Params {
    let mut kept = Params::default();
    for name in ["limit", "after", "before"] {
        if let Some(value) = params.raw(name) {
            kept.put(name, Value::String(as_text(value)));
        }
    }
    kept
}

pub(crate) fn show(view: &View<'_>, run: &Object, name: &str) -> Option<Shown> {
    let done = is_done(view.state, run);
    let polls = view.state.polls(run.id);
    Some(match name {
        "async_status" => Shown::text(match polls {
            _ if done => "Job Completed",
            0 | 1 => "Job Started",
            _ => "Job Running",
        }),
        "async_percent_completion" => {
            let needed = view.state.settings.report_polls.max(1);
            Shown::Value(json!(if done { 100 } else { polls.saturating_sub(1).saturating_mul(66) / needed }))
        }
        "is_running" => Shown::Value(Value::Bool(!done)),
        "time_ref" => Shown::Value(json!(run.created.as_second())),
        "time_completed" if done => Shown::Value(json!(run.created.as_second())),
        "date_start" | "date_stop" => {
            let (target, params) = stored(view.state, run)?;
            let query = Query::read(view.state, target, &params, None, run.created).ok()?;
            let day = if name == "date_start" {
                query.slices.iter().map(|range| range.since).min()
            } else {
                query.slices.iter().map(|range| range.until).max()
            };
            Shown::text(day?.to_string())
        }
        _ => return None,
    })
}

fn is_done(state: &State, run: &Object) -> bool {
    state.polls(run.id) > state.settings.report_polls
}

fn stored<'a>(state: &'a State, run: &Object) -> Option<(&'a Object, Params)> {
    let target = state.object(run.fields.get("_target")?.as_u64()?)?;
    let params = run.fields.get("_params")?.as_object()?.clone();
    Some((target, Params::from_map(params)))
}
