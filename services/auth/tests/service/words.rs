//! The audit holds what Meta said in such a way that nobody can read a person or a secret out of it.

use std::time::Duration;

use proto::auth::v1::{self as pb, ConnectionState as State, audit_service_client::AuditServiceClient};
use serde_json::{Value, json};

use crate::{
    meta::DAY,
    world::{First, World, bearing},
};

/// What Meta may write: a person's address and a part of a token.
const FOREIGN: &str = "The session of jane@company.example with EAAplanted0123456789abcdef was ended.";
const PLANTED: [&str; 2] = ["jane@company.example", "EAAplanted"];

/// The details of all entries of an action.
async fn told(world: &World, first: &First, action: &str) -> Vec<Value> {
    let filter = Some(pb::AuditFilter { action: action.to_owned(), ..Default::default() });
    let list = bearing(&first.caller, pb::ListAuditEntriesRequest { filter, ..Default::default() });
    let answer = AuditServiceClient::new(world.pool()).list_audit_entries(list).await.unwrap().into_inner();
    answer.entries.iter().map(|entry| serde_json::from_str(&entry.detail).unwrap()).collect()
}

fn is_veiled(detail: &Value) {
    let reason = detail["reason"].as_str().unwrap_or_else(|| panic!("{detail}"));
    assert!(PLANTED.iter().all(|planted| !reason.contains(planted)), "{reason}");
    assert!(reason.contains("The session of hmac:") && reason.contains(" with [token]"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_connection_was_given_up_is_told_without_metas_persons_and_secrets() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    // Near its end Meta refuses the exchange, for a reason that is not the token's.
    world.turn(DAY * 59 + Duration::from_mins(24 * 60 - 5)).await;
    world.exchanges_go(json!({ "error": { "code": 100, "message": FOREIGN } }), None).await;
    world.worker().await;
    let seen = world.until(&first, &connection.name, |seen| seen.state() == State::NeedsConsent).await;
    let read = FOREIGN.replace("EAAplanted0123456789abcdef", "[token]");
    assert!(seen.state_reason.contains(&read), "its owner reads it without the token: {}", seen.state_reason);
    let entries = told(&world, &first, "connections.give_up").await;
    assert_eq!(entries.len(), 1);
    is_veiled(&entries[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_token_is_dead_is_told_without_metas_persons_and_secrets() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    let dead = json!({"data": {"is_valid": false, "scopes": [], "app_id": crate::world::APP, "type": "SYSTEM_USER",
        "error": {"code": 190, "subcode": 460, "message": FOREIGN}}});
    let (body, content_type) = (dead.to_string(), "application/json");
    let answer = json!({ "http": { "status": 200, "body": body, "content_type": content_type } });
    world.control("faults", &json!({ "matcher": { "path": "debug_token" }, "action": answer })).await;
    let request = pb::InspectConnectionRequest { name: connection.name.clone(), ..Default::default() };
    let seen = world.connections().inspect_connection(bearing(&first.caller, request)).await.unwrap().into_inner();
    assert_eq!(seen.connection.unwrap().state(), State::NeedsConsent);
    let entries = told(&world, &first, "connections.inspect").await;
    assert_eq!(entries.len(), 1);
    is_veiled(&entries[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_at_meta_is_told_with_metas_trace() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    world.turn(DAY * 2).await;
    world.refresh(&first, &connection.name).await.unwrap();
    let revoke = pb::RevokeConnectionRequest { name: connection.name.clone(), ..Default::default() };
    let revoked = world.connections().revoke_connection(bearing(&first.caller, revoke)).await.unwrap().into_inner();
    assert!(revoked.revoked_at_meta);
    for action in ["connections.refresh", "connections.shred"] {
        let entries = told(&world, &first, action).await;
        assert_eq!(entries.len(), 1, "{action}");
        assert!(entries[0]["fbtrace_id"].as_str().is_some_and(|trace| !trace.is_empty()), "{action}: {}", entries[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_meta_refused_is_told_with_metas_trace_too() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    let refused = json!({ "error": { "code": 10, "message": "no" } });
    world.control("faults", &json!({ "matcher": { "method": "DELETE" }, "action": refused })).await;
    let revoke = pb::RevokeConnectionRequest { name: connection.name, ..Default::default() };
    let revoked = world.connections().revoke_connection(bearing(&first.caller, revoke)).await.unwrap().into_inner();
    assert!(!revoked.revoked_at_meta);
    let entries = told(&world, &first, "connections.shred").await;
    assert_eq!(entries[0]["revoked_at_meta"], false);
    assert!(entries[0]["fbtrace_id"].as_str().is_some_and(|trace| !trace.is_empty()), "{}", entries[0]);
}
