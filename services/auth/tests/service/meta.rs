//! The sandbox's Meta, as a test sees and turns it, and connections that end.

use std::time::Duration;

use proto::auth::v1 as pb;
use serde_json::{Value, json};

use crate::{
    connections::logged_in,
    waiting::{PATIENCE, until},
    world::{APP, First, TOKEN, World, bearing, import, uuid},
};

/// What a worker does by the turned clock is never a matter of age alone; beside the storm of ten thousand refreshes a
/// single one once took longer than others wait.
const WORKING: Duration = Duration::from_secs(400);

pub(crate) const DAY: Duration = Duration::from_hours(24);
const SYSTEM_USER: &str = "5000000000000002";
const SCOPES: &str = "ads_management,ads_read,business_management";

/// A moment that can be compared; what never is comes first.
pub(crate) fn at(time: Option<prost_types::Timestamp>) -> (i64, i32) {
    time.map_or((0, 0), |time| (time.seconds, time.nanos))
}

impl World {
    /// One more auth, which does what falls due at once.
    pub(crate) async fn worker(&self) -> String {
        let mut settings = self.settings.clone();
        settings.lifecycle.look_milliseconds = 50;
        self.replica_with(settings).await
    }

    /// A system user's token that ends in sixty days, made at the sandbox.
    pub(crate) async fn expiring_token(&self) -> String {
        let url = format!("{}/v26.0/{SYSTEM_USER}/access_tokens", self.settings.graph.base_url);
        let form = [("business_app", APP), ("scope", SCOPES), ("set_token_expires_in_60_days", "true")];
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(url).bearer_auth(TOKEN).form(&form).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    /// The connection of such a token, and the token.
    pub(crate) async fn expiring(&self, first: &First) -> (pb::Connection, String) {
        let token = self.expiring_token().await;
        let request = pb::ImportSystemUserTokenRequest { token: token.clone(), ..import() };
        let imported = self.connections().import_system_user_token(bearing(&first.caller, request)).await;
        (imported.unwrap().into_inner().connection.unwrap(), token)
    }

    /// The connection of a person who logged in.
    pub(crate) async fn person(&self, first: &First) -> pb::Connection {
        let (state, code) = logged_in(self, first).await;
        let complete = pb::CompleteConnectionRequest { state, code, ..Default::default() };
        self.connections().complete_connection(complete).await.unwrap().into_inner().connection.unwrap()
    }

    pub(crate) async fn connection(&self, first: &First, name: &str) -> pb::Connection {
        let get = pb::GetConnectionRequest { name: name.to_owned() };
        self.connections().get_connection(bearing(&first.caller, get)).await.unwrap().into_inner().connection.unwrap()
    }

    /// Waits until a connection is as it should be.
    pub(crate) async fn until(
        &self,
        first: &First,
        name: &str,
        wanted: impl Fn(&pb::Connection) -> bool,
    ) -> pb::Connection {
        let deadline = tokio::time::Instant::now() + WORKING;
        loop {
            let seen = self.connection(first, name).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(tokio::time::Instant::now() < deadline, "it stays {seen:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn refresh(
        &self,
        first: &First,
        name: &str,
    ) -> Result<pb::RefreshConnectionResponse, tonic::Status> {
        let request = pb::RefreshConnectionRequest { name: name.to_owned(), request_id: uuid(), validate_only: false };
        let mut request = bearing(&first.caller, request);
        request.set_timeout(PATIENCE);
        let answer = self.connections().refresh_connection(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// How many exchanges of living tokens arrived at Meta.
    pub(crate) async fn exchanges(&self) -> usize {
        self.asked(|line| line["grant_type"] == "fb_exchange_token").await
    }

    /// How many calls of a kind arrived at Meta.
    pub(crate) async fn asked(&self, of_kind: impl Fn(&Value) -> bool) -> usize {
        let url = format!("{}/__sandbox/requests", self.settings.graph.base_url);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|line: &Value| of_kind(line)).count()
    }

    /// Waits until so many exchanges have arrived.
    pub(crate) async fn until_exchanges(&self, count: usize) {
        until("an exchange comes", async || self.exchanges().await >= count).await;
    }

    /// Something befalls every token of the system user.
    pub(crate) async fn befalls(&self, event: &str) {
        self.control("tokens", &json!({ "event": event, "person": SYSTEM_USER })).await;
    }

    /// From now on exchanges go so.
    pub(crate) async fn exchanges_go(&self, action: Value, count: Option<u32>) {
        let mut rule = json!({ "matcher": { "path": "oauth/access_token" }, "action": action });
        if let Some(count) = count {
            rule["count"] = json!(count);
        }
        self.control("faults", &rule).await;
    }

    /// Exchanges go well again.
    pub(crate) async fn mended(&self) {
        let url = format!("{}/__sandbox/faults", self.settings.graph.base_url);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        assert!(client.delete(url).send().await.unwrap().status().is_success());
    }
}
