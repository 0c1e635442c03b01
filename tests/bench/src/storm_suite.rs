//! Ten thousand tokens that end in one hour: how their refreshes are spread, what they cost, and what whoever leases a token
//! notices of it when all fall due at once.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::auth_suite::{LEASES, lease_all};
use crate::figure::{Figure, Goal};
use crate::server::Server;
use crate::spread::Spread;
use crate::storm_store;

/// Refreshes a minute, over all replicas; ten times the default, so that a minute shows something.
pub(crate) const PACE: u32 = 600;
/// What may come beyond it in one minute: what ten quiet seconds saved.
const SAVED: u64 = 100;
/// Rounds of leases before the storm.
const ROUNDS: usize = 5;
/// Claims that are measured.
const CLAIMS: usize = 50;
const MINUTE: Duration = Duration::from_mins(1);

/// The storm, with figures for each of its promises.
pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let server = Server::start("auth-storm")?;
    let said = |name: &str| server.ready.get(name).and_then(Value::as_str).with_context(|| format!("no {name}"));
    let (token, database) = (said("token")?, said("database")?);
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = load.block_on(storm_store::open(database))?;
    let (busiest, even) = load.block_on(storm_store::busiest_hour(&store))?;
    let (few, many) = load.block_on(claims(&store))?;

    let lease = || lease_time(&load, &server, token);
    lease()?; // warms everything up
    let quiet = (0..ROUNDS).map(|_| lease()).collect::<anyhow::Result<Vec<_>>>()?;
    load.block_on(storm_store::break_loose(&store))?;
    let (begun, mut storm) = (Instant::now(), Vec::new());
    while begun.elapsed() < MINUTE {
        storm.push(lease()?);
    }
    let exchanged = load.block_on(storm_store::refreshed(&store))?;
    let minutes = u64::try_from(begun.elapsed().as_nanos() / MINUTE.as_nanos().max(1)).unwrap_or(1).max(1);
    let one = |value: u64| Spread::of(vec![value]);
    Ok(vec![
        Figure {
            name: "Due in the busiest hour / evenly",
            unit: "refreshes of 10,000 whose tokens end in one hour",
            measured: one(busiest),
            baseline: one(even),
            goal: Goal::Times(2),
        },
        Figure {
            name: "Refreshed in a minute of a storm",
            unit: "exchanges; the pace is 600, and 100 may be saved",
            measured: one(exchanged / minutes),
            baseline: None,
            goal: Goal::Amount(u64::from(PACE) + SAVED),
        },
        Figure {
            name: "Claim, 10,000 due / 8 due",
            unit: "ns for each row, in the database and back",
            measured: Spread::of(many),
            baseline: Spread::of(few),
            goal: Goal::Times(3),
        },
        Figure {
            name: "Lease during a storm / before",
            unit: "ns on the clock for each lease",
            measured: Spread::of(storm),
            baseline: Spread::of(quiet),
            goal: Goal::Times(2),
        },
    ])
}

/// What a claimed row costs where as many are due as are claimed, and where all are.
async fn claims(store: &auth::store::Store) -> anyhow::Result<(Vec<u64>, Vec<u64>)> {
    let (few_due, all_due) = storm_store::moments(store).await?;
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for round in 0..=CLAIMS {
        let turn = (storm_store::claim(store, few_due).await?, storm_store::claim(store, all_due).await?);
        if round > 0 {
            few.push(turn.0);
            many.push(turn.1);
        }
    }
    Ok((few, many))
}

/// The time on the clock for each of many leases, in nanoseconds.
fn lease_time(load: &Runtime, server: &Server, token: &str) -> anyhow::Result<u64> {
    let address = format!("http://{}", server.address()?);
    let begun = Instant::now();
    load.block_on(lease_all(&address, token))?;
    Ok(u64::try_from(begun.elapsed().as_nanos())? / LEASES)
}
