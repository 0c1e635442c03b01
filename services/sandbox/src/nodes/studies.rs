//! Ad studies: tests of a business that deal people out to cells, each with its own campaigns, ad sets or accounts.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::write;
use crate::edge::Ids;
use crate::error::Refusal;
use crate::fields;
use crate::params::as_text;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State, Status, iso};

pub(crate) const FIELDS: &str = "business canceled_time client_business confidence_level cooldown_start_time created_by \
    created_time creative_test_config description end_time id measurement_contact name observation_end_time \
    results_first_available_date sales_contact start_time type updated_by updated_time viewers";
pub(crate) const CELL_FIELDS: &str =
    "ad_entities_count ad_ids control_percentage exclusion_geo id name treatment_percentage";
pub(crate) const OBJECTIVE_FIELDS: &str = "id is_primary last_updated_results name results type";

const TYPES: &[&str] = &[
    "BACKEND_AB_TESTING",
    "CONTINUOUS_LIFT_CONFIG",
    "CREATIVE_SPEND_ENFORCEMENT",
    "GEO_LIFT",
    "LIFT",
    "PORTFOLIO_OPTIMIZER",
    "SPLIT_TEST",
    "SPLIT_TEST_V2",
    "VERSION_CONTROL",
];
const OBJECTIVES: &[&str] = &[
    "BRAND",
    "BRANDLIFT",
    "CONVERSIONS",
    "FTL",
    "MAE",
    "MAI",
    "MPC_CONVERSION",
    "NONSALES",
    "PARTNER",
    "SALES",
    "TELCO",
];
/// What cells may hold, with the kind of each.
const ENTITIES: &[(&str, Kind)] =
    &[("adaccounts", Kind::AdAccount), ("campaigns", Kind::Campaign), ("adsets", Kind::AdSet), ("ads", Kind::Ad)];
const TIMES: &[&str] = &["start_time", "end_time", "cooldown_start_time", "observation_end_time"];
const CELLS_MAX: usize = 150;
const ENTITIES_MAX: usize = 100;
const RUNNING_MAX: usize = 100;

/// A cell that was asked for.
struct Cell {
    name: String,
    percentage: i64,
    kind: Option<&'static str>,
    entities: Vec<u64>,
}

/// `POST /{business}/ad_studies`.
pub(crate) fn create(state: &mut State, call: &Call, business: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let name = call.params.required("name")?;
    let kind = call.params.text("type").unwrap_or_else(|| "SPLIT_TEST".to_owned());
    one_of("type", &kind, TYPES)?;
    let times = times(call)?;
    span(&times, call.now, None)?;
    let cells = cells(state, call, &kind)?;
    let objectives = objectives(call)?;
    let running = state.children(business.id, Kind::Study).filter_map(|id| state.object(id));
    if running.filter(|study| runs(study, call.now)).count() >= RUNNING_MAX {
        return Err(Refusal::invalid("A business has at most 100 running studies").blame(&["name"]));
    }
    free(state, &cells, call.now)?;
    let mut study = Object::new(state.fresh_id(), Kind::Study, 0, call.now).with(json!({ "name": name, "type": kind }));
    study.owner = Some(business.id);
    study.fields.extend(times);
    study.fields.insert("_person".to_owned(), json!(call.caller.grant.person.to_string()));
    study.fields.extend(texts(call)?);
    let id = study.id;
    write::keep(state, study);
    for cell in cells {
        let mut object = Object::new(state.fresh_id(), Kind::Cell, 0, call.now).with(json!({
            "name": cell.name,
            "treatment_percentage": cell.percentage,
            "control_percentage": 0,
            "_kind": cell.kind,
            "_entities": cell.entities,
        }));
        object.owner = Some(id);
        write::keep(state, object);
    }
    for objective in objectives {
        let mut object = Object::new(state.fresh_id(), Kind::Objective, 0, call.now);
        object.owner = Some(id);
        object.fields = objective;
        write::keep(state, object);
    }
    write::created(state, call, id)
}

/// `POST /{study}`: all before the start; then only what it is called and when it ends.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let started = second(old, "start_time") <= call.now.as_second();
    let allowed = |name: &str| matches!(name, "name" | "description" | "end_time" | "id" | "fields" | "viewers");
    if started && let Some((name, _)) = call.params.iter().find(|(name, _)| !allowed(name)) {
        let text = format!("The {name} of a study cannot be changed after its start");
        return Err(Refusal::invalid(text).blame(&[name]));
    }
    let mut study = old.clone();
    let given = times(call)?;
    study.fields.extend(given);
    let kept: Map<String, Value> =
        TIMES.iter().filter_map(|name| Some(((*name).to_owned(), study.fields.get(*name)?.clone()))).collect();
    span(&kept, call.now, Some(started))?;
    study.fields.extend(texts(call)?);
    if let Some(name) = call.params.text("name") {
        study.fields.insert("name".to_owned(), json!(name));
    }
    study.updated = call.now;
    write::keep(state, study);
    write::updated(state, call, old.id)
}

