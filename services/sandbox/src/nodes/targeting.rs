//! Targeting: what it must name, what Meta adds on its own, and what special categories forbid.

use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::state::{Object, State, Status};
use crate::version::Version;

/// Countries where an advertiser must say who benefits and who pays.
const DSA_COUNTRIES: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];
/// Categories in which people must not be told apart by age, gender or small places.
const RESTRICTED: &[&str] = &["EMPLOYMENT", "HOUSING", "CREDIT", "FINANCIAL_PRODUCTS_SERVICES"];

/// Fails where the targeting names no place or breaks a rule; else adds the defaults that Meta shows on reads.
pub(crate) fn settled(state: &State, version: Version, campaign: &Object, targeting: &Value) -> Result<Value, Refusal> {
    let Some(map) = targeting.as_object() else {
        return Err(Refusal::invalid("Param targeting must be a valid JSON object").blame(&["targeting"]));
    };
    has_place(state, campaign.account, map)?;
    automation(state, version, campaign, map)?;
    ages(map)?;
    connections(map)?;
    audiences(state, map)?;
    if categories(campaign).any(|category| RESTRICTED.contains(&category)) {
        special(map)?;
    }
    Ok(with_defaults(map.clone()))
}

/// Fails for places in the European Union without the two names, on the ad set or by default on the account.
pub(crate) fn transparency(account: &Object, fields: &Map<String, Value>) -> Result<(), Refusal> {
    let countries = fields
        .get("targeting")
        .and_then(|targeting| targeting.pointer("/geo_locations/countries"))
        .and_then(Value::as_array);
    let touched = countries.into_iter().flatten().filter_map(Value::as_str).any(|code| DSA_COUNTRIES.contains(&code));
    let named = |own: &str, default: &str| fields.contains_key(own) || account.fields.contains_key(default);
    let complete = named("dsa_beneficiary", "default_dsa_beneficiary") && named("dsa_payor", "default_dsa_payor");
    if touched && !complete {
        let advice = "Ads shown in the European Union must name their beneficiary and payer.";
        return Err(Refusal::rule(3_858_152, "Beneficiary and payer missing", advice, &["dsa_beneficiary"]));
    }
    Ok(())
}

fn has_place(state: &State, account: u64, map: &Map<String, Value>) -> Result<(), Refusal> {
    let places = map.get("geo_locations").and_then(Value::as_object);
    let any = places.is_some_and(|places| {
        places
            .iter()
            .any(|(name, value)| name != "location_types" && value.as_array().is_some_and(|list| !list.is_empty()))
    });
    let by_audience = map.get("custom_audiences").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
        && state.object(account).is_some();
    if any || by_audience {
        return Ok(());
    }
    let advice = "Please choose at least one place where your ad should be shown.";
    Err(Refusal::rule(1_885_364, "Location missing", advice, &["targeting", "geo_locations"]))
}

fn ages(map: &Map<String, Value>) -> Result<(), Refusal> {
    let age = |name: &str, default: i64| map.get(name).and_then(crate::params::as_integer).unwrap_or(default);
    let (least, most) = (age("age_min", 18), age("age_max", 65));
    if !(13..=65).contains(&least) || !(13..=65).contains(&most) || least > most {
        let advice = "Ages run from 13 to 65, where 65 means 65 and older.";
        return Err(Refusal::rule(1_815_694, "Age range invalid", advice, &["targeting", "age_min"]));
    }
    let wide =
        map.get("targeting_automation").and_then(|it| it.get("advantage_audience")).and_then(crate::params::as_integer);
    match wide {
        None | Some(0) => Ok(()),
        Some(1) if least <= 25 && most == 65 => Ok(()),
        Some(1) => {
            let advice = "With Advantage+ audience the minimum age is at most 25 and the maximum age is 65.";
            Err(Refusal::rule(1_870_227, "Age controls too narrow", advice, &["targeting", "age_max"]))
        }
        Some(_) => Err(automation_unset()),
    }
}

fn connections(map: &Map<String, Value>) -> Result<(), Refusal> {
    for name in ["connections", "excluded_connections", "friends_of_connections"] {
        if map.contains_key(name) {
            let advice = "Targeting by connections is no longer available.";
            return Err(Refusal::rule(1_870_088, "Connections removed", advice, &["targeting", name]));
        }
    }
    Ok(())
}

