//! What special ad categories forbid: nobody may be kept from seeing ads for homes, work or credit.

use serde_json::{Map, Value};

use super::{Ground, broken, list};
use crate::error::Refusal;
use crate::nodes::write::id_of;
use crate::params::{as_integer, as_text};
use crate::state::Object;

/// Categories in which people must not be told apart by age, gender or small places.
const RESTRICTED: &[&str] = &["EMPLOYMENT", "HOUSING", "CREDIT", "FINANCIAL_PRODUCTS_SERVICES"];
/// The smallest circle around a place, in miles and in kilometres.
const RADIUS_MIN: (u64, u64) = (15, 25);

/// The special categories of a campaign.
pub(super) fn of(campaign: &Object) -> impl Iterator<Item = &str> {
    let categories = campaign.fields.get("special_ad_categories").and_then(Value::as_array);
    categories.into_iter().flatten().filter_map(Value::as_str).filter(|word| *word != "NONE")
}

/// Fails where the campaign's category forbids what the targeting asks for.
pub(super) fn check(ground: Ground<'_>, map: &Map<String, Value>) -> Result<(), Refusal> {
    if !of(ground.campaign).any(|category| RESTRICTED.contains(&category)) {
        return Ok(());
    }
    let age = |name: &str, default: i64| map.get(name).and_then(as_integer).unwrap_or(default);
    for (name, only) in [("age_min", 18), ("age_max", 65)] {
        if age(name, only) != only {
            return Err(broken("Ads in a special ad category must reach people from 18 to 65+", name));
        }
    }
    if list(map, "genders").any(|gender| as_integer(gender) != Some(0)) {
        return Err(broken("Ads in a special ad category must reach all genders", "genders"));
    }
    for member in ["geo_locations", "excluded_geo_locations"] {
        if let Some(Value::Object(places)) = map.get(member) {
            small_places(places, member)?;
        }
    }
    for audience in list(map, "custom_audiences") {
        let lookalike = id_of(audience)
            .and_then(|id| ground.state.object(id))
            .is_some_and(|audience| audience.text("subtype") == "LOOKALIKE");
        if lookalike {
            return Err(broken("Ads in a special ad category cannot use lookalike audiences", "custom_audiences"));
        }
    }
    Ok(())
}

fn small_places(places: &Map<String, Value>, member: &str) -> Result<(), Refusal> {
    if list(places, "zips").next().is_some() {
        return Err(broken("Ads in a special ad category cannot be aimed at postcodes", member));
    }
    for item in list(places, "cities").chain(list(places, "custom_locations")) {
        let Some(radius) = item.get("radius").map(as_text) else { continue };
        let in_kilometers = item.get("distance_unit").is_some_and(|unit| unit == "kilometer");
        let least = if in_kilometers { RADIUS_MIN.1 } else { RADIUS_MIN.0 };
        let whole = radius.split('.').next().and_then(|whole| whole.parse::<u64>().ok()).unwrap_or_default();
        if whole < least {
            let unit = if in_kilometers { "kilometers" } else { "miles" };
            return Err(broken(
                format!("Ads in a special ad category need a radius of at least {least} {unit}"),
                member,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::settle;
    use serde_json::{Value, json};

    #[test]
    fn restricted_categories_reach_everybody() {
        for (spec, text) in [
            (json!({ "age_min": 25 }), "from 18 to 65+"),
            (json!({ "age_max": 50 }), "from 18 to 65+"),
            (json!({ "genders": [1] }), "all genders"),
            (json!({ "geo_locations": { "zips": [{ "key": "US:90210" }] } }), "postcodes"),
            (json!({ "geo_locations": { "cities": [{ "key": "2418779", "radius": 10 }] } }), "at least 15 miles"),
        ] {
            let verdict = |category: &str| settle(26, &json!([category]), &spec);
            for category in ["HOUSING", "EMPLOYMENT", "CREDIT", "FINANCIAL_PRODUCTS_SERVICES"] {
                let answer = verdict(category).unwrap_err().envelope("A").to_string();
                assert!(answer.contains(text), "{category} {spec}: {answer}");
            }
            assert!(verdict("ONLINE_GAMBLING_AND_GAMING").is_ok(), "{spec}");
        }
    }

    #[test]
    fn special_categories_state_the_wider_audience_in_v26() {
        let silent = json!({ "targeting_automation": Value::Null });
        assert!(settle(26, &json!(["ISSUES_ELECTIONS_POLITICS"]), &silent).is_err());
        assert!(settle(22, &json!(["ISSUES_ELECTIONS_POLITICS"]), &silent).is_ok());
    }
}
