//! Calls whose answer never comes: not done, done, or done long after.

use super::{advance, campaigns, create, exists, exists_soon, fault};
use crate::server::Server;
use serde_json::json;

#[tokio::test]
async fn a_dropped_call_did_nothing() {
    let server = Server::start().await;
    let before = campaigns(&server).await;
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": "drop", "count": 1 })).await;
    assert!(create(&server, "dropped").await.is_err());
    assert_eq!(campaigns(&server).await, before);
    assert!(create(&server, "again").await.unwrap().status().is_success());
}

#[tokio::test]
async fn a_call_that_times_out_was_done_or_not() {
    let server = Server::start().await;
    for (action, done) in [("timeout_before_commit", false), ("timeout_after_commit", true)] {
        fault(&server, json!({ "matcher": { "method": "POST" }, "action": { action: { "seconds": 0 } }, "count": 1 }))
            .await;
        assert!(create(&server, action).await.is_err());
        assert_eq!(exists(&server, action).await, done, "{action}");
    }
}

#[tokio::test]
async fn a_call_that_is_held_ends_with_the_patience_of_the_client() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": "timeout_after_commit" })).await;
    let request = server.client().post(server.url(&format!("{}/campaigns", crate::server::ACT)));
    let request = request.bearer_auth(crate::server::TOKEN).form(&crate::server::campaign_form("held"));
    let error = request.timeout(std::time::Duration::from_millis(300)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(exists(&server, "held").await);
}

#[tokio::test]
async fn a_commit_may_come_long_after_the_timeout_and_only_once() {
    let server = Server::start().await;
    let action = json!({ "timeout_then_commit": { "seconds": 0, "commit_seconds": 120 } });
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": action, "count": 1 })).await;
    assert!(create(&server, "late").await.is_err());
    advance(&server, 119).await;
    assert!(!exists(&server, "late").await);
    advance(&server, 1).await;
    exists_soon(&server, "late").await;
    advance(&server, 1_000).await;
    assert_eq!(campaigns(&server).await.iter().filter(|name| *name == "late").count(), 1);
}

#[tokio::test]
async fn a_commit_that_was_to_come_is_forgotten_with_the_world_it_was_for() {
    let server = Server::start().await;
    let late = |seconds| json!({ "timeout_then_commit": { "seconds": 0, "commit_seconds": seconds } });
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": late(60), "count": 1 })).await;
    assert!(create(&server, "of the old world").await.is_err());
    server.control("POST", "reset", "").await;
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": late(120), "count": 1 })).await;
    assert!(create(&server, "of the new world").await.is_err());
    advance(&server, 120).await;
    exists_soon(&server, "of the new world").await;
    assert!(!exists(&server, "of the old world").await);
}

#[tokio::test]
async fn a_clock_that_is_turned_back_delays_what_is_due_and_nothing_hangs() {
    let server = Server::start().await;
    let action = json!({ "timeout_then_commit": { "seconds": 0, "commit_seconds": 60 } });
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": action, "count": 1 })).await;
    assert!(create(&server, "late").await.is_err());
    advance(&server, -86_400).await;
    assert!(create(&server, "in between").await.unwrap().status().is_success());
    assert!(!exists(&server, "late").await);
    advance(&server, 86_400 + 60).await;
    exists_soon(&server, "late").await;
}
