//! The admin port of a laptop's stack: one door to the health and metrics of all its services.

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::layout::{Ports, loopback, url};
use crate::serve::Service;

#[derive(Clone)]
struct Doors {
    ports: Ports,
    http: reqwest::Client,
}

/// Serves until `stop`. A laptop without this port is still of use, so a failure is only said.
pub(crate) async fn serve(ports: Ports, http: reqwest::Client, stop: CancellationToken) {
    let routes = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Doors { ports, http });
    let served = async {
        let listener = tokio::net::TcpListener::bind(loopback(ports.admin())).await?;
        axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
    };
    if let Err(error) = served.await {
        warn!(error = &error as &dyn std::error::Error, "the admin port is not served");
    }
}

/// A line per service; 503 where one is not ready.
async fn readyz(State(doors): State<Doors>) -> impl IntoResponse {
    let (mut text, mut all) = (String::new(), true);
    for service in Service::ALL {
        let answer = doors.http.get(format!("{}/readyz", url(doors.ports.admin_of(service)))).send().await;
        let ready = answer.is_ok_and(|answer| answer.status().is_success());
        all &= ready;
        text.extend([service.name(), if ready { " ready\n" } else { " NOT ready\n" }]);
    }
    (if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

/// The metrics of all services, one after the other; each names its service in a label of its own.
async fn metrics(State(doors): State<Doors>) -> String {
    let mut text = String::new();
    for service in Service::ALL {
        let answer = doors.http.get(format!("{}/metrics", url(doors.ports.admin_of(service)))).send().await;
        if let Ok(answer) = answer {
            text.extend(["# service ", service.name(), "\n", &answer.text().await.unwrap_or_default(), "\n"]);
        }
    }
    text
}
