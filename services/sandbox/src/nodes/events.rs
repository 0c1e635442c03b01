//! `/{dataset}/events`: all events of a call are taken, or none.

mod check;
mod device;
mod matching;
mod person;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::loose;
use crate::route::Call;
use crate::state::{Change, Event, Object, State};

pub(crate) use matching::{matches, people};

/// The most events of one call.
const EVENTS_MAX: usize = 1_000;
/// The time in which the same name and id count once.
const DEDUPLICATION_HOURS: i64 = 48;
/// The longest name of a partner's program (Meta advises it).
const PARTNER_AGENT_MAX: usize = 23;

pub(crate) fn receive(state: &mut State, call: &Call, dataset: &Object) -> Result<Value, Refusal> {
    call.caller.may_send_events(dataset.id)?;
    let Some(items) = call.params.list("data")? else { return Err(Refusal::required("data")) };
    if items.is_empty() {
        return Err(Refusal::required("data"));
    }
    if items.len() > EVENTS_MAX {
        return Err(Refusal::invalid(format!("Param data must have at most {EVENTS_MAX} items")).blame(&["data"]));
    }
    let text = |name: &str| call.params.text(name).filter(|text| !text.is_empty() && text != "null");
    let (test_code, agent) = (text("test_event_code"), text("partner_agent"));
    let mut events: Vec<Event> = Vec::with_capacity(items.len());
    let mut warnings = Vec::new();
    if agent.as_ref().is_some_and(|agent| agent.chars().count() > PARTNER_AGENT_MAX) {
        warnings.push(format!("partner_agent should have at most {PARTNER_AGENT_MAX} characters"));
    }
    for (at, item) in items.iter().enumerate() {
        let map = object(item).ok_or_else(|| Refusal::invalid(format!("Param data[{at}] must be a JSON object")))?;
        let mut event = check::event(&map, at, call.now, &state.settings, &mut warnings)?;
        event.test_event_code.clone_from(&test_code);
        event.partner_agent.clone_from(&agent);
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

    #[test]
    fn an_event_may_come_as_json_in_text_with_nulls() {
        let map = object(&json!(r#"{"event_name":"Lead","event_id":null}"#)).unwrap();
        assert!(!map.contains_key("event_id"));
        assert!(object(&json!([1])).is_none());
    }
}
