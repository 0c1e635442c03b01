//! `/__sandbox/faults`: rules are added, looked at and taken away.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::incoming::Incoming;
use super::sandbox::Sandbox;
use super::{json_response, plain};
use crate::faults;

pub(super) fn show(sandbox: &Sandbox) -> Response<Body> {
    json_response(StatusCode::OK, &sandbox.lock().faults.shown())
}

/// One rule is added to those in force; a list takes their place.
pub(super) fn add(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    let value: Value = match serde_json::from_slice(&incoming.body) {
        Ok(value) => value,
        Err(error) => return plain(StatusCode::BAD_REQUEST, format!("this is no JSON: {error}")),
    };
    let is_list = value.is_array();
    let rules = match faults::read_rules(value) {
        Ok(rules) => rules,
        Err(fault) => return plain(StatusCode::BAD_REQUEST, fault),
    };
    let mut inner = sandbox.lock();
    if is_list {
        inner.faults.clear();
    }
    let ids: Vec<u64> = rules.into_iter().map(|rule| inner.faults.add(rule)).collect();
    let answer = match ids.as_slice() {
        [id] if !is_list => json!({ "success": true, "id": id }),
        ids => json!({ "success": true, "ids": ids }),
    };
    json_response(StatusCode::OK, &answer)
}

/// `?id=` takes one rule away, nothing takes them all.
pub(super) fn remove(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    let Ok(id) = incoming.params.integer("id") else {
        return plain(StatusCode::BAD_REQUEST, "an id of a rule is a number".to_owned());
    };
    let mut inner = sandbox.lock();
    match id {
        None => inner.faults.clear(),
        Some(id) => {
            if !u64::try_from(id).is_ok_and(|id| inner.faults.remove(id)) {
                return plain(
                    StatusCode::NOT_FOUND,
                    format!("there is no rule {id}; GET /__sandbox/faults shows them"),
                );
            }
        }
    }
    json_response(StatusCode::OK, &json!({ "success": true }))
}
