//! May an event be accepted, and what will Meta get? Pure: an event and the time go in, a [`Checked`] event or all of
//! its faults come out.
//!
//! Meta refuses a whole call for one bad event (Meta, "Conversions API: using the API"), so what it would refuse for is
//! refused here, row by row, before anything is stored. Source of the rules: Meta, "Server event parameters",
//! "Customer information parameters", "Custom data parameters".

mod custom;
mod person;
mod words;

use jiff::{SignedDuration, Timestamp};
use proto::conversions::v1 as pb;
use rpc::Violation;
use vocabulary::identity::Hash;

use crate::payload::Object;

/// The longest payload of one event, in bytes.
const PAYLOAD_BYTES_MAX: usize = 32_768;
/// How old an event may be when Meta gets it.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The same for what happened in a shop.
const AGE_MAX_PHYSICAL: SignedDuration = SignedDuration::from_hours(62 * 24);
/// How far ahead of ours a caller's clock may be.
const AHEAD_MAX: SignedDuration = SignedDuration::from_secs(60);

/// An event that may be stored: people's identifiers are hashed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Meta's name or the caller's.
    pub(crate) event_name: String,
    /// Given, or derived from the content.
    pub(crate) event_id: String,
    /// When it happened.
    pub(crate) event_time: Timestamp,
    /// When Meta takes it no more.
    pub(crate) deadline: Timestamp,
    /// Meta's JSON.
    pub(crate) payload: String,
}

/// What came of the check.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// The id that the caller gave; may be empty.
    pub(crate) given_id: String,
    /// The event, or all that stands against it.
    pub(crate) event: Result<Checked, Vec<Violation>>,
    /// Values that were left out because they are malformed.
    pub(crate) dropped: Vec<Violation>,
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    refused: Vec<Violation>,
    dropped: Vec<Violation>,
}

impl Findings {
    fn refuse(&mut self, field: &str, reason: &'static str, description: &str) {
        self.refused.push(Violation { field: field.to_owned(), description: description.to_owned(), reason });
    }

    fn refuse_unless(&mut self, holds: bool, field: &str, reason: &'static str, description: &str) {
        if !holds {
            self.refuse(field, reason, description);
        }
    }

    fn drop(&mut self, field: &str, reason: &'static str, description: &str) {
        self.dropped.push(Violation { field: field.to_owned(), description: description.to_owned(), reason });
    }
}

/// Checks one event at the moment `now`. Field paths are relative to the event.
pub(crate) fn check(event: &pb::Event, now: Timestamp) -> Verdict {
    let mut findings = Findings::default();
    let time = time(event, now, &mut findings);
    head(event, &mut findings);
    let person = person::write(event.user_data.as_ref(), &event.action_source, now, &mut findings);
    let custom = custom::write(event, &mut findings);
    extra(&event.extra, "extra", words::EVENT_MEMBERS, &mut findings);
    let given_id = event.event_id.clone();
    let Findings { mut refused, dropped } = findings;
    let (Some((event_time, deadline)), true) = (time, refused.is_empty()) else {
        return Verdict { given_id, event: Err(refused), dropped };
    };
    let (event_id, payload) = write(event, event_time, &person, custom.as_deref());
    if payload.len() > PAYLOAD_BYTES_MAX {
        refused.push(Violation {
            field: String::new(),
            description: format!("must take at most {PAYLOAD_BYTES_MAX} bytes as JSON"),
            reason: "EVENT_TOO_LARGE",
        });
        return Verdict { given_id, event: Err(refused), dropped };
    }
    let event_name = event.event_name.clone();
    Verdict { given_id, event: Ok(Checked { event_name, event_id, event_time, deadline, payload }), dropped }
}

fn time(event: &pb::Event, now: Timestamp, findings: &mut Findings) -> Option<(Timestamp, Timestamp)> {
    let Some(given) = event.event_time.as_ref() else {
        findings.refuse("event_time", "EVENT_TIME_MISSING", "must say when the event happened");
        return None;
    };
    let Ok(time) = Timestamp::new(given.seconds, given.nanos) else {
        findings.refuse("event_time", "EVENT_TIME_MALFORMED", "must be a moment between the years 1 and 9999");
        return None;
    };
    let (age_max, days) =
        if event.action_source == words::PHYSICAL_STORE { (AGE_MAX_PHYSICAL, 62) } else { (AGE_MAX, 7) };
    let age = now.duration_since(time);
    if age > age_max {
        let description = format!("must be at most {days} days ago for this action_source: Meta takes no older event");
        findings.refuse("event_time", "EVENT_TOO_OLD", &description);
    }
    findings.refuse_unless(
        age >= -AHEAD_MAX,
        "event_time",
        "EVENT_IN_FUTURE",
        "must be at most a minute ahead of the time here",
    );
    Some((time, time.checked_add(age_max).unwrap_or(Timestamp::MAX)))
}

