//! What rules have done: one entry for each time that a rule was executed.

use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::fields;
use crate::nodes::write;
use crate::paging;
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State};

pub(crate) const FIELDS: &str =
    "evaluation_spec exception_code exception_message execution_spec is_manual results rule_id schedule_spec timestamp";

/// Keeps an entry.
pub(super) fn note(state: &mut State, call: &Call, rule: &Object, results: Vec<Value>, failure: Option<&Refusal>) {
    let mut run = Object::new(state.fresh_id(), Kind::RuleRun, rule.account, call.now);
    run.owner = Some(rule.id);
    run.fields = Map::from_iter([
        ("timestamp".to_owned(), json!(call.now.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string())),
        ("rule_id".to_owned(), json!(rule.id.to_string())),
        ("is_manual".to_owned(), json!(true)),
        ("results".to_owned(), Value::Array(results)),
    ]);
    for name in ["evaluation_spec", "execution_spec", "schedule_spec"] {
        if let Some(spec) = rule.fields.get(name) {
            run.fields.insert(name.to_owned(), spec.clone());
        }
    }
    if let Some(failure) = failure {
        let envelope = failure.envelope("");
        for (name, pointer) in [("exception_code", "/error/code"), ("exception_message", "/error/message")] {
            run.fields.insert(name.to_owned(), envelope.pointer(pointer).cloned().unwrap_or_default());
        }
    }
    write::keep(state, run);
}

/// `GET /{rule}/history`.
pub(crate) fn of_rule(state: &State, call: &Call, rule: &Object) -> Result<Value, Refusal> {
    list(state, call, rule.id)
}

/// `GET /act_X/adrules_history`.
pub(crate) fn of_account(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    list(state, call, account.id)
}

fn list(state: &State, call: &Call, parent: u64) -> Result<Value, Refusal> {
    let (action, object) = (call.params.text("action"), call.params.text("object_id"));
    let hide = call.params.boolean("hide_no_changes")?;
    let wanted = |&id: &u64| {
        let results = state.object(id).and_then(|run| run.fields.get("results")?.as_array());
        let of = |name: &str, wanted: &Option<String>| {
            wanted.is_none() || results.into_iter().flatten().any(|result| says(result, name, wanted.as_deref()))
        };
        let changed = results.into_iter().flatten().any(|result| !says(result, "action", Some("NOT_CHANGED")));
        of("action", &action) && of("object_id", &object) && (!hide || changed)
    };
    let ids: Vec<u64> = state.children(parent, Kind::RuleRun).rev().filter(wanted).collect();
    let page = paging::cut(&ids, &call.params)?;
    let names: Vec<String> =
        fields::of(&call.params)?.unwrap_or_default().into_iter().map(|field| field.name).collect();
    if let Some(name) = names.iter().find(|name| !FIELDS.split_whitespace().any(|known| known == name.as_str())) {
        return Err(Refusal::unknown_field(name, "AdRuleHistory"));
    }
    // Entries have no id; all that they hold is shown where no field is named.
    let shown = |run: &Object| {
        let members = run.fields.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
        Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let rows = page.keys.iter().filter_map(|&id| state.object(id)).map(shown).collect();
    Ok(paging::answer(&page, rows, &call.params, &View::of(state, call).link(&call.path.join("/"))))
}

/// Whether a result is about the object, or has the action.
fn says(result: &Value, name: &str, wanted: Option<&str>) -> bool {
    if name == "object_id" {
        return result.get(name).and_then(Value::as_str) == wanted;
    }
    let actions = result.get("actions").and_then(Value::as_array);
    actions.into_iter().flatten().any(|action| action.get("action").and_then(Value::as_str) == wanted)
}
