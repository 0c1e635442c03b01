//! What all handlers have in common: who may touch an account, what a refusal leaves behind, and how times are written.

use serde_json::Value;

use super::{Call, Verb, expanded, handle, node};
use crate::body::Body;
use crate::error::Refusal;
use crate::nodes::{people, roles};
use crate::spec::kept_time;
use crate::state::State;

/// Answers a call. One that is refused has changed nothing.
pub(crate) fn answer(state: &mut State, call: &Call) -> Result<Body, Refusal> {
    let in_seconds = in_seconds(state, call)?;
    if let Some(object) = call.path.first().and_then(|name| node(state, name)) {
        let edge = call.path.get(1).map(String::as_str).unwrap_or_default();
        roles::check(state, call, object, edge)?;
        people::may_list(call, object.kind, edge)?;
    }
    let mark = state.mark();
    let answer = match handle(state, call) {
        Err(refusal) if call.verb == Verb::Get && refusal.is_unknown_field() => expanded::read(state, call, refusal),
        answer => answer,
    };
    if answer.is_err() && call.verb != Verb::Get {
        state.undo(mark);
    }
    let mut answer = answer?;
    if in_seconds {
        count_seconds(answer.tree());
    }
    Ok(answer)
}

/// `date_format=U` wants times as unix seconds. Other formats of PHP are not known here, and leave times as they are.
fn in_seconds(state: &State, call: &Call) -> Result<bool, Refusal> {
    let Some(format) = call.params.text("date_format") else { return Ok(false) };
    let refused_since = state.settings.date_format_refused_since;
    if call.version >= refused_since {
        let text = format!("The date_format parameter is not supported in {refused_since} and later");
        return Err(Refusal::invalid(text).blame(&["date_format"]));
    }
    Ok(format == "U")
}

fn count_seconds(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(count_seconds),
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name.ends_with("time")).and_then(kept_time) {
                    Some(at) => *member = at.as_second().into(),
                    None => count_seconds(member),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_counted_however_deep_and_nothing_else_is() {
        let time = "2026-11-03T16:00:00-0800";
        let mut tree = json!({ "data": [{ "name": time, "created_time": time, "campaign": { "start_time": time } }] });
        count_seconds(&mut tree);
        let second = 1_793_750_400;
        let row = json!({ "name": time, "created_time": second, "campaign": { "start_time": second } });
        assert_eq!(tree, json!({ "data": [row] }));
    }
}
