//! How much may be asked for: at once, in a report, and how often.

use jiff::{SignedDuration, Timestamp};

use super::breakdowns::Breakdown;
use super::columns::{Column, Number};
use super::query::Query;
use crate::error::Refusal;
use crate::params::Params;
use crate::state::{Kind, Object, State};

/// Rows of a page where the caller names no limit.
const LIMIT_DEFAULT: usize = 25;

/// How much a query asks for, before anything of it is made: never less than it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: u64,
    /// Days of ads that are looked at, each as often as its breakdowns cut it.
    pub(super) days: u64,
}

pub(super) fn size(state: &State, query: &Query) -> Size {
    let count = |kind: Kind| u64::try_from(state.child_count(query.target, kind).max(1)).unwrap_or(u64::MAX);
    let objects = if query.level == Kind::AdAccount { 1 } else { count(query.level) };
    let cells = query.breakdowns.iter().map(|breakdown| values(*breakdown)).product::<u64>();
    let slices = u64::try_from(query.slices.len()).unwrap_or(u64::MAX);
    let days: i64 = query.slices.iter().map(|range| range.count()).sum();
    let days = u64::try_from(days).unwrap_or_default();
    Size {
        rows: objects.saturating_mul(slices).saturating_mul(cells),
        days: count(Kind::Ad).saturating_mul(days).saturating_mul(cells),
    }
}

/// About how many values a breakdown has.
fn values(breakdown: Breakdown) -> u64 {
    match breakdown {
        Breakdown::Hour | Breakdown::AudienceHour => 24,
        Breakdown::FrequencyValue => 10,
        Breakdown::Age => 7,
        Breakdown::ImpressionDevice | Breakdown::Market | Breakdown::Dma => 6,
        Breakdown::PublisherPlatform => 5,
        Breakdown::Region | Breakdown::PlatformPosition | Breakdown::Product | Breakdown::Segment => 4,
        Breakdown::Gender | Breakdown::DevicePlatform | Breakdown::Country => 3,
        _ => 1,
    }
}

/// Fails where a query asks for too much at once.
pub(super) fn may_read(state: &State, query: &Query) -> Result<(), Refusal> {
    let size = size(state, query);
    if size.rows > state.settings.insights_rows_max {
        let advice = "Ask for fewer days, fields or breakdowns, or for a report.";
        return Err(Refusal::new(100, "Invalid parameter")
            .subcode(1_487_534)
            .shown("Too much data for one call", advice));
    }
    if size.days > state.settings.insights_days_max {
        let advice = "Please try a smaller date range, fetch less data, or use async jobs";
        return Err(Refusal::new(100, "Invalid parameter").subcode(1_504_018).shown("Your request timed out", advice));
    }
    Ok(())
}

/// Rows of a page. A page that is far too long fails as a query does that Meta cannot finish.
pub(super) fn page(state: &State, params: &Params) -> Result<usize, Refusal> {
    let Some(limit) = params.integer("limit")? else { return Ok(LIMIT_DEFAULT) };
    let limit = usize::try_from(limit)
        .ok()
        .filter(|limit| *limit > 0)
        .ok_or_else(|| Refusal::invalid("Param limit must be a positive integer"))?;
    if limit > state.settings.insights_page_rows_max {
        let message = "Please reduce the amount of data you're asking for, then retry your request";
        return Err(Refusal::new(1, message).http(500));
    }
    Ok(limit)
}

/// Whether reach is broken down for days that are kept for reports only.
pub(super) fn asks_for_old_reach(query: &Query) -> bool {
    let of_reach = |column: Column| matches!(column, Column::Number(Number::Reach | Number::Frequency | Number::Cpp));
    !query.breakdowns.is_empty()
        && query.fields.iter().any(|field| of_reach(field.column))
        && query.slices.iter().any(|range| range.since < query.unique_since)
}

/// Fails where an account has started too many reports of a rare kind within a day (Meta, 'Insights: breakdowns' and
/// 'Insights: limits', 2025 and 2026).
pub(super) fn may_start(
    state: &State,
    query: &Query,
    now: Timestamp,
    opt_in: bool,
    old_reach: bool,
) -> Result<(), Refusal> {
    let settings = &state.settings;
    let ad_sets = state.child_count(query.account, Kind::AdSet);
    for (asked, member, most) in [
        (opt_in, "_opt_in", settings.opt_in_reports_a_day.min(ad_sets)),
        (old_reach, "_old_reach", settings.reach_reports_a_day),
    ] {
        if asked && started(state, query.account, now, member) >= most {
            let message = "(#80000) There have been too many calls from this ad-account. Wait a bit and try again.";
            let advice = format!("An account may start {most} such reports a day.");
            return Err(Refusal::new(80_000, message).subcode(2_446_079).shown("Too Many Reports", advice));
        }
    }
    Ok(())
}

fn started(state: &State, account: u64, now: Timestamp, member: &str) -> usize {
    let within_day = |run: &&Object| now.duration_since(run.created) < SignedDuration::from_hours(24);
    let runs = state.children(account, Kind::Run).rev().filter_map(|id| state.object(id));
    runs.take_while(within_day).filter(|run| run.fields.get(member).is_some_and(|it| *it == true)).count()
}
