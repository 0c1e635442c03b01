//! Many tokens that end in one hour: their refreshes are spread, and where they all fall due at once, bounded.

use std::time::Duration;

use auth::{
    SCHEMA,
    connections::Connection,
    store::{Store, connections},
    vault::{Cell, Vault, provider::Providers},
};
use jiff::Timestamp;
use serde_json::Value;
use storage::Postgres;
use uuid::Uuid;
use vocabulary::{ids::ConnectionId, names};

use crate::{
    meta::DAY,
    world::{First, World},
};

const TOKENS: usize = 150;
/// Per minute, over all replicas.
const PACE: u32 = 60;
const REPLICAS: usize = 3;
const PATIENCE: Duration = Duration::from_mins(5);

/// Connections of one tenant whose tokens end together: when each is due.
async fn seeded(world: &World, first: &First) -> Vec<Timestamp> {
    let (connection, token) = world.expiring(first).await;
    let id = names::connection(&connection.name).unwrap();
    let postgres = Postgres::connect(&world.settings.postgres.in_schema(SCHEMA)).await.unwrap();
    let store = Store::new(postgres);
    let vault = Vault::start(Providers::of(&world.settings.vault()).unwrap(), store.keys()).await.unwrap();
    let client = store.client().await.unwrap();
    let (one, _) = connections::get(&client, "acme", id).await.unwrap().unwrap();
    let (plan, now) = (world.settings.lifecycle.plan(), (world.now())());
    let mut due = vec![one.upkeep.next_refresh.unwrap()];
    for number in 1..TOKENS {
        // Its place in the spread is its id's, so each run is like the other.
        let id = ConnectionId(Uuid::from_u128(u128::try_from(number).unwrap()));
        let copy = Connection { id, user_id: format!("7{number:015}"), ..one.clone() }.begun(&plan, now);
        let row = id.to_string();
        let cell = Cell { tenant: "acme", table: "connections", column: "sealed_token", row: &row };
        let sealed = vault.seal(&cell, 0, token.as_bytes()).await.unwrap();
        connections::put(&client, &copy, &sealed).await.unwrap();
        due.push(copy.upkeep.next_refresh.unwrap());
    }
    due
}

/// When each exchange arrived at Meta, by Meta's clock, in order.
async fn arrivals(world: &World) -> Vec<Timestamp> {
    let url = format!("{}/__sandbox/requests", world.settings.graph.base_url);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client.get(url).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let exchanges = lines.filter(|line| line["grant_type"] == "fb_exchange_token");
    let mut arrivals: Vec<Timestamp> = exchanges.map(|line| line["at"].as_str().unwrap().parse().unwrap()).collect();
    arrivals.sort_unstable();
    arrivals
}

/// The most of them in any span of this length.
fn most_within(moments: &[Timestamp], span: Duration) -> usize {
    let within =
        |(at, first): (usize, &Timestamp)| moments[at..].iter().take_while(|moment| **moment < *first + span).count();
    moments.iter().enumerate().map(within).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_end_together_are_refreshed_apart_and_by_all_replicas_no_faster_than_the_pace() {
    let world = World::set(|settings| settings.lifecycle.refreshes_per_minute = PACE).await;
    let (world, first) = world.registered().await;
    let mut due = seeded(&world, &first).await;
    due.sort_unstable();
    let hours = |hours| Duration::from_hours(hours);
    assert!(
        due[TOKENS - 1].duration_since(due[0]).as_hours() >= 60,
        "over three days: {} to {}",
        due[0],
        due[TOKENS - 1]
    );
    assert!(most_within(&due, hours(6)) <= TOKENS / 5, "in six of 72 hours {}", most_within(&due, hours(6)));

    // Nobody was there while they fell due, so all are due at once, to several replicas.
    world.turn(DAY * 45).await;
    for _ in 0..REPLICAS {
        world.worker().await;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.exchanges().await < TOKENS {
        assert!(tokio::time::Instant::now() < deadline, "only {} came", world.exchanges().await);
        world.turn(Duration::from_secs(2)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sql =
        "SELECT count(*) FROM connections WHERE refreshed_at IS NOT NULL AND state = 'active' AND token_version = 2";
    let client = world.postgres().await;
    while client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) < i64::try_from(TOKENS).unwrap() {
        assert!(tokio::time::Instant::now() < deadline, "not every newer token is stored");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let arrivals = arrivals(&world).await;
    assert_eq!(arrivals.len(), TOKENS, "each is exchanged once");
    // What was saved in ten quiet seconds, and what was claimed in time and arrived late: all that can be under way at once.
    let late = REPLICAS * usize::try_from(world.settings.lifecycle.calls_at_once).unwrap();
    let most = usize::try_from(PACE).unwrap() + 10 + late;
    let busiest = most_within(&arrivals, Duration::from_secs(60));
    assert!(busiest <= most, "{busiest} in one minute, where at most {most} may be");
}
