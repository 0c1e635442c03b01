//! How much longer one tenant waits for an account because another floods it.
//!
//! What is measured is the wait for quota. So calls are so dear that an account has room for nine in nine seconds, and
//! waits are seconds long, whatever else the machine does; the accounts with and without a flood are asked for at the same
//! time, at the same replica. Callers that wait take no CPU, and so even the flood takes next to none.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::acquire_response::Decision;
use serde_json::json;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::load::{Caller, charge, p99};
use crate::auth_servers::TENANT;
use crate::figure::{Figure, Goal};
use crate::server::Server;
use crate::spread::Spread;

/// The tenant that floods; both weigh the same.
const FLOODS: &str = "flood";
/// Ad accounts with a flood, and as many without.
const ACCOUNTS: usize = 16;
/// Callers of the tenant whose waits are measured, for each account.
const CALLERS: usize = 2;
/// Callers of the flood, for each account: their calls alone fill it for a minute.
const FLOOD: usize = 64;
/// A hundred writes may be done in a second, so this is a tenth of it.
const COST: u32 = 10;
/// How long is measured, and how long before that the flood has the accounts.
const MEASURED: Duration = Duration::from_secs(75);
const BEFORE: Duration = Duration::from_secs(10);
/// Longer than any fair wait, and shorter than the wait of those who stand behind the whole flood.
const WITHIN: Duration = Duration::from_secs(60);

/// Whose accounts they are: a different number for each.
const FLOODED: usize = 700_000;
const QUIET: usize = 800_000;

/// The 99th of 100 waits with the flood, and without.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let mut shared = Server::start("quota-stores")?;
    shared.ready.as_object_mut().context("what a replica is told")?.insert("is_brief".to_owned(), json!(true));
    let quota = Server::start_with("quota", &shared.ready)?;
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut with, mut without) = load.block_on(both(&quota))?;
    let one = |waits: &mut Vec<Duration>| -> anyhow::Result<_> {
        Ok(Spread::of(vec![u64::try_from(p99(waits)?.as_millis())?]))
    };
    Ok(vec![Figure {
        name: "a wait beside a flood / without",
        unit: "ms p99 until admitted, 2 callers beside 64",
        measured: one(&mut with)?,
        baseline: one(&mut without)?,
        goal: Goal::Hundredths(110),
    }])
}

async fn both(quota: &Server) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let mut flood = JoinSet::new();
    for account in 0..ACCOUNTS {
        let caller = Caller::connect(quota, FLOODS).await?;
        for _ in 0..FLOOD {
            flood.spawn(call_on(caller.clone(), FLOODED + account));
        }
    }
    tokio::time::sleep(BEFORE).await;
    let until = Instant::now() + MEASURED;
    let callers = async |base: usize| -> anyhow::Result<JoinSet<_>> {
        let mut callers = JoinSet::new();
        for account in 0..ACCOUNTS {
            let caller = Caller::connect(quota, TENANT).await?;
            for _ in 0..CALLERS {
                callers.spawn(waits_until(caller.clone(), base + account, until));
            }
        }
        Ok(callers)
    };
    let (with, without) = (callers(FLOODED).await?, callers(QUIET).await?);
    let waits = (all(with).await?, all(without).await?);
    drop(flood); // not sooner
    Ok(waits)
}

async fn all(mut callers: JoinSet<anyhow::Result<Vec<Duration>>>) -> anyhow::Result<Vec<Duration>> {
    let mut waits = Vec::new();
    while let Some(ended) = callers.join_next().await {
        waits.extend(ended??);
    }
    Ok(waits)
}

/// Calls without end, whatever the answer; a server that is gone ends the other callers.
async fn call_on(mut caller: Caller, account: usize) {
    loop {
        drop(caller.acquire(write(account), WITHIN).await);
    }
}

/// How long each call that began in time had to wait until it was admitted, or gave up.
async fn waits_until(mut caller: Caller, account: usize, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut waits = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        let decided = caller.acquire(write(account), WITHIN).await;
        let waited = begun.elapsed();
        waits.push(match decided {
            Ok(Decision::Permit(_)) => waited,
            Ok(Decision::Wait(_)) => waited.max(WITHIN),
            Err(status) if is_late(&status) => waited.max(WITHIN),
            Err(status) => return Err(status.into()),
        });
    }
    Ok(waits)
}

/// Whether it is the call's own clock that ended it.
fn is_late(status: &Status) -> bool {
    matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled)
}

fn write(account: usize) -> Vec<pb::Charge> {
    vec![charge(pb::ScopeKind::Mutation, &account.to_string(), "", COST)]
}