fn audiences(state: &State, map: &Map<String, Value>) -> Result<(), Refusal> {
    for name in ["custom_audiences", "excluded_custom_audiences"] {
        for audience in map.get(name).and_then(Value::as_array).into_iter().flatten() {
            let known = super::write::id_of(audience)
                .and_then(|id| state.object(id))
                .is_some_and(|object| object.status != Status::Deleted);
            if !known {
                let advice = "A custom audience does not exist, or you have no access to it.";
                return Err(Refusal::rule(1_870_047, "Audience not found", advice, &["targeting", name]));
            }
        }
    }
    Ok(())
}

fn special(map: &Map<String, Value>) -> Result<(), Refusal> {
    let age = |name: &str, default: i64| map.get(name).and_then(crate::params::as_integer).unwrap_or(default);
    if age("age_min", 18) != 18 || age("age_max", 65) != 65 {
        let advice = "Ads in a special category must reach people from 18 to 65+.";
        return Err(Refusal::rule(2_909_034, "Age not allowed", advice, &["targeting", "age_min"]));
    }
    if map.get("genders").and_then(Value::as_array).is_some_and(|genders| !genders.is_empty()) {
        let advice = "Ads in a special category must reach all genders.";
        return Err(Refusal::rule(2_909_034, "Gender not allowed", advice, &["targeting", "genders"]));
    }
    if map.get("geo_locations").and_then(|places| places.get("zips")).is_some() {
        let advice = "Ads in a special category cannot be aimed at postcodes.";
        return Err(Refusal::rule(2_909_034, "Postcodes not allowed", advice, &["targeting", "geo_locations"]));
    }
    Ok(())
}

/// Since v23 an ad set says whether its audience may be widened; in a special category it must from v26 on.
fn automation(state: &State, version: Version, campaign: &Object, map: &Map<String, Value>) -> Result<(), Refusal> {
    let stated = map.get("targeting_automation").and_then(|it| it.get("advantage_audience")).is_some();
    let asked = (state.settings.advantage_audience_required && version >= Version(23))
        || (version >= Version(26) && categories(campaign).next().is_some());
    if stated || !asked { Ok(()) } else { Err(automation_unset()) }
}

fn automation_unset() -> Refusal {
    let advice = "Set advantage_audience to 0 or 1.";
    let path = ["targeting", "targeting_automation", "advantage_audience"];
    Refusal::rule(1_870_227, "Advantage audience flag required", advice, &path)
}

fn categories(campaign: &Object) -> impl Iterator<Item = &str> {
    campaign
        .fields
        .get("special_ad_categories")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn with_defaults(mut map: Map<String, Value>) -> Value {
    map.entry("age_min").or_insert_with(|| json!(18));
    map.entry("age_max").or_insert_with(|| json!(65));
    map.entry("targeting_automation").or_insert_with(|| json!({ "advantage_audience": 0 }));
    map.entry("brand_safety_content_filter_levels").or_insert_with(|| json!(["FACEBOOK_STANDARD", "AN_STANDARD"]));
    if let Some(Value::Object(places)) = map.get_mut("geo_locations") {
        places.entry("location_types").or_insert_with(|| json!(["home", "recent"]));
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::World;
    use crate::state::{ACCOUNTS, Kind};

    fn settle(categories: &Value, targeting: &Value) -> Result<Value, Refusal> {
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        let state = State::new(World::Small, 1, now);
        let campaign =
            Object::new(1, Kind::Campaign, ACCOUNTS[0], now).with(json!({ "special_ad_categories": categories }));
        settled(&state, Version(26), &campaign, targeting)
    }

    #[test]
    fn a_targeting_names_a_place_and_gets_the_defaults() {
        assert!(settle(&json!([]), &json!({})).is_err());
        let full = settle(
            &json!([]),
            &json!({ "geo_locations": { "countries": ["US"] }, "targeting_automation": { "advantage_audience": 0 } }),
        )
        .unwrap();
        assert_eq!(full["age_min"], 18);
        assert_eq!(full["geo_locations"]["location_types"][0], "home");
    }

    #[test]
    fn the_flag_of_the_wider_audience_must_be_stated() {
        let silent = json!({ "geo_locations": { "countries": ["US"] } });
        let told = settle(&json!([]), &silent).unwrap_err().envelope("A").to_string();
        assert!(told.contains("1870227") && told.contains("advantage_audience"), "{told}");
    }

    #[test]
    fn special_categories_reach_everybody() {
        let narrow = json!({ "geo_locations": { "countries": ["US"] }, "genders": [1],
                             "targeting_automation": { "advantage_audience": 0 } });
        assert!(settle(&json!(["HOUSING"]), &narrow).is_err());
        assert!(settle(&json!([]), &narrow).is_ok());
    }
}
