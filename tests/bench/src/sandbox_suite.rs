//! The sandbox, so that it is never what a benchmark of something else measures.

use anyhow::{Context as _, ensure};
use hyper::Method;
use serde_json::Value;

use crate::figure::{Figure, Goal};
use crate::load::Load;
use crate::server::Server;
use crate::spread::Spread;

/// Rounds of which the median is taken; each runs everything once.
const ROUNDS: usize = 5;
/// Reads of one campaign in a round: a second of CPU or so, and fewer than the hourly limit of an account.
const READS: u64 = 40_000;
/// Reads of a page of campaigns in a round.
const PAGE_READS: u64 = 10_000;
/// Insights pages in a round.
const PAGES: u64 = 60;
/// Rows of an insights page.
const ROWS: u64 = 500;
/// Campaigns on a page, as many as an edge gives without being asked.
const CAMPAIGNS: usize = 25;
const CAMPAIGN_FIELDS: &str =
    "name,objective,status,effective_status,daily_budget,buying_type,bid_strategy,created_time,updated_time";
const INSIGHTS_FIELDS: &str = "campaign_id,campaign_name,adset_id,adset_name,ad_id,ad_name,impressions,clicks,spend,\
                               reach,frequency,ctr,cpc,cpm,actions,action_values";

/// A campaign read against an HTTP echo, and the price of a row of insights.
pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let (echo, sandbox) = (Server::start("echo")?, Server::start("sandbox")?);
    let word = |key: &str| sandbox.ready.get(key).and_then(Value::as_str).with_context(|| format!("no {key}"));
    let (account, load) = (word("ad_account")?, Load::new(word("token")?)?);
    let campaign = fill(&load, &sandbox, account)?;
    let node = format!("/v26.0/{campaign}?fields={CAMPAIGN_FIELDS}");
    let page = format!("/v26.0/{account}/campaigns?fields={CAMPAIGN_FIELDS}&limit={CAMPAIGNS}");
    let insights = format!(
        "/v26.0/{account}/insights?level=ad&time_increment=1&date_preset=last_90d&limit={ROWS}&fields={INSIGHTS_FIELDS}"
    );
    for (path, rows) in [(&page, CAMPAIGNS), (&insights, usize::try_from(ROWS)?)] {
        let answer = load.json(&sandbox, Method::GET, path)?;
        let found = answer.get("data").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
        ensure!(found == rows, "{path} has {found} rows instead of {rows}");
    }
    let mut costs = [const { Vec::new() }; 4];
    for round in 0..=ROUNDS {
        let turns = [
            (&echo, &node, READS),
            (&sandbox, &node, READS),
            (&sandbox, &page, PAGE_READS),
            (&sandbox, &insights, PAGES),
        ];
        for ((server, path, count), costs) in turns.into_iter().zip(&mut costs) {
            load.ask(&sandbox, Method::DELETE, "/__sandbox/usage")?;
            let cost = load.cost(server, path, count)?;
            // The first round only warms everything up.
            costs.extend(cost.filter(|_| round > 0));
        }
    }
    let [echo, node, page, insights] = costs;
    let echo = Spread::of(echo);
    let row = Spread::of(insights.into_iter().map(|page| page / ROWS).collect());
    let read = |name, costs| Figure {
        name,
        unit: "ns CPU per request",
        measured: Spread::of(costs),
        baseline: echo,
        goal: Goal::Times(5),
    };
    Ok(vec![
        read("one campaign / HTTP echo", node),
        read("page of 25 campaigns / HTTP echo", page),
        Figure {
            name: "row of an insights page of 500",
            unit: "ns CPU per row",
            measured: row,
            baseline: None,
            goal: Goal::Amount(20_000),
        },
    ])
}

/// Makes as many campaigns as a page holds; the id of one.
fn fill(load: &Load, sandbox: &Server, account: &str) -> anyhow::Result<String> {
    let mut id = String::new();
    for number in 0..CAMPAIGNS {
        let path = format!(
            "/v26.0/{account}/campaigns?name=Campaign%20{number}&objective=OUTCOME_SALES&status=PAUSED\
             &special_ad_categories=[]&daily_budget=5000&bid_strategy=LOWEST_COST_WITHOUT_CAP"
        );
        let made = load.json(sandbox, Method::POST, &path)?;
        made.get("id").and_then(Value::as_str).context("no id")?.clone_into(&mut id);
    }
    Ok(id)
}
