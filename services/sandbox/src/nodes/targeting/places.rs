//! Where: places that exist, and circles of a size that Meta takes.

use serde_json::{Map, Value};

use super::broken;
use crate::catalogue::{self, PlaceKind};
use crate::error::Refusal;
use crate::params::as_text;
use crate::state::State;

/// The only kinds of people in a place that are still taken, and both are always meant (Meta, "Location targeting").
const LOCATION_TYPES: &[&str] = &["home", "recent"];

/// Checks both `geo_locations` and `excluded_geo_locations`.
pub(super) fn check(state: &State, map: &Map<String, Value>) -> Result<(), Refusal> {
    for member in ["geo_locations", "excluded_geo_locations"] {
        match map.get(member) {
            None => {}
            Some(Value::Object(places)) => one(state, member, places)?,
            Some(_) => return Err(broken(format!("Param targeting[{member}] must be a valid JSON object"), member)),
        }
    }
    Ok(())
}

fn one(state: &State, member: &str, places: &Map<String, Value>) -> Result<(), Refusal> {
    let types: Vec<String> = super::list(places, "location_types").map(as_text).collect();
    if types.iter().any(|word| !LOCATION_TYPES.contains(&word.as_str())) {
        let advice = "People can no longer be told apart by why they are in a place. Leave location_types out.";
        let path = ["targeting", member, "location_types"];
        return Err(Refusal::rule(1_870_199, "Location types not available", advice, &path));
    }
    few(state, member, places)?;
    for kind in PlaceKind::ALL {
        for item in super::list(places, kind.member()) {
            let key = item.get("key").map_or_else(|| as_text(item), as_text);
            if !exists(state, kind, &key) {
                return Err(broken(format!("The {} {key} does not exist", kind.word().replace('_', " ")), member));
            }
        }
    }
    for city in super::list(places, "cities") {
        radius(city, member, (10, 50), (17, 80))?;
    }
    for point in super::list(places, "custom_locations") {
        let at = |name: &str, most: i64| {
            let degrees = point.get(name).map(as_text).and_then(|text| text.split('.').next()?.parse::<i64>().ok());
            degrees.is_some_and(|degrees| degrees.abs() <= most)
        };
        if !(at("latitude", 90) && at("longitude", 180)) && point.get("address_string").is_none() {
            return Err(broken("A custom location needs latitude and longitude, or an address_string", member));
        }
        radius(point, member, (1, 50), (1, 80))?;
    }
    Ok(())
}

/// A targeting names only so many places of a kind.
fn few(state: &State, member: &str, places: &Map<String, Value>) -> Result<(), Refusal> {
    let ceilings = &state.settings.ceilings;
    for (name, most) in [
        ("countries", ceilings.targeted_countries),
        ("regions", ceilings.targeted_regions),
        ("cities", ceilings.targeted_cities),
        ("zips", ceilings.targeted_zips),
    ] {
        let count = super::list(places, name).count();
        if count > most {
            return Err(broken(format!("A targeting has at most {most} {name}, not {count}"), member));
        }
    }
    Ok(())
}

/// Whether a place is in the catalogue, or is one of those that nobody could list.
fn exists(state: &State, kind: PlaceKind, key: &str) -> bool {
    let in_country =
        || key.split_once(':').is_some_and(|(code, rest)| catalogue::country(code).is_some() && !rest.is_empty());
    match kind {
        PlaceKind::Country => catalogue::country(key).is_some(),
        PlaceKind::CountryGroup => catalogue::is_group(key),
        PlaceKind::Zip | PlaceKind::ElectoralDistrict => in_country(),
        PlaceKind::GeoMarket => key.split_once(':').is_some_and(|(_, number)| number.parse::<u32>().is_ok()),
        PlaceKind::Region | PlaceKind::City => {
            catalogue::place(kind, key).is_some() || (!state.settings.catalogue_only && key.parse::<u64>().is_ok())
        }
    }
}

/// A radius may be left out; what is given lies within the bounds of its unit.
fn radius(item: &Value, member: &str, miles: (u64, u64), kilometers: (u64, u64)) -> Result<(), Refusal> {
    let Some(radius) = item.get("radius").filter(|radius| !radius.is_null()).map(as_text) else { return Ok(()) };
    let unit = item.get("distance_unit").map_or_else(|| "mile".to_owned(), as_text);
    let (least, most) = match unit.as_str() {
        "mile" => miles,
        "kilometer" => kilometers,
        _ => return Err(broken("Param distance_unit must be one of {mile, kilometer}", member)),
    };
    // Fractions are taken; what lies beyond the bounds by one is not.
    let whole = radius.split('.').next().and_then(|whole| whole.parse::<u64>().ok());
    let beyond = radius.split_once('.').is_some_and(|(_, part)| part.chars().any(|digit| digit != '0'));
    if whole.is_some_and(|whole| (least..=most).contains(&whole) && !(whole == most && beyond)) {
        return Ok(());
    }
    Err(broken(format!("A radius must be from {least} to {most} {unit}s, not {radius}"), member))
}

