//! Custom conversions: events of a dataset that a rule names as one.

use serde_json::{Value, json};

use super::datasets::stats;
use super::{events, write};
use crate::error::Refusal;
use crate::loose;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, Status, iso};

pub(crate) const FIELDS: &str = "account_id action_source_type advanced_rule aggregation_rule business creation_time \
    custom_conversion_id custom_event_type data_sources default_conversion_value description event_source_id \
    event_source_type first_fired_time id is_archived is_unavailable last_fired_time name offline_conversion_data_set \
    pixel retention_days rule";

const EVENT_TYPES: &[&str] = &[
    "ADD_PAYMENT_INFO",
    "ADD_TO_CART",
    "ADD_TO_WISHLIST",
    "COMPLETE_REGISTRATION",
    "CONTACT",
    "CONTENT_VIEW",
    "CUSTOMIZE_PRODUCT",
    "DONATE",
    "FACEBOOK_SELECTED",
    "FIND_LOCATION",
    "INITIATED_CHECKOUT",
    "LEAD",
    "LISTING_INTERACTION",
    "OTHER",
    "PURCHASE",
    "SCHEDULE",
    "SEARCH",
    "START_TRIAL",
    "SUBMIT_APPLICATION",
    "SUBSCRIBE",
];
const ACTION_SOURCES: &[&str] = &[
    "app",
    "business_messaging",
    "chat",
    "email",
    "other",
    "phone_call",
    "physical_store",
    "system_generated",
    "website",
];
const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("description", Form::Text),
    ("event_source_id", Form::Text),
    ("rule", Form::Object),
    ("advanced_rule", Form::Object),
    ("custom_event_type", Form::Word(EVENT_TYPES)),
    ("action_source_type", Form::Word(ACTION_SOURCES)),
];
/// What stays as it was made (Meta, "Custom conversion": updating).
const FIXED: &[&str] = &["event_source_id", "rule", "advanced_rule", "custom_event_type", "action_source_type"];
const OPERATORS: &[&str] = &[
    "eq",
    "neq",
    "contains",
    "not_contains",
    "i_contains",
    "i_not_contains",
    "starts_with",
    "i_starts_with",
    "is_any",
    "is_not_any",
    "i_is_any",
    "i_is_not_any",
    "regex_match",
    "gt",
    "gte",
    "lt",
    "lte",
    ">",
    ">=",
    "<",
    "<=",
    "=",
    "!=",
];
/// How deep `and` and `or` may stand in each other. Meta names no limit.
const NESTING_MAX: usize = 8;

/// `POST /act_X/customconversions`.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    call.params.required("name")?;
    let source = write::required_id(&call.params, "event_source_id")?;
    if state.of_kind(source, Kind::Dataset).is_none() {
        return Err(Refusal::invalid("Param event_source_id must be a pixel or dataset").blame(&["event_source_id"]));
    }
    if !fields.contains_key("rule") && !fields.contains_key("advanced_rule") {
        return Err(Refusal::required("rule"));
    }
    for name in ["rule", "advanced_rule"] {
        if let Some(rule) = fields.get(name) {
            check(rule, name, 0)?;
            let text = rule.to_string();
            fields.insert(name.to_owned(), Value::String(text));
        }
    }
    let most = state.settings.custom_conversions_max;
    let all = state.children(account, Kind::CustomConversion).filter_map(|id| state.object(id));
    if all.filter(|conversion| !conversion.status.is_gone()).count() >= most {
        let advice = format!("An ad account has at most {most} custom conversions. Delete one.");
        return Err(Refusal::invalid("The limit of custom conversions is reached").shown("Limit Reached", advice));
    }
    if let Some(value) = value(call)? {
        fields.insert("default_conversion_value".to_owned(), value);
    }
    fields.entry("custom_event_type").or_insert_with(|| json!("OTHER"));
    let mut conversion = Object::new(state.fresh_id(), Kind::CustomConversion, account, call.now);
    conversion.owner = Some(source);
    conversion.fields = fields;
    let id = conversion.id;
    write::keep(state, conversion);
    write::created(state, call, id)
}

/// `POST /{conversion}`: its rule is for good.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let given = spec::read(state, old.account, PARAMS, &call.params, call.now)?;
    write::unchanged(old, &given, FIXED)?;
    let mut conversion = old.clone();
    for name in ["name", "description"] {
        if let Some(text) = call.params.text(name) {
            conversion.fields.insert(name.to_owned(), Value::String(text));
        }
    }
    if let Some(value) = value(call)? {
        conversion.fields.insert("default_conversion_value".to_owned(), value);
    }
    conversion.updated = call.now;
    write::keep(state, conversion);
    write::updated(state, call, old.id)
}

/// `DELETE /{conversion}`.
pub(crate) fn delete(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut conversion = old.clone();
    conversion.status = Status::Archived;
    conversion.updated = call.now;
    write::keep(state, conversion);
    Ok(write::validated())
}

