//! Who: ages, genders, languages, interests and their kin, and custom audiences.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Ground, broken, list};
use crate::catalogue::{self, KINDS};
use crate::error::Refusal;
use crate::nodes::audiences::sharing;
use crate::nodes::write::id_of;
use crate::params::{as_integer, as_text};
use crate::state::{Kind, State};
use crate::version::Version;

/// Members of `flexible_spec` and `exclusions` that hold numbers or entries which the catalogue does not list.
const OTHER_CLASSES: &[&str] = &[
    "college_years",
    "education_statuses",
    "ethnic_affinity",
    "generation",
    "home_ownership",
    "home_type",
    "home_value",
    "household_composition",
    "interested_in",
    "moms",
    "net_worth",
    "office_type",
    "politics",
    "relationship_statuses",
    "user_adclusters",
];

/// Ways to aim that Meta took away.
pub(super) fn removed(map: &Map<String, Value>) -> Result<(), Refusal> {
    let elements = list(map, "flexible_spec").filter_map(Value::as_object);
    let exclusions = map.get("exclusions").and_then(Value::as_object);
    for part in elements.chain(exclusions).chain([map]) {
        for name in ["connections", "excluded_connections", "friends_of_connections"] {
            if part.contains_key(name) {
                let advice = "Targeting by connections is no longer available.";
                return Err(Refusal::rule(1_870_088, "Connections removed", advice, &["targeting", name]));
            }
        }
    }
    Ok(())
}

/// Since v23 an ad set says whether its audience may be widened; in a special category it must from v26 on.
pub(super) fn automation(ground: Ground<'_>, map: &Map<String, Value>) -> Result<(), Refusal> {
    let automation = map.get("targeting_automation");
    let stated = automation.and_then(|it| it.get("advantage_audience"));
    let asked = (ground.state.settings.advantage_audience_required && ground.version >= Version(23))
        || (ground.version >= Version(26) && super::category::of(ground.campaign).next().is_some());
    let good = stated.map_or(!asked, |value| matches!(as_integer(value), Some(0 | 1)));
    if !good {
        let advice = "Set advantage_audience to 0 or 1.";
        let path = ["targeting", "targeting_automation", "advantage_audience"];
        return Err(Refusal::rule(1_870_227, "Advantage audience flag required", advice, &path));
    }
    let own = automation.and_then(|it| it.get("individual_setting")).and_then(Value::as_object);
    for (name, value) in own.into_iter().flatten() {
        if !matches!(name.as_str(), "age" | "gender" | "geo") || !matches!(as_integer(value), Some(0 | 1)) {
            return Err(broken("individual_setting takes age, gender and geo, each 0 or 1", "targeting_automation"));
        }
    }
    Ok(())
}

/// Ages from 13 to 65+; minors are told apart by nothing but their age and place.
pub(super) fn ages(map: &Map<String, Value>) -> Result<(), Refusal> {
    let age = |name: &str, default: i64| match map.get(name) {
        None => Ok(default),
        Some(value) => as_integer(value)
            .filter(|age| (13..=65).contains(age))
            .ok_or_else(|| broken("Ages run from 13 to 65, where 65 means 65 and older", name)),
    };
    let (least, most) = (age("age_min", 18)?, age("age_max", 65)?);
    if least > most {
        return Err(broken("The minimum age must not be above the maximum age", "age_min"));
    }
    let more = map.keys().find(|name| {
        KINDS.contains(&name.as_str())
            || OTHER_CLASSES.contains(&name.as_str())
            || matches!(name.as_str(), "genders" | "flexible_spec" | "exclusions" | "custom_audiences" | "locales")
    });
    if let (true, Some(name)) = (least < 18, more) {
        let advice = "People under 18 can only be reached by age and place.";
        return Err(Refusal::rule(1_870_165, "Targeting of minors", advice, &["targeting", name]));
    }
    wide_ages(map, least, most)
}

