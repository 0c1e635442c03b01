//! The plain HTTP addresses: the page that Meta's log-in sends a person back to, and a health check for those who speak
//! no gRPC.

mod words;

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

use self::words::Words;

/// The doors; `auth` completes what a log-in began.
pub(crate) fn routes(auth: Pool) -> Router {
    Router::new().route("/oauth/callback", get(callback).with_state(auth)).route("/healthz", get(|| async { "ok\n" }))
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
async fn callback(State(auth): State<Pool>, redirect: Result<Query<Redirect>, QueryRejection>) -> Response {
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
    match ConnectionServiceClient::new(auth).complete_connection(request).await {
        Ok(answer) => page(&words::completed(&answer.into_inner().connection.unwrap_or_default())),
        Err(status) => page(&words::refused(&Upstream::from(status))),
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
