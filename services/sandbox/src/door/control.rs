//! `/__sandbox/...`: what tests see and turn. None of it is Meta's.

use std::sync::Arc;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::hand;
use super::incoming::Incoming;
use super::sandbox::{Inner, Sandbox};
use super::{json_response, plain, rules, tokens};
use crate::oauth;
use crate::requests::counts;
use crate::route::Verb;
use crate::state::{Kind, Object, State, effective};
use crate::usage::Script;

/// The window of Meta's hourly limits.
const WINDOW_SECONDS: i64 = 3_600;

/// Answers one call of the sandbox's own.
pub(super) async fn answer(sandbox: &Arc<Sandbox>, name: &str, incoming: &Incoming) -> Response<Body> {
    match (incoming.verb, name) {
        (Verb::Get, "requests") => {
            let skip = incoming.params.integer("skip").ok().flatten().and_then(|skip| usize::try_from(skip).ok());
            lines(sandbox.lock().requests.text(skip.unwrap_or_default()))
        }
        (Verb::Delete, "requests") => {
            sandbox.lock().requests.clear();
            done()
        }
        (Verb::Get, "counts") => counted(sandbox, incoming),
        (Verb::Get, "world") => {
            let account = incoming.params.text("account");
            let account = account.and_then(|account| account.trim_start_matches("act_").parse().ok());
            json_response(StatusCode::OK, &world(&sandbox.lock().state, account, sandbox.now()))
        }
        (Verb::Get, "events") => {
            let dataset = incoming.params.integer("dataset").ok().flatten().and_then(|id| u64::try_from(id).ok());
            lines(events(&sandbox.lock().state, dataset))
        }
        (Verb::Get, "clock") => clock(sandbox),
        (Verb::Post, "clock") => turn(sandbox, incoming),
        (Verb::Post, "reset") => reset(sandbox).await,
        (Verb::Get, "faults") => rules::show(sandbox),
        (Verb::Post, "faults") => rules::add(sandbox, incoming),
        (Verb::Delete, "faults") => rules::remove(sandbox, incoming),
        (Verb::Get, "settings") => json_response(StatusCode::OK, &json!(sandbox.lock().state.settings)),
        (Verb::Post, "settings") => settings(sandbox, incoming),
        (Verb::Post, "reviews") => hand::review(sandbox, incoming).await,
        (Verb::Post, "objects") => hand::change(sandbox, incoming).await,
        (Verb::Post, "events") => hand::event(sandbox, incoming).await,
        (Verb::Post, "leads") => hand::lead(sandbox, incoming).await,
        (Verb::Get, "tokens") => json_response(StatusCode::OK, &json!(oauth::known(&sandbox.lock().state))),
        (Verb::Post, "tokens") => tokens::kill(sandbox, incoming).await,
        (Verb::Get, "webhooks") => lines(sandbox.webhooks.text()),
        (Verb::Post, "webhooks") => tokens::tell(sandbox, incoming),
        (Verb::Delete, "webhooks") => {
            sandbox.webhooks.clear();
            done()
        }
        (Verb::Get, "usage") => {
            let now = sandbox.now();
            let Inner { state, usage, .. } = &mut *sandbox.lock();
            json_response(StatusCode::OK, &usage.report(state, now))
        }
        (Verb::Post, "usage") => usage(sandbox, incoming),
        (Verb::Delete, "usage") => {
            sandbox.lock().usage.clear();
            done()
        }
        _ => plain(StatusCode::NOT_FOUND, "no such thing in this sandbox".to_owned()),
    }
}

/// How many calls arrived; `window_seconds` is an hour where it is not given.
fn counted(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    let window = match incoming.params.integer("window_seconds") {
        Ok(window) => window.unwrap_or(WINDOW_SECONDS),
        Err(_) => return plain(StatusCode::BAD_REQUEST, "window_seconds is a number".to_owned()),
    };
    let now = sandbox.now();
    json_response(StatusCode::OK, &counts(&sandbox.lock().requests, window, now))
}

/// Turns the clock: to a moment, by some seconds, frozen or not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    now: Option<Timestamp>,
    advance_seconds: Option<i64>,
    frozen: Option<bool>,
}

