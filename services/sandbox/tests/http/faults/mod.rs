//! Faults on demand: what a client sees of each, and what the world holds afterwards.

mod bodies;
mod errors;
mod items;
mod journal;
mod lag;
mod log;
mod lost;
mod pages;
mod reports;
mod rules;
mod storms;
mod tokens;

use crate::server::{ACT, Server, TOKEN, campaign_form};
use serde_json::{Value, json};

/// Adds a rule, or takes a list of them for those in force; gives the answer.
async fn fault(server: &Server, rule: Value) -> Value {
    serde_json::from_str(&server.control("POST", "faults", &rule.to_string()).await).unwrap()
}

async fn advance(server: &Server, seconds: i64) {
    server.control("POST", "clock", &json!({ "advance_seconds": seconds }).to_string()).await;
}

/// A create that may never be answered.
async fn create(server: &Server, name: &str) -> reqwest::Result<reqwest::Response> {
    let request = server.client().post(server.url(&format!("{ACT}/campaigns"))).bearer_auth(TOKEN);
    request.form(&campaign_form(name)).send().await
}

/// The names of all campaigns that exist, whatever reads may show.
async fn campaigns(server: &Server) -> Vec<String> {
    let world = server.control_json("world").await;
    let rows = world["campaigns"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

async fn exists(server: &Server, name: &str) -> bool {
    campaigns(server).await.iter().any(|other| other == name)
}

/// Waits until work that is due is done; it runs beside the calls.
async fn exists_soon(server: &Server, name: &str) {
    let seen = async { while !exists(server, name).await {} };
    tokio::time::timeout(std::time::Duration::from_secs(10), seen).await.unwrap();
}

async fn batch(server: &Server, items: Value) -> Value {
    server.post("", &[("batch", &items.to_string())]).await.body
}

/// The body of an item, which is JSON in text.
fn body(item: &Value) -> Value {
    serde_json::from_str(item["body"].as_str().unwrap()).unwrap()
}

/// A form as the `body` of an item.
fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
