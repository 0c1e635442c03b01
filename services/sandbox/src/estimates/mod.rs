//! How many people a targeting reaches: `delivery_estimate`, `reachestimate` and what else is asked before money is
//! spent. The same targeting has the same size whenever it is asked for, and a narrower one is never larger.

mod size;

use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::fields;
use crate::nodes::{budgets, goals, targeting};
use crate::params::{Params, as_text};
use crate::route::Call;
use crate::state::{Kind, Object, State};
use size::Bounds;

/// The edges of an ad account and an ad set that estimate; `None` for another edge.
pub(crate) fn answer(state: &State, call: &Call, object: &Object, edge: &str) -> Option<Result<Value, Refusal>> {
    Some(match (object.kind, edge) {
        (Kind::AdAccount | Kind::AdSet, "delivery_estimate") => delivery(state, call, object),
        (Kind::AdAccount, "reachestimate") => reach(state, call, object.account),
        (Kind::AdAccount, "max_bid") => Ok(max_bid(state, object.id)),
        _ => return None,
    })
}

/// Nothing is told of days and outcomes unless it is asked for: newer versions have no such members.
const DELIVERY_DEFAULTS: &[&str] =
    &["estimate_mau_lower_bound", "estimate_mau_upper_bound", "estimate_ready", "targeting_optimization_types"];

fn delivery(state: &State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    let own = |name: &str| (object.kind == Kind::AdSet).then(|| object.fields.get(name).cloned()).flatten();
    let goal = call.params.text("optimization_goal").or_else(|| own("optimization_goal").as_ref().map(as_text));
    let Some(goal) = goal else { return Err(Refusal::required("optimization_goal")) };
    if !goals::GOALS.contains(&goal.as_str()) {
        let words = goals::GOALS.join(", ");
        let text = format!("Param optimization_goal must be one of {{{words}}}");
        return Err(Refusal::invalid(text).blame(&["optimization_goal"]));
    }
    let spec = match own("targeting") {
        Some(Value::Object(spec)) if !call.params.has("targeting_spec") => spec,
        _ => given(state, call, object.account)?,
    };
    let bounds = size::of(state, &spec);
    let (lower, upper) = bounds.shown();
    let daily = bounds.daily();
    let all = json!({
        "estimate_mau_lower_bound": lower,
        "estimate_mau_upper_bound": upper,
        "estimate_ready": true,
        "targeting_optimization_types": [],
        "estimate_dau": daily,
        "estimate_mau": lower,
        "daily_outcomes_curve": curve(daily),
        "bid_estimate": { "min_bid": 50, "median_bid": 120, "max_bid": 310 },
    });
    let asked = fields::of(&call.params)?;
    let names = asked.as_ref().map_or_else(
        || DELIVERY_DEFAULTS.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        |fields| fields.iter().map(|field| field.name.clone()).collect(),
    );
    let mut row = Map::new();
    for name in names {
        match all.get(&name) {
            Some(value) => row.insert(name, value.clone()),
            None => return Err(Refusal::unknown_field(&name, "AdAccountDeliveryEstimate")),
        };
    }
    Ok(json!({ "data": [row] }))
}

/// Spend in minor units, and what it brings on a day.
fn curve(daily: i64) -> Value {
    let points = [0_i64, 500, 2_000, 10_000, 50_000].map(|spend| {
        let reach = daily.max(0).min(spend.saturating_mul(2));
        json!({ "spend": spend, "reach": reach, "impressions": reach.saturating_mul(13) / 10, "actions": reach / 60 })
    });
    json!(points)
}

fn reach(state: &State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let (lower, upper) = size::of(state, &given(state, call, account)?).shown();
    Ok(json!({ "data": { "users_lower_bound": lower, "users_upper_bound": upper, "estimate_ready": true } }))
}

/// The targeting of the call, with the places and people that it names.
fn given(state: &State, call: &Call, account: u64) -> Result<Map<String, Value>, Refusal> {
    call.params.required("targeting_spec")?;
    let spec = Params::json(&call.params, "targeting_spec").ok().flatten();
    let Some(Value::Object(spec)) = spec else {
        return Err(Refusal::invalid("Param targeting_spec must be a valid JSON object").blame(&["targeting_spec"]));
    };
    targeting::names_what_exists(state, account, &spec, call.now)?;
    Ok(spec)
}

/// The highest bid that is taken: a thousand of the currency.
fn max_bid(state: &State, account: u64) -> Value {
    let digits = u32::try_from(budgets::minor_digits(state.currency(account))).unwrap_or_default();
    json!({ "data": [{ "max_bid": 1_000_u64.saturating_mul(10_u64.saturating_pow(digits)) }] })
}

impl Bounds {
    /// As Meta shows them: two rounded numbers, or -1 where an audience is too small to be told.
    fn shown(self) -> (i64, i64) {
        match self {
            Self::Hidden => (-1, -1),
            Self::Between(lower, upper) => (as_signed(lower), as_signed(upper)),
        }
    }

    /// People a day: two thirds of those of a month.
    fn daily(self) -> i64 {
        match self {
            Self::Hidden => -1,
            Self::Between(lower, _) => as_signed(lower / 3 * 2),
        }
    }
}

fn as_signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
