//! Insights: numbers made on demand from the seed, which add up over days, levels and breakdowns (reach apart).
//!
//! `query` checks what is asked for. `daily` says what one ad did on one day, by its `character`; `split` and `cells` deal
//! that out over breakdowns without losing anything; `collect` sums it up, and `sums` keeps what is over; `walk` goes from
//! a cursor to the rows of its page; `rows` writes them as Meta does.

mod action;
mod assets;
mod breakdowns;
mod cells;
mod character;
mod collect;
mod columns;
mod conditions;
mod cursor;
mod daily;
mod dates;
mod dice;
mod export;
mod limits;
mod metrics;
mod names;
mod numbers;
mod order;
mod places;
mod profile;
mod query;
mod rows;
mod runs;
mod split;
mod sums;
mod walk;

use jiff::SignedDuration;
use jiff::civil::Date;
use serde_json::Value;

use crate::body::Body;
use crate::error::Refusal;
use crate::fields::{self, Field};
use crate::paging;
use crate::params::Params;
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State, Status, local};
use collect::Source;
use cursor::Place;
use dates::Range;
use query::{Query, Summary, Way};
use rows::Pen;
use walk::{From, Row};

pub(crate) use export::csv;
pub(crate) use runs::{
    DEFAULTS as RUN_DEFAULTS, FIELDS as RUN_FIELDS, RunFault, is_gone as is_gone_run, show as show_run,
};
pub(crate) use sums::Sums;

/// Whether a kind has an `insights` edge.
pub(crate) fn is_target(kind: Kind) -> bool {
    matches!(kind, Kind::AdAccount | Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Run)
}

/// `GET /{node}/insights`, also of a report run.
pub(crate) fn read(state: &State, call: &Call, target: &Object) -> Result<Body, Refusal> {
    call.caller.may_read()?;
    let view = View::of(state, call);
    if target.kind == Kind::Run {
        if runs::is_gone(state, target, call.now) {
            return Err(Refusal::missing("get", &target.id.to_string()));
        }
        return runs::read(&view, call, target);
    }
    let query = Query::read(state, target, &call.params, None, (call.now, Way::Sync))?;
    limits::may_read(state, &query)?;
    answer(&view, &query, &call.path.join("/"), &call.params)
}

/// `POST /{node}/insights`: starts a report.
pub(crate) fn start(state: &mut State, call: &Call, target: &Object) -> Result<Value, Refusal> {
    call.caller.may_read()?;
    // A query that could not run is refused here, not after minutes.
    let given = fields::of(&call.params)?;
    let query = Query::read(state, target, &call.params, given.as_deref(), (call.now, Way::Report))?;
    runs::start(state, call, target, &query)
}

/// `insights.date_preset(..){..}` inside of `fields`.
pub(crate) fn nested(
    view: &View<'_>,
    target: &Object,
    params: &Params,
    fields: Option<&[Field]>,
) -> Result<Value, Refusal> {
    let query = Query::read(view.state, target, params, fields, (view.now, Way::Sync))?;
    limits::may_read(view.state, &query)?;
    let path = format!("{}/insights", crate::nodes::path_id(target));
    answer(view, &query, &path, params).map(Body::into_tree)
}

/// Everything that an account ever spent, in minor units.
///
/// Remembered for the hour, since an account may have delivered with very many ads.
pub(crate) fn spent(view: &View<'_>, account: &Object) -> i64 {
    collect::spent(view.state, account.id, view.now)
}

/// What the ads of an object have spent today, in minor units.
pub(crate) fn spent_today(view: &View<'_>, object: &Object) -> i64 {
    let today = local(view.state, object.account, view.now).date();
    collect::spent_since(view.state, object, today, view.now)
}

/// What the ads of an object have spent in all, in minor units.
pub(crate) fn spent_below(view: &View<'_>, object: &Object) -> i64 {
    collect::spent_since(view.state, object, Date::MIN, view.now)
}

