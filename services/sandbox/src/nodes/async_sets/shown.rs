//! How sets and their requests are read back.

use serde_json::{Value, json};

use super::Form;
use crate::render::{Shown, View};
use crate::state::{Kind, Object, State, iso};

/// How far a set is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) initial: u64,
    pub(super) in_progress: u64,
    pub(super) success: u64,
    pub(super) error: u64,
    pub(super) canceled: u64,
}

impl Counts {
    pub(super) fn of(state: &State, set: u64) -> Self {
        let mut counts = Self::default();
        for request in state.children(set, Kind::AsyncRequest).filter_map(|id| state.object(id)) {
            counts.total += 1;
            let count = match request.text("_status") {
                "INITIAL" | "PENDING_DEPENDENCY" => &mut counts.initial,
                "SUCCESS" => &mut counts.success,
                "USER_CANCELED" | "CANCELED" | "CANCELED_DEPENDENCY" => &mut counts.canceled,
                "ERROR" | "ERROR_DEPENDENCY" => &mut counts.error,
                _ => &mut counts.in_progress,
            };
            *count += 1;
        }
        counts
    }

    pub(super) fn is_done(self) -> bool {
        self.initial == 0 && self.in_progress == 0
    }
}

pub(crate) fn show_set(view: &View<'_>, set: &Object, name: &str) -> Option<Shown> {
    let counts = || Counts::of(view.state, set.id);
    let number = |count: u64| Some(Shown::Value(json!(count)));
    match name {
        "total_count" => number(counts().total),
        "initial_count" => number(counts().initial),
        "in_progress_count" => number(counts().in_progress),
        "success_count" => number(counts().success),
        "error_count" => number(counts().error),
        "canceled_count" => number(counts().canceled),
        "is_completed" => Some(Shown::Value(json!(counts().is_done()))),
        "owner_id" => Some(Shown::text(set.text("_person"))),
        "created_time" => Some(Shown::text(iso(view.state, set.account, set.created))),
        "updated_time" => Some(Shown::text(iso(view.state, set.account, set.updated))),
        _ => None,
    }
}

pub(crate) fn show_request(view: &View<'_>, request: &Object, name: &str) -> Option<Shown> {
    let is_session = request.text("_form") == Form::Sessions.word();
    let status = request.text("_status");
    Some(match name {
        "status" if is_session => Shown::text(session_status(status)),
        "status" => Shown::text(status),
        "percent_completed" => Shown::Value(json!(if matches!(status, "INITIAL" | "IN_PROGRESS") { 0 } else { 100 })),
        // A session gives its result as the text that the item of a batch would have had.
        "result" if is_session => match request.fields.get("result") {
            Some(result) => Shown::text(result.to_string()),
            None => Shown::Absent,
        },
        "error_code" => match request.fields.get("result").and_then(|result| result.pointer("/error/code")) {
            Some(code) => Shown::Value(code.clone()),
            None => Shown::Absent,
        },
        "async_request_set" => Shown::node(request.owner),
        "scope_object_id" => {
            let scope = request.ad_set.or(request.campaign).unwrap_or(request.account);
            Shown::text(scope.to_string())
        }
        "type" => {
            Shown::text(if request.text("_form") == "creatives" { "CREATE_ADCREATIVE" } else { "CREATE_ADGROUP" })
        }
        "input" => {
            let input = request.fields.get("input").cloned().unwrap_or(Value::Null);
            Shown::Value(without_secrets(input))
        }
        "method" => Shown::Value(member(request, "method")?),
        "uri" => Shown::Value(member(request, "relative_url")?),
        "created_time" => Shown::text(iso(view.state, request.account, request.created)),
        "updated_time" => Shown::text(iso(view.state, request.account, request.updated)),
        _ => return None,
    })
}

fn member(request: &Object, name: &str) -> Option<Value> {
    request.fields.get("input")?.get(name).cloned()
}

fn without_secrets(mut input: Value) -> Value {
    if let Value::Object(map) = &mut input {
        map.retain(|name: &String, _| name != "access_token");
    }
    input
}

/// Sessions have words of their own; Meta publishes none, so these are ours.
fn session_status(status: &str) -> &'static str {
    match status {
        "INITIAL" | "PENDING_DEPENDENCY" => "NOT_STARTED",
        "SUCCESS" => "COMPLETED",
        "USER_CANCELED" | "CANCELED" => "CANCELED",
        "ERROR" | "ERROR_DEPENDENCY" => "FAILED",
        _ => "RUNNING",
    }
}
