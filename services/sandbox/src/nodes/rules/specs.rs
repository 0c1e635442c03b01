//! What rules may say: the words of their three specs, checked before a rule is kept.

use serde_json::{Map, Value};

use super::select;
use crate::error::Refusal;
use crate::params::Params;

const OPERATORS: &[&str] = &[
    "GREATER_THAN",
    "LESS_THAN",
    "EQUAL",
    "NOT_EQUAL",
    "IN_RANGE",
    "NOT_IN_RANGE",
    "IN",
    "NOT_IN",
    "CONTAIN",
    "NOT_CONTAIN",
    "ANY",
    "ALL",
    "NONE",
];
const TRIGGERS: &[&str] =
    &["METADATA_CREATION", "METADATA_UPDATE", "STATS_CHANGE", "STATS_MILESTONE", "DELIVERY_INSIGHTS_CHANGE"];
const EXECUTIONS: &[&str] = &[
    "ADD_INTEREST_RELAXATION",
    "ADD_QUESTIONNAIRE_INTERESTS",
    "AD_RECOMMENDATION_APPLY",
    "AUDIENCE_CONSOLIDATION",
    "AUDIENCE_CONSOLIDATION_ASK_FIRST",
    "CHANGE_BID",
    "CHANGE_BUDGET",
    "CHANGE_CAMPAIGN_BUDGET",
    "DCO",
    "INCREASE_RADIUS",
    "NOTIFICATION",
    "PAUSE",
    "PING_ENDPOINT",
    "REBALANCE_BUDGET",
    "ROTATE",
    "UNPAUSE",
    "UPDATE_CREATIVE",
    "UPDATE_LAX_BUDGET",
    "UPDATE_LAX_DURATION",
];
const SCHEDULES: &[&str] = &["CUSTOM", "DAILY", "HOURLY", "SEMI_HOURLY"];
const UNITS: &[&str] = &["ACCOUNT_CURRENCY", "PERCENTAGE"];
const MINUTES_A_DAY: i64 = 1_440;

/// The specs that were given, each a JSON object.
pub(super) fn read(params: &Params) -> Result<Map<String, Value>, Refusal> {
    let mut fields = Map::new();
    for name in ["evaluation_spec", "execution_spec", "schedule_spec"] {
        match params.json(name)? {
            Some(spec @ Value::Object(_)) => {
                fields.insert(name.to_owned(), spec);
            }
            Some(_) => return Err(must(name, "a valid JSON object")),
            None => {}
        }
    }
    for name in ["ui_creation_source", "recommended_rule_key"] {
        if let Some(text) = params.text(name) {
            fields.insert(name.to_owned(), Value::String(text));
        }
    }
    Ok(fields)
}

/// Fails where a spec is missing or breaks a rule.
pub(super) fn check_whole(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let spec = |name: &str| fields.get(name).ok_or_else(|| Refusal::required(name));
    let evaluation = spec("evaluation_spec")?;
    evaluated(evaluation)?;
    executed(spec("execution_spec")?)?;
    let by_schedule = text(evaluation, "evaluation_type") == "SCHEDULE";
    match fields.get("schedule_spec") {
        Some(schedule) => scheduled(schedule),
        // A trigger needs none.
        None if by_schedule => Err(Refusal::required("schedule_spec")),
        None => Ok(()),
    }
}

fn evaluated(spec: &Value) -> Result<(), Refusal> {
    match text(spec, "evaluation_type") {
        "SCHEDULE" => {}
        "TRIGGER" => trigger(spec.get("trigger"))?,
        _ => return Err(one_of("evaluation_spec[evaluation_type]", &["SCHEDULE", "TRIGGER"])),
    }
    let filters = spec.get("filters").and_then(Value::as_array);
    let filters = filters.filter(|filters| !filters.is_empty());
    let filters = filters.ok_or_else(|| must("evaluation_spec", "have at least one filter"))?;
    for filter in filters {
        let field = text(filter, "field");
        if !select::is_known(field) {
            return Err(must("evaluation_spec", &format!("filter by a known field, not by {field:?}")));
        }
        if !OPERATORS.contains(&text(filter, "operator")) {
            return Err(one_of("evaluation_spec[filters][operator]", OPERATORS));
        }
        if filter.get("value").is_none_or(Value::is_null) {
            return Err(must("evaluation_spec", &format!("have a value for the filter {field}")));
        }
    }
    let of = |name: &str| filters.iter().find(|filter| text(filter, "field") == name);
    let kind = of("entity_type").map(|filter| text(filter, "value"));
    if !kind.is_some_and(|kind| matches!(kind, "CAMPAIGN" | "ADSET" | "AD")) {
        return Err(must("evaluation_spec", "have a filter entity_type of CAMPAIGN, ADSET or AD"));
    }
    let preset = of("time_preset").map(|filter| text(filter, "value"));
    if preset.is_some_and(|preset| select::date_preset(preset).is_none()) {
        return Err(must("evaluation_spec", "have a known time_preset"));
    }
    Ok(())
}