/// `GET /{conversion}/stats`.
pub(crate) fn read_stats(state: &State, call: &Call, conversion: &Object) -> Result<Value, Refusal> {
    call.caller.may_read()?;
    let aggregation = call.params.text("aggregation").unwrap_or_else(|| "count".to_owned());
    let counted = match aggregation.as_str() {
        "count" | "usd_amount" | "unmatched_count" | "unmatched_usd_amount" => "pixel_fire",
        "device_type" | "host" | "pixel_fire" | "url" => aggregation.as_str(),
        _ => {
            let known = "count, device_type, host, pixel_fire, unmatched_count, unmatched_usd_amount, url, usd_amount";
            return Err(
                Refusal::invalid(format!("Param aggregation must be one of {{{known}}}")).blame(&["aggregation"])
            );
        }
    };
    let (since, until) = stats::range(&call.params, call.now)?;
    let own = hits(state, conversion).filter(|event| (since..=until).contains(&event.received.as_second()));
    let rows = stats::hours(own, counted).into_iter().map(|(hour, counts)| {
        let start = jiff::Timestamp::from_second(hour * 3_600).unwrap_or(call.now);
        let data: Vec<Value> =
            counts.into_iter().map(|(value, count)| json!({ "value": value, "count": count })).collect();
        json!({ "aggregation": aggregation, "timestamp": iso(state, conversion.account, start), "data": data })
    });
    Ok(json!({ "data": rows.collect::<Vec<_>>() }))
}

pub(crate) fn show(view: &View<'_>, conversion: &Object, name: &str) -> Option<Shown> {
    let at = |event: Option<&crate::state::Event>| match event {
        Some(event) => Shown::text(iso(view.state, conversion.account, event.received)),
        None => Shown::Absent,
    };
    Some(match name {
        "custom_conversion_id" => Shown::text(conversion.id.to_string()),
        "creation_time" => Shown::text(iso(view.state, conversion.account, conversion.created)),
        "first_fired_time" => at(hits(view.state, conversion).next()),
        "last_fired_time" => at(hits(view.state, conversion).last()),
        "is_archived" => Shown::Value(Value::Bool(conversion.status.is_gone())),
        "is_unavailable" => Shown::Value(Value::Bool(false)),
        "pixel" => Shown::node(conversion.owner),
        "data_sources" => Shown::Value(json!([{
            "id": conversion.text("event_source_id"), "source_type": "PIXEL",
            "name": conversion.owner.and_then(|id| view.state.object(id)).map(Object::name),
        }])),
        "event_source_type" => Shown::text("pixel"),
        "business" => Shown::node(view.state.object(conversion.account).and_then(|account| account.owner)),
        "retention_days" => Shown::Value(json!(0)),
        _ => return None,
    })
}

/// The events that it counts.
fn hits<'a>(state: &'a State, conversion: &Object) -> impl Iterator<Item = &'a crate::state::Event> {
    let text = [conversion.text("rule"), conversion.text("advanced_rule")].into_iter().find(|text| !text.is_empty());
    let rule = text.and_then(loose::parse).unwrap_or_default();
    let source = conversion.text("action_source_type").to_owned();
    let all = conversion.owner.map(|dataset| state.events(dataset)).unwrap_or_default();
    let (from, effective) = (conversion.created, |event: &&crate::state::Event| event.effective);
    let hit = move |event: &&crate::state::Event| {
        event.received >= from && (source.is_empty() || event.action_source == source) && events::matches(event, &rule)
    };
    all.iter().filter(effective).filter(hit)
}

fn value(call: &Call) -> Result<Option<Value>, Refusal> {
    let Some(text) = call.params.text("default_conversion_value").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match serde_json::from_str::<serde_json::Number>(text.trim()) {
        Ok(number) if !text.trim().starts_with('-') => Ok(Some(Value::Number(number))),
        _ => {
            let message = "Param default_conversion_value must be a non-negative number";
            Err(Refusal::invalid(message).blame(&["default_conversion_value"]))
        }
    }
}

/// Checks `{"and":[{"event":{"eq":"Purchase"}},{"or":[{"URL":{"i_contains":"thanks"}}]}]}`.
fn check(rule: &Value, place: &str, depth: usize) -> Result<(), Refusal> {
    let wrong = |what: &str| Refusal::invalid(format!("Param rule: {place} {what}")).blame(&["rule"]);
    let Some(map) = rule.as_object().filter(|map| map.len() == 1 && depth <= NESTING_MAX) else {
        return Err(wrong("must be an object with one member: and, or, or a field"));
    };
    for (key, inner) in map {
        let place = format!("{place}.{key}");
        match (key.as_str(), inner) {
            ("and" | "or", Value::Array(items)) if !items.is_empty() => {
                for (at, item) in items.iter().enumerate() {
                    check(item, &format!("{place}[{at}]"), depth + 1)?;
                }
            }
            ("and" | "or", _) => return Err(wrong(&format!("must have a list of rules under {key}"))),
            (_, Value::Object(comparisons)) if !comparisons.is_empty() => {
                if let Some(operator) = comparisons.keys().find(|operator| !OPERATORS.contains(&operator.as_str())) {
                    return Err(wrong(&format!("compares by {operator}, which is none of {}", OPERATORS.join(", "))));
                }
            }
            _ => return Err(wrong(&format!("must compare {key} by an operator, such as {{\"eq\": ..}}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_tree_of_comparisons() {
        let table = [
            (json!({ "and": [{ "event": { "eq": "Purchase" } }, { "or": [{ "URL": { "i_contains": "x" } }] }] }), true),
            (json!({ "url": { "i_contains": "x" } }), true),
            (json!({}), false),
            (json!({ "and": [] }), false),
            (json!({ "and": { "event": { "eq": "x" } } }), false),
            (json!({ "event": "Purchase" }), false),
            (json!({ "event": { "like": "x" } }), false),
            (json!({ "event": { "eq": "x" }, "url": { "eq": "y" } }), false),
        ];
        for (rule, stands) in table {
            assert_eq!(check(&rule, "rule", 0).is_ok(), stands, "{rule}");
        }
    }
}
