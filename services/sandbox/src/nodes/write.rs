//! What all writes share: the right, validate-only, and the answer with the fields that were asked for.

use serde_json::{Map, Value, json};

use super::changes;
use crate::error::Refusal;
use crate::fields;
use crate::params::{Params, as_text};
use crate::render::View;
use crate::route::Call;
use crate::state::{Change, Object, State, shown_id};

/// What `execution_options` may hold.
const EXECUTION_OPTIONS: &[&str] = &["include_recommendations", "synchronous_ad_review", "validate_only"];

/// Whether the call only wants to know if it would be taken. Fails where the options contradict each other.
pub(crate) fn validates_only(params: &Params) -> Result<bool, Refusal> {
    let options = params.words("execution_options")?.unwrap_or_default();
    for (at, option) in options.iter().enumerate() {
        if !EXECUTION_OPTIONS.contains(&option.as_str()) {
            let words = EXECUTION_OPTIONS.join(", ");
            let text = format!("Param execution_options[{at}] must be one of {{{words}}}");
            return Err(Refusal::invalid(text).blame(&["execution_options"]));
        }
    }
    let only = options.iter().any(|option| option == "validate_only");
    if !only && recommends(&options) {
        let text = "include_recommendations cannot be used without validate_only";
        return Err(Refusal::invalid(text).blame(&["execution_options"]));
    }
    Ok(only)
}

fn recommends(options: &[String]) -> bool {
    options.iter().any(|option| option == "include_recommendations")
}

/// The answer to a write that was only checked.
pub(crate) fn validated() -> Value {
    json!({ "success": true })
}

/// The same, with what Meta would do otherwise, where the call asks for it.
pub(crate) fn validated_with(call: &Call, recommendations: &[Value]) -> Value {
    let options = call.params.words("execution_options").ok().flatten().unwrap_or_default();
    if recommends(&options) { json!({ "success": true, "recommendations": recommendations }) } else { validated() }
}

/// Keeps an object, and what its account tells of the change.
pub(crate) fn keep(state: &mut State, object: Object) {
    let told = changes::of(state, &object);
    state.commit(Change::Put(Box::new(object)));
    for activity in told {
        state.commit(Change::Activity(Box::new(activity)));
    }
}

/// The answer to a create: the id, and the fields that the call asked for.
pub(crate) fn created(state: &State, call: &Call, id: u64) -> Result<Value, Refusal> {
    answer(state, call, id, Map::new())
}

/// The answer to an update: success, and the fields that the call asked for.
pub(crate) fn updated(state: &State, call: &Call, id: u64) -> Result<Value, Refusal> {
    let mut body = Map::new();
    body.insert("success".to_owned(), Value::Bool(true));
    if !call.params.has("fields") {
        return Ok(Value::Object(body));
    }
    answer(state, call, id, body)
}

fn answer(state: &State, call: &Call, id: u64, mut body: Map<String, Value>) -> Result<Value, Refusal> {
    let Some(object) = state.object(id) else { return Ok(Value::Object(body)) };
    body.insert("id".to_owned(), shown_id(object));
    if let Some(fields) = fields::of(&call.params)?
        && let Value::Object(shown) = View::of(state, call).node(object, Some(&fields))?
    {
        body.extend(shown);
    }
    Ok(Value::Object(body))
}

/// An id in a parameter, as digits or as `{"id": ..}`.
pub(crate) fn id_of(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        Value::Object(map) => map.get("id").and_then(id_of),
        _ => None,
    }
}

/// An id that must be given.
pub(crate) fn required_id(params: &Params, name: &str) -> Result<u64, Refusal> {
    let text = params.required(name)?;
    text.parse().map_err(|_| Refusal::invalid(format!("Param {name} must be a valid ID")).blame(&[name]))
}
/// Fails where a write gives a field another value that stays as it was made.
pub(crate) fn unchanged(old: &Object, given: &Map<String, Value>, fixed: &[&str]) -> Result<(), Refusal> {
    for name in fixed {
        let kept = old.fields.get(*name).map(as_text);
        if given.get(*name).is_some_and(|value| kept != Some(as_text(value))) {
            let node = old.kind.node_type();
            return Err(
                Refusal::invalid(format!("The {name} of a {node} cannot be changed; make another")).blame(&[name])
            );
        }
    }
    Ok(())
}
