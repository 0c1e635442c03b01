//! Rows as Meta writes them, straight as text: every number is a string, and what is zero is mostly left out.

use std::fmt::Write as _;

use jiff::civil::Date;

use super::action::{ActionKind, Class, List, Window};
use super::breakdowns::{ActionBreakdown, Breakdown};
use super::cells::{Dimension, action_text, dimension, text};
use super::collect::Source;
use super::columns::{Column, Results};
use super::metrics::{INDICATORS, Indicator, Metric, Metrics, reach};
use super::names;
use super::numbers::{Figure, Numbers, ratio};
use super::query::{Asked, Query};
use super::walk::Row;
use crate::state::Kind;

/// Impressions from which on an ad is ranked (Meta, 'Ad relevance diagnostics').
const RANKED_IMPRESSIONS: i64 = 500;

/// Fields that stand in rows by asset (Meta, 'Insights: breakdowns').
const OF_ASSETS: &[&str] = &["impressions", "clicks", "spend", "reach", "actions", "action_values"];

/// Writes rows.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    source: &'a Source<'a>,
    /// The fields, each with its key as JSON; the ones that a row of this query cannot have are left out.
    fields: Vec<(String, Column)>,
    targets: Targets,
    /// The object of the last row, with its named fields in their order, as rows of one object follow each other.
    named: Option<(u64, Vec<Option<String>>)>,
}

/// Actions that share the keys of an item, as they are written.
struct Group<'r> {
    keys: String,
    members: Vec<(&'static ActionKind, &'r Metrics)>,
}

/// Where people go, as JSON texts.
#[derive(Debug, Default)]
struct Targets {
    page: (String, String),
    dataset: (String, String),
}

