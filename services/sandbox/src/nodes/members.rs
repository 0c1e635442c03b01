//! `/{audience}/users` and `/usersreplace`: people by their hashes, in sessions of batches.

mod keys;
mod place;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::audiences::{progress, sharing, terms};
use crate::error::Refusal;
use crate::params::{as_boolean, as_integer, as_list, as_text};
use crate::route::{Call, Verb};
use crate::state::{Batch, Change, Kind, Members, Object, State};

/// The most rows of one call.
const ROWS_MAX: usize = 10_000;
/// How many invalid rows an answer shows.
const SAMPLES_MAX: usize = 5;
/// Larger audiences cannot be replaced.
const REPLACED_MAX: u64 = 100_000_000;

/// What a call does with its people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Add,
    Remove,
    Replace,
}

/// Adds people (POST) or removes them (DELETE). Rows that are no hashes are counted, and are no error.
pub(crate) fn change(state: &mut State, call: &Call, audience: &Object) -> Result<Value, Refusal> {
    let work = if call.verb == Verb::Delete { Work::Remove } else { Work::Add };
    take(state, call, audience, work)
}

/// `POST /{audience}/usersreplace`: the people of one session take the place of all that were there.
///
/// Which subcode of 2650 says what is not published, so there is none, and the text says it.
pub(crate) fn replace(state: &mut State, call: &Call, audience: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let session = call.params.json("session")?.and_then(|session| session.get("session_id").map(as_text));
    let Some(session) = session else { return Err(not_replaced("A replacement needs a session.")) };
    if audience.text("subtype") != "CUSTOM" {
        return Err(not_replaced("Only customer-file audiences can be replaced."));
    }
    if audience.fields.get("is_value_based") == Some(&Value::Bool(true)) {
        return Err(not_replaced("A value-based audience cannot be replaced."));
    }
    if state.member_count(audience.id) >= REPLACED_MAX {
        return Err(not_replaced("Audiences of 100 million people and more cannot be replaced."));
    }
    let running = state
        .sessions(audience.id)
        .into_iter()
        .flatten()
        .find(|(id, other)| other.replace && other.ended.is_none() && !other.is_over(call.now) && **id != session);
    if let Some((id, _)) = running {
        return Err(not_replaced(&format!("Session {id} is replacing the audience. Wait until it ends.")));
    }
    take(state, call, audience, Work::Replace)
}

/// `DELETE /act_X/usersofanyaudience`: takes people out of all customer-file audiences of the account.
pub(crate) fn remove_everywhere(state: &mut State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let payload = payload(call, true)?;
    let sorted = sorted(&payload)?;
    let audiences: Vec<u64> = state
        .children(account.id, Kind::Audience)
        .filter_map(|id| state.object(id))
        .filter(|audience| !audience.status.is_gone() && audience.text("subtype") == "CUSTOM")
        .filter(|audience| {
            state.members(audience.id).is_some_and(|in_it| sorted.people.iter().any(|it| in_it.contains(it)))
        })
        .map(|audience| audience.id)
        .collect();
    for audience in audiences {
        let people = sorted.people.clone();
        let members = Members {
            audience,
            at: call.now,
            remove: true,
            replace: false,
            people,
            received: 0,
            invalid: 0,
            batch: None,
        };
        state.commit(Change::Members(members));
    }
    let mut body = sorted.answer(&payload, "0");
    body.insert("account_id".to_owned(), json!(account.id.to_string()));
    Ok(Value::Object(body))
}

fn take(state: &mut State, call: &Call, audience: &Object, work: Work) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    sharing::may_write(call, audience)?;
    if audience.text("subtype") != "CUSTOM" {
        let refusal = Refusal::new(2_654, "(#2654) No write permission for this audience").subcode(1_713_092);
        return Err(refusal.shown("Audience not writable", "Only customer-file audiences take people."));
    }
    terms::check(state, audience.account, "CUSTOM")?;
    if progress::is_flagged(state, audience) && work != Work::Remove {
        let advice = "The audience may hold information that is not allowed. Delete it and make another.";
        return Err(Refusal::rule(1_713_230, "Audience Upload Blocked", advice, &["payload"]));
    }
    let is_value_based = audience.fields.get("is_value_based") == Some(&Value::Bool(true));
    let payload = payload(call, is_value_based)?;
    let batch = batch(call, &payload.schema)?;
    if let Some(batch) = &batch {
        let session = state.sessions(audience.id).and_then(|sessions| sessions.get(&batch.session));
        place::check(session, batch, work == Work::Replace, call.now).map_err(|text| match work {
            Work::Replace => not_replaced(&text),
            _ => Refusal::invalid(&text).blame(&["session", "batch_seq"]),
        })?;
    }
    let sorted = sorted(&payload)?;
    let session = batch.as_ref().map_or_else(|| "0".to_owned(), |batch| batch.session.clone());
    let mut body = sorted.answer(&payload, &session);
    body.insert("audience_id".to_owned(), json!(audience.id.to_string()));
    let members = Members {
        audience: audience.id,
        at: call.now,
        remove: work == Work::Remove,
        replace: work == Work::Replace,
        received: sorted.received,
        invalid: sorted.invalid,
        people: sorted.people,
        batch,
    };
    state.commit(Change::Members(members));
    Ok(Value::Object(body))
}

