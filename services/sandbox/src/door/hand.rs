//! What a test sets by hand: the verdict of a review, what people do in browsers and forms, and members of an object that
//! no call of Meta's changes.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::{done, parsed};
use super::incoming::Incoming;
use super::sandbox::{Inner, Sandbox};
use super::{json_response, plain, refused};
use crate::error::Refusal;
use crate::nodes::{events, leads, reviews};
use crate::state::{Change, Kind, Object, Verdict, settle_delivery};

/// A verdict on an ad; issues may also be those of an ad set or a campaign.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Review {
    #[serde(alias = "object")]
    ad: String,
    verdict: Verdict,
    /// What Meta says about it to people.
    text: Option<String>,
}

/// `POST /__sandbox/reviews`: ends the review of an ad with a verdict.
pub(super) async fn review(sandbox: &Arc<Sandbox>, incoming: &Incoming) -> Response<Body> {
    let now = sandbox.now();
    on_object(
        sandbox,
        incoming,
        |review: &Review| review.ad.clone(),
        |inner, object, review| {
            reviews::decide(&mut inner.state, object, review.verdict, review.text, now);
        },
    )
    .await
}

/// Members of an object, as they are read back: `account_status`, `disable_reason`. `null` takes one away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    id: String,
    fields: Map<String, Value>,
}

/// `POST /__sandbox/objects`: sets members of an object without any rule being asked.
pub(super) async fn change(sandbox: &Arc<Sandbox>, incoming: &Incoming) -> Response<Body> {
    let now = sandbox.now();
    on_object(
        sandbox,
        incoming,
        |members: &Members| members.id.clone(),
        |inner, mut object, members| {
            for (name, value) in members.fields {
                if value.is_null() {
                    object.fields.remove(&name);
                } else {
                    object.fields.insert(name, value);
                }
            }
            let id = object.id;
            inner.state.commit(Change::Put(Box::new(object)));
            let below: Vec<u64> = inner.state.children(id, Kind::Ad).collect();
            for id in below.into_iter().chain([id]) {
                settle_delivery(&mut inner.state, id, now);
            }
        },
    )
    .await
}

/// An event, with the dataset that it is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromBrowser {
    dataset: String,
    event: Value,
}

/// `POST /__sandbox/events`: a browser tells the pixel what a person did. Meta's own script is not needed.
pub(super) async fn event(sandbox: &Arc<Sandbox>, incoming: &Incoming) -> Response<Body> {
    let now = sandbox.now();
    let given: FromBrowser = match parsed(incoming) {
        Ok(given) => given,
        Err(fault) => return plain(StatusCode::BAD_REQUEST, fault),
    };
    let taken = sandbox.change(|inner| {
        let dataset = given.dataset.parse().ok().and_then(|id| inner.state.of_kind(id, Kind::Dataset));
        let Some(dataset) = dataset.map(|dataset| dataset.id) else {
            return Err(Refusal::missing("post", &given.dataset));
        };
        events::from_browser(&mut inner.state, dataset, &given.event, now)
    });
    match taken.await.and_then(|taken| taken) {
        Ok(()) => done(),
        Err(refusal) => refused(&refusal),
    }
}

/// `POST /__sandbox/leads`: somebody fills in a form, by an ad or without one: `{"form_id": .., "ad_id": .., "answers":
/// {"email": ..}}`. Answers with the id of the lead.
pub(super) async fn lead(sandbox: &Arc<Sandbox>, incoming: &Incoming) -> Response<Body> {
    let now = sandbox.now();
    let given: Map<String, Value> = match parsed(incoming) {
        Ok(given) => given,
        Err(fault) => return plain(StatusCode::BAD_REQUEST, fault),
    };
    match sandbox.change(|inner| leads::by_hand(&mut inner.state, &given, now)).await {
        Ok(Ok(lead)) => json_response(StatusCode::OK, &json!({ "id": lead.id.to_string() })),
        Ok(Err(fault)) => plain(StatusCode::BAD_REQUEST, fault),
        Err(refusal) => refused(&refusal),
    }
}

async fn on_object<T: serde::de::DeserializeOwned>(
    sandbox: &Arc<Sandbox>,
    incoming: &Incoming,
    id: impl Fn(&T) -> String,
    work: impl FnOnce(&mut Inner, Object, T),
) -> Response<Body> {
    let given: T = match parsed(incoming) {
        Ok(given) => given,
        Err(fault) => return plain(StatusCode::BAD_REQUEST, fault),
    };
    let id = id(&given);
    let found = sandbox.change(|inner| {
        let object = id.trim_start_matches("act_").parse().ok().and_then(|id| inner.state.object(id)).cloned();
        object.map(|object| work(inner, object, given)).is_some()
    });
    match found.await {
        Ok(true) => done(),
        Ok(false) => plain(StatusCode::BAD_REQUEST, format!("no object has the id {id}")),
        Err(refusal) => refused(&refusal),
    }
}
