//! The way in: HTTP to calls, faults, the log, and the answer's headers.

mod answer;
mod background;
mod control;
mod dispatch;
mod hand;
mod incoming;
mod media;
mod sandbox;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::LOCATION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use jiff::SignedDuration;

use crate::faults::Action;
use crate::oauth::{self, Dialogue};
use crate::previews;
use crate::server::Scheme;
use answer::{graph_response, json_response, plain, refused};
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
    if request.method() == Method::OPTIONS {
        return Ok(answer::options());
    }
    let incoming = match incoming::read(request, scheme).await {
        Ok(incoming) => incoming,
        Err(status) => return Ok(plain(status, String::new())),
    };
    if let Some(name) = incoming.path.strip_prefix("/__sandbox/media/") {
        return Ok(media::answer(&sandbox, name, &incoming.params));
    }
    if let Some(rest) = incoming.path.strip_prefix("/__sandbox/") {
        return Ok(control::answer(&sandbox, rest.trim_end_matches('/'), &incoming).await);
    }
    if incoming.path == previews::PATH {
        return Ok(preview(&sandbox, &incoming));
    }
    if incoming.parts == ["dialog", "oauth"] {
        return Ok(dialog(&sandbox, &incoming).await);
    }
    let wishes = incoming.wishes.clone();
    match sandbox.strike(&incoming.method, &incoming.path) {
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
            Ok(graph_response(done, &wishes))
        }
        None => Ok(graph_response(sandbox.dispatch(incoming, None).await, &wishes)),
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
        Err(refusal) => refused(&refusal),
    }
}

/// The page of a preview, which needs no token: its address is the secret.
fn preview(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    match previews::page(&sandbox.lock().state, &incoming.params, sandbox.now()) {
        Some(html) => plain(StatusCode::OK, html),
        None => plain(StatusCode::NOT_FOUND, "This preview has expired. Ask for it anew.".to_owned()),
    }
}
