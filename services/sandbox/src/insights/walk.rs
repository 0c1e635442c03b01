//! From a place to the rows after it, or before it: made on the way, not all made and then cut.

use std::cmp::Ordering;

use super::cells::{Key, row_of, text};
use super::collect::{Scope, Source};
use super::conditions::OfRow;
use super::cursor::Place;
use super::dates::Range;
use super::metrics::{Metric, Metrics, reach};
use super::numbers::{Figure, Numbers};
use super::order::{By, Order};
use super::query::Query;
use crate::nodes::budgets::minor_digits;
use crate::state::{Kind, Object};

/// How people who saw an ad so often are distributed: of a hundred who were reached, so many saw it once, twice, ....
const FREQUENCY_PERCENT: &[i64] = &[56, 20, 10, 5, 3, 2, 1, 1, 1, 1];

/// A row before it is written.
#[derive(Debug)]
pub(super) struct Row {
    /// The object that the row stands for.
    pub(super) object: u64,
    pub(super) slice: usize,
    pub(super) range: Range,
    pub(super) cell: Key,
    pub(super) total: Metrics,
    /// Its parts by the breakdown of actions; empty where there is none.
    pub(super) parts: Vec<(u64, Metrics)>,
    /// The reach, where it is not that of all impressions.
    pub(super) reach: Option<i64>,
}

/// Which rows are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Start,
    After(Place),
    Before(Place),
}

impl<'a> Source<'a> {
    /// At most `limit` rows: by object (newest first), then by time, then by breakdown.
    pub(super) fn rows(&self, from: From, limit: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        if self.query.is_kept_back {
            return rows;
        }
        let backwards = matches!(from, From::Before(_));
        for object in self.objects(from) {
            let Some(scope) = self.scope(object) else { continue };
            if matches!(&scope, Scope::Few(ads) if ads.is_empty()) {
                continue;
            }
            let slices = 0..self.query.slices.len();
            let slices: Box<dyn Iterator<Item = usize>> =
                if backwards { Box::new(slices.rev()) } else { Box::new(slices) };
            for slice in slices {
                if !reaches(from, object.id, slice) {
                    continue;
                }
                let mut found = self.rows_of(object, &scope, slice);
                found.retain(|row| lies(from, row));
                if backwards {
                    found.reverse();
                }
                for row in found {
                    rows.push(row);
                    if rows.len() == limit {
                        return rows;
                    }
                }
            }
        }
        rows
    }

    /// All rows in the order that was asked for.
    pub(super) fn sorted(&self, order: &Order) -> Vec<Row> {
        let mut rows = self.rows(From::Start, usize::MAX);
        match &order.by {
            By::Named(named) => {
                rows.sort_by_cached_key(|row| super::names::text(self.state, self.query, row.object, *named));
            }
            By::Date => rows.sort_by_key(|row| row.range),
            By::Number(number) => rows.sort_by_key(|row| self.numbers(row).of(*number).map_or(0, Figure::size)),
            By::Action(list, word) => {
                rows.sort_by_key(|row| self.numbers(row).of_action(*list, word, None).map_or(0, Figure::size));
            }
        }
        if order.descending {
            rows.reverse();
        }
        rows
    }

    /// The sum over all objects of the query, for its summary.
    pub(super) fn total(&self) -> Metrics {
        let mut total = Metrics::default();
        let query = self.query;
        if query.is_kept_back {
            return total;
        }
        // Where every row counts, their objects need not be told apart.
        let whole = query.conditions.rows.is_empty() && query.level == Kind::AdAccount;
        if !whole {
            self.rows(From::Start, usize::MAX).iter().for_each(|row| total.add(&row.total));
            return total;
        }
        for object in self.objects(From::Start) {
            let Some(scope) = self.scope(object) else { continue };
            for range in &query.slices {
                self.sum(&scope, *range).iter().for_each(|(_, metrics)| total.add(metrics));
            }
        }
        total
    }