/// The countries that places lie in.
pub(super) fn countries(places: &Value) -> Vec<String> {
    let items = |name: &str| places.get(name).and_then(Value::as_array).into_iter().flatten();
    let key = |item: &Value| item.get("key").map_or_else(|| as_text(item), as_text);
    let mut codes: Vec<String> = items("countries").map(as_text).collect();
    for group in items("country_groups") {
        codes.extend(catalogue::group_countries(&as_text(group)).into_iter().map(str::to_owned));
    }
    for kind in [PlaceKind::Region, PlaceKind::City, PlaceKind::GeoMarket] {
        codes.extend(
            items(kind.member())
                .filter_map(|item| catalogue::place(kind, &key(item)))
                .map(|place| place.country.to_owned()),
        );
    }
    for kind in [PlaceKind::Zip, PlaceKind::ElectoralDistrict] {
        codes.extend(items(kind.member()).filter_map(|item| Some(key(item).split_once(':')?.0.to_owned())));
    }
    // What is named in an item itself counts as well.
    for name in ["regions", "cities", "custom_locations", "places"] {
        codes.extend(items(name).filter_map(|item| item.get("country")).map(as_text));
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use serde_json::json;

    #[test]
    fn places_must_exist() {
        for (places, text) in [
            (json!({ "countries": ["ZZ"] }), "The country ZZ does not exist"),
            (json!({ "country_groups": ["moon"] }), "The country group moon does not exist"),
            (json!({ "regions": [{ "key": "1" }] }), "The region 1 does not exist"),
            (json!({ "cities": [{ "key": "1" }] }), "The city 1 does not exist"),
            (json!({ "zips": [{ "key": "90210" }] }), "The zip 90210 does not exist"),
        ] {
            assert!(told(&json!({ "geo_locations": places.clone() })).contains(text), "{places}");
            assert!(told(&json!({ "excluded_geo_locations": places.clone() })).contains(text), "{places}");
        }
        let good = json!({ "geo_locations": {
            "country_groups": ["eea"], "regions": [{ "key": 3847 }], "cities": [{ "key": "2418779", "radius": 10 }],
            "zips": [{ "key": "US:90210" }], "geo_markets": [{ "key": "DMA:807" }],
        } });
        assert_eq!(told(&good), "");
    }

    #[test]
    fn a_targeting_names_so_many_places_and_no_more() {
        let zips =
            |count: u32| (0..count).map(|number| json!({ "key": format!("US:{number:05}") })).collect::<Vec<_>>();
        let countries = |count: usize| vec!["US"; count];
        for (places, text) in [
            (json!({ "countries": countries(26) }), "at most 25 countries, not 26"),
            (json!({ "cities": vec![json!({ "key": "2418779" }); 251] }), "at most 250 cities, not 251"),
            (json!({ "regions": vec![json!({ "key": 3847 }); 201] }), "at most 200 regions, not 201"),
            (json!({ "zips": zips(50_001) }), "at most 50000 zips, not 50001"),
        ] {
            assert!(told(&json!({ "geo_locations": places })).contains(text), "{text}");
        }
        assert_eq!(told(&json!({ "geo_locations": { "countries": countries(25) } })), "");
    }

    #[test]
    fn a_radius_has_bounds_in_its_unit() {
        let city = |radius: serde_json::Value, unit: &str| {
            let city = json!({ "key": "2418779", "radius": radius, "distance_unit": unit });
            told(&json!({ "geo_locations": { "cities": [city] } }))
        };
        assert!(city(json!(9), "mile").contains("from 10 to 50 miles"));
        assert!(city(json!(51), "mile").contains("from 10 to 50 miles"));
        assert!(city(json!("50.5"), "mile").contains("from 10 to 50 miles"));
        assert!(city(json!(16), "kilometer").contains("from 17 to 80 kilometers"));
        assert_eq!(city(json!(80), "kilometer"), "");
        assert!(city(json!(20), "yard").contains("mile, kilometer"));
        let point = |point| told(&json!({ "geo_locations": { "custom_locations": [point] } }));
        assert_eq!(point(json!({ "latitude": 47.6, "longitude": "-122.3", "radius": 1 })), "");
        assert!(point(json!({ "radius": 1 })).contains("latitude"));
    }

    #[test]
    fn kinds_of_people_in_a_place_are_gone() {
        let places = json!({ "countries": ["US"], "location_types": ["travel_in"] });
        let text = told(&json!({ "geo_locations": places }));
        assert!(text.contains("1870199") && text.contains("location_types"), "{text}");
    }
}
