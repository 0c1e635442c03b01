//! What waits for Meta keeps nothing else waiting, asks no more often than Meta allows, and ends.

use std::time::Duration;

use proto::{
    auth::v1 as pb,
    operations::v1::{GetOperationRequest, Operation, operation_service_client::OperationServiceClient},
};
use serde_json::json;
use tonic::Code;

use crate::{
    connections::logged_in,
    meta::{DAY, at},
    world::{First, World, bearing, import, uuid, why},
};

/// Far more than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until it is so.
pub(crate) async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !so().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl World {
    /// From now on calls of this path go so.
    pub(crate) async fn calls_go(&self, path: &str, action: serde_json::Value) {
        self.control("faults", &json!({ "matcher": { "path": path }, "action": action })).await;
    }

    /// How many calls of this path arrived at Meta.
    pub(crate) async fn called(&self, path: &str) -> usize {
        self.asked(|line| line["path"].as_str().is_some_and(|at| at.ends_with(path))).await
    }

    /// How many rows there are.
    pub(crate) async fn counted(&self, sql: &str) -> i64 {
        self.postgres().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn inspect(
        &self,
        first: &First,
        name: &str,
    ) -> Result<pb::InspectConnectionResponse, tonic::Status> {
        let request = pb::InspectConnectionRequest { name: name.to_owned(), ..Default::default() };
        let inspected = self.connections().inspect_connection(bearing(&first.caller, request)).await;
        inspected.map(tonic::Response::into_inner)
    }

    /// Begins a discovery; the operation's name.
    pub(crate) async fn discover(&self, token: &str, name: &str) -> String {
        let request = pb::DiscoverAssetsRequest { name: name.to_owned(), request_id: uuid(), validate_only: false };
        let begun = self.connections().discover_assets(bearing(token, request)).await.unwrap().into_inner();
        begun.operation.unwrap().name
    }

    pub(crate) async fn operation(&self, token: &str, name: &str) -> Operation {
        let get = GetOperationRequest { name: name.to_owned() };
        let mut operations = OperationServiceClient::new(self.pool());
        operations.get_operation(bearing(token, get)).await.unwrap().into_inner().operation.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_exchanges_hang_tokens_are_inspected_and_ends_are_told() {
    let world = World::set(|settings| {
        settings.graph.call_timeout_seconds = 600;
        settings.lifecycle.calls_at_once = 2;
    });
    let (world, first) = world.await.registered().await;
    world.expiring(&first).await;
    world.person(&first).await;
    let other = world.tenant(&first, "other").await;
    let never_ends = world.connections().import_system_user_token(bearing(&other, import())).await.unwrap();
    let name = never_ends.into_inner().connection.unwrap().name;
    world.turn(DAY * 47).await;
    world.exchanges_go(json!({ "slow": { "milliseconds": 600_000 } }), None).await;
    world.worker().await;
    world.until_exchanges(1).await;
    until("it is not inspected", async || {
        let get = pb::GetConnectionRequest { name: name.clone() };
        let seen = world.connections().get_connection(bearing(&other, get)).await.unwrap().into_inner();
        let seen = seen.connection.unwrap();
        at(seen.inspect_time) > at(seen.create_time)
    })
    .await;
    world.turn(DAY * 8).await;
    let told = "SELECT count(*) FROM connection_events WHERE kind = 'expiring' AND days_left < 7";
    until("nobody is told", async || world.counted(told).await == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_call_is_not_sent_again_at_once() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    let before = world.called("debug_token").await;
    let throttled = json!({ "error": { "code": 4, "message": "Application request limit reached" } });
    world.calls_go("debug_token", throttled).await;
    let refused = world.inspect(&first, &name).await.unwrap_err();
    assert_eq!(why(&refused), (Code::ResourceExhausted, "META_THROTTLED".to_owned()));
    assert_eq!(world.called("debug_token").await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_meta_throttles_waits_as_long_as_meta_says_and_is_not_given_up() {
    let (world, first, imported) = World::connected().await;
    let throttled = json!({ "error": { "code": 4, "message": "Application request limit reached" } });
    world.calls_go("me/adaccounts", throttled).await;
    let before = world.called("me/adaccounts").await;
    let name = world.discover(&first.caller, &imported.connection.unwrap().name).await;
    for tries in 1..=7 {
        let waits = format!("SELECT count(*) FROM operations WHERE attempt = {tries} AND NOT running");
        until("it does not wait", async || world.counted(&waits).await == 1).await;
        let seen = world.operation(&first.caller, &name).await;
        let metadata = seen.metadata.unwrap();
        assert!(!seen.done && metadata.waiting_on == "meta", "{metadata:?}");
        let (next, now) = (metadata.next_attempt_time.unwrap(), metadata.update_time.unwrap());
        assert!(next.seconds - now.seconds >= 60, "{metadata:?}");
        world.postgres().await.execute("UPDATE operations SET due_at = clock_timestamp()", &[]).await.unwrap();
    }
    assert!(world.called("me/adaccounts").await >= before + 7);
    // Not for ever.
    world.turn(Duration::from_hours(3)).await;
    until("it does not end", async || {
        world
            .postgres()
            .await
            .execute("UPDATE operations SET due_at = clock_timestamp() WHERE NOT done", &[])
            .await
            .unwrap();
        world.operation(&first.caller, &name).await.done
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_app_secret_has_its_reason_and_a_hiccup_has_not() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    let (state, code) = logged_in(&world, &first).await;
    let wrong = json!({ "error": { "code": 1, "message": "Error validating client secret." } });
    world.exchanges_go(wrong, Some(1)).await;
    let complete = pb::CompleteConnectionRequest { state, code, ..Default::default() };
    let refused = world.connections().complete_connection(complete).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
    assert!(refused.message().ends_with("app_secret_wrong"), "{refused:?}");

    let hiccup = json!({ "error": { "code": 1, "message": "An unknown error occurred" } });
    world.calls_go("debug_token", hiccup).await;
    let refused = world.inspect(&first, &name).await.unwrap_err();
    assert_eq!(why(&refused), (Code::Unavailable, "META_UNAVAILABLE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_does_not_end_or_breaks_off_is_an_error() {
    for paging in [json!({ "next": "https://x", "cursors": { "after": "same" } }), json!({ "next": "https://x" })] {
        let (world, first, imported) = World::connected().await;
        let connection = imported.connection.unwrap().name;
        let assets = "SELECT count(*) FROM assets";
        let before = world.counted(assets).await;
        let body = json!({ "data": [], "paging": paging }).to_string();
        let page = json!({ "http": { "status": 200, "body": body, "content_type": "application/json" } });
        world.calls_go("me/businesses", page).await;
        let name = world.discover(&first.caller, &connection).await;
        until("it does not end", async || world.operation(&first.caller, &name).await.done).await;
        let seen = world.operation(&first.caller, &name).await;
        assert!(format!("{:?}", seen.outcome).contains("GET me/businesses"), "{seen:?}");
        assert_eq!(world.counted(assets).await, before, "what was known stays");
    }
}