fn trigger(trigger: Option<&Value>) -> Result<(), Refusal> {
    let Some(trigger) = trigger else { return Err(Refusal::required("evaluation_spec[trigger]")) };
    let kind = text(trigger, "type");
    if !TRIGGERS.contains(&kind) {
        return Err(one_of("evaluation_spec[trigger][type]", TRIGGERS));
    }
    let by_number = matches!(kind, "STATS_CHANGE" | "STATS_MILESTONE");
    if by_number && (text(trigger, "field").is_empty() || trigger.get("value").is_none()) {
        return Err(must("evaluation_spec", "have a field and a value in its trigger"));
    }
    Ok(())
}

fn executed(spec: &Value) -> Result<(), Refusal> {
    let kind = text(spec, "execution_type");
    if !EXECUTIONS.contains(&kind) {
        return Err(one_of("execution_spec[execution_type]", EXECUTIONS));
    }
    let options = spec.get("execution_options").and_then(Value::as_array);
    for option in options.into_iter().flatten() {
        if text(option, "field").is_empty() || !matches!(text(option, "operator"), "EQUAL" | "IN") {
            return Err(must("execution_spec", "have options of {field, operator EQUAL or IN, value}"));
        }
    }
    if !matches!(kind, "CHANGE_BUDGET" | "CHANGE_CAMPAIGN_BUDGET" | "CHANGE_BID") {
        return Ok(());
    }
    let Some(change) = option(spec, "change_spec") else {
        return Err(must("execution_spec", "have an option change_spec"));
    };
    let has_amount = change.get("amount").is_some_and(|amount| amount.is_number() || amount.is_string());
    if !has_amount || !UNITS.contains(&text(change, "unit")) {
        return Err(must(
            "execution_spec",
            "have a change_spec with an amount and a unit of ACCOUNT_CURRENCY or PERCENTAGE",
        ));
    }
    Ok(())
}

fn scheduled(spec: &Value) -> Result<(), Refusal> {
    let kind = text(spec, "schedule_type");
    if !SCHEDULES.contains(&kind) {
        return Err(one_of("schedule_spec[schedule_type]", SCHEDULES));
    }
    if kind != "CUSTOM" {
        return Ok(());
    }
    let rows = spec.get("schedule").and_then(Value::as_array).filter(|rows| !rows.is_empty());
    let rows = rows.ok_or_else(|| must("schedule_spec", "have a schedule"))?;
    for row in rows {
        let minute = |name: &str| row.get(name).and_then(Value::as_i64);
        let inside = |minute: i64| (0..=MINUTES_A_DAY).contains(&minute);
        let days = row.get("days").and_then(Value::as_array);
        let days_fit =
            days.is_none_or(|days| days.iter().all(|day| day.as_i64().is_some_and(|day| (0..7).contains(&day))));
        let start = minute("start_minute");
        if !days_fit || start.is_none_or(|start| !inside(start)) || minute("end_minute").is_some_and(|end| !inside(end))
        {
            return Err(must("schedule_spec", "have minutes of 0 to 1440 and days of 0 to 6"));
        }
    }
    Ok(())
}

/// The value of an option of an execution spec.
pub(super) fn option<'a>(spec: &'a Value, name: &str) -> Option<&'a Value> {
    let options = spec.get("execution_options").and_then(Value::as_array)?;
    options.iter().find(|option| text(option, "field") == name)?.get("value")
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn must(name: &str, what: &str) -> Refusal {
    Refusal::invalid(format!("Param {name} must {}{what}", if what.starts_with("a ") { "be " } else { "" }))
        .blame(&[name])
}

fn one_of(name: &str, words: &[&str]) -> Refusal {
    let blamed = name.split('[').next().unwrap_or(name);
    Refusal::invalid(format!("Param {name} must be one of {{{}}}", words.join(", "))).blame(&[blamed])
}
