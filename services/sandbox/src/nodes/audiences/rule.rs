//! The rules of website, app, offline and engagement audiences, read and checked (Meta, "Audience rules").

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::params::{as_integer, as_list, as_text};

const RULES_MAX: usize = 10;
const FILTERS_MAX: usize = 100;
/// How deep filters may stand in filters. Meta names no limit.
const NESTING_MAX: usize = 8;
const DAY: i64 = 86_400;
const WEBSITE_DAYS_MAX: i64 = 365;
const ENGAGEMENT_DAYS_MAX: i64 = 730;

const TEXT_OPERATORS: &[&str] = &[
    "i_contains",
    "i_not_contains",
    "contains",
    "not_contains",
    "i_starts_with",
    "starts_with",
    "eq",
    "=",
    "neq",
    "!=",
    "regex_match",
];
const LIST_OPERATORS: &[&str] = &["i_is_any", "i_is_not_any", "is_any", "is_not_any"];
const NUMBER_OPERATORS: &[&str] = &[">", ">=", "<", "<=", "gt", "gte", "lt", "lte"];
const AGGREGATIONS: &[&str] = &["count", "sum", "avg", "min", "max", "time_spent", "last_event_time_field"];
/// The types of event sources of engagement audiences, each with how its events begin.
const ENGAGEMENT: &[(&str, &str)] = &[
    ("page", "page_"),
    ("ig_business", "ig_"),
    ("video", "video_"),
    ("lead", "lead_generation_"),
    ("canvas", "instant_shopping_document_"),
    ("shopping_page", ""),
    ("shopping_ig", ""),
    ("ar_experience", ""),
    ("event", ""),
    ("store_visits", ""),
    ("whatsapp_business", ""),
];

/// What a rule draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Pixel,
    App,
    Offline,
    Engagement,
}

impl Source {
    fn of(word: &str) -> Option<Self> {
        match word {
            "pixel" => Some(Self::Pixel),
            "app" => Some(Self::App),
            "offline_events" | "offline_event_set" => Some(Self::Offline),
            _ => ENGAGEMENT.iter().any(|(known, _)| *known == word).then_some(Self::Engagement),
        }
    }

    /// The subtype that an audience of such a rule has when none is given.
    pub(crate) fn subtype(self) -> &'static str {
        match self {
            Self::Pixel => "WEBSITE",
            Self::App => "APP",
            Self::Offline => "OFFLINE_CONVERSION",
            Self::Engagement => "ENGAGEMENT",
        }
    }
}

/// A rule that may stand: what its first source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) source: Source,
}

/// Checks a rule; a fault names the place where it stands.
pub(crate) fn check(rule: &Value) -> Result<Rule, Refusal> {
    let map = object(rule, "rule")?;
    let Some(inclusions) = map.get("inclusions") else {
        return Err(fault("inclusions", "must be there: a rule without inclusions holds nobody"));
    };
    let source = set(inclusions, "inclusions")?;
    if let Some(exclusions) = map.get("exclusions") {
        set(exclusions, "exclusions")?;
    }
    if let Some(other) = map.keys().find(|key| !matches!(key.as_str(), "inclusions" | "exclusions")) {
        return Err(fault(other, "is no member of a rule; give inclusions and exclusions"));
    }
    Ok(Rule { source })
}

/// The datasets, apps or pages that a rule names, by its inclusions.
pub(crate) fn sources(rule: &Value) -> Vec<u64> {
    let rules = rule.pointer("/inclusions/rules").and_then(Value::as_array).into_iter().flatten();
    rules
        .filter_map(|rule| rule.get("event_sources").and_then(Value::as_array))
        .flatten()
        .filter_map(|source| source.get("id").map(as_text)?.parse().ok())
        .collect()
}

fn set(value: &Value, place: &str) -> Result<Source, Refusal> {
    let map = object(value, place)?;
    operator(map, place)?;
    let at = format!("{place}.rules");
    let rules = list(map.get("rules"), &at)?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(fault(&at, &format!("must have 1 to {RULES_MAX} rules")));
    }
    let mut first = None;
    for (index, rule) in rules.iter().enumerate() {
        let source = one(rule, &format!("{at}[{index}]"))?;
        first.get_or_insert(source);
    }
    first.ok_or_else(|| fault(&at, "must have a rule"))
}

fn one(value: &Value, place: &str) -> Result<Source, Refusal> {
    let map = object(value, place)?;
    let at = format!("{place}.event_sources");
    let listed = list(map.get("event_sources"), &at)?;
    let mut found = None;
    for (index, item) in listed.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let item = object(item, &at)?;
        let word = item.get("type").map(as_text).unwrap_or_default();
        let source = Source::of(&word).ok_or_else(|| fault(&format!("{at}.type"), "is no type of an event source"))?;
        if item.get("id").map(as_text).and_then(|id| id.parse::<u64>().ok()).is_none() {
            return Err(fault(&format!("{at}.id"), "must be the id of the event source"));
        }
        found.get_or_insert((source, word));
    }
    let (source, word) = found.ok_or_else(|| fault(&at, "must name an event source"))?;
    retention(map, source, place)?;
    if let Some(filter) = map.get("filter") {
        filters(filter, &format!("{place}.filter"), &word, 0)?;
    }
    if let Some(sum) = map.get("aggregation") {
        aggregation(sum, &format!("{place}.aggregation"))?;
    }
    Ok(source)
}

