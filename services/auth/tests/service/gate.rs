//! A gate before Meta: calls of one kind wait at it until the test lets them through.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use tokio::sync::watch;

use crate::world::{World, free_port};

#[derive(Clone)]
struct Gate {
    meta: String,
    /// What the path of a call that waits ends with.
    held: &'static str,
    open: watch::Receiver<bool>,
    http: reqwest::Client,
}

/// A world whose auth calls Meta through a gate, and what opens it. It is open at first.
pub(crate) async fn world_behind_a_gate(held: &'static str) -> (World, watch::Sender<bool>) {
    let (listener, address) = free_port().await;
    let mut meta = String::new();
    let world = World::set(|settings| meta = std::mem::replace(&mut settings.graph.base_url, address)).await;
    let (open, is_open) = watch::channel(true);
    let gate = Gate { meta, held, open: is_open, http: reqwest::Client::builder().no_proxy().build().unwrap() };
    let routes = Router::new().fallback(pass).with_state(gate);
    world.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (world, open)
}

async fn pass(State(mut gate): State<Gate>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = gate.http.request(method, format!("{}{}{query}", gate.meta, uri.path())).body(body);
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status().as_u16(), answer.bytes().await.unwrap());
    if uri.path().ends_with(gate.held) {
        // Meta has done it; whoever asked does not know yet.
        gate.open.wait_for(|open| *open).await.unwrap();
    }
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body).into_response()
}
