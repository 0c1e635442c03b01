//! What changes while Meta is asked, and requests whose first run died on its way.

use std::time::Duration;

use proto::{
    auth::v1::{self as pb, ConnectionState as State},
    operations::v1::{CancelOperationRequest, operation::Outcome, operation_service_client::OperationServiceClient},
};
use serde_json::json;
use tonic::Code;

use crate::{
    meta::DAY,
    patience::until,
    world::{Registered, World, bearing, import, uuid, why},
};

const ASSETS: &str = "SELECT count(*) FROM assets";

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_takes_long_stays_with_its_worker_and_keeps_no_other_waiting() {
    let world = World::set(|settings| settings.graph.call_timeout_seconds = 600).await;
    let (world, first, imported) = world.registered().await.imported().await;
    let other = world.tenant(&first, "other").await;
    let others = world.connections().import_system_user_token(bearing(&other, import())).await.unwrap();
    let before = world.called("me/adaccounts").await;
    let hangs = json!({ "slow": { "milliseconds": 600_000 } });
    let rule = json!({ "matcher": { "path": "me/adaccounts" }, "action": hangs, "count": 1 });
    world.control("faults", &rule).await;
    let long = world.discover(&first.caller, &imported.connection.unwrap().name).await;
    until("it does not begin", async || world.called("me/adaccounts").await > before).await;

    world.discover(&other, &others.into_inner().connection.unwrap().name).await;
    let kept = "SELECT count(*) FROM audit_entries WHERE action = 'connections.discover' AND tenant_id = 'other'";
    until("it waits for the other one", async || world.counted(kept).await == 1).await;

    let lease = "SELECT extract(epoch FROM due_at)::bigint FROM operations WHERE running AND attempt = 1";
    let ends = world.counted(lease).await;
    until("its lease is not extended", async || world.counted(lease).await > ends).await;
    assert!(!world.operation(&first.caller, &long).await.done);
    let cancel = CancelOperationRequest { name: long.clone(), ..Default::default() };
    OperationServiceClient::new(world.pool()).cancel_operation(bearing(&first.caller, cancel)).await.unwrap();
    until("it does not stop", async || world.operation(&first.caller, &long).await.done).await;
    let Some(Outcome::Error(error)) = world.operation(&first.caller, &long).await.outcome else { panic!() };
    assert_eq!(error.reason, "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_no_worker_lives_to_end_is_given_up() {
    let (world, first, imported) = World::connected().await;
    world.calls_go("me/adaccounts", json!({ "error": { "code": 4, "message": "limit" } })).await;
    let name = world.discover(&first.caller, &imported.connection.unwrap().name).await;
    let waits = "SELECT count(*) FROM operations WHERE attempt = 1 AND NOT running";
    until("it does not wait", async || world.counted(waits).await == 1).await;
    let asked = world.called("me/adaccounts").await;
    let often = "UPDATE operations SET attempt = 40, due_at = clock_timestamp()";
    world.postgres().await.execute(often, &[]).await.unwrap();
    until("it does not end", async || world.operation(&first.caller, &name).await.done).await;
    let Some(Outcome::Error(error)) = world.operation(&first.caller, &name).await.outcome else { panic!() };
    assert_eq!((error.reason.as_str(), world.called("me/adaccounts").await), ("DEADLINE_PASSED", asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_of_a_connection_that_was_revoked_meanwhile_is_not_stored() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap().name;
    let before = world.called("me/adaccounts").await;
    world.calls_go("me/adaccounts", json!({ "slow": { "milliseconds": 5_000 } })).await;
    let name = world.discover(&first.caller, &connection).await;
    until("it does not begin", async || world.called("me/adaccounts").await > before).await;
    let request = pb::RevokeConnectionRequest { name: connection, ..Default::default() };
    world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap();
    until("it does not end", async || world.operation(&first.caller, &name).await.done).await;
    assert_eq!(world.counted(ASSETS).await, 0);
    let Some(Outcome::Error(_)) = world.operation(&first.caller, &name).await.outcome else { panic!() };
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_with_an_older_token_is_looked_at_again_with_the_newer_one() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap().name;
    let newer = "UPDATE connections SET token_version = token_version + 1";
    let before = world.called("me/adaccounts").await;
    world.calls_go("me/adaccounts", json!({ "slow": { "milliseconds": 3_000 } })).await;
    let name = world.discover(&first.caller, &connection).await;
    until("it does not begin", async || world.called("me/adaccounts").await > before).await;
    world.postgres().await.execute(newer, &[]).await.unwrap();
    world.mended().await;
    until("it does not end", async || world.operation(&first.caller, &name).await.done).await;
    let ended = world.operation(&first.caller, &name).await;
    assert!(matches!(ended.outcome, Some(Outcome::Result(_))), "{ended:?}");
    assert_eq!(world.called("me/adaccounts").await, before + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_late_does_not_overwrite_a_newer_one() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    let before = world.called("debug_token").await;
    let slow = json!({ "slow": { "milliseconds": 8_000 } });
    world.control("faults", &json!({ "matcher": { "path": "debug_token" }, "action": slow, "count": 1 })).await;
    let late = world.inspect(&first, &connection.name);
    let newer = async {
        until("Meta is not asked", async || world.called("debug_token").await > before).await;
        world.befalls("revoked").await;
        world.inspect(&first, &connection.name).await
    };
    let (late, newer) = tokio::join!(late, newer);
    assert_eq!(newer.unwrap().connection.unwrap().state(), State::NeedsConsent);
    assert!(late.is_ok(), "{late:?}");
    assert_eq!(world.connection(&first, &connection.name).await.state(), State::NeedsConsent);
    assert_eq!(world.counted("SELECT count(*) FROM connection_events WHERE kind = 'restored'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_exchange_stays_claimed_until_its_failure_is_counted() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    let watch = "
        CREATE TABLE let_go (at timestamptz);
        CREATE FUNCTION let_go() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF OLD.claimed_until IS NOT NULL AND NEW.claimed_until IS NULL
               AND NEW.refresh_failures = OLD.refresh_failures THEN
                INSERT INTO let_go VALUES (now());
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER let_go AFTER UPDATE ON connections FOR EACH ROW EXECUTE FUNCTION let_go()";
    world.postgres().await.batch_execute(watch).await.unwrap();
    world.turn(DAY * 2).await;
    let odd = json!({ "error": { "code": 190, "subcode": 460, "message": "Error validating access token" } });
    world.exchanges_go(odd, None).await;
    world.refresh(&first, &connection.name).await.unwrap_err();
    let failed = "SELECT count(*) FROM connections WHERE refresh_failures = 1 AND claimed_until IS NULL";
    assert_eq!(world.counted(failed).await, 1);
    assert_eq!(world.counted("SELECT count(*) FROM let_go").await, 0);

    // One whose token is dead is let go as well, though no failure is counted.
    world.befalls("password_changed").await;
    world.turn(Duration::from_mins(5)).await;
    world.refresh(&first, &connection.name).await.unwrap_err();
    let dead = "SELECT count(*) FROM connections WHERE state = 'needs_consent' AND claimed_until IS NULL";
    assert_eq!(world.counted(dead).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_whose_answer_was_lost_goes_on_under_its_old_etag() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap();
    let request = pb::RevokeConnectionRequest {
        name: connection.name.clone(),
        etag: connection.etag.clone(),
        request_id: uuid(),
        ..Default::default()
    };
    let revoke = async |request: &pb::RevokeConnectionRequest| {
        let answer = world.connections().revoke_connection(bearing(&first.caller, request.clone())).await;
        answer.map(tonic::Response::into_inner)
    };
    let stale = pb::RevokeConnectionRequest { etag: "\"77\"".to_owned(), request_id: uuid(), ..request.clone() };
    assert_eq!(why(&revoke(&stale).await.unwrap_err()), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    let ended = revoke(&request).await.unwrap();
    let lost = "DELETE FROM requests WHERE method = 'RevokeConnection'";
    assert_eq!(world.postgres().await.execute(lost, &[]).await.unwrap(), 1);
    assert_eq!(revoke(&request).await.unwrap().connection, ended.connection);
}