/// `DELETE /{study}`: it is cancelled, and what it held is free again.
pub(crate) fn cancel(state: &mut State, call: &Call, study: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut study = study.clone();
    study.status = Status::Deleted;
    study.fields.insert("canceled_time".to_owned(), json!(iso(state, 0, call.now)));
    study.updated = call.now;
    write::keep(state, study);
    Ok(write::validated())
}

/// `GET /{business, account, campaign or ad set}/ad_studies`.
pub(crate) fn list(state: &State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    let touches = |entity: u64| {
        entity == object.id
            || state.object(entity).is_some_and(|entity| entity.parents().any(|parent| parent == object.id))
    };
    let holds = |&study: &u64| {
        let cells = state.children(study, Kind::Cell).filter_map(|id| state.object(id));
        object.kind == Kind::Business || cells.flat_map(entities).any(touches)
    };
    let all: Vec<u64> = match object.kind {
        Kind::Business => state.children(object.id, Kind::Study).rev().collect(),
        _ => state.all(Kind::Study).rev().collect(),
    };
    let ids: Vec<u64> = all.into_iter().filter(holds).collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

fn texts(call: &Call) -> Result<Map<String, Value>, Refusal> {
    let mut fields = Map::new();
    for name in ["description", "client_business"] {
        if let Some(text) = call.params.text(name) {
            fields.insert(name.to_owned(), json!(text));
        }
    }
    for name in ["viewers", "creative_test_config", "confidence_level"] {
        if let Some(value) = call.params.json(name)? {
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(fields)
}

fn times(call: &Call) -> Result<Map<String, Value>, Refusal> {
    let mut times = Map::new();
    for name in TIMES {
        if let Some(second) = call.params.integer(name)? {
            times.insert((*name).to_owned(), json!(second));
        }
    }
    Ok(times)
}

/// Fails where the times do not follow each other. `started` says of an old study whether it has begun.
fn span(times: &Map<String, Value>, now: Timestamp, started: Option<bool>) -> Result<(), Refusal> {
    let second = |name: &str| times.get(name).and_then(Value::as_i64);
    let (Some(start), Some(end)) = (second("start_time"), second("end_time")) else {
        return Err(Refusal::required(if second("start_time").is_none() { "start_time" } else { "end_time" }));
    };
    if started != Some(true) && start < now.as_second() {
        return Err(Refusal::invalid("The start_time of a study must be in the future").blame(&["start_time"]));
    }
    if end <= start || end <= now.as_second() {
        return Err(
            Refusal::invalid("The end_time of a study must be after its start and in the future").blame(&["end_time"])
        );
    }
    if second("cooldown_start_time").is_some_and(|cooldown| cooldown > start) {
        return Err(
            Refusal::invalid("The cooldown_start_time must be before the start").blame(&["cooldown_start_time"])
        );
    }
    if second("observation_end_time").is_some_and(|observed| observed < end) {
        return Err(Refusal::invalid("The observation_end_time must be after the end").blame(&["observation_end_time"]));
    }
    Ok(())
}

fn cells(state: &State, call: &Call, kind: &str) -> Result<Vec<Cell>, Refusal> {
    let refused = |text: &str| Refusal::invalid(text).blame(&["cells"]);
    let list = call.params.list("cells")?.ok_or_else(|| Refusal::required("cells"))?;
    let cells = list.iter().map(|item| cell(state, item)).collect::<Result<Vec<_>, _>>()?;
    let is_split = kind.starts_with("SPLIT_TEST");
    if cells.is_empty() || is_split && cells.len() < 2 {
        return Err(refused("A split test needs at least two cells"));
    }
    if cells.len() > CELLS_MAX || cells.iter().any(|cell| cell.entities.len() > ENTITIES_MAX) {
        return Err(refused("A study has at most 150 cells of 100 objects each"));
    }
    if cells.iter().any(|cell| cell.percentage <= 0) || cells.iter().map(|cell| cell.percentage).sum::<i64>() > 100 {
        return Err(refused("The treatment_percentage of all cells must be positive and sum up to at most 100"));
    }
    if is_split && cells.iter().any(|cell| cell.entities.is_empty()) {
        return Err(refused("Each cell of a split test needs adaccounts, campaigns, adsets or ads"));
    }
    let mut kinds = cells.iter().filter_map(|cell| cell.kind);
    let first = kinds.next();
    if kinds.any(|kind| Some(kind) != first) {
        return Err(refused("All cells of a study must hold objects of one kind"));
    }
    let mut all: Vec<u64> = cells.iter().flat_map(|cell| cell.entities.iter().copied()).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    if all.len() < count {
        return Err(refused("An object can be in one cell only"));
    }
    Ok(cells)
}

fn cell(state: &State, item: &Value) -> Result<Cell, Refusal> {
    let parsed = item.as_str().and_then(crate::loose::parse);
    let item = parsed.as_ref().unwrap_or(item);
    let refused = |text: String| Refusal::invalid(text).blame(&["cells"]);
    let name = item.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| refused("Each cell needs a name".to_owned()))?.to_owned();
    let percentage = item.get("treatment_percentage").and_then(crate::params::as_integer).unwrap_or_default();
    let mut cell = Cell { name, percentage, kind: None, entities: Vec::new() };
    for (word, kind) in ENTITIES {
        let Some(list) = item.get(*word).and_then(crate::params::as_list).filter(|list| !list.is_empty()) else {
            continue;
        };
        if cell.kind.is_some() {
            return Err(refused("A cell must hold objects of one kind".to_owned()));
        }
        cell.kind = Some(word);
        for id in list {
            let text = as_text(&id);
            let found = text.trim_start_matches("act_").parse().ok().filter(|&id| state.of_kind(id, *kind).is_some());
            let found = found.ok_or_else(|| refused(format!("The object {text} of a cell does not exist")))?;
            cell.entities.push(found);
        }
    }
    Ok(cell)
}

fn objectives(call: &Call) -> Result<Vec<Map<String, Value>>, Refusal> {
    let mut all = Vec::new();
    for item in call.params.list("objectives")?.unwrap_or_default() {
        let item = item.as_str().and_then(crate::loose::parse).unwrap_or(item);
        let Value::Object(map) = item else {
            return Err(Refusal::invalid("Param objectives must be an array of objects").blame(&["objectives"]));
        };
        one_of("objectives[type]", map.get("type").and_then(Value::as_str).unwrap_or_default(), OBJECTIVES)?;
        all.push(map);
    }
    Ok(all)
}

/// Fails where an object is in another study that is not over.
fn free(state: &State, cells: &[Cell], now: Timestamp) -> Result<(), Refusal> {
    let others = state.all(Kind::Study).filter_map(|id| state.object(id)).filter(|study| runs(study, now));
    let taken = others.flat_map(|study| state.children(study.id, Kind::Cell)).filter_map(|id| state.object(id));
    let taken: std::collections::BTreeSet<u64> = taken.flat_map(entities).collect();
    match cells.iter().flat_map(|cell| &cell.entities).find(|id| taken.contains(id)) {
        Some(id) => {
            Err(Refusal::invalid(format!("The object {id} is in another study that is not over")).blame(&["cells"]))
        }
        None => Ok(()),
    }
}

fn runs(study: &Object, now: Timestamp) -> bool {
    !study.status.is_gone() && second(study, "end_time") > now.as_second()
}

fn entities(cell: &Object) -> Vec<u64> {
    let list = cell.fields.get("_entities").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_u64).collect()
}

fn second(study: &Object, name: &str) -> i64 {
    study.fields.get(name).and_then(Value::as_i64).unwrap_or_default()
}

fn one_of(name: &str, word: &str, words: &[&str]) -> Result<(), Refusal> {
    if words.contains(&word) {
        return Ok(());
    }
    let blamed = name.split('[').next().unwrap_or(name);
    Err(Refusal::invalid(format!("Param {name} must be one of {{{}}}", words.join(", "))).blame(&[blamed]))
}

/// What studies and their cells hold.
pub(crate) fn edge(object: &Object, name: &str) -> Option<Ids> {
    match (object.kind, name) {
        (Kind::Study, "cells") => Some(Ids::Below { parent: object.id, kind: Kind::Cell }),
        (Kind::Study, "objectives") => Some(Ids::Below { parent: object.id, kind: Kind::Objective }),
        (Kind::Cell, name) if ENTITIES.iter().any(|(word, _)| *word == name) => {
            let own = object.text("_kind") == name;
            Some(Ids::Listed(if own { entities(object) } else { Vec::new() }))
        }
        _ => None,
    }
}

pub(crate) fn show(view: &View<'_>, study: &Object, name: &str) -> Option<Shown> {
    Some(match name {
        "business" => Shown::node(study.owner),
        "created_by" | "updated_by" => Shown::node(study.text("_person").parse().ok()),
        "created_time" => Shown::text(iso(view.state, 0, study.created)),
        "updated_time" => Shown::text(iso(view.state, 0, study.updated)),
        name if TIMES.contains(&name) => match study.fields.get(name).and_then(Value::as_i64) {
            Some(second) => Shown::text(iso(view.state, 0, Timestamp::from_second(second).unwrap_or_default())),
            None => Shown::Absent,
        },
        _ => return None,
    })
}

pub(crate) fn show_cell(cell: &Object, name: &str) -> Option<Shown> {
    match name {
        "ad_entities_count" => Some(Shown::Value(json!(entities(cell).len()))),
        _ => None,
    }
}
