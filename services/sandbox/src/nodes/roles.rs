//! The people of an ad account and what they may do: `assigned_users` and `users`.

use serde_json::{Map, Value, json};

use super::{changes, write};
use crate::error::Refusal;
use crate::paging;
use crate::render::View;
use crate::route::{Call, Verb};
use crate::state::{Change, Holder, Kind, Object, State};

/// What may be given to a person (Meta, 'Ad account assigned users').
const TASKS: &[&str] = &["AA_ANALYZE", "ADVERTISE", "ANALYZE", "DRAFT", "MANAGE"];
/// What everybody of the account's own business has until it is said otherwise.
const ALL: &[&str] = &["DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"];
const FIELDS: &str = "business id name tasks user_type";
/// The member of an account that holds its people.
const KEPT: &str = "_assigned";

/// Fails with 200 where the caller's person has no task on the account that what is called belongs to: any for reading,
/// `ADVERTISE` for writing, `MANAGE` for the account itself and its people. Apps and datasets have no tasks; the scopes of
/// their tokens say what they may.
pub(crate) fn check(state: &State, call: &Call, object: &Object, edge: &str) -> Result<(), Refusal> {
    let grant = &call.caller.grant;
    if object.kind == Kind::Dataset || matches!(grant.holder, Holder::App | Holder::Dataset) {
        return Ok(());
    }
    let Some(account) = state.of_kind(object.account, Kind::AdAccount) else { return Ok(()) };
    let wanted: &[&str] = match (call.verb, object.kind, edge) {
        (Verb::Get, ..) | (_, _, "insights") => TASKS,
        (_, Kind::AdAccount, "" | "assigned_users") => &["MANAGE"],
        _ => &["ADVERTISE", "MANAGE"],
    };
    if has_one(state, account, grant.person, wanted) {
        return Ok(());
    }
    let text = format!("(#200) The user has no task of {{{}}} on ad account {}", wanted.join(", "), account.id);
    Err(Refusal::new(200, text).http(403))
}

/// Whether a person has any task on the account.
pub(crate) fn reaches(state: &State, account: &Object, person: u64) -> bool {
    has_one(state, account, person, TASKS)
}

fn has_one(state: &State, account: &Object, person: u64, wanted: &[&str]) -> bool {
    match (account.fields.get(KEPT), account.owner) {
        (Some(Value::Object(kept)), _) => {
            let tasks = kept.get(&person.to_string()).and_then(Value::as_array);
            tasks.into_iter().flatten().filter_map(Value::as_str).any(|task| wanted.contains(&task))
        }
        (_, Some(business)) => state.object(person).is_some_and(|person| person.owner == Some(business)),
        (_, None) => true,
    }
}

/// `GET /act_X/assigned_users?business=..`: the people of that business who have the account.
pub(crate) fn assigned(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    let business = write::required_id(&call.params, "business")?;
    if state.of_kind(business, Kind::Business).is_none() {
        return Err(Refusal::invalid("Param business must be a valid business ID").blame(&["business"]));
    }
    let of_business = |id: u64| state.object(id).is_some_and(|person| person.owner == Some(business));
    let people: Map<String, Value> =
        people(state, account).into_iter().filter(|(id, _)| id.parse().is_ok_and(of_business)).collect();
    list(state, call, &people)
}

/// `GET /act_X/users`: everybody who has the account.
pub(crate) fn users(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    list(state, call, &people(state, account))
}

/// `POST /act_X/assigned_users`: gives a person tasks in place of those that they had.
pub(crate) fn assign(state: &mut State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    let person = person(state, call)?;
    let tasks = call.params.words("tasks")?.ok_or_else(|| Refusal::required("tasks"))?;
    if let Some(task) = tasks.iter().find(|task| !TASKS.contains(&task.as_str())) {
        let text = format!("Param tasks must be one of {{{}}}, not {task}", TASKS.join(", "));
        return Err(Refusal::invalid(text).blame(&["tasks"]));
    }
    if tasks.is_empty() {
        let advice = "A person needs at least one task.";
        return Err(Refusal::rule(1_752_129, "Task missing", advice, &["tasks"]));
    }
    let mut all = people(state, account);
    all.insert(person.id.to_string(), json!(tasks));
    keep(state, call, account, all, &person, true);
    Ok(write::validated())
}

/// `DELETE /act_X/assigned_users?user=..`.
pub(crate) fn remove(state: &mut State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    let person = person(state, call)?;
    let mut all = people(state, account);
    if all.remove(&person.id.to_string()).is_none() {
        return Err(Refusal::invalid("The user has no role on this ad account").blame(&["user"]));
    }
    keep(state, call, account, all, &person, false);
    Ok(write::validated())
}

fn person(state: &State, call: &Call) -> Result<Object, Refusal> {
    call.caller.may_write()?;
    let id = write::required_id(&call.params, "user")?;
    let missing = || Refusal::invalid("Param user must be the ID of a business user or system user").blame(&["user"]);
    state.of_kind(id, Kind::Person).cloned().ok_or_else(missing)
}

fn keep(state: &mut State, call: &Call, account: &Object, all: Map<String, Value>, person: &Object, added: bool) {
    let mut account = account.clone();
    account.fields.insert(KEPT.to_owned(), Value::Object(all));
    let told = changes::role(&account, added, person.name(), state, call.now);
    write::keep(state, account);
    state.commit(Change::Activity(Box::new(told)));
}

/// Tasks by the id of their person.
fn people(state: &State, account: &Object) -> Map<String, Value> {
    if let Some(Value::Object(kept)) = account.fields.get(KEPT) {
        return kept.clone();
    }
    let own = account.owner.into_iter().flat_map(|business| state.children(business, Kind::Person));
    own.map(|id| (id.to_string(), json!(ALL))).collect()
}

fn list(state: &State, call: &Call, people: &Map<String, Value>) -> Result<Value, Refusal> {
    let fields = crate::fields::of(&call.params)?.unwrap_or_default();
    let names: Vec<String> = fields.into_iter().map(|field| field.name).collect();
    if let Some(name) = names.iter().find(|name| !FIELDS.split_whitespace().any(|known| known == name.as_str())) {
        return Err(Refusal::unknown_field(name, "AssignedUser"));
    }
    let ids: Vec<u64> = people.keys().filter_map(|id| id.parse().ok()).collect();
    let page = paging::cut(&ids, &call.params)?;
    let rows =
        page.keys.iter().filter_map(|&id| Some(row(state, state.object(id)?, people.get(&id.to_string())?, &names)));
    let rows = rows.collect();
    Ok(paging::answer(&page, rows, &call.params, &View::of(state, call).link(&call.path.join("/"))))
}

fn row(state: &State, person: &Object, tasks: &Value, names: &[String]) -> Value {
    let mut row = Map::from_iter([("id".to_owned(), json!(person.id.to_string()))]);
    let usual = ["name".to_owned(), "tasks".to_owned()];
    for name in if names.is_empty() { &usual } else { names } {
        let value = match name.as_str() {
            "name" => json!(person.name()),
            "tasks" => tasks.clone(),
            "user_type" => json!(if person.text("role").is_empty() { "Business User" } else { "System User" }),
            "business" => match person.owner.and_then(|business| state.object(business)) {
                Some(business) => json!({ "id": business.id.to_string(), "name": business.name() }),
                None => continue,
            },
            _ => continue,
        };
        row.insert(name.clone(), value);
    }
    Value::Object(row)
}