impl<'a> Pen<'a> {
    pub(super) fn new(source: &'a Source<'a>, fields: &[Asked]) -> Self {
        let query = source.query;
        let fields = fields.iter().filter(|field| may_have(query, field));
        Self {
            source,
            fields: fields.map(|field| (quoted(&field.name), field.column)).collect(),
            targets: Targets::of(source),
            named: None,
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: &Row, out: &mut String) {
        if self.named.as_ref().is_none_or(|(object, _)| *object != row.object) {
            let query = self.source.query;
            let columns = self.fields.iter().filter_map(|(_, column)| match column {
                Column::Named(named) => Some(*named),
                _ => None,
            });
            let texts =
                columns.map(|named| names::text(self.source.state, query, row.object, named).map(|text| quoted(&text)));
            self.named = Some((row.object, texts.collect()));
        }
        out.push('{');
        self.members(row, out);
        let query = self.source.query;
        for (breakdown, code) in query.breakdowns.iter().zip(row.cell) {
            let value = text(*breakdown, code, &self.source.texts.borrow());
            push(out, &[",\"", breakdown.word(), "\":", &value]);
        }
        out.push('}');
    }

    /// The totals of a summary, without names and breakdowns.
    pub(super) fn summary(&mut self, row: &Row, out: &mut String) {
        self.fields.retain(|(_, column)| !matches!(column, Column::Named(_) | Column::Ranking(_)));
        out.push('{');
        self.members(row, out);
        out.push('}');
    }

    fn members(&self, row: &Row, out: &mut String) {
        let numbers = self.source.numbers(row);
        let mut named = self.named.iter().flat_map(|(_, texts)| texts);
        for (key, column) in &self.fields {
            let start = out.len();
            push(out, &[key, ":"]);
            let is_there = match column {
                Column::Named(_) => {
                    named.next().and_then(Option::as_deref).inspect(|text| out.push_str(text)).is_some()
                }
                Column::Number(number) => numbers.of(*number).inspect(|figure| string(*figure, out)).is_some(),
                Column::List(list) => self.list(*list, row, numbers, out),
                Column::Curve(points) => curve(row, *points, out),
                Column::Results(results) => self::results(*results, numbers, out),
                Column::Ranking(which) => {
                    ranking(row, self.source.query, *which).inspect(|word| out.push_str(word)).is_some()
                }
                Column::DateStart | Column::DateStop | Column::Absent => false,
            };
            if is_there {
                out.push(',');
            } else {
                out.truncate(start);
            }
        }
        out.push_str("\"date_start\":\"");
        date(row.range.since, out);
        out.push_str("\",\"date_stop\":\"");
        date(row.range.until, out);
        out.push('"');
    }

    /// A list of actions; false where there is none.
    fn list(&self, list: List, row: &Row, numbers: Numbers<'_>, out: &mut String) -> bool {
        let start = out.len();
        out.push('[');
        let query = self.source.query;
        let kinds =
            list.kinds.iter().filter(|kind| query.conditions.want_action(kind.word) && !self.is_elsewhere(kind));
        let by_type = query.actions.contains(&ActionBreakdown::Type);
        let mut groups: Vec<Group<'_>> = Vec::new();
        for kind in kinds {
            // By type alone, which is what most ask for, no two parts share their keys.
            if by_type && query.actions.len() == 1 {
                let keys = |out: &mut String| self.keys(kind, None, out);
                self.item(list, keys, numbers, |window| tally(kind, &row.total, window), out);
                continue;
            }
            for (code, metrics) in self.parts(kind, row) {
                let mut keys = String::new();
                self.keys(kind, code, &mut keys);
                match groups.iter_mut().find(|group| group.keys == keys) {
                    Some(group) => group.members.push((kind, metrics)),
                    None => groups.push(Group { keys, members: vec![(kind, metrics)] }),
                }
            }
            // Without its type, an item holds all actions that share the other keys.
            if by_type {
                self.groups(list, &mut groups, numbers, out);
            }
        }
        self.groups(list, &mut groups, numbers, out);
        if out.ends_with('[') {
            out.truncate(start);
            return false;
        }
        out.push(']');
        true
    }

    /// An item for each group, of which none is left.
    fn groups(&self, list: List, groups: &mut Vec<Group<'_>>, numbers: Numbers<'_>, out: &mut String) {
        for Group { keys, members } in groups.drain(..) {
            let sum = |window| {
                members.iter().fold((0, 0), |sum: (i64, i64), (kind, metrics)| {
                    let (count, worth) = tally(kind, metrics, window);
                    (sum.0 + count, sum.1 + worth)
                })
            };
            self.item(list, |out| out.push_str(&keys), numbers, sum, out);
        }
    }

    /// One item, with its comma where it is not the first; nothing where it has no value of its own.
    fn item(
        &self,
        list: List,
        keys: impl FnOnce(&mut String),
        numbers: Numbers<'_>,
        sum: impl Fn(Option<Window>) -> (i64, i64),
        out: &mut String,
    ) {
        let query = self.source.query;
        let (count, worth) = sum(None);
        let value = numbers.item(list.shape, count, worth);
        let windows = query.windows.iter().filter_map(|window| {
            let (count, worth) = sum(Some(*window));
            numbers.item(list.shape, count, worth).map(|figure| (window.word, figure))
        });
        let mut windows = windows.peekable();
        // A conversion beyond the ad set's setting is seen in its window only.
        if value.is_none() && windows.peek().is_none() {
            return;
        }
        if !out.ends_with('[') {
            out.push(',');
        }
        out.push('{');
        keys(out);
        out.push_str("\"value\":");
        string(value.unwrap_or(Figure::Count(0)), out);
        for (word, figure) in windows {
            push(out, &[",\"", word, "\":"]);
            string(figure, out);
        }
        out.push('}');
    }

    /// The keys of an item, each with a comma behind it.
    fn keys(&self, kind: &ActionKind, code: Option<u64>, out: &mut String) {
        let query = self.source.query;
        let off = kind.class == Class::Off;
        let (target, destination) = if off { &self.targets.dataset } else { &self.targets.page };
        for action in &query.actions {
            match action {
                ActionBreakdown::Type => push(out, &["\"action_type\":\"", kind.word, "\","]),
                // Meta does not tell where actions elsewhere came from.
                _ if off && query.hides_off_meta => {}
                ActionBreakdown::TargetId => push(out, &["\"action_target_id\":", target, ","]),
                ActionBreakdown::Destination => push(out, &["\"action_destination\":", destination, ","]),
                other => {
                    let value = code.and_then(|code| action_text(*other, code, &self.source.texts.borrow()));
                    if let Some(value) = value {
                        push(out, &["\"", other.word(), "\":", &value, ","]);
                    }
                }
            }
        }
    }

    /// An action's parts by the breakdown of actions that it takes part in; else the whole, without a code.
    fn parts<'r>(&self, kind: &ActionKind, row: &'r Row) -> impl Iterator<Item = (Option<u64>, &'r Metrics)> {
        let dealt = self.source.query.actions.iter().find_map(|action| dimension(*action));
        let takes_part = match dealt {
            Some(Dimension::Device) => kind.class != Class::Off || !self.source.query.hides_off_meta,
            Some(Dimension::Reaction) => kind.class == Class::Reaction,
            Some(Dimension::Sound | Dimension::VideoType) => kind.class == Class::Video,
            Some(Dimension::Card) => matches!(kind.class, Class::Link | Class::Off),
            _ => false,
        };
        let parts = takes_part.then(|| row.parts.iter().map(|(code, metrics)| (Some(*code), metrics)));
        let whole = (!takes_part).then_some((None, &row.total));
        parts.into_iter().flatten().chain(whole)
    }

