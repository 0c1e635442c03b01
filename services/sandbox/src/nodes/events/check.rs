//! One event: what it must have, by where it happened (Meta, "Server event parameters", "Custom data parameters").

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{device, person};
use crate::error::Refusal;
use crate::params::{as_boolean, as_integer, as_list, as_text};
use crate::state::{Event, Settings};

/// How old an event may be, in days; in a shop on the street, much older.
const AGE_DAYS: i64 = 7;
const AGE_DAYS_STORE: i64 = 62;
/// How far ahead of Meta's clock an event may be.
const AHEAD_SECONDS: i64 = 60;
const NAME_MAX: usize = 50;
/// How many members `extinfo` of an app event has.
const EXTINFO: usize = 16;
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
const CHANNELS: &[&str] = &["whatsapp", "messenger", "instagram"];
const DELIVERY: &[&str] = &["in_store", "curbside", "home_delivery"];

/// Fails for the first thing that is wrong, with the index of the event in the text for people.
pub(super) fn event(
    map: &Map<String, Value>,
    at: usize,
    now: Timestamp,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Result<Event, Refusal> {
    let place = Place(at);
    let text = |name: &str| map.get(name).map(as_text).filter(|text| !text.is_empty());
    let event_name = text("event_name").ok_or_else(|| place.required("event_name"))?;
    if event_name.chars().count() > NAME_MAX {
        return Err(place.wrong("event_name", &format!("must have at most {NAME_MAX} characters")));
    }
    let Some(event_time) = map.get("event_time") else { return Err(place.required("event_time")) };
    let event_time =
        as_integer(event_time).ok_or_else(|| place.wrong("event_time", "must be a unix time in seconds"))?;
    let action_source = text("action_source").ok_or_else(|| place.required("action_source"))?;
    if !SOURCES.contains(&action_source.as_str()) {
        return Err(place.wrong("action_source", &format!("must be one of {{{}}}", SOURCES.join(", "))));
    }
    age(event_time, &action_source, place, now)?;
    let Some(user) = map.get("user_data").and_then(Value::as_object) else { return Err(place.required("user_data")) };
    let person = person::read(user, place, settings, warnings)?;
    source(map, user, &action_source, place, settings, warnings)?;
    let custom = custom(map, &event_name, place)?;
    let agent = user.get("client_user_agent").map(as_text);
    Ok(Event {
        event_name,
        event_id: text("event_id"),
        event_time,
        action_source,
        received: now,
        effective: true,
        value: custom.value,
        currency: custom.currency,
        test_event_code: None,
        url: text("event_source_url").map(|url| url.split(['?', '#']).next().unwrap_or_default().to_owned()),
        person: person.digest,
        keys: person.keys,
        custom_fields: custom.names,
        device: agent.map(|agent| device::of(&agent)),
        from_browser: false,
        links: person.links,
        opt_out: flag(map, "opt_out", place)?,
        limited: limited(map, place)?,
        partner_agent: None,
    })
}

/// The place of an event in its call, for texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(pub(super) usize);

impl Place {
    pub(super) fn required(self, name: &str) -> Refusal {
        let Self(at) = self;
        let advice = format!("The event at index {at} does not have {name}.");
        Refusal::required(&format!("data[{at}][{name}]")).shown("Missing Parameter", advice).blame(&["data"])
    }

    pub(super) fn wrong(self, name: &str, what: &str) -> Refusal {
        let Self(at) = self;
        let advice = format!("The event at index {at}: {name} {what}.");
        Refusal::invalid(format!("Param data[{at}][{name}] {what}")).shown("Invalid Parameter", advice).blame(&["data"])
    }

    fn rule(self, subcode: i64, title: &str, what: &str) -> Refusal {
        let Self(at) = self;
        Refusal::rule(subcode, title, format!("{what} The event stands at index {at}."), &["data"])
    }
}

fn age(event_time: i64, source: &str, place: Place, now: Timestamp) -> Result<(), Refusal> {
    let days = if source == "physical_store" { AGE_DAYS_STORE } else { AGE_DAYS };
    let age = now.as_second().saturating_sub(event_time);
    if age < -AHEAD_SECONDS {
        return Err(place.rule(
            2_804_003,
            "Event Timestamp In The Future",
            "The timestamp of an event is in the future.",
        ));
    }
    if age > days * 86_400 {
        let what = format!("The timestamp of an event is too far in the past: events must be sent within {days} days.");
        return Err(place.rule(2_804_003, "Event Timestamp Too Old", &what));
    }
    Ok(())
}

/// What must come along from a website, an app or a chat.
fn source(
    map: &Map<String, Value>,
    user: &Map<String, Value>,
    source: &str,
    place: Place,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let is_filled =
        |map: &Map<String, Value>, name: &str| map.get(name).is_some_and(|value| !value.is_null() && *value != "");
    let mut lacks = Vec::new();
    match source {
        "website" => {
            if !is_filled(map, "event_source_url") {
                lacks.push("event_source_url");
            }
            if !is_filled(user, "client_user_agent") {
                lacks.push("user_data[client_user_agent]");
            }
        }
        "app" => match map.get("app_data").and_then(Value::as_object) {
            Some(app) => app_data(app, place)?,
            None => lacks.push("app_data"),
        },
        "business_messaging" => {
            let channel = map.get("messaging_channel").map(as_text).unwrap_or_default();
            if !CHANNELS.contains(&channel.as_str()) {
                return Err(place.wrong("messaging_channel", &format!("must be one of {{{}}}", CHANNELS.join(", "))));
            }
        }
        _ => {}
    }
    match lacks.first() {
        Some(name) if settings.require_event_sources => Err(place.required(name)),
        _ => {
            let Place(at) = place;
            warnings.extend(lacks.iter().map(|name| format!("data[{at}]: {name} is expected for {source} events")));
            Ok(())
        }
    }
}

fn app_data(app: &Map<String, Value>, place: Place) -> Result<(), Refusal> {
    for name in ["advertiser_tracking_enabled", "application_tracking_enabled"] {
        match app.get(name) {
            None => return Err(place.required(&format!("app_data[{name}]"))),
            Some(value) if as_boolean(value).is_none() => {
                return Err(place.wrong(&format!("app_data[{name}]"), "must be 0 or 1"));
            }
            Some(_) => {}
        }
    }
    let info = app.get("extinfo").and_then(as_list).ok_or_else(|| place.required("app_data[extinfo]"))?;
    let version = info.first().map(as_text).unwrap_or_default();
    if info.len() != EXTINFO || !matches!(version.as_str(), "a2" | "i2") {
        let what = format!("must be a list of {EXTINFO} values that begins with a2 or i2");
        return Err(place.wrong("app_data[extinfo]", &what));
    }
    Ok(())
}

struct Custom {
    value: Option<String>,
    currency: Option<String>,
    names: Vec<String>,
}

fn custom(map: &Map<String, Value>, event_name: &str, place: Place) -> Result<Custom, Refusal> {
    let data = match map.get("custom_data") {
        None => Map::new(),
        Some(Value::Object(data)) => data.clone(),
        Some(_) => return Err(place.wrong("custom_data", "must be a JSON object")),
    };
    let member =
        |name: &str| data.get(name).filter(|value| !value.is_null()).map(as_text).filter(|text| !text.is_empty());
    let (value, currency) = (member("value"), member("currency"));
    if value.as_ref().is_some_and(|value| !value.parse::<f64>().is_ok_and(f64::is_finite)) {
        return Err(place.wrong("custom_data[value]", "must be a number"));
    }
    let is_currency = |text: &String| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if currency.as_ref().is_some_and(|currency| !is_currency(currency)) {
        return Err(place.wrong("custom_data[currency]", "must be an ISO 4217 code"));
    }
    if event_name == "Purchase" && (value.is_none() || currency.is_none()) {
        return Err(place.rule(2_804_009, "Purchase without value", "A purchase needs a value and a currency."));
    }
    for (name, words) in [("content_type", &["product", "product_group"][..]), ("delivery_category", DELIVERY)] {
        if member(name).is_some_and(|word| !words.contains(&word.as_str())) {
            return Err(
                place.wrong(&format!("custom_data[{name}]"), &format!("must be one of {{{}}}", words.join(", ")))
            );
        }
    }
    let names = data.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.clone()).collect();
    Ok(Custom { value, currency, names })
}

