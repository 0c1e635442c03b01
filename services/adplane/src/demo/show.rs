//! What a person wants to see at the end: tables and a chart, as text.

use std::fmt::Write;

use proto::{
    audiences::v1::MemberErrorEffect,
    insights::v1::{Finality, Reconciliation, ReportMode, Row},
    plans::v1::{Change, DiffPlanResponse, NodeKind, Plan, PlanStep, Risk, StepState},
    ratelimit::v1::{CeilingProfile, Quota, QuotaUnit},
};
use vocabulary::{Currency, Money};

use super::{
    audience::Filled,
    events::Sent,
    launch::Launched,
    measure::Measured,
    step::{Took, seconds},
};

/// The widest bar of the chart, in characters.
const BAR_WIDTH: i64 = 36;

/// A headline and its rule.
fn head(out: &mut String, title: &str) {
    _ = writeln!(out, "\n{title}\n{}", "─".repeat(title.chars().count()));
}

/// What applying the plan will change, a line per field, and what it costs.
pub(crate) fn diff(plan: &Plan, diff: &DiffPlanResponse) -> String {
    let mut out = String::new();
    head(&mut out, &format!("What will change: {}", plan.name));
    let mut resource = "";
    for change in &diff.changes {
        if change.resource != resource {
            resource = &change.resource;
            _ = writeln!(out, "  + {resource}");
        }
        _ = writeln!(out, "      {:<30} {}{}", change.field, clip(&change.after, 70), risk(change));
    }
    if let Some(estimate) = &diff.estimate {
        let costs: Vec<String> = estimate.costs.iter().map(|cost| format!("{} × {}", cost.cost, cost.scope)).collect();
        _ = writeln!(
            out,
            "  {} Graph calls in {} HTTP requests: {}",
            estimate.graph_calls,
            estimate.http_requests,
            costs.join(", ")
        );
    }
    out
}

fn risk(change: &Change) -> &'static str {
    match change.risk() {
        Risk::Money => "   (money)",
        Risk::Fixed => "   (cannot be changed later)",
        Risk::Delivery | Risk::None | Risk::Unspecified => "",
    }
}

/// The campaign with all beneath it, as it stands at Meta.
pub(crate) fn tree(launched: &Launched) -> String {
    let mut out = String::new();
    head(&mut out, "Campaign");
    let plan = &launched.plan;
    let status = |temporary: &str| {
        let created = launched.result.created.iter().find(|created| created.temporary_id == temporary);
        created.map_or("", |created| created.effective_status.as_str())
    };
    let mut line = |depth: usize, kind: &str, temporary: Option<&String>| {
        let temporary = temporary.map_or("", String::as_str);
        let Some(step) = plan.steps.iter().find(|step| step.temporary_id == temporary) else { return };
        let id = step.resource.rsplit('/').next().unwrap_or_default();
        let indent = "  ".repeat(depth);
        let title = clip(&step.title, 34);
        _ = writeln!(
            out,
            "  {indent}{kind:<9} {title:<width$} {id:<20} {:<16} {}",
            status(temporary),
            state(step),
            width = 36 - 2 * depth
        );
    };
    line(0, "campaign", plan.campaign.as_ref().and_then(|campaign| campaign.temporary_id.as_ref()));
    for ad_set in &plan.ad_sets {
        line(1, "ad set", ad_set.temporary_id.as_ref());
        for ad in plan.ads.iter().filter(|ad| ad.adset_id == ad_set.temporary_id || ad.adset_id == ad_set.id) {
            line(2, "ad", ad.temporary_id.as_ref());
            line(3, "creative", ad.creative.as_ref().and_then(|creative| creative.creative_id.as_ref()));
        }
    }
    let pictures = plan.steps.iter().filter(|step| step.kind() == NodeKind::Image).count();
    _ = writeln!(out, "  {pictures} pictures; everything is PAUSED: nothing is spent until somebody activates it");
    for difference in &launched.result.differences {
        _ = writeln!(
            out,
            "  Meta answers {} = {} for {}",
            difference.field,
            clip(&difference.after, 40),
            difference.resource
        );
    }
    out
}

fn state(step: &PlanStep) -> &'static str {
    match step.state() {
        StepState::Done => "",
        StepState::Pending => "not made",
        StepState::Sending => "being made",
        StepState::Failed => "refused",
        StepState::Unknown => "outcome unknown",
        StepState::Unspecified => "?",
    }
}

/// Rows taken, rows refused and why.
pub(crate) fn audience(filled: &Filled) -> String {
    let mut out = String::new();
    let audience = &filled.audience;
    head(&mut out, &format!("Audience: {}", audience.name.as_deref().unwrap_or_default()));
    let job = &filled.job;
    _ = writeln!(out, "  {}", audience.resource_name);
    let status = audience.operation_status.as_ref().map_or("", |status| status.description.as_str());
    _ = writeln!(
        out,
        "  {} rows accepted, {} rejected; {} fields left out of rows that were kept",
        job.rows_accepted, job.rows_rejected, job.fields_dropped
    );
    _ = writeln!(out, "  {} received by Meta, {} of them invalid", filled.result.received, filled.result.invalid);
    if !status.is_empty() {
        _ = writeln!(out, "  Meta says: {status}");
    }
    for remark in &filled.remarks {
        let rows: Vec<String> = remark.rows.iter().map(|row| (row + 1).to_string()).collect();
        let more = if remark.count > rows.len() { ", …" } else { "" };
        let effect = if remark.effect == MemberErrorEffect::RowRejected { "rejected" } else { "left out" };
        let (count, field) = (remark.count, if remark.field.is_empty() { "row" } else { &remark.field });
        _ = writeln!(
            out,
            "  {count:>6} × {effect} {field:<14} {}  (customers {}{more})",
            remark.message,
            rows.join(", ")
        );
    }
    out
}