fn not_replaced(text: &str) -> Refusal {
    Refusal::new(2_650, format!("(#2650) Failed to replace the audience. {text}")).shown("Audience not replaced", text)
}

/// `GET /{audience}/sessions`.
pub(crate) fn sessions(state: &State, call: &Call, audience: &Object) -> Value {
    let wanted = call.params.text("session_id");
    let rows: Vec<Value> = state
        .sessions(audience.id)
        .unwrap_or(&BTreeMap::new())
        .iter()
        .filter(|(id, _)| wanted.as_ref().is_none_or(|wanted| wanted == *id))
        .map(|(id, session)| {
            let (progress, stage) = match session.ended {
                Some(_) => ("100", "complete"),
                None if session.is_over(call.now) => ("50", "expired"),
                None => ("50", "uploading"),
            };
            let valid = session.received.saturating_sub(session.invalid);
            let matched = valid.saturating_mul(state.settings.match_percent.min(100)) / 100;
            json!({
                "session_id": id,
                "num_received": session.received.to_string(),
                "num_invalid_entries": session.invalid.to_string(),
                "num_matched": matched.to_string(),
                "start_time": session.started.as_second().to_string(),
                "end_time": session.ended.map(|at| at.as_second().to_string()),
                "progress": progress,
                "stage": stage,
            })
        })
        .collect();
    json!({ "data": rows })
}

struct Payload {
    schema: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn payload(call: &Call, is_value_based: bool) -> Result<Payload, Refusal> {
    let Some(payload) = call.params.json("payload")? else { return Err(Refusal::required("payload")) };
    let schema: Vec<String> = match payload.get("schema") {
        Some(Value::String(text)) if !text.starts_with('[') => vec![text.clone()],
        Some(value) => as_list(value).unwrap_or_default().iter().map(as_text).collect(),
        None => Vec::new(),
    };
    if schema.is_empty() {
        return Err(Refusal::required("payload[schema]"));
    }
    keys::check(&schema, &payload, is_value_based)?;
    let Some(data) = payload.get("data").and_then(as_list) else { return Err(Refusal::required("payload[data]")) };
    if data.len() > ROWS_MAX {
        let message = format!("The number of users in one request must not exceed {ROWS_MAX}");
        return Err(Refusal::invalid(message).blame(&["payload", "data"]));
    }
    let rows = data.iter().map(|row| match row {
        Value::Array(values) => {
            values.iter().map(|value| if value.is_null() { String::new() } else { as_text(value) }).collect()
        }
        single => vec![as_text(single)],
    });
    Ok(Payload { schema, rows: rows.collect() })
}

/// The rows of a call: people by their digests, and what was wrong with the others.
struct Sorted {
    people: Vec<String>,
    received: u64,
    invalid: u64,
    samples: Map<String, Value>,
}

/// Fails where a row does not fit the schema.
fn sorted(payload: &Payload) -> Result<Sorted, Refusal> {
    let received = u64::try_from(payload.rows.len()).unwrap_or_default();
    let mut sorted = Sorted { people: Vec::new(), received, invalid: 0, samples: Map::new() };
    for row in &payload.rows {
        if payload.schema.len() != row.len() {
            let message = format!("Each row must have {} values, as many as the schema", payload.schema.len());
            return Err(Refusal::invalid(message).blame(&["payload", "data"]));
        }
        match keys::person(&payload.schema, row) {
            Ok(person) => sorted.people.push(person),
            Err(reason) => {
                sorted.invalid += 1;
                if sorted.samples.len() < SAMPLES_MAX {
                    sorted.samples.insert(row.join(","), json!(reason));
                }
            }
        }
    }
    Ok(sorted)
}

impl Sorted {
    fn answer(&self, payload: &Payload, session: &str) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("session_id".to_owned(), json!(session));
        body.insert("num_received".to_owned(), json!(payload.rows.len()));
        body.insert("num_invalid_entries".to_owned(), json!(self.invalid));
        body.insert("invalid_entry_samples".to_owned(), Value::Object(self.samples.clone()));
        body
    }
}

fn batch(call: &Call, schema: &[String]) -> Result<Option<Batch>, Refusal> {
    let Some(session) = call.params.json("session")? else { return Ok(None) };
    let refused = |name: &str| Refusal::invalid(format!("Param session[{name}] is invalid")).blame(&["session", name]);
    let id = session.get("session_id").map(as_text).filter(|id| id.parse::<i64>().is_ok_and(|id| id > 0));
    let seq = session.get("batch_seq").and_then(as_integer).and_then(|seq| u64::try_from(seq).ok());
    Ok(Some(Batch {
        session: id.ok_or_else(|| refused("session_id"))?,
        seq: seq.filter(|&seq| seq > 0).ok_or_else(|| refused("batch_seq"))?,
        last: session.get("last_batch_flag").and_then(as_boolean).unwrap_or(false),
        schema: schema.to_vec(),
    }))
}