    pub(super) fn numbers<'r>(&self, row: &'r Row) -> Numbers<'r> {
        Numbers {
            metrics: &row.total,
            reach: row.reach,
            digits: minor_digits(self.state.currency(self.query.account)),
            shows_reach: self.query.shows_reach(row.range.since),
            shows_unique: self.query.shows_unique(row.range.since),
        }
    }

    /// The objects of the level from a place on, in the order of the walk.
    fn objects(&self, from: From) -> Box<dyn Iterator<Item = &'a Object> + '_> {
        let (state, query): (_, &'a Query) = (self.state, self.query);
        let Some(target) = state.object(query.target) else { return Box::new(std::iter::empty()) };
        let above = match query.level {
            level if level == target.kind => Some(target.id),
            Kind::AdAccount => Some(query.account),
            Kind::Campaign => target.campaign,
            Kind::AdSet => target.ad_set,
            _ => None,
        };
        if let Some(only) = above {
            return Box::new(state.object(only).into_iter());
        }
        let look = move |id: u64| state.object(id);
        match from {
            From::Start => Box::new(state.children(target.id, query.level).rev().filter_map(look)),
            From::After(place) => {
                Box::new(state.children_in(target.id, query.level, ..=place.object).rev().filter_map(look))
            }
            From::Before(place) => Box::new(state.children_in(target.id, query.level, place.object..).filter_map(look)),
        }
    }

    /// The rows of an object in one slice of time that meet all conditions.
    fn rows_of(&self, object: &Object, scope: &Scope<'_>, slice: usize) -> Vec<Row> {
        let query = self.query;
        let Some(range) = query.slices.get(slice).copied() else { return Vec::new() };
        let Some(counted) = self.kept_range(range) else { return Vec::new() };
        let mut rows: Vec<Row> = Vec::new();
        for (cell, metrics) in self.sum(scope, counted) {
            if metrics.is_zero() {
                continue;
            }
            let part = cell.last().copied().unwrap_or_default();
            match rows.last_mut().filter(|row| row_of(&row.cell) == row_of(&cell)) {
                Some(row) => {
                    row.total.add(&metrics);
                    row.parts.push((part, metrics));
                }
                None => {
                    let parts = if query.plan.has_parts() { vec![(part, metrics)] } else { Vec::new() };
                    rows.push(Row { object: object.id, slice, range, cell, total: metrics, parts, reach: None });
                }
            }
        }
        if query.by_frequency() {
            rows = rows.iter().flat_map(by_frequency).collect();
        }
        rows.retain(|row| self.passes(row));
        rows
    }

    /// The part of a range that is still kept: hours and frequencies go sooner than totals.
    fn kept_range(&self, range: Range) -> Option<Range> {
        let since = if self.query.is_hourly() {
            range.since.max(self.query.unique_since)
        } else if self.query.by_frequency() {
            range.since.max(self.query.frequency_since)
        } else {
            range.since
        };
        (since <= range.until).then_some(Range { since, ..range })
    }

    /// Whether a row meets the conditions on its numbers and values.
    fn passes(&self, row: &Row) -> bool {
        self.query.conditions.rows.iter().all(|(of, condition)| {
            let value = match of {
                OfRow::Number(number) => self.numbers(row).of(*number).map_or_else(|| "0".to_owned(), Figure::text),
                OfRow::Breakdown(breakdown) => {
                    let place = self.query.breakdowns.iter().position(|it| it == breakdown);
                    let code = place.and_then(|place| row.cell.get(place)).copied().unwrap_or_default();
                    text(*breakdown, code, &self.texts.borrow()).trim_matches('"').to_owned()
                }
            };
            condition.meets(&value).unwrap_or(true)
        })
    }
}

impl Row {
    pub(super) fn place(&self) -> Place {
        Place { object: self.object, slice: self.slice, cell: self.cell }
    }
}

/// One row for each number of times that people saw the ad. Its reach is theirs.
fn by_frequency(row: &Row) -> Vec<Row> {
    let people = row.reach.unwrap_or_else(|| reach(row.total.get(Metric::Impressions)));
    let mut rows = Vec::new();
    let (mut share, mut given) = (0, 0);
    for (percent, often) in FREQUENCY_PERCENT.iter().zip(1..) {
        share += percent;
        let until = people * share / 100;
        if until > given {
            let mut cell = row.cell;
            if let Some(slot) = cell.first_mut() {
                *slot = often;
            }
            rows.push(Row { cell, parts: Vec::new(), reach: Some(until - given), ..*row });
        }
        given = until;
    }
    rows
}

/// Whether a slice of an object may hold rows on the wanted side of the place.
fn reaches(from: From, object: u64, slice: usize) -> bool {
    match from {
        From::Start => true,
        From::After(place) => object != place.object || slice >= place.slice,
        From::Before(place) => object != place.object || slice <= place.slice,
    }
}

/// Whether a row lies on the wanted side of the place.
fn lies(from: From, row: &Row) -> bool {
    let side = |place: Place| {
        // Newer objects come first.
        let order = place.object.cmp(&row.object).then(row.slice.cmp(&place.slice));
        order.then_with(|| row_of(&row.cell).cmp(row_of(&place.cell)))
    };
    match from {
        From::Start => true,
        From::After(place) => side(place) == Ordering::Greater,
        From::Before(place) => side(place) == Ordering::Less,
    }
}
