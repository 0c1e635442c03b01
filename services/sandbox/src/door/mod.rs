//! The way in: HTTP to calls, faults, the log, and the answer's headers.

mod control;
mod dispatch;
mod hand;
mod incoming;
mod media;
mod sandbox;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use jiff::SignedDuration;
use serde_json::Value;

use crate::faults::Action;
use crate::oauth::{self, Dialogue};
use crate::previews;
use crate::server::Scheme;
use crate::version::Version;
use dispatch::Done;
use incoming::Incoming;

pub(crate) use sandbox::Sandbox;

/// The connection is to be ended without an answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection was dropped on demand")]
pub(crate) struct Dropped;

/// Answers one HTTP request.
pub(crate) async fn answer(
    sandbox: Arc<Sandbox>,
    request: Request<Body>,
    scheme: Scheme,
) -> Result<Response<Body>, Dropped> {
    let path = request.uri().path().to_owned();
    let incoming = match incoming::read(request, scheme).await {
        Ok(incoming) => incoming,
        Err(status) => return Ok(plain(status, String::new())),
    };
    if let Some(name) = path.strip_prefix("/__sandbox/media/") {
        return Ok(media::answer(&sandbox, name, &incoming.params));
    }
    if let Some(rest) = path.strip_prefix("/__sandbox/") {
        return Ok(control::answer(&sandbox, rest.trim_end_matches('/'), &incoming).await);
    }
    if path == previews::PATH {
        return Ok(preview(&sandbox, &incoming));
    }
    let (version, parts) = Version::split(&path);
    if parts == ["dialog", "oauth"] {
        return Ok(dialog(&sandbox, &incoming).await);
    }
    match sandbox.strike(&incoming.method, &path) {
        Some(Action::Drop) => {
            sandbox.log_fault(&incoming, 0);
            Err(Dropped)
        }
        Some(Action::Http { status }) => {
            sandbox.log_fault(&incoming, status);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(plain(status, format!("<html><body>{status}</body></html>")))
        }
        Some(Action::TimeoutBeforeCommit { seconds }) => {
            sandbox.log_fault(&incoming, 0);
            sandbox.hold(Duration::from_secs(seconds)).await;
            Err(Dropped)
        }
        Some(Action::TimeoutAfterCommit { seconds }) => {
            sandbox.dispatch(incoming, None).await;
            sandbox.hold(Duration::from_secs(seconds)).await;
            Err(Dropped)
        }
        Some(Action::TimeoutThenCommit { seconds, commit_seconds }) => {
            sandbox.log_fault(&incoming, 0);
            let now = sandbox.now();
            let due = now.checked_add(SignedDuration::from_secs(commit_seconds)).unwrap_or(now);
            let later = Arc::clone(&sandbox);
            sandbox.later(due, async move {
                later.dispatch(incoming, None).await;
            });
            sandbox.hold(Duration::from_secs(seconds)).await;
            Err(Dropped)
        }
        Some(action @ Action::Error { .. }) => {
            let done = sandbox.dispatch(incoming, action.refusal()).await;
            Ok(graph_response(done, version))
        }
        None => Ok(graph_response(sandbox.dispatch(incoming, None).await, version)),
    }
}

async fn dialog(sandbox: &Arc<Sandbox>, incoming: &Incoming) -> Response<Body> {
    let now = sandbox.now();
    let params = incoming.params.clone();
    match sandbox.change(|inner| oauth::dialog(&mut inner.state, &params, now)).await {
        Ok(Dialogue::Redirect(address)) => {
            let mut response = plain(StatusCode::FOUND, String::new());
            if let Ok(address) = HeaderValue::from_str(&address) {
                response.headers_mut().insert(LOCATION, address);
            }
            response
        }
        Ok(Dialogue::Question(question)) => plain(StatusCode::OK, oauth::page::question(&question)),
        Ok(Dialogue::Refused(words)) => plain(StatusCode::BAD_REQUEST, oauth::page::refusal(&words)),
        Err(refusal) => graph_response(Done::refused(&refusal, "A0"), Version(26)),
    }
}

/// The page of a preview, which needs no token: its address is the secret.
fn preview(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    match previews::page(&sandbox.lock().state, &incoming.params, sandbox.now()) {
        Some(html) => plain(StatusCode::OK, html),
        None => plain(StatusCode::NOT_FOUND, "This preview has expired. Ask for it anew.".to_owned()),
    }
}

/// An answer of the Graph API: JSON with the headers that clients look at.
fn graph_response(done: Done, version: Version) -> Response<Body> {
    let text = done.body.into_text();
    let etag = format!("\"{}\"", hex::encode(digest(&SHA256, text.as_bytes())).get(..40).unwrap_or_default());
    let unchanged = done.status == 200 && done.if_none_match.as_deref() == Some(etag.as_str());
    let status =
        if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::from_u16(done.status).unwrap_or_default() };
    let mut response = Response::new(if unchanged { Body::empty() } else { Body::from(text) });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache, no-store, must-revalidate"));
    headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("etag", &etag);
    set("facebook-api-version", &version.word());
    set("x-fb-trace-id", &done.trace);
    set("x-fb-request-id", &done.trace);
    for (name, value) in &done.headers {
        set(name, value);
    }
    response
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = plain(status, value.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