/// With Advantage+ audience ages are a floor, and a wish in `age_range` (Meta, "Advantage+ audience").
fn wide_ages(map: &Map<String, Value>, least: i64, most: i64) -> Result<(), Refusal> {
    let is_wide =
        map.get("targeting_automation").and_then(|it| it.get("advantage_audience")).and_then(as_integer) == Some(1);
    if is_wide && least > 25 {
        return Err(broken("With Advantage+ audience the minimum age is at most 25", "age_min"));
    }
    if is_wide && most != 65 {
        return Err(broken("With Advantage+ audience the maximum age is 65", "age_max"));
    }
    let Some(range) = map.get("age_range") else { return Ok(()) };
    let pair: Vec<i64> = range.as_array().into_iter().flatten().filter_map(as_integer).collect();
    match pair.as_slice() {
        _ if !is_wide => Err(broken("age_range is a wish, which needs advantage_audience to be 1", "age_range")),
        [from, to] if (18..=65).contains(from) && from <= to && *to <= 65 => Ok(()),
        _ => Err(broken("age_range is a pair of ages from 18 to 65", "age_range")),
    }
}

/// Genders, languages and relaxations.
pub(super) fn check(map: &Map<String, Value>) -> Result<(), Refusal> {
    if list(map, "genders").any(|gender| !matches!(as_integer(gender), Some(0..=2))) {
        return Err(broken("Param targeting[genders] takes 1 for men and 2 for women", "genders"));
    }
    if list(map, "locales").any(|locale| as_integer(locale).is_none_or(|locale| locale <= 0)) {
        return Err(broken("Param targeting[locales] takes the keys of languages", "locales"));
    }
    let relaxed = map.get("targeting_relaxation_types").and_then(Value::as_object);
    for (name, value) in relaxed.into_iter().flatten() {
        if !matches!(name.as_str(), "lookalike" | "custom_audience") || !matches!(as_integer(value), Some(0 | 1)) {
            let text = "targeting_relaxation_types takes lookalike and custom_audience, each 0 or 1";
            return Err(broken(text, "targeting_relaxation_types"));
        }
    }
    Ok(())
}

/// Interests and the other classes: at the top, in `flexible_spec` and in `exclusions`.
pub(super) fn entries(state: &State, now: Timestamp, map: &Map<String, Value>) -> Result<(), Refusal> {
    classes(state, now, map)?;
    for element in list(map, "flexible_spec") {
        let Some(element) = element.as_object() else {
            return Err(broken("Param targeting[flexible_spec] must be a list of objects", "flexible_spec"));
        };
        known_classes(element, "flexible_spec", &["custom_audiences"])?;
        classes(state, now, element)?;
    }
    match map.get("exclusions") {
        None => Ok(()),
        Some(Value::Object(exclusions)) => {
            if exclusions.contains_key("custom_audiences") {
                let text = "Custom audiences are excluded by excluded_custom_audiences, not in exclusions";
                return Err(broken(text, "exclusions"));
            }
            known_classes(exclusions, "exclusions", &[])?;
            classes(state, now, exclusions)
        }
        Some(_) => Err(broken("Param targeting[exclusions] must be a valid JSON object", "exclusions")),
    }
}

fn known_classes(part: &Map<String, Value>, member: &str, more: &[&str]) -> Result<(), Refusal> {
    let known = |name: &str| KINDS.contains(&name) || OTHER_CLASSES.contains(&name) || more.contains(&name);
    match part.keys().find(|name| !known(name)) {
        Some(name) => Err(broken(format!("{name} cannot be a part of {member}"), member)),
        None => Ok(()),
    }
}

fn classes(state: &State, now: Timestamp, part: &Map<String, Value>) -> Result<(), Refusal> {
    // Systems and devices are named in words of many spellings.
    for kind in KINDS.iter().filter(|kind| !matches!(**kind, "user_os" | "user_device")) {
        for item in list(part, kind) {
            entry(state, now, kind, item)?;
        }
    }
    Ok(())
}

fn entry(state: &State, now: Timestamp, kind: &str, item: &Value) -> Result<(), Refusal> {
    let id = id_of(item);
    if let Some((name, heir)) = id.and_then(catalogue::gone) {
        if !catalogue::is_gone_by(now) {
            return Ok(());
        }
        let advice = format!("{name} was merged into {heir}. Use that, or remove it.");
        return Err(Refusal::rule(2_446_394, "Detailed targeting option not available", advice, &["targeting", kind]));
    }
    let known = id.and_then(catalogue::entry).is_some_and(|entry| entry.kind.0 == kind);
    if known || (id.is_some() && !state.settings.catalogue_only) {
        return Ok(());
    }
    let shown = item.get("name").or_else(|| item.get("id")).map_or_else(|| as_text(item), as_text);
    let advice = format!("{shown} is no option of {kind}, or is no longer one. Search for one that is.");
    Err(Refusal::rule(1_487_694, "Targeting option no longer available", advice, &["targeting", kind]))
}

