//! Five processes look at once and are asked at once; Meta sees one exchange per expiry.

use std::collections::BTreeSet;

use harness::{PATIENCE, request_id};
use proto::auth::v1 as pb;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    stage::{Auth, BUSY, QUIET, Stage},
    tenant::Tenant,
};

const REPLICAS: usize = 5;
const EXPIRIES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_make_one_exchange_of_one_token_per_expiry() {
    race(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_make_one_exchange_of_each_of_several_tokens_per_expiry() {
    race(6).await;
}

async fn race(tenants: usize) {
    let stage = Stage::set().await;
    let other = stage.auth("other", QUIET).await;
    let mut all = Vec::new();
    for number in 0..tenants {
        let tenant = Tenant::new(&stage, &other, &format!("tenant-{number}")).await;
        let connection = tenant.import(&stage, &other).await;
        all.push((tenant, connection.name));
    }
    let names: Vec<String> = (0..REPLICAS).map(|number| format!("replica_{number}")).collect();
    let mut replicas = Vec::new();
    for name in &names {
        replicas.push(stage.auth(name, BUSY).await);
    }
    for expiry in 1..=EXPIRIES {
        stage.near_their_end().await;
        everybody_asks(&all, &replicas).await;
        let version = i64::try_from(expiry).unwrap() + 1;
        let newer =
            format!("SELECT count(*) FROM connections WHERE token_version >= {version} AND claimed_until IS NULL");
        stage.until("a newer token of each", &newer, |newer| newer == i64::try_from(tenants).unwrap()).await;
        everybody_has_looked(&stage, &names).await;
        assert_eq!(stage.exchanges().await, tenants * expiry);
        let versions = format!("SELECT count(*) FROM connections WHERE token_version <> {version}");
        assert_eq!(stage.number(&versions).await, 0, "each was stored once");
        // What follows a refresh is looked at once as well, and would be in the way of the next expiry.
        let unseen = "SELECT count(*) FROM connections WHERE inspected_at < refreshed_at OR claimed_until IS NOT NULL";
        stage.until("inspections", unseen, |unseen| unseen == 0).await;
    }
    for (tenant, _) in &all {
        tenant.works(&other, 1).await;
        assert_eq!(tenant.told(&stage, "connections.refresh").await, i64::try_from(EXPIRIES).unwrap());
        tenant.chain_is_whole(&other).await;
    }
}

/// Each tenant asks each replica for a refresh, all at once; nobody is refused.
async fn everybody_asks(all: &[(Tenant, String)], replicas: &[Auth]) {
    let mut asking = JoinSet::new();
    for (tenant, name) in all {
        for replica in replicas {
            let client = tenant.at(replica);
            let request =
                pb::RefreshConnectionRequest { name: name.clone(), request_id: request_id(), validate_only: false };
            asking.spawn(async move { client.connections().refresh_connection(request).await });
        }
    }
    while let Some(answer) = asking.join_next().await {
        answer.unwrap().unwrap();
    }
}

/// Waits until each replica has asked the database for what is due, from now on.
async fn everybody_has_looked(stage: &Stage, names: &[String]) {
    const SQL: &str = "
        SELECT application_name
          FROM pg_stat_activity
         WHERE datname = current_database()
           AND query LIKE '%SELECT EXISTS%next_refresh_at <=%'
           AND query_start > $1::text::timestamptz";
    let client = stage.postgres().await;
    let from: String = client.query_one("SELECT clock_timestamp()::text", &[]).await.unwrap().get(0);
    let (mut seen, deadline) = (BTreeSet::<String>::new(), Instant::now() + PATIENCE);
    while !names.iter().all(|name| seen.contains(name)) {
        assert!(Instant::now() < deadline, "only {seen:?} look");
        seen.extend(client.query(SQL, &[&from]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    }
}
