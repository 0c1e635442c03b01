//! How far an audience is, how many people it holds, and what is wrong with it (Meta, "Custom audience status codes").

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{lookalike, rule};
use crate::loose;
use crate::nodes::events;
use crate::render::View;
use crate::state::{Kind, Object, State, sealed};

/// Whether Meta flagged the audience under its integrity rules; a test says so by a setting.
pub(crate) fn is_flagged(state: &State, audience: &Object) -> bool {
    state.settings.flagged_audiences.contains(&audience.id.to_string())
}

/// People whom Meta knows to be in the audience, once it is filled.
pub(crate) fn people(state: &State, audience: &Object) -> u64 {
    match audience.text("subtype") {
        "CUSTOM" => state.member_count(audience.id).saturating_mul(state.settings.match_percent.min(100)) / 100,
        "LOOKALIKE" => lookalike::people(audience),
        "WEBSITE" | "OFFLINE_CONVERSION" => visitors(state, audience),
        _ => made_up(state, audience.id),
    }
}

pub(super) fn operation(view: &View<'_>, audience: &Object) -> Value {
    let (code, description) = code(view, audience);
    json!({ "code": code, "description": description })
}

pub(super) fn delivery(view: &View<'_>, audience: &Object) -> Value {
    let operation = code(view, audience).0;
    if operation == 471 || operation == 423 {
        return json!({ "code": 400, "description": "This audience cannot be used for delivery." });
    }
    if people(view.state, audience) < view.state.settings.deliverable_people {
        return json!({ "code": 300, "description": "Audience too small." });
    }
    json!({ "code": 200, "description": "This audience is ready for use." })
}

/// The two bounds of the count: -1 where Meta does not say.
pub(super) fn bounds(view: &View<'_>, audience: &Object) -> (i64, i64) {
    let people = people(view.state, audience);
    (bound(people, 100), bound(people, 118))
}

fn code(view: &View<'_>, audience: &Object) -> (u32, &'static str) {
    let state = view.state;
    if is_flagged(state, audience) {
        return (471, "This audience may contain information that is not allowed under our terms.");
    }
    let subtype = audience.text("subtype");
    if subtype == "CUSTOM" && !audience.fields.contains_key("_uploaded") {
        return (410, "No file has been uploaded to this audience.");
    }
    let datasets = if subtype == "WEBSITE" { rule_sources(audience) } else { Vec::new() };
    if !datasets.is_empty() && !datasets.iter().any(|&id| state.of_kind(id, Kind::Dataset).is_some()) {
        return (423, "The pixel of this audience is not valid.");
    }
    if subtype == "LOOKALIKE" && is_orphan(state, audience) {
        return (433, "The lookalike could not be built: its source audience is gone.");
    }
    if !is_filled(state, audience, view.now) {
        return (441, "We are finding people who fit your audience criteria.");
    }
    match subtype {
        "CUSTOM" => filled(state, audience),
        "WEBSITE" if !datasets.iter().any(|&id| fires(state, id)) => {
            (422, "The pixel of this audience has sent no event.")
        }
        _ => (200, "Normal"),
    }
}

fn filled(state: &State, audience: &Object) -> (u32, &'static str) {
    let counted = |name: &str| audience.fields.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (received, invalid) = (counted("_received"), counted("_invalid"));
    if invalid.saturating_mul(100) > received.saturating_mul(state.settings.invalid_percent) {
        return (412, "Many of the rows that were uploaded are not valid.");
    }
    if state.settings.match_percent < state.settings.low_match_percent {
        return (411, "Few of the people that were uploaded match people on Meta's platforms.");
    }
    (200, "Normal")
}

/// Whether it was looked at often enough, or long enough has passed, since it last changed.
fn is_filled(state: &State, audience: &Object, now: Timestamp) -> bool {
    let since = audience.fields.get("_uploaded").and_then(Value::as_i64);
    let since = since.and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(audience.created);
    state.polls(audience.id) > state.settings.audience_polls
        || now.duration_since(since) >= SignedDuration::from_secs(state.settings.audience_seconds)
}

fn is_orphan(state: &State, audience: &Object) -> bool {
    let origin = audience.fields.get("origin_audience_id").and_then(crate::nodes::write::id_of);
    origin.is_some_and(|id| state.of_kind(id, Kind::Audience).is_none_or(|origin| origin.status.is_gone()))
}

fn rule_sources(audience: &Object) -> Vec<u64> {
    loose::parse(audience.text("rule")).map(|rule| rule::sources(&rule)).unwrap_or_default()
}

/// Whether anything ever came from it. The datasets of a world have had visitors before anybody looked.
pub(crate) fn fires(state: &State, dataset: u64) -> bool {
    !state.events(dataset).is_empty()
        || state.of_kind(dataset, Kind::Dataset).is_some_and(|dataset| dataset.fields.contains_key("_visitors"))
}

/// Those whom the dataset knew before, and every person of the events that came since.
fn visitors(state: &State, audience: &Object) -> u64 {
    let rule = loose::parse(audience.text("rule")).unwrap_or_default();
    let mut sum = 0_u64;
    for dataset in rule::sources(&rule) {
        let known = state.of_kind(dataset, Kind::Dataset).and_then(|object| object.fields.get("_visitors")?.as_u64());
        let came = events::people(state.events(dataset), &rule);
        sum = sum.saturating_add(known.unwrap_or_default()).saturating_add(came);
    }
    sum
}

/// A stable number of people for audiences whose sources the sandbox does not hold.
fn made_up(state: &State, id: u64) -> u64 {
    let digest = sealed(&format!("{}:{id}", state.seed));
    digest.get(..4).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default() + 1_500
}

/// Bounds are rounded to hundreds, never small, and -1 where there is nobody.
fn bound(people: u64, percent: u64) -> i64 {
    if people == 0 {
        return -1;
    }
    let hundreds = people.saturating_mul(percent) / 10_000;
    i64::try_from(hundreds.saturating_mul(100).max(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rounded_and_never_tell_a_small_number() {
        assert_eq!(bound(0, 100), -1);
        assert_eq!(bound(7, 118), 1_000);
        assert_eq!(bound(12_345, 100), 12_300);
    }
}