/// Custom audiences, included or excluded, are the account's own or shared with it.
pub(super) fn audiences(state: &State, account: u64, map: &Map<String, Value>) -> Result<(), Refusal> {
    let nested = list(map, "flexible_spec").filter_map(Value::as_object);
    let nested = nested.map(|element| ("custom_audiences", element));
    for (name, part) in nested.chain([("custom_audiences", map), ("excluded_custom_audiences", map)]) {
        for audience in list(part, name) {
            let known = id_of(audience).and_then(|id| state.of_kind(id, Kind::Audience));
            if !known.is_some_and(|audience| sharing::may_use(audience, account)) {
                let shown = audience.get("id").map_or_else(|| as_text(audience), as_text);
                let text = format!("The custom audience {shown} does not exist, or you have no access to it");
                return Err(broken(text, name));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{settle, told};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_flag_of_the_wider_audience_must_be_stated_since_v23() {
        let silent = json!({ "targeting_automation": null });
        let text = told(&silent);
        assert!(text.contains("1870227") && text.contains("advantage_audience"), "{text}");
        assert!(settle(22, &json!([]), &silent).is_ok());
        assert!(told(&json!({ "targeting_automation": { "advantage_audience": 2 } })).contains("1870227"));
        assert_eq!(told(&json!({ "targeting_automation": { "advantage_audience": "1" } })), "");
    }

    #[test]
    fn ages_are_bounded_and_wide_audiences_bound_them_more() {
        let wide = json!({ "advantage_audience": 1 });
        for (members, text) in [
            (json!({ "age_min": 12 }), "Ages run from 13 to 65"),
            (json!({ "age_max": 66 }), "Ages run from 13 to 65"),
            (json!({ "age_min": 40, "age_max": 30 }), "must not be above"),
            (json!({ "age_min": 26, "targeting_automation": wide }), "at most 25"),
            (json!({ "age_max": 60, "targeting_automation": wide }), "maximum age is 65"),
            (json!({ "age_range": [25, 40] }), "needs advantage_audience"),
            (json!({ "age_range": [40, 25], "targeting_automation": wide }), "pair of ages"),
            (json!({ "age_min": 16, "age_max": 17, "genders": [1] }), "1870165"),
            (json!({ "genders": [3] }), "1 for men"),
        ] {
            let answer = told(&members);
            assert!(answer.contains(text), "{members}: {answer}");
        }
        assert_eq!(told(&json!({ "age_min": 13, "age_max": 17 })), "");
        assert_eq!(told(&json!({ "age_min": 20, "age_range": [25, 40], "targeting_automation": wide })), "");
    }

    #[test]
    fn what_is_gone_has_its_subcode() {
        let tea = catalogue::named(None, "Tea").unwrap().id;
        for (members, text) in [
            (json!({ "connections": [{ "id": 1 }] }), "1870088"),
            (json!({ "flexible_spec": [{ "friends_of_connections": [{ "id": 1 }] }] }), "1870088"),
            (json!({ "interests": [{ "id": "1", "name": "Nothing" }] }), "1487694"),
            (json!({ "flexible_spec": [{ "behaviors": [{ "id": tea }] }] }), "1487694"),
            (json!({ "exclusions": { "interests": [{ "id": "6003011990001" }] } }), "2446394"),
            (json!({ "exclusions": { "custom_audiences": [{ "id": 1 }] } }), "excluded_custom_audiences"),
            (json!({ "flexible_spec": [{ "colours": [{ "id": 1 }] }] }), "colours cannot be a part"),
            (json!({ "custom_audiences": [{ "id": "77" }] }), "The custom audience 77 does not exist"),
        ] {
            let answer = told(&members);
            assert!(answer.contains(text), "{members}: {answer}");
        }
        let good = json!({ "interests": [{ "id": tea }], "flexible_spec": [{ "interests": [tea.to_string()], "relationship_statuses": [1] }] });
        assert_eq!(told(&good), "");
    }
}
