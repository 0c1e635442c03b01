//! A sandbox in this process, and a client that speaks to it.

use std::net::SocketAddr;
use std::path::PathBuf;

use sandbox::{Listeners, Options, Tier, World};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const TOKEN: &str = "sandbox-system-user-token";
pub(crate) const ACT: &str = "act_1000000000001";
pub(crate) const DATASET: &str = "2000000000000001";
pub(crate) const PAGE: &str = "3000000000000001";
pub(crate) const NOW: &str = "2026-11-15T20:30:00Z";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    ready: Value,
    client: reqwest::Client,
    tasks: JoinSet<anyhow::Result<()>>,
    stop: DropGuard,
}

/// An answer of the Graph API.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {}", self.body)).to_owned()
    }

    pub(crate) fn code(&self) -> i64 {
        self.body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error in {}", self.body))
    }

    pub(crate) fn subcode(&self) -> i64 {
        self.body["error"]["error_subcode"].as_i64().unwrap_or_else(|| panic!("no subcode in {}", self.body))
    }

    pub(crate) fn rows(&self) -> &Vec<Value> {
        self.body["data"].as_array().unwrap_or_else(|| panic!("no data in {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) fn options() -> Options {
    Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        world: World::Small,
        seed: 7,
        tier: Tier::Standard,
        clock: Some(NOW.parse().unwrap()),
        data: None,
        ..Options::default()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(options()).await
    }

    pub(crate) async fn kept_in(folder: PathBuf) -> Self {
        Self::with(Options { data: Some(folder), ..options() }).await
    }

    /// With an HTTPS proxy, on a port of its own.
    pub(crate) async fn with_proxy(options: Options) -> Self {
        Self::with(Options { proxy: Some(options.listen), ..options }).await
    }

    /// The clock stands still at the moment that the options name, so that a test turns it.
    pub(crate) async fn with(options: Options) -> Self {
        let still = serde_json::json!({ "now": options.clock, "frozen": true }).to_string();
        let listeners = Listeners::bind(&options).await.unwrap();
        let address = listeners.graph.local_addr().unwrap();
        let token = CancellationToken::new();
        let opened = sandbox::Server::open(listeners, options, token.clone()).await.unwrap();
        let ready = serde_json::from_str(&opened.ready().unwrap().line()).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(opened.serve());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let server = Self { address, ready, client, tasks, stop: token.drop_guard() };
        server.control("POST", "clock", &still).await;
        server
    }

    /// Stops it and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        drop(self.stop);
        self.tasks.join_next().await.unwrap().unwrap().unwrap();
    }

    /// The ready line.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/v26.0/{path}", self.address)
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.client.get(self.url(path))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.client.delete(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(self.client.post(self.url(path)).form(form)).await
    }

    /// Sends with the system user's token in the header.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        self.send_as(request.bearer_auth(TOKEN)).await
    }

    /// Sends as it is.
    pub(crate) async fn send_as(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        Reply { status, headers, body }
    }

    /// One of the sandbox's own calls.
    pub(crate) async fn control(&self, method: &str, name: &str, body: &str) -> String {
        let url = format!("http://{}/__sandbox/{name}", self.address);
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let response = self.client.request(method, url).body(body.to_owned()).send().await.unwrap();
        assert!(response.status().is_success(), "{name}: {}", response.text().await.unwrap());
        response.text().await.unwrap()
    }

    pub(crate) async fn control_json(&self, name: &str) -> Value {
        serde_json::from_str(&self.control("GET", name, "").await).unwrap()
    }

    /// The lines of the request log.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let text = self.control("GET", "requests", "").await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A paused campaign without a budget.
    pub(crate) async fn campaign(&self, name: &str) -> String {
        self.post(&format!("{ACT}/campaigns"), &campaign_form(name)).await.id()
    }

    /// A paused ad set with a budget.
    pub(crate) async fn ad_set(&self, campaign: &str) -> String {
        self.post(&format!("{ACT}/adsets"), &ad_set_form(campaign)).await.id()
    }

    pub(crate) async fn creative(&self, name: &str) -> String {
        let spec = story(name);
        self.post(&format!("{ACT}/adcreatives"), &[("name", name), ("object_story_spec", &spec)]).await.id()
    }
}

pub(crate) fn story(message: &str) -> String {
    format!(r#"{{"page_id":"{PAGE}","link_data":{{"link":"https://shop.example/","message":"{message}"}}}}"#)
}

pub(crate) fn campaign_form(name: &str) -> [(&str, &str); 5] {
    [
        ("name", name),
        ("objective", "OUTCOME_TRAFFIC"),
        ("status", "PAUSED"),
        ("special_ad_categories", "[]"),
        ("is_adset_budget_sharing_enabled", "false"),
    ]
}

pub(crate) fn ad_set_form(campaign: &str) -> [(&str, &str); 7] {
    [
        ("name", "Set"),
        ("campaign_id", campaign),
        ("status", "PAUSED"),
        ("daily_budget", "5000"),
        ("billing_event", "IMPRESSIONS"),
        ("optimization_goal", "LINK_CLICKS"),
        ("targeting", r#"{"geo_locations":{"countries":["US"]},"targeting_automation":{"advantage_audience":0}}"#),
    ]
}
