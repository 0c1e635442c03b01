//! Sets of value rules: what people of some kind are worth to an advertiser, more or less than others.

use serde_json::{Map, Value, json};

use super::write;
use crate::error::Refusal;
use crate::render::Shown;
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State};

pub(crate) const FIELDS: &str = "id is_default_setting last_attach_time name product_type status";

const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("product_type", Form::Word(&["AUDIENCE", "LEADGEN_ADS", "OMNI_CHANNEL"])),
    ("is_default_setting", Form::Boolean),
];

/// `POST /act_X/value_rule_set`.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let fields = read(state, call, account)?;
    let mut set = Object::new(state.fresh_id(), Kind::ValueRuleSet, account, call.now);
    set.fields = fields;
    let id = set.id;
    write::keep(state, set);
    write::created(state, call, id)
}

/// `POST /{set}`, which names all of it anew.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let fields = read(state, call, old.account)?;
    let mut set = old.clone();
    set.fields.extend(fields);
    set.updated = call.now;
    write::keep(state, set);
    write::updated(state, call, old.id)
}

/// Its name and its rules, which are objects. What is in them Meta does not publish, so it is kept as it comes.
fn read(state: &State, call: &Call, account: u64) -> Result<Map<String, Value>, Refusal> {
    let mut fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    call.params.required("name")?;
    let Some(rules) = call.params.list("rules")? else { return Err(Refusal::required("rules")) };
    if rules.is_empty() || rules.iter().any(|rule| !rule.is_object()) {
        return Err(Refusal::invalid("Param rules must be a list of JSON objects").blame(&["rules"]));
    }
    fields.insert("_rules".to_owned(), Value::Array(rules));
    Ok(fields)
}

pub(crate) fn show(set: &Object, name: &str) -> Option<Shown> {
    match name {
        "status" => Some(Shown::text(set.status.word())),
        "is_default_setting" if !set.fields.contains_key(name) => Some(Shown::Value(json!(false))),
        _ => None,
    }
}