/// One page of rows, as text.
fn answer(view: &View<'_>, query: &Query, path: &str, params: &Params) -> Result<Body, Refusal> {
    let limit = limits::page(view.state, params)?;
    let source = Source::new(view.state, query);
    let page = if is_forgotten(view.state, query) { Page::default() } else { page(&source, params, limit)? };
    let mut out = String::with_capacity(page.rows.len() * 1_024 + 512);
    let mut pen = Pen::new(&source, &query.fields);
    out.push_str("{\"data\":[");
    for (at, row) in page.rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        pen.row(row, &mut out);
    }
    out.push(']');
    if let (Some(first), Some(last)) = (page.rows.first(), page.rows.last()) {
        let (before, after) = (first.place().seal(), last.place().seal());
        out.push_str(",\"paging\":");
        out.push_str(&links(view, path, params, &page, (&before, &after)).to_string());
    }
    if query.summary != Summary::None {
        out.push_str(",\"summary\":");
        summary(&source, &mut out);
    }
    out.push('}');
    Ok(Body::Text(out))
}

/// The rows of a page and what is around them.
#[derive(Debug, Default)]
struct Page {
    rows: Vec<Row>,
    has_next: bool,
    has_previous: bool,
}

fn page(source: &Source<'_>, params: &Params, limit: usize) -> Result<Page, Refusal> {
    let cursor =
        |name: &str| params.text(name).filter(|text| !text.is_empty()).map(|text| Place::open(&text)).transpose();
    let from = match (cursor("after")?, cursor("before")?) {
        (Some(after), _) => From::After(after),
        (None, Some(before)) => From::Before(before),
        (None, None) => From::Start,
    };
    if let Some(order) = &source.query.order {
        return sorted_page(source.sorted(order), from, limit);
    }
    // One row more tells whether there is another page.
    let mut rows = source.rows(from, limit.saturating_add(1));
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Ok(match from {
        From::Start => Page { rows, has_next: has_more, has_previous: false },
        From::After(_) => Page { rows, has_next: has_more, has_previous: true },
        From::Before(_) => {
            rows.reverse();
            Page { rows, has_next: true, has_previous: has_more }
        }
    })
}

/// Of rows in an order of their own, the page is found by its place among all of them.
fn sorted_page(mut rows: Vec<Row>, from: From, limit: usize) -> Result<Page, Refusal> {
    let find = |place: Place| {
        let is_it = |row: &Row| cells::row_of(&row.cell) == cells::row_of(&place.cell) && row.object == place.object;
        let found = rows.iter().position(|row| is_it(row) && row.slice == place.slice);
        found.ok_or_else(|| Refusal::new(2642, "(#2642) Invalid cursors values"))
    };
    let (start, end) = match from {
        From::Start => (0, limit),
        From::After(place) => {
            let start = find(place)? + 1;
            (start, start.saturating_add(limit))
        }
        From::Before(place) => {
            let end = find(place)?;
            (end.saturating_sub(limit), end)
        }
    };
    let (has_next, has_previous) = (end < rows.len(), start > 0);
    rows.truncate(end);
    Ok(Page { rows: rows.split_off(start.min(rows.len())), has_next, has_previous })
}

fn links(view: &View<'_>, path: &str, params: &Params, page: &Page, (before, after): (&str, &str)) -> Value {
    let link = view.link(path);
    let mut paging = serde_json::json!({ "cursors": { "before": before, "after": after } });
    if let Value::Object(map) = &mut paging {
        if page.has_next {
            map.insert("next".to_owned(), paging::href(params, &link, "after", after).into());
        }
        if page.has_previous {
            map.insert("previous".to_owned(), paging::href(params, &link, "before", before).into());
        }
    }
    paging
}

fn summary(source: &Source<'_>, out: &mut String) {
    let query = source.query;
    let fields = match &query.summary {
        Summary::Of(fields) => fields,
        _ => &query.fields,
    };
    let since = query.slices.iter().map(|range| range.since).min();
    let until = query.slices.iter().map(|range| range.until).max();
    let Some(range) = since.zip(until).map(|(since, until)| Range { since, until }) else {
        return out.push_str("{}");
    };
    let row = Row {
        object: query.account,
        slice: 0,
        range,
        cell: cells::Key::default(),
        total: source.total(),
        parts: Vec::new(),
        reach: None,
    };
    Pen::new(source, fields).summary(&row, out);
}

/// Numbers of what was deleted are kept for some weeks only.
fn is_forgotten(state: &State, query: &Query) -> bool {
    let kept = SignedDuration::from_hours(state.settings.deleted_insights_days.saturating_mul(24));
    let target = state.object(query.target).filter(|target| target.status == Status::Deleted);
    target.is_some_and(|target| query.now.duration_since(target.updated) > kept)
}