/// Events accepted, delivered and refused.
pub(crate) fn events(sent: &Sent) -> String {
    let mut out = String::new();
    head(&mut out, "Conversion events");
    let refused: usize = sent.refused.values().map(|(count, _)| count).sum();
    _ = writeln!(out, "  {:>6} accepted", sent.accepted);
    _ = writeln!(out, "  {:>6} delivered to Meta", sent.stats.delivered);
    if sent.deduplicated > 0 {
        _ = writeln!(out, "  {:>6} seen before, and counted once", sent.deduplicated);
    }
    _ = writeln!(out, "  {refused:>6} refused");
    for (reason, (count, example)) in &sent.refused {
        _ = writeln!(out, "         {count:>6} × {reason}  (such as {example})");
    }
    _ = writeln!(out, "  {:>6} dead letters", sent.stats.dead);
    for (reason, count) in &sent.dead {
        _ = writeln!(out, "         {count:>6} × {reason}");
    }
    out
}

/// Spend and purchases by day.
pub(crate) fn chart(measured: &Measured) -> String {
    let mut out = String::new();
    let report = &measured.report;
    head(&mut out, "Spend and purchases by day");
    let mut rows: Vec<&Row> = measured.rows.iter().collect();
    rows.sort_by(|left, right| left.date_start.cmp(&right.date_start));
    let most = rows.iter().map(|row| minor(row)).max().unwrap_or(0).max(1);
    let most_sold = rows.iter().map(|row| purchases(row)).max().unwrap_or(0).max(1);
    for row in rows {
        let (spent, sold) = (minor(row), purchases(row));
        let width = usize::try_from(spent * BAR_WIDTH / most).unwrap_or(0);
        let sold_width = usize::try_from(sold * 12 / most_sold).unwrap_or(0);
        let (bar, sold_bar) = ("█".repeat(width), "▪".repeat(sold_width));
        let bar_width = usize::try_from(BAR_WIDTH).unwrap_or(0);
        _ = writeln!(
            out,
            "  {}  {bar:<bar_width$} {:>13}  {sold_bar:<12} {sold:>4}",
            row.date_start,
            money(row.spend.as_ref())
        );
    }
    if measured.rows.is_empty() {
        _ = writeln!(out, "  The account delivered nothing in these days.");
    }
    if let Some(totals) = &report.totals {
        _ = writeln!(
            out,
            "  total {}, {} impressions, {} clicks",
            money(totals.spend.as_ref()),
            totals.impressions,
            totals.clicks
        );
    }
    let mode = if report.mode() == ReportMode::Async { "as an asynchronous report" } else { "in one answer" };
    let checked = match report.reconciliation() {
        Reconciliation::Matched => "equal to the account's own totals",
        Reconciliation::Differed => "DIFFERENT from the account's own totals",
        Reconciliation::NotComparable | Reconciliation::Unspecified => "not comparable with the account's totals",
    };
    let last =
        if report.finality() == Finality::Final { "final" } else { "provisional: Meta still counts for 28 days" };
    _ = writeln!(out, "  read {mode}, {checked}, {last}");
    out
}

fn minor(row: &Row) -> i64 {
    row.spend.as_ref().map_or(0, |spend| spend.minor_units)
}

fn purchases(row: &Row) -> i64 {
    let action = row.actions.iter().find(|action| action.action_type == "omni_purchase");
    let action = action.or_else(|| row.actions.iter().find(|action| action.action_type == "purchase"));
    action.and_then(|action| action.value.split('.').next()?.parse().ok()).unwrap_or(0)
}

fn money(amount: Option<&proto::common::v1::Money>) -> String {
    let Some(amount) = amount else { return String::new() };
    match amount.currency_code.parse::<Currency>() {
        Ok(currency) => Money::from_minor(amount.minor_units, currency).to_string(),
        Err(_) => format!("{} {}", amount.minor_units, amount.currency_code),
    }
}

/// What was taken from each bucket.
pub(crate) fn quotas(quotas: &[Quota]) -> String {
    let mut out = String::new();
    head(&mut out, "Graph calls against the quota");
    _ = writeln!(out, "  {:<44} {:>8} {:>10} {:>8}  ceiling", "bucket", "used", "of", "others");
    for quota in quotas {
        let scope = quota.scope.clone().unwrap_or_default();
        let kind = scope.kind().as_str_name().trim_start_matches("SCOPE_KIND_").to_lowercase().replace('_', " ");
        let name: Vec<&str> =
            [kind.as_str(), &scope.id, &scope.use_case].into_iter().filter(|part| !part.is_empty()).collect();
        let unit = match quota.unit() {
            QuotaUnit::Points => " points",
            QuotaUnit::Changes => " changes",
            QuotaUnit::Calls | QuotaUnit::Unspecified => "",
        };
        let limit = quota.limit.map_or("no limit".to_owned(), |limit| limit.to_string());
        let window = quota.window.as_ref().map_or(0, |window| window.seconds);
        let profile = if quota.profile() == CeilingProfile::Source { "fixed" } else { "Meta's formula" };
        let name = format!("{}{unit}", name.join(" "));
        _ = writeln!(out, "  {name:<44} {:>8} {limit:>10} {:>8}  in {window} s, {profile}", quota.used, quota.others);
    }
    out
}

/// How long each step took.
pub(crate) fn times(times: &[Took]) -> String {
    let mut out = String::new();
    head(&mut out, "Time");
    for took in times {
        _ = writeln!(out, "  {:<28} {:>8}", took.name, seconds(took.time));
    }
    let total = times.iter().map(|took| took.time).sum();
    _ = writeln!(out, "  {:<28} {:>8}", "in all", seconds(total));
    out
}

/// The start of a long text.
fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
