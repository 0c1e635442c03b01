//! Ad rules: which objects they pick, and what they do to them when they are executed.
//!
//! A rule runs when it is told to (`/execute`). Meta also runs enabled rules by their schedule; that is left out, so that
//! nothing changes in a test that nobody asked for.

mod execute;
mod history;
mod select;
mod specs;

use serde_json::{Value, json};

use super::write;
use crate::error::Refusal;
use crate::fields;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State, Status, iso};

pub(crate) use execute::run;
pub(crate) use history::{FIELDS as RUN_FIELDS, of_account, of_rule};

pub(crate) const FIELDS: &str = "account_id created_by created_time disable_error_code evaluation_spec execution_spec \
    id name recommended_rule_key schedule_spec status ui_creation_source updated_time";

/// What a rule may be set to.
const STATUSES: &[&str] = &["DELETED", "DISABLED", "ENABLED", "HAS_ISSUES"];

/// `POST /act_X/adrules_library`.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let name = call.params.required("name")?;
    let live = state.children(account, Kind::Rule).filter_map(|id| state.object(id));
    if live.filter(|rule| !rule.status.is_gone()).count() >= state.settings.rules_per_account {
        let advice = "This ad account has as many rules as it can have.";
        return Err(Refusal::rule(1_885_650, "Too many rules", advice, &["name"]));
    }
    let given = specs::read(&call.params)?;
    specs::check_whole(&given)?;
    let status = status(call)?.unwrap_or_else(|| "ENABLED".to_owned());
    let mut rule = Object::new(state.fresh_id(), Kind::Rule, account, call.now).with(json!({
        "name": name,
        "_status": status,
        "_person": call.caller.grant.person.to_string(),
    }));
    rule.fields.extend(given);
    let id = rule.id;
    write::keep(state, rule);
    write::created(state, call, id)
}

/// `POST /{rule}`.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut rule = old.clone();
    rule.fields.extend(specs::read(&call.params)?);
    specs::check_whole(&rule.fields)?;
    if let Some(name) = call.params.text("name") {
        rule.fields.insert("name".to_owned(), json!(name));
    }
    match status(call)?.as_deref() {
        Some("DELETED") => rule.status = Status::Deleted,
        Some(status) => {
            rule.fields.insert("_status".to_owned(), json!(status));
        }
        None => {}
    }
    rule.updated = call.now;
    write::keep(state, rule);
    write::updated(state, call, old.id)
}

/// `DELETE /{rule}`.
pub(crate) fn delete(state: &mut State, call: &Call, rule: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut rule = rule.clone();
    rule.status = Status::Deleted;
    rule.updated = call.now;
    write::keep(state, rule);
    Ok(write::validated())
}

/// `POST /{rule}/preview`: what the rule would pick now.
pub(crate) fn preview(state: &State, call: &Call, rule: &Object) -> Result<Value, Refusal> {
    call.caller.may_read()?;
    let picked = select::picked(&View::of(state, call), rule)?;
    let rows: Vec<Value> = picked
        .iter()
        .map(|object| json!({ "id": object.id.to_string(), "name": object.name(), "object_type": select::word(object.kind) }))
        .collect();
    Ok(json!({ "data": rows }))
}

/// `GET /{object}/adrules_governed`: the rules whose filters pick this object, its numbers left aside.
pub(crate) fn governing(state: &State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    let view = View::of(state, call);
    let mut ids = Vec::new();
    for id in state.children(object.account, Kind::Rule).rev() {
        if let Some(rule) = state.object(id).filter(|rule| !rule.status.is_gone())
            && select::governs(&view, rule, object)?
        {
            ids.push(id);
        }
    }
    let fields = fields::of(&call.params)?;
    view.edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

fn status(call: &Call) -> Result<Option<String>, Refusal> {
    let status = call.params.text("status");
    match &status {
        Some(word) if !STATUSES.contains(&word.as_str()) => {
            let text = format!("Param status must be one of {{{}}}", STATUSES.join(", "));
            Err(Refusal::invalid(text).blame(&["status"]))
        }
        _ => Ok(status),
    }
}

pub(crate) fn show(view: &View<'_>, rule: &Object, name: &str) -> Option<Shown> {
    Some(match name {
        "status" if rule.status.is_gone() => Shown::text("DELETED"),
        "status" => Shown::text(rule.text("_status")),
        "created_by" => match rule.text("_person").parse().ok().and_then(|id| view.state.object(id)) {
            Some(person) => Shown::Node(person.id),
            None => Shown::Absent,
        },
        "created_time" => Shown::text(iso(view.state, rule.account, rule.created)),
        "updated_time" => Shown::text(iso(view.state, rule.account, rule.updated)),
        _ => return None,
    })
}
