//! A replica is killed at each step of a refresh; another heals what it left.

use std::time::Duration;

use auth::{
    lifecycle::pace::Pace,
    store::upkeep::{self, Due},
};
use jiff::Timestamp;
use proto::auth::v1::{ConnectionHealth as Health, ConnectionState as State};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::{
    meta::{DAY, at},
    waiting::until,
    world::{First, World, free_port},
};

/// An auth with a runtime of its own: when that ends, nothing of it runs on, as after SIGKILL.
struct Victim(Runtime);

impl Victim {
    fn start(world: &World) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (mut settings, now) = (world.settings.clone(), world.now());
        settings.lifecycle.look_milliseconds = 50;
        // It waits at its step until it is killed.
        settings.postgres.lock_timeout_milliseconds = 120_000;
        settings.postgres.statement_timeout_milliseconds = 120_000;
        runtime.spawn(async move {
            let (listener, _) = free_port().await;
            auth::serve_at(listener, settings, runtime::Process::detached(), now).await.unwrap();
        });
        Self(runtime)
    }

    fn kill(self) {
        self.0.shutdown_background();
    }
}

/// Another replica takes the claim over when it ends, and not before.
async fn healed(world: &World, first: &First, name: &str, exchanges: usize) {
    world.mended().await;
    world.worker().await;
    world.turn(Duration::from_mins(11)).await;
    let seen = world.until(first, name, |seen| seen.refresh_time.is_some()).await;
    assert_eq!((seen.state(), seen.health()), (State::Active, Health::Good));
    let seen = world.until(first, name, |seen| at(seen.inspect_time) >= at(seen.refresh_time)).await;
    assert_eq!(seen.state(), State::Active, "Meta knows the token that is kept");
    assert_eq!(world.exchanges().await, exchanges);
}

/// Waits until somebody waits for a lock.
async fn until_blocked(world: &World) {
    let client = world.postgres().await;
    let blocked =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("somebody waits", async || client.query_one(blocked, &[]).await.unwrap().get::<_, i64>(0) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_claims_nothing_has_happened() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    world.turn(DAY * 45).await;
    let mut client = world.postgres().await;
    let lock = client.transaction().await.unwrap();
    lock.execute("SELECT FROM lifecycle_pace FOR UPDATE", &[]).await.unwrap();
    let victim = Victim::start(&world);
    until_blocked(&world).await;
    victim.kill();
    lock.rollback().await.unwrap();
    healed(&world, &first, &connection.name, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_meta_answers_the_old_token_is_exchanged_again() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    world.turn(DAY * 45).await;
    world.exchanges_go(json!({ "slow": { "milliseconds": 60_000 } }), Some(1)).await;
    let victim = Victim::start(&world);
    world.until_exchanges(1).await;
    victim.kill();
    let seen = world.connection(&first, &connection.name).await;
    assert_eq!((seen.state(), seen.refresh_time), (State::Active, None));
    healed(&world, &first, &connection.name, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_stores_the_newer_token_nothing_of_it_stays() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    world.turn(DAY * 45).await;
    let mut client = world.postgres().await;
    let lock = client.transaction().await.unwrap();
    lock.execute("SELECT FROM connection_event_clock FOR UPDATE", &[]).await.unwrap();
    let victim = Victim::start(&world);
    world.until_exchanges(1).await;
    until_blocked(&world).await;
    victim.kill();
    lock.rollback().await.unwrap();
    healed(&world, &first, &connection.name, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_ten_thousand_is_claimed_once_each_and_no_faster_than_the_pace() {
    let (world, first) = World::with_app().await;
    world.expiring(&first).await;
    let client = world.postgres().await;
    let storm = "
        INSERT INTO connections (tenant_id, id, kind, state, state_reason, app_id, user_id, scopes, expected_scopes,
               granular_scopes, expires_at, inspected_at, tenant_key_version, key_version, wrapped_key, sealed_token,
               created_at, updated_at, next_refresh_at, next_inspection_at)
        SELECT tenant_id, gen_random_uuid(), kind, state, '', app_id, 'user-' || n, scopes, expected_scopes,
               granular_scopes, expires_at, now(), tenant_key_version, key_version, wrapped_key, sealed_token,
               now(), now(), now(), now() + interval '1 year'
          FROM connections, generate_series(1, 10000) AS n";
    assert_eq!(client.execute(storm, &[]).await.unwrap(), 10_000);
    let start: Timestamp = (world.now())() + Duration::from_secs(5);
    let pace = Pace::per_minute(600);
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(world.postgres().await);
    }
    let mut seen = std::collections::BTreeSet::new();
    for second in 0..60 {
        let now = start + Duration::from_secs(second);
        let replicas = clients.iter_mut().map(async |client| {
            let transaction = client.transaction().await.unwrap();
            let until = now + upkeep::CLAIM;
            let claimed = upkeep::claim(&transaction, Due::Refresh, (8, pace), (now, until)).await.unwrap();
            transaction.commit().await.unwrap();
            claimed
        });
        for claimed in futures::future::join_all(replicas).await.into_iter().flatten() {
            assert!(seen.insert(claimed.connection.id), "claimed twice");
        }
    }
    assert!((600..=700).contains(&seen.len()), "{}", seen.len());
}
