//! `/{dataset}/events`: all events of a call are taken, or none.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::loose;
use crate::params::{as_integer, as_text};
use crate::route::Call;
use crate::state::{Change, Event, Object, State};

/// The most events of one call.
const EVENTS_MAX: usize = 1_000;
/// How old an event may be, in days; in a shop on the street, much older.
const AGE_DAYS: i64 = 7;
const AGE_DAYS_STORE: i64 = 62;
/// How far ahead of Meta's clock an event may be.
const AHEAD_SECONDS: i64 = 60;
/// The time in which the same name and id count once.
const DEDUPLICATION_HOURS: i64 = 48;
const SOURCES: &[&str] = &[
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
];
/// Any one of these is enough to look for a person.
const STRONG: &[&str] = &[
    "em",
    "ph",
    "external_id",
    "fbc",
    "fbp",
    "madid",
    "lead_id",
    "anon_id",
    "subscription_id",
    "fb_login_id",
    "ctwa_clid",
    "page_scoped_user_id",
    "ig_sid",
];

pub(crate) fn receive(state: &mut State, call: &Call, dataset: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let Some(items) = call.params.list("data")? else { return Err(Refusal::required("data")) };
    if items.is_empty() {
        return Err(Refusal::required("data"));
    }
    if items.len() > EVENTS_MAX {
        return Err(Refusal::invalid(format!("Param data must have at most {EVENTS_MAX} items")).blame(&["data"]));
    }
    let test_code = call.params.text("test_event_code").filter(|code| !code.is_empty());
    let mut events = Vec::with_capacity(items.len());
    let mut warnings = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let map = object(item).ok_or_else(|| Refusal::invalid(format!("Param data[{at}] must be a JSON object")))?;
        let mut event = event(&map, at, call.now)?;
        event.test_event_code.clone_from(&test_code);
        warnings.extend(warning(&map, at));
        event.effective = is_first(state, dataset.id, &events, &event);
        events.push(event);
    }
    let received = events.len();
    state.commit(Change::Events { dataset: dataset.id, events });
    Ok(json!({ "events_received": received, "messages": warnings, "fbtrace_id": call.trace }))
}

