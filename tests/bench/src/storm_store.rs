//! Ten thousand connections whose tokens end in one hour, written past auth's surface: Meta would take long to make as many.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use auth::connections::{Connection, ConnectionKind, Listing, Upkeep};
use auth::lifecycle::pace::Pace;
use auth::store::upkeep::{self, Due};
use auth::store::{Store, connections};
use auth::vault::{Cell, Vault, provider::Providers};
use auth::{SCHEMA, Settings};
use jiff::Timestamp;
use storage::{Postgres, PostgresSettings};
use uuid::Uuid;
use vocabulary::ids::ConnectionId;
use vocabulary::{Clock, SystemClock};

use crate::auth_servers::TENANT;

/// How many there are.
pub(crate) const TOKENS: u32 = 10_000;
/// How many a replica claims at once.
const AT_ONCE: u32 = 8;
const HOUR: Duration = Duration::from_hours(1);
/// Far beyond every plan.
const FAR: Duration = Duration::from_hours(24 * 365);

/// The database of a server, past it.
pub(crate) async fn open(database: &str) -> anyhow::Result<Store> {
    Ok(Store::new(Postgres::connect(&PostgresSettings::at(database).in_schema(SCHEMA)).await?))
}

/// Makes them like the one that is there; `token` is the token of each. None is due within days.
pub(crate) async fn seed(settings: &Settings, database: &str, token: &str) -> anyhow::Result<()> {
    let store = open(database).await?;
    let vault = Vault::start(Providers::of(&settings.vault())?, store.keys()).await?;
    let client = store.client().await?;
    let listing = Listing { state: None, expires_before: None, after: ConnectionId(Uuid::nil()), limit: 1 };
    let one = connections::list(&client, TENANT, &listing).await?.into_iter().next().context("a connection")?;
    let (plan, now) = (settings.lifecycle.plan(), SystemClock.now());
    for number in 0..TOKENS {
        // Its place in the spread is its id's, so each run is like the other.
        let id = ConnectionId(Uuid::from_u128(u128::from(number) + 1));
        let copy = Connection {
            id,
            kind: ConnectionKind::SystemUser,
            user_id: format!("7{number:015}"),
            expires: Some(now + HOUR * 24 * 60 + HOUR / TOKENS * number),
            upkeep: Upkeep::default(),
            ..one.clone()
        };
        let mut copy = copy.begun(&plan, now);
        copy.upkeep.next_inspection = Some(now + FAR);
        let row = id.to_string();
        let cell = Cell { tenant: TENANT, table: "connections", column: "sealed_token", row: &row };
        let sealed = vault.seal(&cell, 0, token.as_bytes()).await?;
        connections::put(&client, &copy, &sealed).await?;
    }
    Ok(client.batch_execute("ANALYZE connections").await?)
}

/// How many fall due in the busiest hour, and how many would in each of the hours over which they fall due.
pub(crate) async fn busiest_hour(store: &Store) -> anyhow::Result<(u64, u64)> {
    const SQL: &str = "
        WITH hours AS (
            SELECT date_trunc('hour', next_refresh_at) AS hour, count(*) AS due
              FROM connections
             WHERE tenant_id = $1 AND next_refresh_at IS NOT NULL
             GROUP BY 1)
        SELECT max(due), sum(due)::bigint / count(*)
          FROM hours";
    let row = store.client().await?.query_one(SQL, &[&TENANT]).await?;
    Ok((u64::try_from(row.get::<_, i64>(0))?, u64::try_from(row.get::<_, i64>(1))?))
}

/// The moment at which so few are due that one claim takes them all, and one at which all are.
pub(crate) async fn moments(store: &Store) -> anyhow::Result<(Timestamp, Timestamp)> {
    const SQL: &str = "
        SELECT next_refresh_at
          FROM connections
         WHERE tenant_id = $1 AND next_refresh_at IS NOT NULL
         ORDER BY next_refresh_at
         LIMIT 1 OFFSET $2";
    let row = store.client().await?.query_one(SQL, &[&TENANT, &i64::from(AT_ONCE - 1)]).await?;
    Ok((row.get(0), SystemClock.now() + FAR))
}

/// What one claim takes of time for each row, in nanoseconds, at a moment; nothing of it stays.
pub(crate) async fn claim(store: &Store, at: Timestamp) -> anyhow::Result<u64> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let begun = std::time::Instant::now();
    let claimed =
        upkeep::claim(&transaction, Due::Refresh, (AT_ONCE, Pace::per_minute(1_000_000)), (at, at + HOUR)).await?;
    let took = begun.elapsed();
    transaction.rollback().await?;
    ensure!(claimed.len() == usize::try_from(AT_ONCE)?, "{} rows were claimed", claimed.len());
    Ok(u64::try_from(took.as_nanos())? / u64::from(AT_ONCE))
}

/// Makes all due now.
pub(crate) async fn break_loose(store: &Store) -> anyhow::Result<()> {
    const SQL: &str = "
        UPDATE connections
           SET next_refresh_at = now()
         WHERE tenant_id = $1 AND next_refresh_at IS NOT NULL";
    store.client().await?.execute(SQL, &[&TENANT]).await?;
    Ok(())
}

/// How many were refreshed.
pub(crate) async fn refreshed(store: &Store) -> anyhow::Result<u64> {
    const SQL: &str = "SELECT count(*) FROM connections WHERE tenant_id = $1 AND refreshed_at IS NOT NULL";
    Ok(u64::try_from(store.client().await?.query_one(SQL, &[&TENANT]).await?.get::<_, i64>(0))?)
}
