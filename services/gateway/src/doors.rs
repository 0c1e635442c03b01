//! The plain HTTP addresses: the page that Meta's log-in sends a person back to, and a health check for those who speak
//! no gRPC.

mod words;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use proto::auth::v1::{CompleteConnectionRequest, connection_service_client::ConnectionServiceClient};
use rpc::{Pool, Upstream};
use serde::Deserialize;
use tokio::sync::Semaphore;

use self::words::Words;

/// How long a person waits. Auth finishes beside us what it has begun.
const PATIENCE: Duration = Duration::from_secs(30);

/// The doors; `auth` completes what a log-in began, at most so many at once.
pub(crate) fn routes(auth: Pool, logins_max: usize) -> Router {
    let door = Door { auth, places: Arc::new(Semaphore::new(logins_max)) };
    Router::new().route("/oauth/callback", get(callback).with_state(door)).route("/healthz", get(|| async { "ok\n" }))
}

#[derive(Clone)]
struct Door {
    auth: Pool,
    places: Arc<Semaphore>,
}

/// What Meta's redirect brings: a code, or why there is none.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Redirect {
    state: String,
    code: String,
    error: String,
}

/// The state is the proof of who began; auth checks it, and that it was not used before.
async fn callback(State(door): State<Door>, redirect: Result<Query<Redirect>, QueryRejection>) -> Response {
    let redirect = redirect.map(|Query(redirect)| redirect).unwrap_or_default();
    if !redirect.error.is_empty() {
        return page(&words::denied());
    }
    if redirect.state.is_empty() || redirect.code.is_empty() {
        return page(&words::opened_by_hand());
    }
    let request = CompleteConnectionRequest {
        state: redirect.state,
        code: redirect.code,
        ..CompleteConnectionRequest::default()
    };
    let Ok(_place) = door.places.try_acquire() else { return page(&words::busy()) };
    let mut auth = ConnectionServiceClient::new(door.auth);
    match tokio::time::timeout(PATIENCE, auth.complete_connection(request)).await {
        Ok(Ok(answer)) => page(&words::completed(&answer.into_inner().connection.unwrap_or_default())),
        Ok(Err(status)) => page(&words::refused(&Upstream::from(status))),
        Err(_) => page(&words::slow()),
    }
}

/// A page without anything that could carry its address, which holds the code, elsewhere.
fn page(words: &Words) -> Response {
    let Words { status, title, text } = words;
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <body style=\"font:1.1rem/1.5 system-ui;max-width:32rem;margin:15vh auto;padding:0 1rem\">\
         <h1>{title}</h1><p>{text}</p></body></html>"
    );
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ),
    ];
    (*status, headers, html).into_response()
}
