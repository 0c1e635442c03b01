//! What a kill leaves of faults: what they caused to be committed, and nothing of the rules.

use super::{advance, campaigns, create, exists, fault};
use crate::server::{ACT, Server, TOKEN};
use serde_json::json;

async fn again(folder: &std::path::Path) -> Server {
    Server::kept_in(folder.to_owned()).await
}

#[tokio::test]
async fn rules_are_gone_what_they_committed_is_there_and_what_was_to_come_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let server = again(folder.path()).await;
    let late = json!({ "timeout_then_commit": { "seconds": 0, "commit_seconds": 60 } });
    for (name, action) in [("kept", json!({ "timeout_after_commit": { "seconds": 0 } })), ("lost", late)] {
        fault(&server, json!({ "matcher": { "method": "POST" }, "action": action, "count": 1 })).await;
        assert!(create(&server, name).await.is_err());
    }
    fault(&server, json!({ "action": { "throttle_storm": { "code": 4, "seconds": 3_600 } } })).await;
    assert_eq!(server.get("me").await.code(), 4);
    server.stop().await;

    let server = again(folder.path()).await;
    assert_eq!(server.control_json("faults").await, json!([]));
    assert_eq!(server.get("me").await.status, 200);
    advance(&server, 3_600).await;
    assert!(exists(&server, "kept").await && !exists(&server, "lost").await);
}

#[tokio::test]
async fn a_dead_token_stays_dead() {
    let folder = tempfile::tempdir().unwrap();
    let server = again(folder.path()).await;
    fault(&server, json!({ "action": { "dead_token": { "code": 102, "subcode": 460 } } })).await;
    assert_eq!(server.get("me").await.code(), 102);
    server.stop().await;
    let server = again(folder.path()).await;
    let reply = server.send_as(server.client().get(server.url("me")).bearer_auth(TOKEN)).await;
    assert_eq!((reply.code(), reply.subcode()), (102, 460));
}

#[tokio::test]
async fn a_read_that_lagged_leaves_no_trace_in_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let server = again(folder.path()).await;
    let id = server.campaign("before").await;
    server.post(&id, &[("name", "after")]).await;
    let written = std::fs::read(folder.path().join("world.jsonl")).unwrap();
    fault(&server, json!({ "matcher": { "method": "GET" }, "action": { "lagging_reads": { "seconds": 60 } } })).await;
    assert_eq!(server.get(&id).await.subcode(), 33);
    assert_eq!(server.get(&format!("{ACT}/campaigns")).await.status, 200);
    assert_eq!(std::fs::read(folder.path().join("world.jsonl")).unwrap(), written);
    let names = campaigns(&server).await;
    server.stop().await;
    assert_eq!(campaigns(&again(folder.path()).await).await, names);
    assert!(names.iter().any(|name| name == "after"));
}
