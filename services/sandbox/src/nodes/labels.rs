//! Ad labels: made, attached, and the way to find what carries them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::write;
use crate::error::Refusal;
use crate::fields;
use crate::params::as_text;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State, iso};

pub(crate) const FIELDS: &str = "account created_time id name updated_time";

/// The labels that a write names: some exist, others are made with it.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    ids: BTreeSet<u64>,
    new_names: BTreeSet<String>,
}

impl Labels {
    /// Makes what does not exist yet.
    pub(crate) fn made(self, state: &mut State, account: u64, now: Timestamp) -> BTreeSet<u64> {
        let mut ids = self.ids;
        for name in self.new_names {
            ids.insert(made(state, account, &name, now));
        }
        ids
    }
}

/// Reads `adlabels`: a list of `{"id": ..}` or `{"name": ..}`. Fails for an id that is no label of the account.
pub(crate) fn read(state: &State, call: &Call, account: u64) -> Result<Labels, Refusal> {
    let mut labels = Labels::default();
    for item in call.params.list("adlabels")?.unwrap_or_default() {
        let parsed = item.as_str().and_then(crate::loose::parse).unwrap_or(item);
        if let Some(id) = parsed.get("id").and_then(write::id_of) {
            let known = state.of_kind(id, Kind::Label).is_some_and(|label| label.account == account);
            if !known {
                return Err(Refusal::invalid(format!("The ad label {id} does not exist")).blame(&["adlabels"]));
            }
            labels.ids.insert(id);
        } else if let Some(name) = parsed.get("name").map(as_text) {
            match named(state, account, &name) {
                Some(id) => labels.ids.insert(id),
                None => labels.new_names.insert(name),
            };
        } else {
            return Err(Refusal::invalid("Each item of adlabels must have an id or a name").blame(&["adlabels"]));
        }
    }
    Ok(labels)
}

/// `POST /act_X/adlabels`. A name that exists gives the label that has it.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let name = call.params.required("name")?;
    let id = named(state, account, &name).unwrap_or_else(|| made(state, account, &name, call.now));
    write::created(state, call, id)
}

/// `POST /{object}/adlabels`: adds labels to those that the object has.
pub(crate) fn attach(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    call.params.required("adlabels")?;
    let labels = read(state, call, object.account)?.made(state, object.account, call.now);
    let mut object = object.clone();
    object.labels.extend(labels);
    object.updated = call.now;
    let id = object.id;
    write::keep(state, object);
    write::updated(state, call, id)
}

/// `DELETE /{object}/adlabels`: takes away the labels that are named.
pub(crate) fn detach(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    call.params.required("adlabels")?;
    let gone = read(state, call, object.account)?.ids;
    let mut object = object.clone();
    object.labels.retain(|label| !gone.contains(label));
    object.updated = call.now;
    write::keep(state, object);
    Ok(write::validated())
}

/// `POST /{label}`: gives it another name, which no other label of the account may have.
pub(crate) fn rename(state: &mut State, call: &Call, label: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let name = call.params.required("name")?;
    if named(state, label.account, &name).is_some_and(|other| other != label.id) {
        return Err(Refusal::invalid(format!("Another ad label is named {name}; choose another name")).blame(&["name"]));
    }
    let mut label = label.clone();
    label.fields.insert("name".to_owned(), json!(name));
    label.updated = call.now;
    let id = label.id;
    write::keep(state, label);
    write::updated(state, call, id)
}

/// `GET /act_X/campaignsbylabels` and its kin: objects with any or all of `ad_label_ids`.
pub(crate) fn find(state: &State, call: &Call, account: u64, kind: Kind) -> Result<Value, Refusal> {
    let Some(words) = call.params.words("ad_label_ids")? else { return Err(Refusal::required("ad_label_ids")) };
    let wanted: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let all = match call.params.text("operator").as_deref() {
        None | Some("ANY") => false,
        Some("ALL") => true,
        Some(_) => return Err(Refusal::invalid("Param operator must be one of {ALL, ANY}").blame(&["operator"])),
    };
    let has = |object: &Object| {
        let mut wanted = wanted.iter();
        if all { wanted.all(|id| object.labels.contains(id)) } else { wanted.any(|id| object.labels.contains(id)) }
    };
    let ids: Vec<u64> = state.children(account, kind).rev().filter(|&id| state.object(id).is_some_and(has)).collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

pub(crate) fn shown(view: &View<'_>, object: &Object) -> Shown {
    let labels: Vec<Value> = object
        .labels
        .iter()
        .filter_map(|&id| view.state.object(id))
        .map(|label| {
            json!({
                "id": label.id.to_string(),
                "name": label.name(),
                "created_time": iso(view.state, label.account, label.created),
                "updated_time": iso(view.state, label.account, label.updated),
            })
        })
        .collect();
    if labels.is_empty() { Shown::Absent } else { Shown::Value(Value::Array(labels)) }
}

fn named(state: &State, account: u64, name: &str) -> Option<u64> {
    state.children(account, Kind::Label).find(|&id| state.object(id).is_some_and(|label| label.name() == name))
}

fn made(state: &mut State, account: u64, name: &str, now: Timestamp) -> u64 {
    let id = state.fresh_id();
    write::keep(state, Object::new(id, Kind::Label, account, now).with(json!({ "name": name })));
    id
}