    /// Whether an action happened where Meta cannot break it down by place or hour, and says nothing then.
    fn is_elsewhere(&self, kind: &ActionKind) -> bool {
        let query = self.source.query;
        let by_place = |it: &Breakdown| it.is_hourly() || matches!(it, Breakdown::Region | Breakdown::Dma);
        query.hides_off_meta && kind.class == Class::Off && query.breakdowns.iter().any(by_place)
    }
}

impl Targets {
    fn of(source: &Source<'_>) -> Self {
        let (state, account) = (source.state, source.query.account);
        let owner = state.object(account).and_then(|account| account.owner);
        let page = owner.and_then(|owner| state.children(owner, Kind::Page).next());
        let dataset = state.children(account, Kind::Dataset).next();
        let of = |id: Option<u64>| {
            let object = id.and_then(|id| state.object(id));
            let id = object.map_or(account, |object| object.id);
            (quoted(&id.to_string()), quoted(object.map_or("", |object| object.name())))
        };
        Self { page: of(page), dataset: of(dataset) }
    }
}

/// Whether rows of such a query have the field (Meta, 'Insights: breakdowns', "Limitations").
fn may_have(query: &Query, field: &Asked) -> bool {
    let name = field.name.as_str();
    let is_number = !matches!(field.column, Column::Named(_) | Column::DateStart | Column::DateStop);
    let by_region = query.breakdowns.contains(&Breakdown::Region);
    let watched =
        name.starts_with("video_p") && name.ends_with("_watched_actions") || name == "video_avg_time_watched_actions";
    !(is_number && query.has_assets() && !OF_ASSETS.contains(&name)
        || is_number && query.by_frequency() && name != "reach"
        || query.is_hourly() && name.starts_with("video_")
        || by_region && watched
        || matches!(field.column, Column::Absent | Column::DateStart | Column::DateStop))
}

fn tally(kind: &ActionKind, metrics: &Metrics, window: Option<Window>) -> (i64, i64) {
    (kind.amount.count(metrics, window), kind.amount.worth(metrics, window))
}

/// How many of those who began a video still watch at each of so many points of it.
fn curve(row: &Row, points: usize, out: &mut String) -> bool {
    let plays = row.total.get(Metric::VideoPlays);
    if plays == 0 {
        return false;
    }
    let quarters = [Metric::VideoP25, Metric::VideoP50, Metric::VideoP75, Metric::VideoP100];
    let known: Vec<i64> =
        std::iter::once(100).chain(quarters.map(|quarter| row.total.get(quarter) * 100 / plays)).collect();
    out.push_str("[{\"action_type\":\"video_view\",\"value\":[");
    let last = points.saturating_sub(1).max(1);
    for point in 0..points {
        // Between two quarters, the line is straight.
        let (quarter, beyond) = (point * 4 / last, point * 4 % last);
        let from = known.get(quarter).copied().unwrap_or_default();
        let to = known.get(quarter + 1).copied().unwrap_or(from);
        let share = |part: usize| i64::try_from(part).unwrap_or_default();
        let value = from - (from - to) * share(beyond) / share(last);
        if point > 0 {
            out.push(',');
        }
        decimal(value, out);
    }
    out.push_str("]}]");
    true
}

