//! Health and metrics on a port that only the node and the metrics collector reach.
//!
//! Liveness looks only at the event loop: a process that answers lives. Readiness looks at the work of starting and at
//! draining, and deliberately not at shared stores, so that the loss of Redis or PostgreSQL neither restarts nor unlists
//! every replica at once.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Whether new requests may come. Clones are the same.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Stage>>);

#[derive(Debug)]
enum Stage {
    Starting(String),
    Ready,
    Draining,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Not ready: the process is starting.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Stage::Starting("starting".to_owned()))))
    }

    /// Not ready, with what it waits for, such as `the schema is older than this program`. Nothing changes once it drains.
    pub fn waiting_for(&self, reason: impl Into<String>) {
        self.set(Stage::Starting(reason.into()));
    }

    /// Start-up is done. Nothing changes once it drains.
    pub fn ready(&self) {
        self.set(Stage::Ready);
    }

    /// The process is about to end. This is final.
    pub fn drain(&self) {
        self.set(Stage::Draining);
    }

    /// Whether requests may come.
    pub fn is_ready(&self) -> bool {
        self.refusal().is_none()
    }

    fn set(&self, next: Stage) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, Stage::Draining) {
            *state = next;
        }
    }

    /// Why requests may not come.
    fn refusal(&self) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Starting(reason) => Some(reason.clone()),
            Stage::Ready => None,
            Stage::Draining => Some("draining".to_owned()),
        }
    }
}

/// Serves `/livez`, `/readyz` and `/metrics` until `stop` fires; a request that has begun gets its answer.
///
/// # Errors
/// Fails when the listener does.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    registry: Registry,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, routes(readiness, registry))
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

/// The routes alone, for a process that shows several services on one admin port.
pub fn routes(readiness: Readiness, registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.refusal() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, encoder.format_type().to_owned())], text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(CONTENT_TYPE, "text/plain".to_owned())],
            error.to_string().into_bytes(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_is_final() {
        let readiness = Readiness::new();
        assert!(!readiness.is_ready());
        readiness.ready();
        assert!(readiness.is_ready());
        readiness.drain();
        readiness.ready();
        assert_eq!(readiness.refusal().as_deref(), Some("draining"));
    }

    #[tokio::test]
    async fn a_process_that_starts_is_alive_but_not_ready_and_says_why() {
        let readiness = Readiness::new();
        readiness.waiting_for("the schema is older than this program");
        let (status, reason) = readyz(State(readiness)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reason, "the schema is older than this program\n");
    }
}
