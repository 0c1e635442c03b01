//! What faults on demand do to a whole HTTP call: hold it, lose its answer, or spoil it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use jiff::Timestamp;

use super::Dropped;
use super::answer::{graph_response, plain};
use super::incoming::Incoming;
use super::log::Fate;
use super::sandbox::Sandbox;
use crate::faults::{Action, Asked, Struck};
use crate::params::Params;
use crate::route::{self, Verb};
use crate::state::{APP, APP_SECRET, Holder, State, sealed};
use crate::version::Version;

/// Answers a call as the rules say that struck it; as it should be answered, where there are none.
pub(super) async fn answer(
    sandbox: &Arc<Sandbox>,
    incoming: Incoming,
    struck: Struck,
) -> Result<Response<Body>, Dropped> {
    let shaping = struck.shaping.clone();
    let answered = ended(sandbox, incoming, struck).await;
    for action in &shaping {
        if let Action::Slow { milliseconds } = action {
            sandbox.hold(Duration::from_millis(*milliseconds)).await;
        }
    }
    let mut response = answered?;
    for action in shaping {
        match action {
            Action::WrongContentType { value } => {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(CONTENT_TYPE, value);
                }
            }
            Action::CutBody {} => response = cut(response).await?,
            _ => {}
        }
    }
    Ok(response)
}

async fn ended(sandbox: &Arc<Sandbox>, incoming: Incoming, struck: Struck) -> Result<Response<Body>, Dropped> {
    match struck.ending.clone() {
        Some(Action::Drop {}) => {
            sandbox.log_fault(incoming, &struck, 0);
            Err(Dropped)
        }
        Some(Action::Http { status, body, content_type }) => {
            sandbox.log_fault(incoming, &struck, status);
            Ok(page(status, body, content_type))
        }
        Some(Action::TimeoutBeforeCommit { seconds }) => {
            sandbox.log_fault(incoming, &struck, 0);
            sandbox.hold(Duration::from_secs(seconds)).await;
            Err(Dropped)
        }
        Some(Action::TimeoutAfterCommit { seconds }) => {
            sandbox.dispatch(incoming, struck, Fate::Lost).await;
            sandbox.hold(Duration::from_secs(seconds)).await;
            Err(Dropped)
        }
        Some(Action::TimeoutThenCommit { seconds, commit_seconds }) => {
            sandbox.log_fault(incoming.clone(), &struck, 0);
            sandbox.dispatch_later(incoming, struck, commit_seconds);
            sandbox.hold(Duration::from_secs(seconds)).await;
            Err(Dropped)
        }
        _ => {
            let mut wishes = incoming.wishes.clone();
            // Half of a compressed body would be no half of the JSON.
            wishes.gzip &= !struck.shaping.contains(&Action::CutBody {});
            let done = sandbox.dispatch(incoming, struck, Fate::Answered).await;
            Ok(graph_response(done, &wishes))
        }
    }
}

fn page(status: u16, body: Option<String>, content_type: Option<String>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(status, page_text(status.as_u16(), body));
    if let Some(Ok(value)) = content_type.map(|value| HeaderValue::from_str(&value)) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

/// The page that stands where JSON should; at 503 it has the words by which the Python SDK knows it.
pub(super) fn page_text(status: u16, body: Option<String>) -> String {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    body.unwrap_or_else(|| format!("<html><body>{status}</body></html>"))
}

/// What is heard of a call before anything is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard<'a> {
    /// As it was sent; `verb` is what was meant.
    pub(super) method: &'a str,
    pub(super) verb: Verb,
    pub(super) path: &'a str,
    pub(super) params: &'a Params,
    pub(super) bearer: Option<&'a str>,
    pub(super) is_item: bool,
    pub(super) now: Timestamp,
}

/// A call as the rules look at it.
pub(super) fn asked<'a>(state: &State, heard: Heard<'a>) -> Asked<'a> {
    let Heard { method, verb, path, params, bearer, is_item, now } = heard;
    let (version, parts) = Version::split(path);
    let version = version.unwrap_or(state.settings.oldest_version);
    let token = params.text("access_token").filter(|token| !token.is_empty()).or_else(|| bearer.map(str::to_owned));
    let holder = token.as_ref().and_then(|token| {
        if *token == format!("{APP}|{APP_SECRET}") {
            return Some(Holder::App);
        }
        state.token(&sealed(token)).map(|grant| grant.holder)
    });
    let object = parts.first().and_then(|name| route::node(state, name));
    Asked {
        method,
        verb,
        path,
        version,
        params,
        token,
        holder,
        account: object.map(|object| object.account).filter(|&account| account != 0),
        kind: object.map(|object| object.kind),
        is_item,
        is_batch: !is_item && parts.is_empty() && verb == Verb::Post,
        now,
        parts,
    }
}

/// The same answer, but the connection ends in the middle of its body.
async fn cut(response: Response<Body>) -> Result<Response<Body>, Dropped> {
    let (parts, body) = response.into_parts();
    let whole = to_bytes(body, usize::MAX).await.map_err(|_| Dropped)?;
    let half = whole.slice(..whole.len() / 2);
    Ok(Response::from_parts(parts, Body::new(Cut { half: Some(half), flushed: false, whole: whole.len() })))
}

/// A body that promises all and gives half.
struct Cut {
    half: Option<Bytes>,
    flushed: bool,
    whole: usize,
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.flushed {
            // The half is on its way before the end, or the client would see nothing at all.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Dropped)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.whole).unwrap_or(u64::MAX))
    }
}