/// An event as a JSON object, or as JSON in text, which is how the Python SDK sends it. `null` members mean nothing.
fn object(item: &Value) -> Option<Map<String, Value>> {
    let parsed = item.as_str().and_then(loose::parse);
    let map = parsed.as_ref().unwrap_or(item).as_object()?;
    Some(map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn event(map: &Map<String, Value>, at: usize, now: Timestamp) -> Result<Event, Refusal> {
    let required = |name: &str| Refusal::required(&format!("data[{at}][{name}]"));
    let text = |name: &str| map.get(name).map(as_text).filter(|text| !text.is_empty());
    let event_name = text("event_name").ok_or_else(|| required("event_name"))?;
    if event_name.chars().count() > 50 {
        return Err(Refusal::invalid(format!("Param data[{at}][event_name] must have at most 50 characters")));
    }
    let event_time = map.get("event_time").and_then(as_integer).ok_or_else(|| required("event_time"))?;
    let action_source = text("action_source").ok_or_else(|| required("action_source"))?;
    if !SOURCES.contains(&action_source.as_str()) {
        let words = SOURCES.join(", ");
        return Err(Refusal::invalid(format!("Param data[{at}][action_source] must be one of {{{words}}}")));
    }
    age(event_time, &action_source, at, now)?;
    let Some(user) = map.get("user_data").and_then(Value::as_object) else { return Err(required("user_data")) };
    if !is_enough(user) {
        let advice = format!(
            "The event at index {at} does not have enough customer information parameters to look for a person."
        );
        let refusal = Refusal::new(100, "Invalid parameter").subcode(2_804_050);
        return Err(refusal.shown("You Haven't Added Sufficient Customer Information Parameter Data", advice));
    }
    let custom = |name: &str| {
        map.get("custom_data").and_then(|custom| custom.get(name)).filter(|value| !value.is_null()).map(as_text)
    };
    let (value, currency) = (custom("value"), custom("currency"));
    if event_name == "Purchase" && (value.is_none() || currency.is_none()) {
        let advice = format!("The purchase at index {at} needs a value and a currency.");
        return Err(Refusal::rule(2_804_009, "Purchase without value", advice, &["data"]));
    }
    Ok(Event {
        event_name,
        event_id: text("event_id"),
        event_time,
        action_source,
        received: now,
        effective: true,
        value,
        currency,
        test_event_code: None,
    })
}

fn age(event_time: i64, source: &str, at: usize, now: Timestamp) -> Result<(), Refusal> {
    let days = if source == "physical_store" { AGE_DAYS_STORE } else { AGE_DAYS };
    let age = now.as_second().saturating_sub(event_time);
    if age < -AHEAD_SECONDS {
        let advice = format!("The timestamp of the event at index {at} is in the future.");
        return Err(too_old("Event Timestamp In The Future", advice));
    }
    if age > days * 86_400 {
        let advice = format!(
            "The timestamp for this event is too far in the past. Events need to be sent within {days} days. Index {at}."
        );
        return Err(too_old("Event Timestamp Too Old", advice));
    }
    Ok(())
}

fn too_old(title: &str, advice: String) -> Refusal {
    Refusal::new(100, "Invalid parameter").subcode(2_804_003).shown(title, advice)
}

/// Whether the person can be looked for: by one strong key, or by a name with a place or a birthday.
fn is_enough(user: &Map<String, Value>) -> bool {
    let has = |name: &str| match user.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => items.iter().any(|item| !item.is_null() && *item != ""),
        Some(_) => true,
    };
    let named = (has("fn") || has("f5first")) && (has("ln") || has("f5last"));
    let placed = has("ct") || has("zp") || has("db") || (has("st") && has("country"));
    STRONG.iter().any(|name| has(name)) || (named && placed)
}

fn warning(map: &Map<String, Value>, at: usize) -> Option<String> {
    let on_website = map.get("action_source").is_some_and(|source| source == "website");
    (on_website && !map.contains_key("event_source_url"))
        .then(|| format!("data[{at}]: event_source_url is expected for website events"))
}

fn is_first(state: &State, dataset: u64, before: &[Event], event: &Event) -> bool {
    let Some(id) = &event.event_id else { return true };
    let same = |other: &Event| other.event_id.as_ref() == Some(id) && other.event_name == event.event_name;
    let window = SignedDuration::from_hours(DEDUPLICATION_HOURS);
    let earlier = state.event_seen(dataset, &event.event_name, id);
    let fresh = earlier.is_none_or(|seen| event.received.duration_since(seen) > window);
    fresh && !before.iter().any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn verdict(change: &Value) -> Result<Event, Refusal> {
        let mut map = json!({
            "event_name": "Lead", "event_time": 1_790_000_000, "action_source": "website",
            "user_data": { "em": ["x"] },
        });
        map.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        event(map.as_object().unwrap(), 0, now())
    }

    fn subcode(result: Result<Event, Refusal>) -> Value {
        result.unwrap_err().envelope("x")["error"]["error_subcode"].clone()
    }

    #[test]
    fn events_are_taken_for_seven_days_and_from_shops_for_sixty_two() {
        let eight_days_ago = 1_790_000_000 - 8 * 86_400;
        assert_eq!(subcode(verdict(&json!({ "event_time": eight_days_ago }))), 2_804_003);
        assert!(verdict(&json!({ "event_time": eight_days_ago, "action_source": "physical_store" })).is_ok());
        assert_eq!(subcode(verdict(&json!({ "event_time": 1_790_000_100 }))), 2_804_003);
    }

    #[test]
    fn an_address_and_a_browser_are_not_enough_to_find_a_person() {
        let weak =
            json!({ "user_data": { "client_ip_address": "192.0.2.1", "client_user_agent": "x", "country": "us" } });
        assert_eq!(subcode(verdict(&weak)), 2_804_050);
        let named = json!({ "user_data": { "fn": "a", "ln": "b", "zp": "c" } });
        assert!(verdict(&named).is_ok());
    }

    #[test]
    fn a_purchase_needs_value_and_currency() {
        assert!(verdict(&json!({ "event_name": "Purchase" })).is_err());
        assert!(
            verdict(&json!({ "event_name": "Purchase", "custom_data": { "value": 1.5, "currency": "usd" } })).is_ok()
        );
    }

    #[test]
    fn an_event_may_come_as_json_in_text_with_nulls() {
        let map = object(&json!(r#"{"event_name":"Lead","event_id":null}"#)).unwrap();
        assert!(!map.contains_key("event_id"));
    }
}
