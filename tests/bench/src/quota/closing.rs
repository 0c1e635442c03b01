//! How soon nobody calls any more after Meta named a time to regain access.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::acquire_response::Decision;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::load::{Caller, META_APP, charge, p99};
use crate::auth_servers::TENANT;
use crate::figure::{Figure, Goal};
use crate::server::Server;
use crate::spread::Spread;

/// Accounts that are closed, one after the other.
const CLOSED: usize = 300;
const USE_CASE: &str = "ads_management";
/// Shorter than the closing, so nobody waits for its end.
const WITHIN: Duration = Duration::from_secs(5);
const REGAIN_MINUTES: u32 = 5;
const MICROSECONDS_MAX: u64 = 100_000;

/// From a report at one replica until the other refuses, both over the same stores.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let shared = Server::start("quota-stores")?;
    let (told, other) = (Server::start_with("quota", &shared.ready)?, Server::start_with("quota", &shared.ready)?);
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut took = load.block_on(close_all(&told, &other))?;
    let took = u64::try_from(p99(&mut took)?.as_micros())?;
    Ok(vec![Figure {
        name: "closed for other replicas too",
        unit: "us from the report to the first refusal, p99 of 300",
        measured: Spread::of(vec![took]),
        baseline: None,
        goal: Goal::Amount(MICROSECONDS_MAX),
    }])
}

async fn close_all(told: &Server, other: &Server) -> anyhow::Result<Vec<Duration>> {
    let (mut teller, caller) = (Caller::connect(told, TENANT).await?, Caller::connect(other, TENANT).await?);
    let mut took = Vec::with_capacity(CLOSED);
    for number in 0..CLOSED {
        let account = (500_000 + number).to_string();
        let (called, is_open) = oneshot::channel();
        let mut calls = JoinSet::new();
        calls.spawn(call_until_refused(caller.clone(), account.clone(), called));
        is_open.await.context("calls of an open account")?;
        let said = Instant::now();
        teller.settle(regain(account)).await?;
        let refused = calls.join_next().await.context("the calls")???;
        took.push(refused.saturating_duration_since(said));
    }
    Ok(took)
}

/// Calls one after the other, says when the first was admitted, and answers when one was refused.
async fn call_until_refused(
    mut caller: Caller,
    account: String,
    called: oneshot::Sender<()>,
) -> anyhow::Result<Instant> {
    let mut called = Some(called);
    loop {
        let charges = vec![charge(pb::ScopeKind::AdAccount, &account, USE_CASE, 1)];
        match caller.acquire(charges, WITHIN).await? {
            Decision::Permit(_) => drop(called.take().map(|called| called.send(()))),
            Decision::Wait(wait) if wait.reason() == pb::WaitReason::Closed => return Ok(Instant::now()),
            Decision::Wait(wait) => bail!("refused as {:?}", wait.reason()),
        }
    }
}

/// What an answer says when Meta lets nobody through for some minutes.
fn regain(account: String) -> pb::UsageReport {
    let usage = pb::BusinessUseCaseUsage {
        id: account,
        r#type: USE_CASE.to_owned(),
        call_count: 100,
        estimated_time_to_regain_access_minutes: REGAIN_MINUTES,
        ..Default::default()
    };
    pb::UsageReport {
        meta_app: META_APP.to_owned(),
        http_status: 200,
        business_use_cases: vec![usage],
        ..Default::default()
    }
}
