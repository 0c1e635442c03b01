//! Targeting: what it must name, what Meta refuses in it, and what Meta adds on its own.
//!
//! Rules whose subcode is published carry it; the others are plain errors 100 that say what is wrong (Meta, "Basic
//! targeting", "Placement targeting", "Special ad category").

mod category;
mod people;
mod placements;
mod places;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::catalogue;
use crate::error::Refusal;
use crate::params::{as_list, as_text};
use crate::state::{Object, State};
use crate::version::Version;

/// What the rules depend on besides the targeting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) state: &'a State,
    pub(crate) version: Version,
    pub(crate) now: Timestamp,
    pub(crate) campaign: &'a Object,
}

/// Fails where the targeting names no place or breaks a rule; else adds the defaults that Meta shows on reads.
pub(crate) fn settled(ground: Ground<'_>, targeting: &Value) -> Result<Value, Refusal> {
    let Some(map) = targeting.as_object() else {
        return Err(Refusal::invalid("Param targeting must be a valid JSON object").blame(&["targeting"]));
    };
    let Ground { state, version, now, campaign } = ground;
    lists(map)?;
    has_place(map)?;
    people::removed(map)?;
    places::check(state, map)?;
    people::automation(ground, map)?;
    people::ages(map)?;
    people::check(map)?;
    people::entries(state, now, map)?;
    people::audiences(state, campaign.account, map)?;
    placements::check(version, map)?;
    category::check(ground, map)?;
    Ok(with_defaults(placements::without_dropped(version, map.clone())))
}

/// Fails where the campaign's category forbids a targeting that was settled before it had one.
pub(crate) fn suits_category(ground: Ground<'_>, targeting: &Value) -> Result<(), Refusal> {
    targeting.as_object().map_or(Ok(()), |map| category::check(ground, map))
}

/// Members that are lists.
#[rustfmt::skip]
const LISTS: &[&str] = &[
    "audience_network_positions", "behaviors", "brand_safety_content_filter_levels", "custom_audiences",
    "device_platforms", "education_majors", "education_schools", "education_statuses", "excluded_custom_audiences",
    "excluded_publisher_list_ids", "excluded_user_device", "facebook_positions", "family_statuses", "flexible_spec",
    "friends_of_connections", "genders", "income", "industries", "instagram_positions", "interests", "life_events",
    "locales", "messenger_positions", "publisher_platforms", "relationship_statuses", "threads_positions",
    "user_adclusters", "user_device", "user_os", "whatsapp_positions", "work_employers", "work_positions",
];

/// Fails where something else stands in the place of a list: `"genders": 1`, `"countries": "US"`.
fn lists(map: &Map<String, Value>) -> Result<(), Refusal> {
    let must = |name: &str, path: &str| broken(format!("Param targeting{path} must be an array."), name);
    let is_other = |value: &Value| !value.is_array() && !value.is_null();
    for (name, value) in map {
        if LISTS.contains(&name.as_str()) && is_other(value) {
            return Err(must(name, &format!("[{name}]")));
        }
        if let ("geo_locations" | "excluded_geo_locations", Value::Object(places)) = (name.as_str(), value)
            && let Some((member, _)) = places.iter().find(|(_, value)| is_other(value))
        {
            return Err(must(name, &format!("[{name}][{member}]")));
        }
    }
    Ok(())
}

/// Fails where places, entries or audiences are named that do not exist; for estimates, which ask no other rule.
pub(crate) fn names_what_exists(
    state: &State,
    account: u64,
    map: &Map<String, Value>,
    now: Timestamp,
) -> Result<(), Refusal> {
    has_place(map)?;
    places::check(state, map)?;
    people::entries(state, now, map)?;
    people::audiences(state, account, map)
}

/// Fails for places in the European Economic Area without the two names, on the ad set or by default on the account
/// (Meta, "Digital Services Act").
pub(crate) fn transparency(account: &Object, fields: &Map<String, Value>) -> Result<(), Refusal> {
    let places = fields.get("targeting").and_then(|targeting| targeting.get("geo_locations"));
    let touched = places.is_some_and(|places| {
        places::countries(places).iter().any(|code| catalogue::EUROPEAN_ECONOMIC_AREA.contains(&code.as_str()))
    });
    let named = |own: &str, default: &str| fields.contains_key(own) || account.fields.contains_key(default);
    let missing = if !named("dsa_beneficiary", "default_dsa_beneficiary") {
        "dsa_beneficiary"
    } else if !named("dsa_payor", "default_dsa_payor") {
        "dsa_payor"
    } else {
        return Ok(());
    };
    if touched {
        let advice = "Ads shown in the European Union must name their beneficiary and payer.";
        return Err(Refusal::rule(3_858_152, "Beneficiary and payer missing", advice, &[missing]));
    }
    Ok(())
}

/// A targeting without places is only taken where custom audiences say who is meant.
fn has_place(map: &Map<String, Value>) -> Result<(), Refusal> {
    let places = map.get("geo_locations").and_then(Value::as_object);
    let any = places.is_some_and(|places| {
        places
            .iter()
            .any(|(name, value)| name != "location_types" && as_list(value).is_some_and(|list| !list.is_empty()))
    });
    if any || list(map, "custom_audiences").next().is_some() {
        return Ok(());
    }
    Err(broken("Choose at least one place where your ad should be shown.", "geo_locations"))
}

