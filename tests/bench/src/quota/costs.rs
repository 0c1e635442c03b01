//! What a decision over four buckets costs, beside the same script alone, and beside limiters that look before they count;
//! what a refusal from memory costs, and what every request of ours passes.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::runtime::Runtime;

use super::limitador;
use super::load::{self, Ask, Turns, p99};
use crate::auth_servers::TENANT;
use crate::cpu;
use crate::figure::{Figure, Goal};
use crate::report;
use crate::server::Server;
use crate::spread::Spread;

/// Rounds of which the median is taken; each runs everything once.
const ROUNDS: usize = 5;
/// Decisions in a round: a second of CPU or so.
const DECISIONS: usize = 24_000;

/// How many callers ask at once, and the units of what is measured then.
struct Crowd {
    callers: usize,
    cpu: &'static str,
    p99: &'static str,
    rate: &'static str,
}

const FEW: Crowd = Crowd {
    callers: 16,
    cpu: "ns CPU per request, stores included, 16 callers",
    p99: "ns p99, 16 callers",
    rate: "requests a second, 16 callers",
};
const MANY: Crowd = Crowd {
    callers: 64,
    cpu: "ns CPU per request, stores included, 64 callers",
    p99: "ns p99, 64 callers",
    rate: "requests a second, 64 callers",
};

/// What one server took in all rounds.
#[derive(Default)]
struct Costs {
    /// CPU for each decision, where it is told.
    cpu: Vec<u64>,
    /// How long the slowest hundredth waited.
    p99: Vec<u64>,
    /// Decisions a second.
    rate: Vec<u64>,
}

/// The same, in the middle.
#[derive(Clone, Copy)]
struct Spreads {
    cpu: Option<Spread>,
    p99: Option<Spread>,
    rate: Option<Spread>,
}

/// All of them, and the peer where it can be built.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let peer = limitador::built().map(|program| json!({ "program": program }));
    if let Err(why) = &peer {
        report::left_out("limitador over Redis", &format!("{why:#}"))?;
    }
    let shared = Server::start("quota-stores")?;
    let quota = Server::start_with("quota", &shared.ready)?;
    let [script, gcra, increment, echo, stack] =
        ["quota-script", "quota-gcra", "quota-increment", "quota-echo", "quota-stack"].map(Server::start);
    let (script, gcra, increment, echo, stack) = (script?, gcra?, increment?, echo?, stack?);
    let peer = peer.ok().map(|told| Server::start_with("quota-limitador", &told)).transpose()?;

    let mut figures = Vec::new();
    for crowd in [FEW, MANY] {
        let servers = [Some(&quota), Some(&script), Some(&gcra), Some(&increment), peer.as_ref()];
        let costs = rounds(servers.map(|server| server.map(|server| (server, Ask::Admitted))), crowd.callers)?;
        let [ours, script, gcra, increment, peer] = costs;
        figures.push(figure("4 buckets / one EVALSHA", crowd.cpu, (ours.cpu, script.cpu), Goal::Hundredths(125)));
        figures.push(figure("exact / plain GCRA, bare", crowd.cpu, (script.cpu, gcra.cpu), Goal::Told));
        for (name, other) in [(PEER, peer), (BY_HAND, increment)].into_iter().filter(|(_, other)| other.p99.is_some()) {
            let [cpu, p99, rate] = [Goal::Hundredths(50), Goal::Hundredths(50), Goal::AtLeast(200)];
            figures.push(figure(name, crowd.cpu, (ours.cpu, other.cpu), cpu));
            figures.push(figure(name, crowd.p99, (ours.p99, other.p99), p99));
            figures.push(figure(name, crowd.rate, (ours.rate, other.rate), rate));
        }
    }
    let [refusal, stack, echo] =
        rounds([&quota, &stack, &echo].map(|server| Some((server, Ask::Refused))), MANY.callers)?;
    figures.push(figure("a refusal from memory / echo", MANY.cpu, (refusal.cpu, echo.cpu), Goal::Hundredths(170)));
    figures.push(figure("what every call passes / echo", MANY.cpu, (stack.cpu, echo.cpu), Goal::Hundredths(130)));
    Ok(figures)
}

const PEER: &str = "4 buckets / limitador on Redis";
/// `MGET`, then a pipeline of `INCRBY` and `EXPIRE`, without any rules, names or refusals told.
const BY_HAND: &str = "4 buckets / look, count, by hand";

fn figure(
    name: &'static str,
    unit: &'static str,
    (measured, baseline): (Option<Spread>, Option<Spread>),
    goal: Goal,
) -> Figure {
    Figure { name, unit, measured, baseline, goal }
}

/// All servers in turn, round by round.
fn rounds<const N: usize>(turns: [Option<(&Server, Ask)>; N], callers: usize) -> anyhow::Result<[Spreads; N]> {
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut costs: [Costs; N] = std::array::from_fn(|_| Costs::default());
    for round in 0..=ROUNDS {
        for (turn, costs) in turns.iter().zip(&mut costs) {
            let Some((server, ask)) = turn else { continue };
            let (cpu, p99, rate) = measure(&load, server, *ask, callers)?;
            // The first round only warms everything up.
            if round > 0 {
                costs.cpu.extend(cpu);
                costs.p99.push(p99);
                costs.rate.push(rate);
            }
        }
    }
    Ok(costs.map(|costs| Spreads {
        cpu: Spread::of(costs.cpu),
        p99: Spread::of(costs.p99),
        rate: Spread::of(costs.rate),
    }))
}

/// The CPU of the server and its stores for each decision, where it is told; the 99th of 100 waits; decisions a second.
fn measure(load: &Runtime, server: &Server, ask: Ask, callers: usize) -> anyhow::Result<(Option<u64>, u64, u64)> {
    let stores: Vec<u32> = serde_json::from_value(server.ready.get("stores").context("no stores")?.clone())?;
    let spent = || {
        let stores: Option<Duration> = stores.iter().map(|pid| cpu::of_family(*pid)).sum();
        Some(cpu::of(server.pid())? + stores?)
    };
    let before = spent();
    let mut waits = load.block_on(load::decide(server, TENANT, Turns::of(DECISIONS, callers), ask))?;
    let cpu = before.zip(spent()).map(|(before, after)| after.saturating_sub(before).as_nanos());
    let decided = u128::try_from(waits.each.len().max(1))?;
    let each = cpu.map(|cpu| u64::try_from(cpu / decided)).transpose()?;
    let rate = decided * 1_000_000_000 / waits.all.as_nanos().max(1);
    Ok((each, u64::try_from(p99(&mut waits.each)?.as_nanos())?, u64::try_from(rate)?))
}