fn turn(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    let turn: Turn = match parsed(incoming) {
        Ok(turn) => turn,
        Err(fault) => return plain(StatusCode::BAD_REQUEST, fault),
    };
    let base = turn.now.unwrap_or_else(|| sandbox.now());
    let ahead = SignedDuration::from_secs(turn.advance_seconds.unwrap_or_default());
    let frozen = turn.frozen.unwrap_or_else(|| sandbox.clock.frozen());
    match base.checked_add(ahead) {
        Ok(now) => {
            sandbox.turn(now, frozen);
            clock(sandbox)
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

fn clock(sandbox: &Sandbox) -> Response<Body> {
    json_response(StatusCode::OK, &json!({ "now": sandbox.now(), "frozen": sandbox.clock.frozen() }))
}

async fn reset(sandbox: &Arc<Sandbox>) -> Response<Body> {
    let sandbox = Arc::clone(sandbox);
    match tokio::task::spawn_blocking(move || sandbox.reset()).await {
        Ok(Ok(())) => done(),
        _ => plain(StatusCode::INTERNAL_SERVER_ERROR, "the journal could not be begun anew".to_owned()),
    }
}

/// Changes the settings that are given; the others stay.
fn settings(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    let given: serde_json::Map<String, Value> = match parsed(incoming) {
        Ok(given) => given,
        Err(fault) => return plain(StatusCode::BAD_REQUEST, fault),
    };
    let given = Value::Object(given);
    if let Some(name) = negative("settings", &given) {
        return plain(StatusCode::BAD_REQUEST, format!("{name} must not be below zero"));
    }
    let mut inner = sandbox.lock();
    let mut all = json!(inner.state.settings);
    merge(&mut all, given);
    match serde_json::from_value(all) {
        Ok(settings) => {
            inner.state.settings = settings;
            json_response(StatusCode::OK, &json!(inner.state.settings))
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// The first number below zero: times and counts are not.
fn negative(name: &str, given: &Value) -> Option<String> {
    match given {
        Value::Number(number) => number.as_f64().filter(|number| *number < 0.0).map(|_| name.to_owned()),
        Value::Object(members) => members.iter().find_map(|(name, value)| negative(name, value)),
        _ => None,
    }
}

/// Takes in what is given, member by member: `{"limits":{"tier":"development"}}` leaves the other limits alone.
fn merge(into: &mut Value, given: Value) {
    match (into, given) {
        (Value::Object(into), Value::Object(given)) => {
            for (name, value) in given {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, given) => *into = given,
    }
}

/// One thing is made of the limits, or each of a list.
fn usage(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    let value: Value = match parsed(incoming) {
        Ok(value) => value,
        Err(fault) => return plain(StatusCode::BAD_REQUEST, fault),
    };
    let scripts = if value.is_array() { value } else { json!([value]) };
    let scripts: Vec<Script> = match serde_json::from_value(scripts) {
        Ok(scripts) => scripts,
        Err(error) => return plain(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let now = sandbox.now();
    let Inner { state, usage, requests, .. } = &mut *sandbox.lock();
    for script in &scripts {
        if let Err(fault) = usage.play(state, script, now) {
            return plain(StatusCode::BAD_REQUEST, fault);
        }
        if let Some((bucket, calls)) = script.others() {
            requests.push_others(bucket, calls, now);
        }
    }
    done()
}

/// Every object by kind, or those of one ad account: a large world takes long to write down.
fn world(state: &State, account: Option<u64>, now: Timestamp) -> Value {
    let kinds = [
        ("campaigns", Kind::Campaign),
        ("adsets", Kind::AdSet),
        ("ads", Kind::Ad),
        ("adcreatives", Kind::Creative),
        ("adimages", Kind::Image),
        ("advideos", Kind::Video),
        ("adlabels", Kind::Label),
        ("adaccounts", Kind::AdAccount),
    ];
    let mut world = serde_json::Map::new();
    for (name, kind) in kinds {
        let rows = of_kind(state, kind, account).map(|object| {
            json!({
                "id": object.id.to_string(),
                "account_id": object.account.to_string(),
                "name": object.name(),
                "status": object.status.word(),
                "effective_status": effective(state, object, now),
                "created_time": object.created,
                "labels": object.labels.iter().map(u64::to_string).collect::<Vec<_>>(),
            })
        });
        world.insert(name.to_owned(), rows.collect());
    }
    world.insert("customaudiences".to_owned(), audiences(state, account));
    world.insert("datasets".to_owned(), datasets(state, account));
    Value::Object(world)
}

fn of_kind(state: &State, kind: Kind, account: Option<u64>) -> impl Iterator<Item = &Object> {
    let of_account = move |object: &&Object| account.is_none_or(|account| account == object.account);
    state.all(kind).filter_map(|id| state.object(id)).filter(of_account)
}

fn audiences(state: &State, account: Option<u64>) -> Value {
    of_kind(state, Kind::Audience, account)
        .map(|audience| {
            let sessions: Vec<Value> = state
                .sessions(audience.id)
                .into_iter()
                .flatten()
                .map(|(id, session)| {
                    json!({
                        "session_id": id,
                        "received": session.received,
                        "invalid": session.invalid,
                        "batches": session.batches,
                        "last_batch": session.last_seq,
                        "complete": session.is_complete(),
                    })
                })
                .collect();
            json!({
                "id": audience.id.to_string(),
                "account_id": audience.account.to_string(),
                "name": audience.name(),
                "status": audience.status.word(),
                "members": state.member_count(audience.id),
                "sessions": sessions,
            })
        })
        .collect()
}

fn datasets(state: &State, account: Option<u64>) -> Value {
    of_kind(state, Kind::Dataset, account).map(|dataset| {
        let events = state.events(dataset.id);
        let effective = events.iter().filter(|event| event.effective).count();
        json!({ "id": dataset.id.to_string(), "name": dataset.name(), "received": events.len(), "effective": effective })
    })
    .collect()
}

fn events(state: &State, dataset: Option<u64>) -> String {
    let datasets = state.objects().filter(|object| object.kind == Kind::Dataset);
    let wanted = datasets.filter(|object| dataset.is_none_or(|id| id == object.id));
    let mut text = String::new();
    for event in wanted.flat_map(|object| state.events(object.id)) {
        if let Ok(line) = serde_json::to_string(event) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

pub(super) fn parsed<T: serde::de::DeserializeOwned>(incoming: &Incoming) -> Result<T, String> {
    serde_json::from_slice(&incoming.body).map_err(|error| error.to_string())
}

pub(super) fn done() -> Response<Body> {
    json_response(StatusCode::OK, &json!({ "success": true }))
}

fn lines(text: String) -> Response<Body> {
    let mut response = plain(StatusCode::OK, text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}