/// What Meta shows of a targeting though nobody wrote it. Members that it computes are not kept.
fn with_defaults(mut map: Map<String, Value>) -> Value {
    map.retain(|name, _| !name.starts_with("effective_"));
    map.entry("age_min").or_insert_with(|| json!(18));
    map.entry("age_max").or_insert_with(|| json!(65));
    map.entry("targeting_automation").or_insert_with(|| json!({ "advantage_audience": 0 }));
    map.entry("brand_safety_content_filter_levels").or_insert_with(|| json!(["FACEBOOK_STANDARD", "AN_STANDARD"]));
    if let Some(Value::Object(places)) = map.get_mut("geo_locations") {
        places.entry("location_types").or_insert_with(|| json!(["home", "recent"]));
    }
    Value::Object(map)
}

/// A rule without a published subcode, broken by a member of the targeting.
fn broken(text: impl AsRef<str>, member: &str) -> Refusal {
    Refusal::invalid(text).blame(&["targeting", member])
}

/// Fails with Meta's text for enums where an item of a list is none of the words.
fn words(map: &Map<String, Value>, name: &str, allowed: &[&str]) -> Result<Vec<String>, Refusal> {
    let given: Vec<String> = list(map, name).map(as_text).collect();
    for (at, word) in given.iter().enumerate() {
        if !allowed.contains(&word.as_str()) {
            let words = allowed.join(", ");
            return Err(broken(format!("Param targeting[{name}][{at}] must be one of {{{words}}}"), name));
        }
    }
    Ok(given)
}

fn list<'a>(map: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    map.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Kind};

    /// A targeting with members set over a good one, in a campaign of these categories; `null` takes a member away.
    pub(super) fn settle(version: u16, categories: &Value, members: &Value) -> Result<Value, Refusal> {
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        let state = State::new(&crate::state::Source::Small, 1, now);
        let campaign =
            Object::new(1, Kind::Campaign, ACCOUNTS[0], now).with(json!({ "special_ad_categories": categories }));
        let mut spec = json!({
            "geo_locations": { "countries": ["US"] },
            "targeting_automation": { "advantage_audience": 0 },
        });
        for (name, value) in members.as_object().unwrap() {
            spec[name] = value.clone();
        }
        spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        settled(Ground { state: &state, version: Version(version), now, campaign: &campaign }, &spec)
    }

    pub(super) fn told(members: &Value) -> String {
        settle(26, &json!([]), members).map_or_else(|refusal| refusal.envelope("A").to_string(), |_| String::new())
    }

    #[test]
    fn a_targeting_names_a_place_and_gets_the_defaults() {
        assert!(told(&json!({ "geo_locations": {} })).contains("geo_locations"));
        assert!(
            told(&json!({ "geo_locations": { "location_types": ["home", "recent"] } })).contains("at least one place")
        );
        let full = settle(26, &json!([]), &json!({ "effective_publisher_platforms": ["facebook"] })).unwrap();
        assert_eq!((full["age_min"].clone(), full["age_max"].clone()), (json!(18), json!(65)));
        assert_eq!(full["geo_locations"]["location_types"], json!(["home", "recent"]));
        assert!(full.get("effective_publisher_platforms").is_none());
    }

    #[test]
    fn a_scalar_in_the_place_of_a_list_is_refused() {
        for (members, path) in [
            (json!({ "genders": 1 }), "targeting[genders]"),
            (json!({ "user_os": "iOS" }), "targeting[user_os]"),
            (json!({ "interests": { "id": 1 } }), "targeting[interests]"),
            (json!({ "geo_locations": { "countries": "US" } }), "targeting[geo_locations][countries]"),
        ] {
            let answer = told(&members);
            assert!(answer.contains(&format!("Param {path} must be an array.")), "{members}: {answer}");
        }
        assert_eq!(told(&json!({ "genders": [1] })), "");
    }

    #[test]
    fn europe_is_also_a_city_or_a_group_of_countries() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let account = Object::new(1, Kind::AdAccount, 1, now);
        let verdict = |places: Value, more: Value| {
            let mut fields = json!({ "targeting": { "geo_locations": places } });
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            transparency(&account, fields.as_object().unwrap()).is_ok()
        };
        let none = json!({});
        assert!(verdict(json!({ "countries": ["US"] }), none.clone()));
        for places in [
            json!({ "countries": ["NO"] }),
            json!({ "cities": [{ "key": "642238" }] }),
            json!({ "regions": [{ "key": "904" }] }),
            json!({ "zips": [{ "key": "DE:12345" }] }),
            json!({ "country_groups": ["worldwide"] }),
        ] {
            assert!(!verdict(places.clone(), none.clone()), "{places}");
            assert!(!verdict(places.clone(), json!({ "dsa_payor": "x" })), "{places}");
            assert!(verdict(places, json!({ "dsa_payor": "x", "dsa_beneficiary": "x" })));
        }
    }
}
