//! Which events a rule is about: of a website audience, or of a custom conversion. Only what is kept of events can match:
//! their name, page, value and source.

use std::collections::HashSet;

use serde_json::Value;

use crate::params::{as_integer, as_list, as_text};
use crate::state::Event;

/// How many people of these events an audience's rule holds. How long ago they may have come is the rule's retention,
/// counted from the newest of the events.
pub(crate) fn people(events: &[Event], rule: &Value) -> u64 {
    let mut inside = HashSet::new();
    let rules = |set: &str| rule.pointer(&format!("/{set}/rules")).and_then(Value::as_array).into_iter().flatten();
    for rule in rules("inclusions") {
        inside.extend(of_one(events, rule));
    }
    for rule in rules("exclusions") {
        for person in of_one(events, rule) {
            inside.remove(person);
        }
    }
    u64::try_from(inside.len()).unwrap_or(u64::MAX)
}

fn of_one<'a>(events: &'a [Event], rule: &Value) -> HashSet<&'a str> {
    let newest = events.iter().map(|event| event.event_time).max().unwrap_or_default();
    let retention = rule.get("retention_seconds").and_then(as_integer).unwrap_or(i64::MAX);
    let fresh = events.iter().filter(|event| newest.saturating_sub(event.event_time) <= retention);
    let hit = fresh.filter(|event| event.effective && rule.get("filter").is_none_or(|filter| passes(event, filter)));
    hit.filter_map(|event| event.person.as_deref()).collect()
}

fn passes(event: &Event, filter: &Value) -> bool {
    if let Some(filters) = filter.get("filters").and_then(Value::as_array) {
        let any = filter.get("operator").is_some_and(|operator| operator == "or");
        return if any {
            filters.iter().any(|filter| passes(event, filter))
        } else {
            filters.iter().all(|filter| passes(event, filter))
        };
    }
    let field = filter.get("field").map(as_text).unwrap_or_default();
    let operator = filter.get("operator").map(as_text).unwrap_or_default();
    compare(event, &field, &operator, filter.get("value").unwrap_or(&Value::Null))
}

/// Whether an event meets the rule of a custom conversion: `{"and":[{"event":{"eq":"Purchase"}},{"or":[..]}]}`.
pub(crate) fn matches(event: &Event, rule: &Value) -> bool {
    let Some((key, inner)) = rule.as_object().and_then(|map| map.iter().next()) else { return true };
    match (key.as_str(), inner) {
        ("and", Value::Array(items)) => items.iter().all(|item| matches(event, item)),
        ("or", Value::Array(items)) => items.iter().any(|item| matches(event, item)),
        ("not", inner) => !matches(event, inner),
        (field, Value::Object(comparisons)) => {
            comparisons.iter().all(|(operator, value)| compare(event, &field.to_lowercase(), operator, value))
        }
        _ => false,
    }
}

fn compare(event: &Event, field: &str, operator: &str, wanted: &Value) -> bool {
    let address = event.url.as_deref().unwrap_or_default();
    let (_, rest) = address.split_once("://").unwrap_or(("", address));
    let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    let own = match field {
        "event" | "event_name" => event.event_name.clone(),
        "url" => address.to_owned(),
        "domain" => domain.to_owned(),
        "path" => format!("/{path}"),
        "device_type" => event.device.as_ref().map(|device| device.kind.clone()).unwrap_or_default(),
        "value" => event.value.clone().unwrap_or_default(),
        "currency" => event.currency.clone().unwrap_or_default(),
        "action_source" => event.action_source.clone(),
        _ => return false,
    };
    let text = as_text(wanted);
    let (small, small_text) = (own.to_lowercase(), text.to_lowercase());
    let listed = |fold: bool| {
        let own = if fold { &small } else { &own };
        let items = as_list(wanted).unwrap_or_default();
        items.iter().map(as_text).any(|item| if fold { item.to_lowercase() == *own } else { item == *own })
    };
    let order = || own.parse::<f64>().ok()?.partial_cmp(&text.parse::<f64>().ok()?);
    match operator {
        "eq" | "=" => own == text,
        "neq" | "!=" => own != text,
        "contains" => own.contains(&text),
        "not_contains" => !own.contains(&text),
        "i_contains" => small.contains(&small_text),
        "i_not_contains" => !small.contains(&small_text),
        "starts_with" => own.starts_with(&text),
        "i_starts_with" => small.starts_with(&small_text),
        "is_any" => listed(false),
        "is_not_any" => !listed(false),
        "i_is_any" => listed(true),
        "i_is_not_any" => !listed(true),
        ">" | "gt" => order().is_some_and(std::cmp::Ordering::is_gt),
        ">=" | "gte" => order().is_some_and(std::cmp::Ordering::is_ge),
        "<" | "lt" => order().is_some_and(std::cmp::Ordering::is_lt),
        "<=" | "lte" => order().is_some_and(std::cmp::Ordering::is_le),
        // Patterns are taken and match nobody here.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn event(name: &str, url: &str, person: &str, time: i64) -> Event {
        serde_json::from_value(json!({
            "event_name": name, "event_time": time, "action_source": "website", "effective": true,
            "received": Timestamp::UNIX_EPOCH, "url": url, "person": person, "value": "12.50", "currency": "USD",
        }))
        .unwrap()
    }

    #[test]
    fn people_are_those_who_did_what_the_rule_says_in_its_time() {
        let events = [
            event("Purchase", "https://shop.example/Shoes/1", "a", 1_000),
            event("PageView", "https://shop.example/shoes/2", "a", 1_000),
            event("PageView", "https://shop.example/shoes/2", "b", 900),
            event("PageView", "https://shop.example/hats", "c", 1_000),
            event("PageView", "https://shop.example/shoes/2", "d", 10),
        ];
        let one =
            |filters: Value| json!({ "retention_seconds": 500, "filter": { "operator": "and", "filters": filters } });
        let shoes = one(json!([{ "field": "url", "operator": "i_contains", "value": "/SHOES" }]));
        let bought = one(json!([{ "field": "event", "operator": "eq", "value": "Purchase" },
            { "operator": "or", "filters": [{ "field": "value", "operator": ">=", "value": 12 }] }]));
        let rule = |inclusion: &Value| json!({ "inclusions": { "operator": "or", "rules": [inclusion] } });
        assert_eq!(people(&events, &rule(&shoes)), 2);
        assert_eq!(people(&events, &rule(&bought)), 1);
        let mut without = rule(&shoes);
        without["exclusions"] = json!({ "operator": "or", "rules": [bought] });
        assert_eq!(people(&events, &without), 1);
    }

    #[test]
    fn a_custom_conversions_rule_nests_and_its_fields_may_be_in_capitals() {
        let event = event("Purchase", "https://shop.example/thanks", "a", 1);
        let rule = |word: &str| json!({ "and": [{ "event": { "eq": word } }, { "or": [{ "URL": { "i_contains": "Thanks" } }] }] });
        assert!(matches(&event, &rule("Purchase")));
        assert!(!matches(&event, &rule("Lead")));
    }
}
