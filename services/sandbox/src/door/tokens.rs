//! `/__sandbox/tokens` and `/__sandbox/webhooks`: what befalls people and subscribers.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::incoming::Incoming;
use super::sandbox::Sandbox;
use super::{json_response, plain};
use crate::oauth::{self, Death};
use crate::webhooks::Notice;

/// Tokens die: `{"event": "password_changed", "person": "5000000000000001"}`.
pub(super) async fn kill(sandbox: &Arc<Sandbox>, incoming: &Incoming) -> Response<Body> {
    let death: Death = match serde_json::from_slice(&incoming.body) {
        Ok(death) => death,
        Err(error) => return plain(StatusCode::BAD_REQUEST, error.to_string()),
    };
    if death.token.is_none() && death.person.is_none() {
        return plain(StatusCode::BAD_REQUEST, "say whose tokens: give token or person".to_owned());
    }
    let now = sandbox.now();
    match sandbox.change(|inner| oauth::happen(&mut inner.state, &death, now)).await {
        Ok(count) => json_response(StatusCode::OK, &json!({ "tokens": count })),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the journal could not be written".to_owned()),
    }
}

/// What `POST /__sandbox/webhooks` tells: anything, also what this sandbox never comes to by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    /// `ad_account` or `page`.
    object: String,
    /// The account, with or without `act_`, or the page.
    id: String,
    field: String,
    value: Value,
}

pub(super) fn tell(sandbox: &Arc<Sandbox>, incoming: &Incoming) -> Response<Body> {
    let told: Told = match serde_json::from_slice(&incoming.body) {
        Ok(told) => told,
        Err(error) => return plain(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let Ok(id) = told.id.trim_start_matches("act_").parse() else {
        return plain(StatusCode::BAD_REQUEST, format!("{} is no id", told.id));
    };
    sandbox.notify(&[Notice::Changed { object: told.object, id, field: told.field, value: told.value }]);
    json_response(StatusCode::OK, &json!({ "success": true }))
}
