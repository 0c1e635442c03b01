//! `/dataset_quality`: how well the people of a dataset's events can be found (Meta, "Dataset Quality API").

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::fields::{self, Field};
use crate::nodes::write;
use crate::route::Call;
use crate::state::{Event, Kind, State};

/// What a key adds to the score, in tenths, and how the answer names it. Meta publishes no weights; these are ours, in
/// the order in which its pages name the keys.
const WEIGHTS: &[(&str, &str, u64)] = &[
    ("em", "email", 30),
    ("ph", "phone", 20),
    ("external_id", "external_id", 12),
    ("fbc", "fbc", 10),
    ("fbp", "fbp", 8),
    ("client_ip_address", "ip_address", 5),
    ("client_user_agent", "user_agent", 5),
    ("fn", "fn", 2),
    ("ln", "ln", 2),
    ("db", "db", 2),
    ("zp", "zp", 2),
    ("ct", "ct", 1),
    ("st", "st", 1),
    ("country", "country", 1),
    ("ge", "ge", 1),
];
/// Below this share of events a key is worth a hint, in percent.
const WEAK_PERCENT: u64 = 50;

/// `GET /dataset_quality?dataset_id=..&agent_name=..`.
pub(crate) fn read(state: &State, call: &Call) -> Result<Value, Refusal> {
    call.caller.may_read()?;
    let id = write::required_id(&call.params, "dataset_id")?;
    let Some(dataset) = state.of_kind(id, Kind::Dataset) else {
        return Err(Refusal::missing("get", &id.to_string()));
    };
    let agent = call.params.text("agent_name").filter(|name| !name.is_empty());
    let mut by_name: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    let events = state.events(dataset.id).iter();
    for event in events.filter(|event| agent.is_none() || event.partner_agent == agent) {
        if event.action_source == "website" {
            by_name.entry(event.event_name.as_str()).or_default().push(event);
        }
    }
    let asked = fields::of(&call.params)?;
    let web = asked.as_deref().and_then(|fields| fields.iter().find(|field| field.name == "web"));
    let wanted = web.map(|field| field.inner.as_slice()).unwrap_or_default();
    let rows: Vec<Value> = by_name.iter().map(|(name, events)| row(name, events, wanted)).collect();
    Ok(json!({ "web": rows }))
}

fn row(name: &str, events: &[&Event], wanted: &[Field]) -> Value {
    let mut row = Map::new();
    let total = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let of = |browser: bool| {
        let own: Vec<&Event> = events.iter().copied().filter(|event| event.from_browser == browser).collect();
        json!({ "percentage": share(&own, |event| event.event_id.is_some()) })
    };
    let all = [
        ("event_name", json!(name)),
        ("event_match_quality", matching(events, total)),
        ("event_coverage", json!({ "percentage": 100, "goal_percentage": 75 })),
        (
            "dedupe_key_feedback",
            json!([{ "dedupe_key": "event_id", "browser_events_with_dedupe_key": of(true),
                "server_events_with_dedupe_key": of(false) }]),
        ),
        ("data_freshness", json!({ "upload_frequency": freshness(events) })),
        ("acr", json!({ "percentage": 0 })),
    ];
    for (key, value) in all {
        if wanted.is_empty() || wanted.iter().any(|field| field.name == key) {
            row.insert(key.to_owned(), value);
        }
    }
    Value::Object(row)
}

fn matching(events: &[&Event], total: u64) -> Value {
    let mut score = 0_u64;
    let mut feedback = Vec::new();
    let mut hints = Vec::new();
    for (key, name, weight) in WEIGHTS {
        let has = |event: &Event| event.keys.iter().any(|own| own == key);
        let percent = share(events, has);
        score += weight * percent;
        if percent > 0 {
            feedback.push(json!({ "identifier": name, "coverage": { "percentage": percent } }));
        }
        if percent < WEAK_PERCENT && *weight >= 10 {
            let lacking = events.iter().filter(|event| !has(event)).count();
            hints.push(json!({
                "name": format!("Send {name} with more events"),
                "description": format!("{percent} % of these events have {name}."),
                "solution": format!("Send user_data[{key}] with every event for which you know it."),
                "percentage": 100 - percent,
                "affected_event_count": lacking,
                "total_event_count": total,
            }));
        }
    }
    let tenths = (score / 100).min(100);
    json!({ "composite_score": decimal(tenths), "match_key_feedback": feedback, "diagnostics": hints })
}

fn share(events: &[&Event], has: impl Fn(&Event) -> bool) -> u64 {
    let hits = events.iter().filter(|event| has(event)).count();
    u64::try_from(hits * 100 / events.len().max(1)).unwrap_or_default()
}

/// How soon events came after they happened.
fn freshness(events: &[&Event]) -> &'static str {
    let late = events.iter().map(|event| event.received.as_second().saturating_sub(event.event_time)).max();
    match late.unwrap_or_default() {
        ..=60 => "real_time",
        61..=3_600 => "hourly",
        _ => "daily",
    }
}

/// Tenths as a JSON number.
fn decimal(tenths: u64) -> Value {
    serde_json::from_str(&format!("{}.{}", tenths / 10, tenths % 10)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(keys: &[&str]) -> Event {
        serde_json::from_value(json!({
            "event_name": "Purchase", "event_time": 0, "action_source": "website", "effective": true,
            "received": jiff::Timestamp::UNIX_EPOCH, "keys": keys,
        }))
        .unwrap()
    }

    #[test]
    fn the_score_grows_with_the_keys_and_weak_ones_are_hinted_at() {
        let (poor, rich) = (event(&["fbp"]), event(&["em", "ph", "external_id", "fbp"]));
        let score = |events: &[&Event]| matching(events, 2)["composite_score"].as_f64().unwrap();
        assert!((score(&[&poor]) - 0.8).abs() < 0.001);
        assert!((score(&[&rich]) - 7.0).abs() < 0.001);
        let mixed = matching(&[&poor, &rich], 2);
        assert_eq!(mixed["match_key_feedback"][0], json!({ "identifier": "email", "coverage": { "percentage": 50 } }));
        let hint = &matching(&[&poor], 1)["diagnostics"][0];
        assert_eq!((hint["affected_event_count"].as_u64(), hint["percentage"].as_u64()), (Some(1), Some(100)));
    }
}