fn flag(map: &Map<String, Value>, name: &str, place: Place) -> Result<bool, Refusal> {
    match map.get(name) {
        None => Ok(false),
        Some(value) => as_boolean(value).ok_or_else(|| place.wrong(name, "must be a boolean")),
    }
}

/// Whether its processing is limited; an empty list says that it is not.
fn limited(map: &Map<String, Value>, place: Place) -> Result<bool, Refusal> {
    let Some(options) = map.get("data_processing_options") else { return Ok(false) };
    let options = as_list(options).ok_or_else(|| place.wrong("data_processing_options", "must be a list"))?;
    if options.iter().any(|option| as_text(option) != "LDU") {
        return Err(place.wrong("data_processing_options", "must be [\"LDU\"] or []"));
    }
    for name in ["data_processing_options_country", "data_processing_options_state"] {
        if map.get(name).is_some_and(|value| as_integer(value).is_none()) {
            return Err(place.wrong(name, "must be a number, or 0 for where Meta locates the person"));
        }
    }
    Ok(!options.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: i64 = 1_790_000_000;

    fn verdict_with(change: &Value, settings: &Settings) -> (Result<Event, Refusal>, Vec<String>) {
        let mut map = json!({
            "event_name": "Lead", "event_time": SECOND, "action_source": "website",
            "event_source_url": "https://shop.example/a?who=1",
            "user_data": { "external_id": ["x"], "client_user_agent": "Mozilla/5.0" },
        });
        map.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        let map = map.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        let map = map.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut warnings = Vec::new();
        let event = event(&map, 3, Timestamp::from_second(SECOND).unwrap(), settings, &mut warnings);
        (event, warnings)
    }

    fn verdict(change: &Value) -> Result<Event, Refusal> {
        verdict_with(change, &Settings::default()).0
    }

    #[test]
    fn every_fault_of_an_event_is_found_and_its_index_told() {
        let extinfo: Vec<&str> = std::iter::once("a2").chain(std::iter::repeat_n("x", 15)).collect();
        let app = json!({ "advertiser_tracking_enabled": 1, "application_tracking_enabled": "0", "extinfo": extinfo });
        let mut short = app.clone();
        short["extinfo"] = json!(["a2"]);
        let day = 86_400;
        // A change to an event that stands, and the subcode with which it falls; 0 stands for none.
        let table = [
            (json!({}), None),
            (json!({ "event_name": null }), Some(0)),
            (json!({ "event_name": "x".repeat(51) }), Some(0)),
            (json!({ "event_time": null }), Some(0)),
            (json!({ "event_time": "yesterday" }), Some(0)),
            (json!({ "event_time": SECOND - 8 * day }), Some(2_804_003)),
            (json!({ "event_time": SECOND - 8 * day, "action_source": "physical_store" }), None),
            (json!({ "event_time": SECOND - 63 * day, "action_source": "physical_store" }), Some(2_804_003)),
            (json!({ "event_time": SECOND + 60 }), None),
            (json!({ "event_time": SECOND + 61 }), Some(2_804_003)),
            (json!({ "action_source": "street" }), Some(0)),
            (json!({ "action_source": null }), Some(0)),
            (json!({ "event_source_url": null }), Some(0)),
            (json!({ "user_data": { "external_id": "x" } }), Some(0)),
            (json!({ "user_data": null }), Some(0)),
            (json!({ "user_data": { "client_user_agent": "x", "client_ip_address": "192.0.2.1" } }), Some(2_804_050)),
            (json!({ "action_source": "app" }), Some(0)),
            (json!({ "action_source": "app", "app_data": short }), Some(0)),
            (json!({ "action_source": "app", "app_data": app }), None),
            (json!({ "action_source": "business_messaging" }), Some(0)),
            (json!({ "action_source": "business_messaging", "messaging_channel": "whatsapp" }), None),
            (json!({ "event_name": "Purchase" }), Some(2_804_009)),
            (json!({ "event_name": "Purchase", "custom_data": { "value": "1.5", "currency": "usd" } }), None),
            (json!({ "custom_data": { "value": "much" } }), Some(0)),
            (json!({ "custom_data": { "currency": "dollar" } }), Some(0)),
            (json!({ "custom_data": { "content_type": "thing" } }), Some(0)),
            (json!({ "opt_out": "perhaps" }), Some(0)),
            (json!({ "data_processing_options": ["LDU"], "data_processing_options_country": 1 }), None),
            (json!({ "data_processing_options": ["GDPR"] }), Some(0)),
        ];
        for (change, wanted) in table {
            match (verdict(&change), wanted) {
                (Ok(_), None) => {}
                (Err(refusal), Some(subcode)) => {
                    let error = refusal.envelope("x")["error"].clone();
                    assert_eq!(error["error_subcode"].as_i64().unwrap_or_default(), subcode, "{change}: {error}");
                    assert!(error["error_user_msg"].as_str().unwrap().contains("index 3"), "{error}");
                }
                (verdict, wanted) => panic!("{change}: {verdict:?}, not {wanted:?}"),
            }
        }
    }

    #[test]
    fn what_is_expected_may_be_only_warned_of() {
        let settings = Settings { require_event_sources: false, ..Settings::default() };
        let (event, warnings) = verdict_with(&json!({ "event_source_url": null }), &settings);
        assert!(event.is_ok());
        assert_eq!(warnings, ["data[3]: event_source_url is expected for website events"]);
    }

    #[test]
    fn of_a_page_its_query_is_not_kept() {
        assert_eq!(verdict(&json!({})).unwrap().url.as_deref(), Some("https://shop.example/a"));
    }
}
