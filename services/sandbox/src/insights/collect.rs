//! Sums the days of ads up to the rows of a query.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::breakdowns::{Cell, cells};
use super::daily::{self, Dice, Today};
use super::dates::Range;
use super::metrics::Metrics;
use super::query::Query;
use crate::filter;
use crate::state::{Kind, Object, State, effective, local};

/// A row before it is written.
#[derive(Debug)]
pub(super) struct Row {
    /// The object that the row stands for.
    pub(super) object: u64,
    pub(super) range: Range,
    pub(super) cell: Cell,
    pub(super) metrics: Metrics,
}

/// All rows of a query: by object (newest first), then by time, then by breakdown. Only what delivered has a row.
pub(super) fn rows(state: &State, query: &Query, now: Timestamp) -> Vec<Row> {
    let here = local(state, query.account, now);
    let today = Today { date: here.date(), hour: here.hour() };
    let mut sums: BTreeMap<(std::cmp::Reverse<u64>, Range, Cell), Metrics> = BTreeMap::new();
    for ad in ads(state, query) {
        let Some(object) = at_level(ad, query) else { continue };
        if !wanted(state, query, ad, now) {
            continue;
        }
        for range in &query.slices {
            for day in days(ad, *range, today) {
                let Some(metrics) = daily::of(state.seed, ad, day, today) else { continue };
                for (cell, part) in cells(metrics, &query.breakdowns, &Dice::new(state.seed ^ 0x5a, ad.id, day)) {
                    sums.entry((std::cmp::Reverse(object), *range, cell)).or_default().add(&part);
                }
            }
        }
    }
    let all = sums.into_iter().filter(|(_, metrics)| !metrics.is_zero());
    all.map(|((object, range, cell), metrics)| Row { object: object.0, range, cell, metrics })
        .filter(|row| super::rows::passes(query, row))
        .collect()
}

fn ads<'a>(state: &'a State, query: &Query) -> impl Iterator<Item = &'a Object> {
    let own = state.of_kind(query.target, Kind::Ad).map(|ad| ad.id);
    own.into_iter().chain(state.children(query.target, Kind::Ad)).filter_map(|id| state.object(id))
}

/// Only the days on which an ad has a span are looked at; a query may ask for years.
fn days(ad: &Object, range: Range, today: Today) -> impl Iterator<Item = jiff::civil::Date> {
    let since = ad.spans.first().map_or(range.until, |span| span.from).max(range.since);
    let until = ad.spans.last().and_then(|span| span.to).unwrap_or(today.date).min(range.until);
    Range { since, until }.days()
}

/// The object above the ad that a row of the level stands for.
fn at_level(ad: &Object, query: &Query) -> Option<u64> {
    match query.level {
        Kind::Campaign => ad.campaign,
        Kind::AdSet => ad.ad_set,
        Kind::Ad => Some(ad.id),
        _ => Some(ad.account),
    }
}

/// Deleted objects keep their numbers, which are shown only by id or where their status is asked for.
fn wanted(state: &State, query: &Query, ad: &Object, now: Timestamp) -> bool {
    let above = [Some(ad.id), ad.ad_set, ad.campaign];
    let by_id = above.contains(&Some(query.target));
    if !by_id && !query.with_gone && effective(state, ad, now) == "DELETED" {
        return false;
    }
    query.filters.iter().filter(|condition| condition.field.contains('.')).all(|condition| {
        let (kind, field) = filter::split(&condition.field, Kind::Ad);
        let Some(object) = filter::related(state, ad, kind) else { return false };
        let value = match field {
            "id" => object.id.to_string(),
            "effective_status" => effective(state, object, now).to_owned(),
            "name" => object.name().to_owned(),
            // What the sandbox does not know of an object keeps no row away.
            _ => return true,
        };
        condition.meets(&value).unwrap_or(true)
    })
}
