//! Budget schedules: times in which a campaign or ad set may spend more. Meta's node is `HighDemandPeriod`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{lifecycle, write};
use crate::error::Refusal;
use crate::fields;
use crate::params::Params;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec;
use crate::state::{Kind, Object, State, Status, iso};

pub(crate) const FIELDS: &str =
    "ad_object_id budget_value budget_value_type id recurrence_type time_end time_start weekly_schedule";

/// How long a period lasts at least.
const HOURS_MIN: i64 = 3;
/// How many periods an object has at most. Meta says 'about'.
const PERIODS_MAX: usize = 50;
/// How many times its usual budget an object may spend at most.
const TIMES_MAX: i64 = 8;

/// A period that was asked for, checked for itself.
struct Period {
    start: Timestamp,
    end: Timestamp,
    value: i64,
    kind: String,
}

/// `POST /{campaign or ad set}/budget_schedules`.
pub(crate) fn create(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    lifecycle::takes_children(object)?;
    let period = read(state, call, object, &call.params)?;
    fits(state, object, &period, None)?;
    if live(state, object.id).count() >= PERIODS_MAX {
        return Err(refused("An object has at most 50 budget schedules.", "time_start"));
    }
    let mut schedule = Object::new(state.fresh_id(), Kind::Schedule, object.account, call.now);
    schedule.owner = Some(object.id);
    kept(&mut schedule, &period);
    let id = schedule.id;
    write::keep(state, schedule);
    let mut parent = object.clone();
    parent.fields.insert("is_budget_schedule_enabled".to_owned(), Value::Bool(true));
    write::keep(state, parent);
    write::created(state, call, id)
}

/// `POST /{schedule}`: what is not given stays.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let Some(object) = old.owner.and_then(|id| state.object(id)).cloned() else {
        return Err(Refusal::missing("post", &old.id.to_string()));
    };
    let mut params = call.params.clone();
    for (name, kept) in [
        ("budget_value", "budget_value"),
        ("budget_value_type", "budget_value_type"),
        ("time_start", "_start"),
        ("time_end", "_end"),
    ] {
        if !params.has(name) {
            params.put(name, old.fields.get(kept).cloned().unwrap_or_default());
        }
    }
    let period = read(state, call, &object, &params)?;
    fits(state, &object, &period, Some(old.id))?;
    let mut schedule = old.clone();
    kept(&mut schedule, &period);
    schedule.updated = call.now;
    write::keep(state, schedule);
    write::updated(state, call, old.id)
}

/// `DELETE /{schedule}`.
pub(crate) fn delete(state: &mut State, call: &Call, schedule: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut schedule = schedule.clone();
    schedule.status = Status::Deleted;
    schedule.updated = call.now;
    write::keep(state, schedule);
    Ok(write::validated())
}

/// `GET /{campaign or ad set}/budget_schedules`, all or those that are on between `time_start` and `time_stop`.
pub(crate) fn list(state: &State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    let bound = |name: &str| match call.params.raw(name) {
        Some(raw) => moment(state, call, object, raw, name).map(|at| Some(at.as_second())),
        None => Ok(None),
    };
    let (from, to) = (bound("time_start")?, bound("time_stop")?);
    let wanted = |schedule: &&Object| {
        let (start, end) = (second(schedule, "_start"), second(schedule, "_end"));
        from.is_none_or(|from| end > from) && to.is_none_or(|to| start < to)
    };
    let ids: Vec<u64> = live(state, object.id).filter(wanted).map(|schedule| schedule.id).collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

fn live(state: &State, parent: u64) -> impl Iterator<Item = &Object> {
    let all = state.children(parent, Kind::Schedule).filter_map(|id| state.object(id));
    all.filter(|schedule| !schedule.status.is_gone())
}

fn read(state: &State, call: &Call, object: &Object, params: &Params) -> Result<Period, Refusal> {
    for name in ["budget_value", "budget_value_type", "time_start", "time_end"] {
        params.required(name)?;
    }
    let time = |name: &str| moment(state, call, object, params.raw(name).unwrap_or(&Value::Null), name);
    let kind = params.required("budget_value_type")?;
    if !matches!(kind.as_str(), "ABSOLUTE" | "MULTIPLIER") {
        let text = "Param budget_value_type must be one of {ABSOLUTE, MULTIPLIER}";
        return Err(Refusal::invalid(text).blame(&["budget_value_type"]));
    }
    let value = params.integer("budget_value")?.filter(|&value| value > 0);
    let value = value
        .ok_or_else(|| Refusal::invalid("Param budget_value must be a positive integer").blame(&["budget_value"]))?;
    Ok(Period { start: time("time_start")?, end: time("time_end")?, value, kind })
}

/// Fails where the period breaks a rule of its object or runs into another one.
fn fits(state: &State, object: &Object, period: &Period, own: Option<u64>) -> Result<(), Refusal> {
    let budget = object.minor("daily_budget").max(object.minor("lifetime_budget"));
    if budget == 0 {
        let advice = "A budget schedule needs a budget on the same object.";
        return Err(refused(advice, "budget_value"));
    }
    if period.end.duration_since(period.start) < SignedDuration::from_hours(HOURS_MIN) {
        return Err(refused("A budget schedule lasts at least 3 hours.", "time_end"));
    }
    // A multiplier is the percentage by which the budget grows (Meta, "Budget schedules": 140 is $140 or 140%).
    let most = if period.kind == "ABSOLUTE" { budget.saturating_mul(TIMES_MAX) } else { (TIMES_MAX - 1) * 100 };
    if period.value > most {
        return Err(refused("A budget can be raised to 8 times its usual amount at most.", "budget_value"));
    }
    let (start, end) = (period.start.as_second(), period.end.as_second());
    let meets = |other: &Object| start < second(other, "_end") && second(other, "_start") < end;
    if live(state, object.id).any(|other| Some(other.id) != own && meets(other)) {
        return Err(refused("Two budget schedules of an object cannot be at the same time.", "time_start"));
    }
    Ok(())
}

/// Meta's subcode for these is not published.
fn refused(advice: &str, blame: &str) -> Refusal {
    Refusal::invalid(advice).shown("Budget schedule invalid", advice).blame(&[blame])
}

fn moment(state: &State, call: &Call, object: &Object, raw: &Value, name: &str) -> Result<Timestamp, Refusal> {
    let must = || Refusal::invalid(format!("Param {name} must be a time")).blame(&[name]);
    spec::moment(state, object.account, raw, call.now).ok_or_else(must)
}

fn kept(schedule: &mut Object, period: &Period) {
    for (name, value) in [
        ("budget_value", json!(period.value)),
        ("budget_value_type", json!(period.kind)),
        ("_start", json!(period.start.as_second())),
        ("_end", json!(period.end.as_second())),
    ] {
        schedule.fields.insert(name.to_owned(), value);
    }
}

fn second(schedule: &Object, name: &str) -> i64 {
    schedule.fields.get(name).and_then(Value::as_i64).unwrap_or_default()
}

pub(crate) fn show(view: &View<'_>, schedule: &Object, name: &str) -> Option<Shown> {
    let time = |name: &str| {
        let at = Timestamp::from_second(second(schedule, name)).unwrap_or_default();
        Shown::text(iso(view.state, schedule.account, at))
    };
    Some(match name {
        "ad_object_id" => Shown::text(schedule.owner.unwrap_or_default().to_string()),
        "recurrence_type" => Shown::text("ONE_TIME"),
        "time_start" => time("_start"),
        "time_end" => time("_end"),
        _ => return None,
    })
}
