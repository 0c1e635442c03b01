//! Ratelimit: what a decision over four buckets costs, and a refusal that is answered from memory.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::acquire_response::Decision;
use proto::ratelimit::v1::quota_service_client::QuotaServiceClient;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::auth_servers::TENANT;
use crate::cpu;
use crate::figure::{Figure, Goal};
use crate::quota_servers::CEILING;
use crate::server::Server;
use crate::spread::Spread;

/// Rounds of which the median is taken; each runs everything once.
const ROUNDS: usize = 5;
/// Decisions in a round: a second of CPU or so.
const DECISIONS: usize = 24_000;
/// How many callers ask at once, over how many connections.
const CALLERS: usize = 64;
const CONNECTIONS: usize = 8;
/// How many of them each asks for.
const EACH: usize = DECISIONS / CALLERS;
/// 97 % of the ceiling.
const FILL: u32 = CEILING / 100 * 97;
/// How many ad accounts and users there are, in turn.
const ACCOUNTS: usize = 1_000;

const CPU: &str = "ns CPU per request, stores included";

/// Which decisions are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Admitted in four buckets.
    Admitted,
    /// Refused by the memory of an earlier refusal, without a look at Redis.
    Refused,
    /// As much as the class may have of one account, so that what follows is refused.
    Filled,
}

/// What one server took in all rounds: CPU for each decision, and how long the slowest hundredth waited.
#[derive(Default)]
struct Costs {
    cpu: Vec<u64>,
    p99: Vec<u64>,
}

/// Decisions against a bare server with the same script, against looking and then incrementing; a refusal against an echo.
pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let [quota, script, increment, echo] =
        ["quota", "quota-script", "quota-increment", "quota-echo"].map(Server::start);
    let (quota, script, increment, echo) = (quota?, script?, increment?, echo?);
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let turns = [
        (&quota, Ask::Admitted),
        (&script, Ask::Admitted),
        (&increment, Ask::Admitted),
        (&quota, Ask::Refused),
        (&echo, Ask::Refused),
    ];
    let mut costs = turns.map(|_| Costs::default());
    for round in 0..=ROUNDS {
        for ((server, ask), costs) in turns.iter().zip(&mut costs) {
            let (cpu, p99) = measure(&load, server, *ask)?;
            // The first round only warms everything up.
            if round > 0 {
                costs.cpu.extend(cpu);
                costs.p99.push(p99);
            }
        }
    }
    let [quota, script, increment, refusal, echo] = costs.map(|costs| (Spread::of(costs.cpu), Spread::of(costs.p99)));
    let figure = |name, unit, measured, baseline, hundredths| {
        let goal = Goal::Hundredths(hundredths);
        Figure { name, unit, measured, baseline, goal }
    };
    Ok(vec![
        figure("4 buckets / one EVALSHA", CPU, quota.0, script.0, 125),
        figure("4 buckets / look, then increment", CPU, quota.0, increment.0, 50),
        figure("4 buckets / look, then increment", "ns p99, 64 callers", quota.1, increment.1, 50),
        figure("a refusal from memory / echo", CPU, refusal.0, echo.0, 170),
    ])
}

/// The CPU of the server and its stores for each decision, where it is told; and the 99th of 100 waits, both in ns.
fn measure(load: &Runtime, server: &Server, ask: Ask) -> anyhow::Result<(Option<u64>, u64)> {
    let token = server.ready.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
    let stores: Vec<u32> = serde_json::from_value(server.ready.get("stores").context("no stores")?.clone())?;
    let spent = || {
        let stores: Option<Duration> = stores.iter().map(|pid| cpu::of_family(*pid)).sum();
        Some(cpu::of(server.pid())? + stores?)
    };
    let (address, before) = (format!("http://{}", server.address()?), spent());
    let mut waits = load.block_on(decide_all(&address, &token, ask))?;
    let after = spent();
    waits.sort_unstable();
    let p99 = waits.get(waits.len() * 99 / 100).context("nobody waited")?;
    let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before).as_nanos());
    let each = cpu.map(|cpu| u64::try_from(cpu / DECISIONS as u128)).transpose()?;
    Ok((each, u64::try_from(p99.as_nanos())?))
}

async fn decide_all(address: &str, token: &str, ask: Ask) -> anyhow::Result<Vec<Duration>> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(Endpoint::from_shared(address.to_owned())?.tcp_nodelay(true).connect().await?);
    }
    if ask == Ask::Refused {
        let channel = channels.first().context("a connection")?.clone();
        decide_some(channel, token.to_owned(), 0..1, Ask::Filled).await?;
    }
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let channel = channels.get(caller % CONNECTIONS).context("a connection")?.clone();
        let turns = caller * EACH..(caller + 1) * EACH;
        callers.spawn(decide_some(channel, token.to_owned(), turns, ask));
    }
    let mut waits = Vec::with_capacity(DECISIONS);
    while let Some(ended) = callers.join_next().await {
        waits.extend(ended??);
    }
    Ok(waits)
}

async fn decide_some(channel: Channel, token: String, turns: Range<usize>, ask: Ask) -> anyhow::Result<Vec<Duration>> {
    let mut quotas = QuotaServiceClient::new(channel);
    let bearer = format!("Bearer {token}").parse::<tonic::metadata::MetadataValue<_>>()?;
    let mut waits = Vec::with_capacity(turns.len());
    for turn in turns {
        let mut request = Request::new(acquire(turn % ACCOUNTS, ask));
        request.metadata_mut().insert("x-adplane-service-authorization", bearer.clone());
        request.metadata_mut().insert("x-adplane-tenant", TENANT.parse()?);
        request.set_timeout(Duration::from_secs(5));
        let begun = Instant::now();
        let decision = quotas.acquire(request).await?.into_inner().decision;
        waits.push(begun.elapsed());
        let fits = match ask {
            Ask::Admitted => matches!(decision, Some(Decision::Permit(_))),
            Ask::Refused => matches!(decision, Some(Decision::Wait(_))),
            Ask::Filled => decision.is_some(),
        };
        ensure!(fits, "not what was asked for: {decision:?}");
    }
    Ok(waits)
}

/// An account's two use cases, its user and the app; or the one account that is full.
fn acquire(account: usize, ask: Ask) -> pb::AcquireRequest {
    let charge = |kind: pb::ScopeKind, id: &str, use_case: &str, cost| {
        let (meta_app, id, use_case) = ("metaApps/1".to_owned(), id.to_owned(), use_case.to_owned());
        pb::Charge { scope: Some(pb::Scope { meta_app, kind: kind.into(), id, use_case }), cost }
    };
    let id = (1_000 + account).to_string();
    let charges = match ask {
        Ask::Admitted => vec![
            charge(pb::ScopeKind::AdAccount, &id, "ads_management", 1),
            charge(pb::ScopeKind::AdAccount, &id, "ads_insights", 1),
            charge(pb::ScopeKind::User, &id, "", 1),
            charge(pb::ScopeKind::App, "", "", 1),
        ],
        Ask::Refused => vec![charge(pb::ScopeKind::AdAccount, "9", "ads_management", 1)],
        Ask::Filled => vec![charge(pb::ScopeKind::AdAccount, "9", "ads_management", FILL)],
    };
    pb::AcquireRequest { charges, priority: pb::Priority::Interactive.into(), ..Default::default() }
}