fn head(event: &pb::Event, findings: &mut Findings) {
    let length = event.event_name.chars().count();
    let printable = |text: &str| !text.chars().any(char::is_control) && text.trim() == text;
    findings.refuse_unless(
        (1..=50).contains(&length) && printable(&event.event_name),
        "event_name",
        "EVENT_NAME_MALFORMED",
        "must have 1 to 50 characters, without blanks at its ends",
    );
    findings.refuse_unless(
        event.event_id.chars().count() <= 100 && printable(&event.event_id),
        "event_id",
        "EVENT_ID_MALFORMED",
        "must have at most 100 characters, without blanks at its ends",
    );
    let known = words::ACTION_SOURCES.contains(&event.action_source.as_str());
    let sources = words::ACTION_SOURCES.join(", ");
    findings.refuse_unless(known, "action_source", "ACTION_SOURCE_UNKNOWN", &format!("must be one of {sources}"));
    let address = event.event_source_url.as_str();
    findings.refuse_unless(
        event.action_source != words::WEBSITE || !address.is_empty(),
        "event_source_url",
        "EVENT_SOURCE_URL_MISSING",
        "must be given for a website event",
    );
    let is_address = |text: &str| text.is_empty() || text.starts_with("https://") || text.starts_with("http://");
    for (field, value) in [("event_source_url", address), ("referrer_url", event.referrer_url.as_str())] {
        findings.refuse_unless(is_address(value), field, "URL_MALFORMED", "must begin with https:// or http://");
    }
    let channel = event.messaging_channel.as_str();
    let channel_stands = match event.action_source.as_str() {
        words::BUSINESS_MESSAGING => words::MESSAGING_CHANNELS.contains(&channel),
        _ => channel.is_empty() || words::MESSAGING_CHANNELS.contains(&channel),
    };
    findings.refuse_unless(
        channel_stands,
        "messaging_channel",
        "MESSAGING_CHANNEL_UNKNOWN",
        "must be whatsapp, messenger or instagram for business_messaging",
    );
    findings.refuse_unless(
        event.action_source != words::APP || event.extra.contains_key("app_data"),
        "extra",
        "APP_DATA_MISSING",
        "must have app_data for an app event",
    );
    let options_stand = matches!(event.data_processing_options.as_slice(), [] | [_])
        && event.data_processing_options.iter().all(|option| option == "LDU");
    findings.refuse_unless(
        options_stand,
        "data_processing_options",
        "DATA_PROCESSING_OPTION_UNKNOWN",
        "must be LDU or nothing",
    );
}

/// Members without a field of their own: JSON that does not stand beside a typed field.
fn extra(extra: &std::collections::BTreeMap<String, String>, field: &str, typed: &[&str], findings: &mut Findings) {
    findings.refuse_unless(extra.len() <= 100, field, "TOO_MANY", "must have at most 100 entries");
    for (key, json) in extra {
        let plain = !key.is_empty() && key.len() <= 100 && !key.chars().any(char::is_control);
        findings.refuse_unless(plain, field, "EXTRA_KEY_MALFORMED", "must have keys of 1 to 100 characters");
        if typed.contains(&key.as_str()) {
            let description = format!("must not hold `{key}`, which has a field of its own");
            findings.refuse(field, "EXTRA_KEY_TYPED", &description);
        }
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok();
        findings.refuse_unless(is_json, field, "EXTRA_NOT_JSON", "must have values that are JSON texts");
    }
}

/// Writes what Meta gets, and gives the event its id.
fn write(event: &pb::Event, time: Timestamp, person: &str, custom: Option<&str>) -> (String, String) {
    let mut object = Object::new();
    object.text("event_name", &event.event_name);
    object.raw("event_time", &time.as_second().to_string());
    object.text("action_source", &event.action_source);
    object.text_if_any("event_source_url", &event.event_source_url);
    object.raw("user_data", person);
    if let Some(custom) = custom {
        object.raw("custom_data", custom);
    }
    if let Some(opt_out) = event.opt_out {
        object.raw("opt_out", if opt_out { "true" } else { "false" });
    }
    object.texts_if_any("data_processing_options", &event.data_processing_options);
    for (key, value) in [
        ("data_processing_options_country", event.data_processing_options_country),
        ("data_processing_options_state", event.data_processing_options_state),
    ] {
        if let Some(value) = value {
            object.raw(key, &value.to_string());
        }
    }
    object.text_if_any("referrer_url", &event.referrer_url);
    object.text_if_any("messaging_channel", &event.messaging_channel);
    for (key, json) in &event.extra {
        object.raw(key, json);
    }
    let event_id = event_id(event, object.so_far());
    object.text("event_id", &event_id);
    (event_id, object.end())
}

/// The given id, else one that a repeat of the same event has too: from the name and the order, where there is an
/// order, else from all that Meta would get. Two events of the same content and second are one event then; a caller
/// to whom they are two must number them.
fn event_id(event: &pb::Event, content: &str) -> String {
    if !event.event_id.is_empty() {
        return event.event_id.clone();
    }
    let order = event.custom_data.as_ref().map(|data| data.order_id.as_str()).filter(|order| !order.is_empty());
    let hash = match order {
        Some(order) => Hash::of(&format!("order\0{}\0{order}", event.event_name)),
        None => Hash::of(&format!("content\0{content}")),
    };
    let digits = hash.to_string();
    format!("adp-{}", digits.get(..32).unwrap_or(&digits))
}

#[cfg(test)]
mod tests;
