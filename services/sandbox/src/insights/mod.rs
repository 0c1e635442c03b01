//! Insights: numbers made on demand from the seed, which add up over days, levels and breakdowns (reach apart).
//!
//! `daily` says what one ad did on one day; `split` deals that out over a breakdown without losing anything;
//! `collect` sums it up for the rows of a query; `rows` writes them as Meta does.

mod breakdowns;
mod collect;
mod daily;
mod dates;
mod metrics;
mod query;
mod rows;
mod runs;
mod split;

use serde_json::{Value, json};

use crate::body::Body;
use crate::error::Refusal;
use crate::fields::{self, Field};
use crate::paging::{self, Page};
use crate::params::Params;
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State, local};
use query::Query;

pub(crate) use runs::{DEFAULTS as RUN_DEFAULTS, FIELDS as RUN_FIELDS, show as show_run};

/// Whether a kind has an `insights` edge.
pub(crate) fn is_target(kind: Kind) -> bool {
    matches!(kind, Kind::AdAccount | Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Run)
}

/// `GET /{node}/insights`, also of a report run.
pub(crate) fn read(state: &State, call: &Call, target: &Object) -> Result<Body, Refusal> {
    call.caller.may_read()?;
    let view = View::of(state, call);
    if target.kind == Kind::Run {
        return runs::read(&view, call, target);
    }
    let query = Query::read(state, target, &call.params, None, call.now)?;
    answer(&view, &query, &call.path.join("/"), &call.params, call.now)
}

/// `POST /{node}/insights`: starts a report.
pub(crate) fn start(state: &mut State, call: &Call, target: &Object) -> Result<Value, Refusal> {
    call.caller.may_read()?;
    // A query that could not run is refused here, not after minutes.
    Query::read(state, target, &call.params, fields::of(&call.params)?.as_deref(), call.now)?;
    Ok(runs::start(state, call, target))
}

/// `insights.date_preset(..){..}` inside of `fields`.
pub(crate) fn nested(
    view: &View<'_>,
    target: &Object,
    params: &Params,
    fields: Option<&[Field]>,
) -> Result<Value, Refusal> {
    let query = Query::read(view.state, target, params, fields, view.now)?;
    let path = format!("{}/insights", crate::nodes::path_id(target));
    answer(view, &query, &path, params, view.now).map(Body::into_tree)
}

/// Everything that an account ever spent, in minor units.
///
/// Remembered for the hour, since an account may have delivered with very many ads.
pub(crate) fn spent(view: &View<'_>, account: &Object) -> i64 {
    let here = local(view.state, account.id, view.now).datetime();
    let hour = here.date().at(here.hour(), 0, 0, 0);
    view.state.spent_until(account.id, hour, || sum_spent(view, account))
}

fn sum_spent(view: &View<'_>, account: &Object) -> i64 {
    let params = Params::from_form("date_preset=maximum");
    Query::read(view.state, account, &params, None, view.now)
        // What was spent on an ad stays spent when the ad is deleted.
        .map(|query| Query { with_gone: true, ..query })
        .map(|query| collect::rows(view.state, &query, view.now).iter().map(|row| row.metrics.spend()).sum())
        .unwrap_or_default()
}

/// One page of rows.
fn answer(view: &View<'_>, query: &Query, path: &str, params: &Params, now: jiff::Timestamp) -> Result<Body, Refusal> {
    let mut all = collect::rows(view.state, query, now);
    rows::sort(&mut all, query);
    let keys: Vec<u64> = (0..u64::try_from(all.len()).unwrap_or_default()).collect();
    let mut plain = params.clone();
    // Here `summary` is a list of metrics, not a wish for a count.
    let summary = plain.remove("summary").is_some() || params.boolean("default_summary").unwrap_or(false);
    let page: Page = paging::cut(&keys, &plain)?;
    let shown = page
        .keys
        .iter()
        .filter_map(|&key| all.get(usize::try_from(key).ok()?))
        .map(|row| rows::shown(view.state, query, row))
        .collect();
    plain = params.clone();
    let mut body = paging::answer(&page, shown, &plain, &view.link(path));
    if let Value::Object(map) = &mut body {
        map.remove("summary");
        if summary {
            map.insert("summary".to_owned(), rows::summary(view.state, query, &all));
        }
    }
    Ok(Body::Text(body.to_string()))
}

/// The refusal that Meta gives while a report is not ready.
fn not_ready() -> Body {
    json!({ "data": [] }).into()
}