fn retention(map: &Map<String, Value>, source: Source, place: &str) -> Result<(), Refusal> {
    let at = format!("{place}.retention_seconds");
    let days = if source == Source::Engagement { ENGAGEMENT_DAYS_MAX } else { WEBSITE_DAYS_MAX };
    match map.get("retention_seconds").and_then(as_integer) {
        Some(seconds) if (1..=days * DAY).contains(&seconds) => Ok(()),
        _ => Err(fault(&at, &format!("must be 1 to {} seconds, which is {days} days", days * DAY))),
    }
}

/// A group of filters, each a comparison or a group again.
fn filters(value: &Value, place: &str, source: &str, depth: usize) -> Result<(), Refusal> {
    let map = object(value, place)?;
    operator(map, place)?;
    let at = format!("{place}.filters");
    let items = list(map.get("filters"), &at)?;
    if items.is_empty() || items.len() > FILTERS_MAX || depth > NESTING_MAX {
        return Err(fault(&at, &format!("must have 1 to {FILTERS_MAX} filters, nested at most {NESTING_MAX} deep")));
    }
    for (index, item) in items.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if item.get("filters").is_some() {
            filters(item, &at, source, depth + 1)?;
        } else {
            comparison(item, &at, source)?;
        }
    }
    Ok(())
}

fn comparison(value: &Value, place: &str, source: &str) -> Result<(), Refusal> {
    let map = object(value, place)?;
    let field = map.get("field").map(as_text).unwrap_or_default();
    if field.is_empty() {
        return Err(fault(&format!("{place}.field"), "must name url, domain, path, event, device_type or a parameter"));
    }
    let word = map.get("operator").map(as_text).unwrap_or_default();
    let Some(wanted) = map.get("value").filter(|value| !value.is_null()) else {
        return Err(fault(&format!("{place}.value"), "must be there"));
    };
    let at = format!("{place}.value");
    if NUMBER_OPERATORS.contains(&word.as_str()) {
        return if is_number(wanted) { Ok(()) } else { Err(fault(&at, &format!("must be a number for {word}"))) };
    }
    if LIST_OPERATORS.contains(&word.as_str()) {
        let filled = as_list(wanted).is_some_and(|items| !items.is_empty());
        return if filled { Ok(()) } else { Err(fault(&at, &format!("must be a list for {word}"))) };
    }
    if !TEXT_OPERATORS.contains(&word.as_str()) {
        let all = [TEXT_OPERATORS, LIST_OPERATORS, NUMBER_OPERATORS].concat().join(", ");
        return Err(fault(&format!("{place}.operator"), &format!("must be one of {all}")));
    }
    let begins = ENGAGEMENT.iter().find(|(known, _)| *known == source).map(|(_, begins)| *begins);
    if let Some(begins) = begins
        && field == "event"
        && !as_text(wanted).starts_with(begins)
    {
        return Err(fault(&at, &format!("must be an event of a {source}, such as begin with {begins}")));
    }
    Ok(())
}

fn aggregation(value: &Value, place: &str) -> Result<(), Refusal> {
    let map = object(value, place)?;
    let word = |name: &str| map.get(name).map(as_text).unwrap_or_default();
    if !AGGREGATIONS.contains(&word("type").as_str()) {
        return Err(fault(&format!("{place}.type"), &format!("must be one of {}", AGGREGATIONS.join(", "))));
    }
    let method = word("method");
    if !matches!(method.as_str(), "" | "absolute" | "percentile") {
        return Err(fault(&format!("{place}.method"), "must be absolute or percentile"));
    }
    let given = map.get("value").cloned().unwrap_or_default();
    let range = given.get("from").is_some_and(is_number) && given.get("to").is_some_and(is_number);
    let at = format!("{place}.value");
    if word("operator") == "in_range" || method == "percentile" {
        return if range { Ok(()) } else { Err(fault(&at, "must be a range {from, to}")) };
    }
    let known =
        NUMBER_OPERATORS.contains(&word("operator").as_str()) || matches!(word("operator").as_str(), "=" | "!=");
    if !known {
        return Err(fault(&format!("{place}.operator"), "must compare numbers, such as >= or ="));
    }
    if is_number(&given) { Ok(()) } else { Err(fault(&at, "must be a number")) }
}

fn operator(map: &Map<String, Value>, place: &str) -> Result<(), Refusal> {
    match map.get("operator").and_then(Value::as_str) {
        Some("and" | "or") => Ok(()),
        _ => Err(fault(&format!("{place}.operator"), "must be and, or or")),
    }
}

fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| fault(place, "must be a JSON object"))
}

fn list<'a>(value: Option<&'a Value>, place: &str) -> Result<&'a Vec<Value>, Refusal> {
    value.and_then(Value::as_array).ok_or_else(|| fault(place, "must be a list"))
}

fn is_number(value: &Value) -> bool {
    value.is_number() || value.as_str().is_some_and(|text| text.trim().parse::<f64>().is_ok())
}

fn fault(place: &str, advice: &str) -> Refusal {
    Refusal::rule(1_713_098, "Invalid rule JSON format", format!("In the rule, {place} {advice}."), &["rule"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule() -> Value {
        json!({ "inclusions": { "operator": "or", "rules": [{
            "event_sources": [{ "id": "99", "type": "pixel" }], "retention_seconds": 2_592_000,
            "filter": { "operator": "and", "filters": [
                { "field": "event", "operator": "eq", "value": "Purchase" },
                { "field": "url", "operator": "i_contains", "value": "/shoes" },
            ] },
            "aggregation": { "type": "count", "method": "absolute", "operator": ">", "value": 1 },
        }] } })
    }

    /// The rule with one value changed, by its pointer.
    fn changed(pointer: &str, value: Value) -> Result<Rule, Refusal> {
        let mut rule = rule();
        *rule.pointer_mut(pointer).unwrap() = value;
        check(&rule)
    }

    #[test]
    fn the_rule_of_metas_own_page_stands() {
        assert_eq!(check(&rule()), Ok(Rule { source: Source::Pixel }));
        assert_eq!(sources(&rule()), [99]);
    }

    #[test]
    fn a_fault_is_1713098_and_names_its_place() {
        let one = "/inclusions/rules/0";
        let table = [
            (one.to_owned() + "/retention_seconds", json!(0), "inclusions.rules[0].retention_seconds"),
            (one.to_owned() + "/retention_seconds", json!(366 * DAY), "inclusions.rules[0].retention_seconds"),
            (one.to_owned() + "/event_sources", json!([]), "inclusions.rules[0].event_sources"),
            (one.to_owned() + "/event_sources/0/type", json!("pixie"), "event_sources[0].type"),
            (one.to_owned() + "/event_sources/0/id", json!("x"), "event_sources[0].id"),
            (one.to_owned() + "/filter/operator", json!("xor"), "filter.operator"),
            (one.to_owned() + "/filter/filters/1/operator", json!("like"), "filter.filters[1].operator"),
            (one.to_owned() + "/filter/filters/1/operator", json!("i_is_any"), ""),
            (one.to_owned() + "/filter/filters/1/operator", json!(">"), "filter.filters[1].value"),
            (one.to_owned() + "/filter/filters/0/field", json!(""), "filter.filters[0].field"),
            (one.to_owned() + "/aggregation/type", json!("median"), "aggregation.type"),
            (one.to_owned() + "/aggregation/value", json!("x"), "aggregation.value"),
            ("/inclusions/operator".to_owned(), json!("not"), "inclusions.operator"),
            ("/inclusions/rules".to_owned(), json!(vec![json!({}); 11]), "inclusions.rules"),
            ("/inclusions".to_owned(), json!([]), "inclusions must be a JSON object"),
        ];
        for (pointer, value, place) in table {
            let verdict = changed(&pointer, value);
            if place.is_empty() {
                // Words with commas between are a list.
                assert!(verdict.is_ok(), "{pointer}");
                continue;
            }
            let body = verdict.unwrap_err().envelope("x");
            assert_eq!(body["error"]["error_subcode"], 1_713_098);
            let text = body["error"]["error_user_msg"].as_str().unwrap().to_owned();
            assert!(text.contains(place), "{text} does not name {place}");
        }
        assert!(check(&json!({ "url": { "i_contains": "x" } })).is_err());
    }

    #[test]
    fn filters_nest_and_engagement_has_its_own_events_and_longer_memory() {
        let of = |kind: &str, event: &str, days: i64| {
            check(&json!({ "inclusions": { "operator": "or", "rules": [{
                "event_sources": [{ "id": 7, "type": kind }], "retention_seconds": days * DAY,
                "filter": { "operator": "or", "filters": [{ "operator": "and", "filters": [
                    { "field": "event", "operator": "eq", "value": event },
                ] }] },
            }] } }))
        };
        assert_eq!(of("page", "page_engaged", 730).unwrap().source.subtype(), "ENGAGEMENT");
        assert_eq!(of("video", "video_watched", 365).unwrap().source.subtype(), "ENGAGEMENT");
        assert_eq!(of("app", "fb_mobile_purchase", 180).unwrap().source.subtype(), "APP");
        assert!(of("page", "video_watched", 10).is_err());
        assert!(of("app", "fb_mobile_purchase", 730).is_err());
    }
}
