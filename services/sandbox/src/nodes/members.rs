//! `/{audience}/users`: people by their hashes, in sessions of batches.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::params::{as_boolean, as_integer, as_list, as_text};
use crate::route::{Call, Verb};
use crate::state::{Batch, Change, Members, Object, State, sealed};

/// The most rows of one call.
const ROWS_MAX: usize = 10_000;
/// How many invalid rows an answer shows.
const SAMPLES_MAX: usize = 5;
/// Keys whose values are no hashes.
const PLAIN: &[&str] = &[
    "MADID",
    "MOBILE_ADVERTISER_ID",
    "EXTERN_ID",
    "LOOKALIKE_VALUE",
    "PAGEUID",
    "UID",
    "FBUID",
    "APPUID",
    "IGUID",
    "DATA_PROCESSING_OPTIONS",
    "DATA_PROCESSING_OPTIONS_COUNTRY",
    "DATA_PROCESSING_OPTIONS_STATE",
];
/// Keys that tell a person from all others, strongest first.
const IDENTITY: &[&str] =
    &["EXTERN_ID", "EMAIL", "EMAIL_SHA256", "PHONE", "PHONE_SHA256", "MADID", "MOBILE_ADVERTISER_ID"];

/// Adds people (POST) or removes them (DELETE). Rows that are no hashes are counted, and are no error.
pub(crate) fn change(state: &mut State, call: &Call, audience: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    if audience.text("subtype") != "CUSTOM" {
        let refusal = Refusal::new(2_654, "(#2654) No write permission for this audience").subcode(1_713_092);
        return Err(refusal.shown("Audience not writable", "Only customer-file audiences take people."));
    }
    let payload = payload(call)?;
    let batch = batch(call)?;
    let mut people = Vec::new();
    let mut samples = Map::new();
    let mut invalid = 0_u64;
    for row in &payload.rows {
        match person(&payload.schema, row)? {
            Some(identity) => people.push(identity),
            None => {
                invalid += 1;
                if samples.len() < SAMPLES_MAX {
                    samples.insert(row.join(","), json!("invalid hash"));
                }
            }
        }
    }
    let received = u64::try_from(payload.rows.len()).unwrap_or_default();
    let session = batch.as_ref().map_or_else(|| "0".to_owned(), |batch| batch.session.clone());
    let remove = call.verb == Verb::Delete;
    let members = Members { audience: audience.id, at: call.now, remove, people, received, invalid, batch };
    state.commit(Change::Members(members));
    Ok(json!({
        "audience_id": audience.id.to_string(),
        "session_id": session,
        "num_received": received,
        "num_invalid_entries": invalid,
        "invalid_entry_samples": samples,
    }))
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
            json!({
                "session_id": id,
                "num_received": session.received.to_string(),
                "num_invalid_entries": session.invalid.to_string(),
                "num_matched": session.received.saturating_sub(session.invalid).to_string(),
                "start_time": session.started.as_second().to_string(),
                "end_time": session.ended.map(|at| at.as_second().to_string()),
                "progress": if session.ended.is_some() { "100" } else { "50" },
                "stage": if session.ended.is_some() { "complete" } else { "uploading" },
            })
        })
        .collect();
    json!({ "data": rows })
}

struct Payload {
    schema: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn payload(call: &Call) -> Result<Payload, Refusal> {
    let Some(payload) = call.params.json("payload")? else { return Err(Refusal::required("payload")) };
    let schema = match payload.get("schema") {
        Some(Value::String(text)) if !text.starts_with('[') => vec![text.clone()],
        Some(value) => as_list(value).unwrap_or_default().iter().map(as_text).collect(),
        None => Vec::new(),
    };
    if schema.is_empty() {
        return Err(Refusal::required("payload[schema]"));
    }
    let Some(data) = payload.get("data").and_then(as_list) else { return Err(Refusal::required("payload[data]")) };
    if data.len() > ROWS_MAX {
        let message = format!("The number of users in one request must not exceed {ROWS_MAX}");
        return Err(Refusal::invalid(message).blame(&["payload", "data"]));
    }
    let rows = data.iter().map(|row| match row {
        Value::Array(values) => values.iter().map(as_text).collect(),
        single => vec![as_text(single)],
    });
    Ok(Payload { schema, rows: rows.collect() })
}

/// The digest of a person; `None` for a row that Meta would call invalid. Fails where the row does not fit the schema.
fn person(schema: &[String], row: &[String]) -> Result<Option<String>, Refusal> {
    if schema.len() != row.len() {
        let message = format!("Each row must have {} values, as many as the schema", schema.len());
        return Err(Refusal::invalid(message).blame(&["payload", "data"]));
    }
    let filled = || schema.iter().zip(row).filter(|(_, value)| !value.is_empty());
    let bad = filled().any(|(key, value)| !PLAIN.contains(&key.as_str()) && !is_hash(value));
    if bad || filled().next().is_none() {
        return Ok(None);
    }
    let strongest = IDENTITY.iter().find_map(|wanted| filled().find(|(key, _)| key == wanted));
    let identity = match strongest {
        Some((key, value)) => format!("{}:{value}", key.trim_end_matches("_SHA256")),
        None => {
            let parts = filled().filter(|(key, _)| *key != "LOOKALIKE_VALUE");
            parts.map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",")
        }
    };
    Ok(Some(sealed(&identity).chars().take(32).collect()))
}

fn is_hash(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn batch(call: &Call) -> Result<Option<Batch>, Refusal> {
    let Some(session) = call.params.json("session")? else { return Ok(None) };
    let refused = |name: &str| Refusal::invalid(format!("Param session[{name}] is invalid")).blame(&["session", name]);
    let id = session.get("session_id").map(as_text).filter(|id| id.parse::<u64>().is_ok_and(|id| id > 0));
    let seq = session.get("batch_seq").and_then(as_integer).and_then(|seq| u64::try_from(seq).ok());
    Ok(Some(Batch {
        session: id.ok_or_else(|| refused("session_id"))?,
        seq: seq.filter(|&seq| seq > 0).ok_or_else(|| refused("batch_seq"))?,
        last: session.get("last_batch_flag").and_then(as_boolean).unwrap_or(false),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";

    fn schema(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|&key| key.to_owned()).collect()
    }

    #[test]
    fn a_person_is_the_same_by_mail_whatever_else_is_known() {
        let by_mail = person(&schema(&["EMAIL_SHA256"]), &[HASH.to_owned()]).unwrap();
        let by_more = person(&schema(&["EMAIL", "FN"]), &[HASH.to_owned(), HASH.to_owned()]).unwrap();
        assert!(by_mail.is_some());
        assert_eq!(by_mail, by_more);
    }

    #[test]
    fn what_is_no_hash_is_invalid_and_no_error() {
        assert_eq!(person(&schema(&["EMAIL"]), &["a@b.example".to_owned()]), Ok(None));
        assert_eq!(person(&schema(&["EMAIL", "FN"]), &[String::new(), String::new()]), Ok(None));
        assert!(person(&schema(&["EXTERN_ID"]), &["customer 7".to_owned()]).unwrap().is_some());
    }

    #[test]
    fn a_row_of_another_length_is_an_error() {
        assert_eq!(person(&schema(&["EMAIL", "FN"]), &[HASH.to_owned()]).unwrap_err().code(), 100);
    }
}
