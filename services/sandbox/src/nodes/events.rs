//! `/{dataset}/events`: all events of a call are taken, or none.

mod check;
mod device;
mod matching;
mod person;

use jiff::{SignedDuration, Timestamp};
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
/// The time in which a server's event repeats a browser's of the same name and person, where ids do not tell.
const BROWSER_MINUTES: i64 = 5;
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

/// What `POST /__sandbox/events` says: an event as a browser tells it to the pixel. It is taken by the same rules.
pub(crate) fn from_browser(state: &mut State, dataset: u64, item: &Value, now: Timestamp) -> Result<(), Refusal> {
    let map = object(item).ok_or_else(|| Refusal::invalid("The event must be a JSON object"))?;
    let mut event = check::event(&map, 0, now, &state.settings, &mut Vec::new())?;
    event.from_browser = true;
    event.effective = is_first(state, dataset, &[], &event);
    state.commit(Change::Events { dataset, events: vec![event] });
    Ok(())
}

/// Whether it is no repetition: of the same name and id within 48 hours, or, of a server's events, of what a browser told
/// of the same person under the same name within the last minutes.
fn is_first(state: &State, dataset: u64, before: &[Event], event: &Event) -> bool {
    !repeats_id(state, dataset, before, event) && (event.from_browser || !repeats_browser(state, dataset, event))
}

fn repeats_id(state: &State, dataset: u64, before: &[Event], event: &Event) -> bool {
    let Some(id) = &event.event_id else { return false };
    let same = |other: &Event| other.event_id.as_ref() == Some(id) && other.event_name == event.event_name;
    let window = SignedDuration::from_hours(DEDUPLICATION_HOURS);
    let earlier = state.event_seen(dataset, &event.event_name, id);
    earlier.is_some_and(|seen| event.received.duration_since(seen) <= window) || before.iter().any(same)
}

fn repeats_browser(state: &State, dataset: u64, event: &Event) -> bool {
    let window = SignedDuration::from_mins(BROWSER_MINUTES);
    let recent = state.events(dataset).iter().rev();
    let mut recent = recent.take_while(|other| event.received.duration_since(other.received) <= window);
    recent.any(|other| {
        // Two ids that differ say that they are two events.
        let by_id = event.event_id.is_some() && other.event_id.is_some();
        other.from_browser
            && !by_id
            && other.event_name == event.event_name
            && other.links.iter().any(|link| event.links.contains(link))
    })
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
