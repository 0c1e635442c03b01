//! `/{dataset}/stats`: what came, counted by the hour.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::params::Params;
use crate::route::Call;
use crate::state::{Event, Object, State, iso};

const HOUR: i64 = 3_600;
/// How far it goes back where no time is given.
const DAYS: i64 = 7;
/// Keys of a person that are hashed before they are sent.
const PERSONAL: &[&str] = &["em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country"];
const AGGREGATIONS: &[&str] = &[
    "browser_type",
    "custom_data_field",
    "device_os",
    "device_type",
    "event",
    "event_detection_method",
    "event_processing_results",
    "event_source",
    "event_total_counts",
    "event_value_count",
    "had_pii",
    "host",
    "match_keys",
    "pixel_fire",
    "url",
    "url_by_rule",
];

pub(crate) fn read(state: &State, call: &Call, dataset: &Object) -> Result<Value, Refusal> {
    call.caller.may_read()?;
    let aggregation = call.params.text("aggregation").unwrap_or_else(|| "event".to_owned());
    if !AGGREGATIONS.contains(&aggregation.as_str()) {
        let message = format!("Param aggregation must be one of {{{}}}", AGGREGATIONS.join(", "));
        return Err(Refusal::invalid(message).blame(&["aggregation"]));
    }
    let name = call.params.text("event");
    let source = call.params.text("event_source").map(|source| source.to_uppercase());
    let (since, until) = range(&call.params, call.now)?;
    let wanted = state.events(dataset.id).iter().filter(|event| {
        let at = event.received.as_second();
        let from = source.as_ref().is_none_or(|source| source.contains(source_of(event)));
        from && (since..=until).contains(&at) && name.as_ref().is_none_or(|name| *name == event.event_name)
    });
    let rows = hours(wanted, &aggregation).into_iter().map(|(hour, counts)| {
        let start = Timestamp::from_second(hour * HOUR).unwrap_or(call.now);
        let data: Vec<Value> =
            counts.into_iter().map(|(value, count)| json!({ "value": value, "count": count })).collect();
        json!({ "start_time": iso(state, dataset.account, start), "aggregation": aggregation, "data": data })
    });
    Ok(json!({ "data": rows.collect::<Vec<_>>() }))
}

/// From and to, in unix seconds.
pub(crate) fn range(params: &Params, now: Timestamp) -> Result<(i64, i64), Refusal> {
    let at = |name: &str| match params.text(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text
            .parse::<i64>()
            .ok()
            .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second))
            .or_else(|| {
                Some(jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", &text).ok()?.to_timestamp().ok()?.as_second())
            })
            .map(Some)
            .ok_or_else(|| Refusal::invalid(format!("Param {name} must be a time")).blame(&[name])),
    };
    let before = now.checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(now);
    let (since, until) =
        (at("start_time")?.unwrap_or_else(|| before.as_second()), at("end_time")?.unwrap_or_else(|| now.as_second()));
    if since > until {
        return Err(Refusal::invalid("Param start_time must be before end_time").blame(&["start_time"]));
    }
    Ok((since, until))
}

/// Counts by hour and by what the aggregation tells apart.
pub(crate) fn hours<'a>(
    events: impl Iterator<Item = &'a Event>,
    aggregation: &str,
) -> BTreeMap<i64, BTreeMap<String, u64>> {
    let mut hours: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
    for event in events {
        let counts = hours.entry(event.received.as_second().div_euclid(HOUR)).or_default();
        for value in values(event, aggregation) {
            *counts.entry(value).or_default() += 1;
        }
    }
    hours.retain(|_, counts| !counts.is_empty());
    hours
}

fn values(event: &Event, aggregation: &str) -> Vec<String> {
    let device = |pick: fn(&crate::state::Device) -> &String| event.device.as_ref().map(pick).cloned();
    let one = match aggregation {
        "event" | "event_total_counts" => Some(event.event_name.clone()),
        "event_value_count" => event.value.as_ref().map(|_| event.event_name.clone()),
        "browser_type" => device(|device| &device.browser),
        "device_os" => device(|device| &device.system),
        "device_type" => device(|device| &device.kind),
        "event_source" => Some(source_of(event).to_owned()),
        "event_detection_method" => Some("MANUAL".to_owned()),
        "event_processing_results" => Some(if event.effective { "PROCESSED" } else { "DEDUPLICATED" }.to_owned()),
        "pixel_fire" => Some("pixel_fire".to_owned()),
        "had_pii" => Some(event.keys.iter().any(|key| PERSONAL.contains(&key.as_str())).to_string()),
        "url" | "url_by_rule" => event.url.clone(),
        "host" => event.url.as_deref().and_then(host),
        "match_keys" => return event.keys.clone(),
        "custom_data_field" => return event.custom_fields.clone(),
        _ => None,
    };
    one.into_iter().collect()
}

fn source_of(event: &Event) -> &'static str {
    if event.from_browser { "BROWSER" } else { "SERVER" }
}

fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    rest.split('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, second: i64) -> Event {
        serde_json::from_value(json!({
            "event_name": name, "event_time": 0, "action_source": "website", "effective": name != "Lead",
            "received": Timestamp::from_second(second).unwrap(), "url": "https://shop.example/a",
            "keys": ["em", "fbp"], "value": (name == "Purchase").then_some("1"),
        }))
        .unwrap()
    }

    #[test]
    fn events_are_counted_by_the_hour_and_by_what_is_asked() {
        let events = [event("Purchase", 10), event("Purchase", 3_599), event("Lead", 3_600)];
        let counts = |aggregation: &str| {
            let hours = hours(events.iter(), aggregation);
            hours.into_iter().map(|(hour, counts)| (hour, counts.into_iter().collect::<Vec<_>>())).collect::<Vec<_>>()
        };
        let of = |value: &str, count| vec![(value.to_owned(), count)];
        assert_eq!(counts("event"), [(0, of("Purchase", 2)), (1, of("Lead", 1))]);
        assert_eq!(counts("event_value_count"), [(0, of("Purchase", 2))]);
        assert_eq!(counts("host"), [(0, of("shop.example", 2)), (1, of("shop.example", 1))]);
        assert_eq!(counts("event_processing_results"), [(0, of("PROCESSED", 2)), (1, of("DEDUPLICATED", 1))]);
        assert_eq!(counts("match_keys")[0].1.len(), 2);
        assert_eq!(counts("browser_type"), []);
    }
}
