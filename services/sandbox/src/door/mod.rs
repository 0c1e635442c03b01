//! The way in: HTTP to calls, faults, the log, and the answer's headers.

mod answer;
mod background;
mod control;
mod dispatch;
mod export;
mod hand;
mod incoming;
mod log;
mod media;
mod proof;
mod rules;
mod sandbox;
mod struck;
mod tokens;

use std::sync::Arc;

use axum::body::Body;
use http::header::LOCATION;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::error::Refusal;
use crate::oauth::{self, Dialogue};
use crate::previews;
use crate::server::Scheme;
use answer::{Wishes, json_response, plain, refused};
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
    if request.method() == Method::OPTIONS {
        return Ok(answer::options());
    }
    let method = request.method().clone();
    let incoming = match incoming::read(request, scheme).await {
        Ok(incoming) => incoming,
        Err(status) => return Ok(unreadable(&sandbox, status, &method)),
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
    if export::is_it(&incoming.path) {
        return Ok(export::answer(&sandbox, &incoming));
    }
    if incoming.parts == ["dialog", "oauth"] {
        return Ok(dialog(&sandbox, &incoming).await);
    }
    let struck = sandbox.strike(&incoming);
    struck::answer(&sandbox, incoming, struck).await
}

/// A request that could not be read is refused like any other: clients parse the body whatever the status is.
fn unreadable(sandbox: &Sandbox, status: StatusCode, method: &Method) -> Response<Body> {
    let refusal = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            let method = method.as_str().to_ascii_lowercase();
            Refusal::new(100, format!("Unsupported {method} request. Use GET, POST or DELETE."))
                .kind("GraphMethodException")
        }
        StatusCode::PAYLOAD_TOO_LARGE => return plain(status, String::new()),
        _ => Refusal::invalid("The body is not what its Content-Type says; send whole multipart/form-data"),
    };
    let done = Done::refused(&refusal.http(status.as_u16()), &sandbox.trace());
    answer::graph_response(done, &Wishes::default())
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
