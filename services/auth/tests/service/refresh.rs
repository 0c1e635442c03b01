//! Tokens are exchanged long before they end, once, whoever looks and whatever is lost.

use std::time::Duration;

use proto::auth::v1::{self as pb, ConnectionHealth as Health, ConnectionState as State};
use rpc::for_tenant;
use serde_json::json;
use tonic::Code;

use crate::{
    gate::world_behind_a_gate,
    meta::{DAY, at},
    waiting::until,
    world::{ACCOUNT, World, bearing, import, uuid, why},
};

#[tokio::test(flavor = "multi_thread")]
async fn five_replicas_make_one_exchange_per_expiry() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    let mut campaigns = world.service("campaigns");
    let lease = |purpose: &str| {
        let (resource, purpose) = (ACCOUNT.to_owned(), purpose.to_owned());
        for_tenant(
            pb::LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation: 0 },
            &"acme".parse().unwrap(),
        )
    };
    let before = campaigns.lease_credential(lease("campaigns.read")).await.unwrap().into_inner().lease.unwrap();
    for _ in 0..5 {
        world.worker().await;
    }
    let mut seen = connection;
    for round in 1..=3 {
        assert!(at(seen.next_refresh_time) < at(seen.expire_time));
        // Sixteen days before its end it must have happened.
        world.turn(DAY * 45).await;
        let expires = seen.expire_time;
        seen = world.until(&first, &seen.name, |seen| at(seen.expire_time) > at(expires)).await;
        // Whoever looked since found nothing to do; the token that is kept is known at Meta.
        world.until(&first, &seen.name, |seen| at(seen.inspect_time) > at(seen.refresh_time)).await;
        assert_eq!(world.exchanges().await, round);
    }
    assert_eq!((seen.state(), seen.health()), (State::Active, Health::Good));
    let after = campaigns.lease_credential(lease("campaigns.read")).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((after.version, before.version), (4, 1));
    assert_ne!(after.token, before.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_token_is_exchanged_as_persons_tokens_are() {
    let (world, first) = World::with_app().await;
    let connection = world.person(&first).await;
    world.worker().await;
    world.turn(DAY * 45).await;
    let seen = world.until(&first, &connection.name, |seen| seen.refresh_time.is_some()).await;
    assert!(at(seen.expire_time) > at(connection.expire_time));
    assert_eq!(seen.data_access_expire_time, connection.data_access_expire_time, "only a log-in moves that");
    assert!(world.exchanges().await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_share_one_exchange_and_a_repeat_its_answer() {
    // Each of them keeps a session of the database busy until all have come.
    let (world, first) = World::set(|settings| settings.postgres.pool_size = 20).await.registered().await;
    let (connection, _) = world.expiring(&first).await;
    world.turn(DAY * 2).await;
    let request =
        pb::RefreshConnectionRequest { name: connection.name.clone(), request_id: uuid(), validate_only: false };
    let (door, watching) = (world.postgres().await, world.postgres().await);
    door.batch_execute("BEGIN; SELECT FROM connections FOR UPDATE").await.unwrap();
    let asking = (0..8).map(|_| world.refresh(&first, &connection.name));
    let opening = async {
        // All have seen the token that is to be exchanged, and want the exchange to be theirs.
        let waiting = "
            SELECT count(*)
              FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%SET claim = claim + 1%'";
        until("all eight ask", async || watching.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 8).await;
        door.batch_execute("COMMIT").await.unwrap();
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(asking), opening);
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.refreshed)), "{answers:?}");
    assert_eq!(world.exchanges().await, 1);

    let ask = async || {
        let asked = world.connections().refresh_connection(bearing(&first.caller, request.clone())).await;
        asked.unwrap().into_inner()
    };
    let once = ask().await;
    assert!(!once.refreshed, "Meta gives nothing newer within a day");
    assert_eq!(ask().await, once);
    assert_eq!(world.exchanges().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_never_ends_is_left_alone() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    world.worker().await;
    world.turn(DAY * 400).await;
    let seen = world.until(&first, &name, |seen| at(seen.inspect_time) > at(seen.create_time)).await;
    assert_eq!((seen.state(), seen.next_refresh_time), (State::Active, None));
    assert!(!world.refresh(&first, &name).await.unwrap().refreshed);
    assert_eq!(world.exchanges().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_strands_nobody() {
    for fault in
        [json!({ "timeout_after_commit": { "seconds": 0 } }), json!("drop"), json!({ "http": { "status": 502 } })]
    {
        let (world, first) = World::with_app().await;
        let (connection, _) = world.expiring(&first).await;
        world.turn(DAY * 45).await;
        world.exchanges_go(fault, Some(3)).await;
        world.worker().await;
        let seen = world.until(&first, &connection.name, |seen| !seen.refresh_problem.is_empty()).await;
        assert_eq!((seen.state(), seen.health()), (State::Active, Health::RefreshFailing), "{seen:?}");
        let request = pb::InspectConnectionRequest { name: connection.name.clone(), ..Default::default() };
        let inspected = world.connections().inspect_connection(bearing(&first.caller, request)).await.unwrap();
        assert_eq!(inspected.into_inner().connection.unwrap().state(), State::Active, "the old token works on");

        world.turn(Duration::from_mins(2)).await;
        let seen = world.until(&first, &connection.name, |seen| seen.refresh_time.is_some()).await;
        assert!(seen.refresh_problem.is_empty() && at(seen.expire_time) > at(connection.expire_time));
        assert_eq!(world.exchanges().await, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_came_meanwhile_is_not_overwritten() {
    let (world, gate) = world_behind_a_gate("oauth/access_token").await;
    let (world, first) = world.registered().await;
    let (connection, _) = world.expiring(&first).await;
    world.turn(DAY * 2).await;
    gate.send(false).unwrap();
    let refreshing = world.refresh(&first, &connection.name);
    let importing = async {
        world.until_exchanges(1).await;
        let token = world.expiring_token().await;
        let request = pb::ImportSystemUserTokenRequest { token, ..import() };
        let imported = world.connections().import_system_user_token(bearing(&first.caller, request)).await;
        // Only now does the answer to the exchange come.
        gate.send(true).unwrap();
        imported.unwrap().into_inner().connection.unwrap()
    };
    let (refreshed, imported) = tokio::join!(refreshing, importing);
    assert_eq!(imported.name, connection.name);
    let seen = world.connection(&first, &connection.name).await;
    assert_eq!((seen.refresh_time, seen.expire_time), (None, imported.expire_time));
    assert!(refreshed.is_ok(), "{refreshed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_secret_that_was_rotated_at_meta_costs_no_connection() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    world.turn(DAY * 2).await;
    let secret = json!({ "error": { "code": 1, "message": "Error validating client secret." } });
    world.exchanges_go(secret, None).await;
    let app = json!({ "error": { "code": 190, "message": "Invalid OAuth access token signature." } });
    world.control("faults", &json!({ "matcher": { "path": "debug_token" }, "action": app })).await;
    let refused = world.refresh(&first, &connection.name).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
    let request = pb::InspectConnectionRequest { name: connection.name.clone(), ..Default::default() };
    let refused = world.connections().inspect_connection(bearing(&first.caller, request)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
    let seen = world.connection(&first, &connection.name).await;
    assert_eq!((seen.state(), seen.health()), (State::Active, Health::RefreshFailing));
    assert!(seen.refresh_problem.contains("client secret"), "{}", seen.refresh_problem);

    world.mended().await;
    world.turn(Duration::from_mins(2)).await;
    assert!(world.refresh(&first, &connection.name).await.unwrap().refreshed);
}