fn results(results: Results, numbers: Numbers<'_>, out: &mut String) -> bool {
    let start = out.len();
    out.push('[');
    for indicator in INDICATORS {
        let (count, spend) = numbers.metrics.result(indicator);
        if spend == 0 {
            continue;
        }
        let count = if indicator == Indicator::Reach { reach(count) } else { count };
        let mut of_these = Metrics::default();
        of_these.set(Metric::Spend, spend);
        let figure = match results {
            Results::Count => Some(Figure::Count(count)).filter(|_| count > 0),
            Results::Cost => Numbers { metrics: &of_these, ..numbers }.cost(count, 1),
            Results::Rate => ratio(count, numbers.metrics.get(Metric::Impressions), 100),
        };
        if !out.ends_with('[') {
            out.push(',');
        }
        push(out, &["{\"indicator\":\"", indicator_word(indicator), "\""]);
        if let Some(figure) = figure {
            out.push_str(",\"values\":[{\"value\":");
            string(figure, out);
            out.push_str(",\"attribution_windows\":[\"default\"]}]");
        }
        out.push('}');
    }
    if out.ends_with('[') {
        out.truncate(start);
        return false;
    }
    out.push(']');
    true
}

fn indicator_word(indicator: Indicator) -> &'static str {
    match indicator {
        Indicator::Purchase => "actions:offsite_conversion.fb_pixel_purchase",
        Indicator::LinkClick => "actions:link_click",
        Indicator::LandingPageView => "actions:landing_page_view",
        Indicator::PixelLead => "actions:offsite_conversion.fb_pixel_lead",
        Indicator::FormLead => "actions:onsite_conversion.lead_grouped",
        Indicator::Message => "actions:onsite_conversion.messaging_conversation_started_7d",
        Indicator::Install => "actions:mobile_app_install",
        Indicator::Engagement => "actions:post_engagement",
        Indicator::ThruPlay => "video_thruplay_watched_actions",
        Indicator::Impressions => "impressions",
        Indicator::Reach => "reach",
    }
}

/// Only ads are ranked.
fn ranking(row: &Row, query: &Query, which: u64) -> Option<&'static str> {
    if query.level != Kind::Ad {
        return None;
    }
    if row.total.get(Metric::Impressions) < RANKED_IMPRESSIONS {
        return Some("\"UNKNOWN\"");
    }
    let place = super::dice::Dice::new(which, row.object, Date::ZERO).below(10);
    Some(match place {
        0..=2 => "\"ABOVE_AVERAGE\"",
        3..=6 => "\"AVERAGE\"",
        7 => "\"BELOW_AVERAGE_35\"",
        8 => "\"BELOW_AVERAGE_20\"",
        _ => "\"BELOW_AVERAGE_10\"",
    })
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn push(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

fn string(figure: Figure, out: &mut String) {
    out.push('"');
    match figure {
        Figure::Count(count) => decimal(count, out),
        other => out.push_str(&other.text()),
    }
    out.push('"');
}

fn decimal(value: i64, out: &mut String) {
    // Writing to a string cannot fail.
    write!(out, "{value}").unwrap_or_default();
}

/// `2026-11-01`; the calendar's own text takes ten times as long.
fn date(day: Date, out: &mut String) {
    let digit = |number: i16| char::from(b'0' + u8::try_from(number.rem_euclid(10)).unwrap_or_default());
    let (year, month, day) = (day.year(), i16::from(day.month()), i16::from(day.day()));
    out.extend([year / 1_000, year / 100, year / 10, year].map(digit));
    out.push('-');
    out.extend([month / 10, month].map(digit));
    out.push('-');
    out.extend([day / 10, day].map(digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_calendar_writes_them() {
        for day in [jiff::civil::date(2026, 1, 9), jiff::civil::date(2030, 12, 31)] {
            let mut out = String::new();
            date(day, &mut out);
            assert_eq!(out, day.to_string());
        }
    }

    #[test]
    fn a_curve_begins_with_all_and_never_rises() {
        let mut total = Metrics::default();
        for (metric, count) in [
            (Metric::VideoPlays, 200),
            (Metric::VideoP25, 120),
            (Metric::VideoP50, 80),
            (Metric::VideoP75, 50),
            (Metric::VideoP100, 20),
        ] {
            total.set(metric, count);
        }
        let range = super::super::dates::Range { since: Date::ZERO, until: Date::ZERO };
        let row = Row { object: 1, slice: 0, range, cell: Default::default(), total, parts: Vec::new(), reach: None };
        let mut out = String::new();
        assert!(curve(&row, 22, &mut out));
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        let points: Vec<i64> = value[0]["value"].as_array().unwrap().iter().map(|it| it.as_i64().unwrap()).collect();
        assert_eq!((points.len(), points[0], points[21]), (22, 100, 10));
        assert!(points.is_sorted_by(|one, next| one >= next));
    }
}
