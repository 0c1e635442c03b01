//! The plain HTTP addresses: the page that Meta's log-in sends a person back to, and a health check for those who speak
//! no gRPC.

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use proto::auth::v1::{CompleteConnectionRequest, connection_service_client::ConnectionServiceClient};
use rpc::Pool;
use serde::Deserialize;
use tonic::Code;

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
        return page(
            StatusCode::OK,
            "Nothing was connected",
            "Meta says that the permission was not given. You can close this page, or begin again.",
        );
    }
    if redirect.state.is_empty() || redirect.code.is_empty() {
        return page(
            StatusCode::BAD_REQUEST,
            "This page was opened without a log-in",
            "Begin the connection again from where you started.",
        );
    }
    let request = CompleteConnectionRequest {
        state: redirect.state,
        code: redirect.code,
        ..CompleteConnectionRequest::default()
    };
    match ConnectionServiceClient::new(auth).complete_connection(request).await {
        Ok(_) => page(
            StatusCode::OK,
            "Connected",
            "Adplane can now use the ad accounts that you chose. You can close this page.",
        ),
        Err(status) => refusal(status.code()),
    }
}

/// In plain words; what exactly went wrong stands in auth's answer to those who began.
fn refusal(code: Code) -> Response {
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Internal => page(
            StatusCode::SERVICE_UNAVAILABLE,
            "This did not work just now",
            "Adplane or Meta is busy. Begin the connection again in a few minutes.",
        ),
        _ => page(
            StatusCode::BAD_REQUEST,
            "This log-in is no longer good",
            "It was used already, took longer than ten minutes, or Meta refused it. Begin the connection again.",
        ),
    }
}

/// A page without anything that could carry its address, which holds the code, elsewhere.
fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
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
    (status, headers, html).into_response()
}
