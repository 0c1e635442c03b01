//! Searches for places.

use serde_json::{Map, Value, json};

use crate::catalogue::{self, Place, PlaceKind};
use crate::error::Refusal;
use crate::params::{Params, as_text};

/// `adgeolocation`: names that answer `q`, of the wanted kinds, in one country if it is said.
pub(super) fn found(params: &Params) -> Result<Vec<Value>, Refusal> {
    let query = params.text("q").unwrap_or_default();
    let kinds = params.words("location_types")?.unwrap_or_default();
    for (at, kind) in kinds.iter().enumerate() {
        if !PlaceKind::ALL.iter().any(|known| known.word() == kind) && !OTHER_KINDS.contains(&kind.as_str()) {
            let all: Vec<&str> =
                PlaceKind::ALL.iter().map(|kind| kind.word()).chain(OTHER_KINDS.iter().copied()).collect();
            return Err(Refusal::invalid(format!("Param location_types[{at}] must be one of {{{}}}", all.join(", "))));
        }
    }
    let country = params.text("country_code").filter(|code| !code.is_empty());
    let region = params.text("region_id").filter(|id| !id.is_empty());
    let mut hits: Vec<(u8, Place)> = catalogue::places()
        .filter(|place| kinds.is_empty() || kinds.iter().any(|kind| kind == place.kind.word()))
        .filter(|place| country.as_deref().is_none_or(|code| place.country.eq_ignore_ascii_case(code)))
        .filter(|place| region.as_deref().is_none_or(|id| place.region == Some(id)))
        .filter_map(|place| rank(&place, &query).map(|rank| (rank, place)))
        .collect();
    hits.sort_by(|(one, left), (other, right)| {
        one.cmp(other).then(right.people.cmp(&left.people)).then(left.key.cmp(right.key))
    });
    Ok(hits.iter().map(|(_, place)| row(place)).collect())
}

/// Kinds that Meta knows besides, of which the catalogue holds none.
const OTHER_KINDS: &[&str] = &[
    "large_geo_area",
    "location_cluster",
    "medium_geo_area",
    "metro_area",
    "neighborhood",
    "place",
    "small_geo_area",
    "subcity",
    "subneighborhood",
];

/// `adgeolocationmeta`: the rows behind keys, by member and key; an object instead of a list.
pub(super) fn meta(params: &Params) -> Result<Value, Refusal> {
    let mut all = Map::new();
    for kind in PlaceKind::ALL {
        let keys = params.words(kind.member())?.unwrap_or_default();
        let rows: Map<String, Value> =
            keys.iter().filter_map(|key| catalogue::place(kind, key).map(|place| (key.clone(), row(&place)))).collect();
        if !rows.is_empty() {
            all.insert(kind.member().to_owned(), Value::Object(rows));
        }
    }
    Ok(json!({ "data": all }))
}

/// `adradiussuggestion`: how far around a point enough people live. Nobody lives anywhere here, so it follows from the
/// point alone.
pub(super) fn radius(params: &Params) -> Result<Vec<Value>, Refusal> {
    let whole = |name: &str, most: i64| -> Result<i64, Refusal> {
        let text = params.required(name)?;
        let degrees = text.split('.').next().and_then(|whole| whole.parse::<i64>().ok());
        degrees
            .filter(|degrees| degrees.abs() <= most)
            .ok_or_else(|| Refusal::invalid(format!("Param {name} must be a number")).blame(&[name]))
    };
    let (latitude, longitude) = (whole("latitude", 90)?, whole("longitude", 180)?);
    let unit = params.text("distance_unit").unwrap_or_else(|| "mile".to_owned());
    let suggested = 10 + (latitude.abs() + longitude.abs()) % 15;
    let (suggested, unit) = if unit == "kilometer" { (suggested * 8 / 5, "kilometer") } else { (suggested, "mile") };
    Ok(vec![json!({ "suggested_radius": suggested, "distance_unit": unit })])
}

/// `adcountry`.
pub(super) fn countries(params: &Params) -> Vec<Value> {
    let query = params.text("q").unwrap_or_default();
    let hits = catalogue::countries().filter(|(_, name, _)| catalogue::rank(name, &query).is_some());
    hits.map(|(code, name, _)| {
        json!({ "key": code, "name": name, "type": "country", "country_code": code, "supports_region": true, "supports_city": true })
    })
    .collect()
}

/// `adzipcode`.
pub(super) fn zips(params: &Params) -> Vec<Value> {
    let query = params.text("q").unwrap_or_default();
    let all = catalogue::places().filter(|place| place.kind == PlaceKind::Zip);
    all.filter(|place| rank(place, &query).is_some()).map(|place| row(&place)).collect()
}

fn rank(place: &Place, query: &str) -> Option<u8> {
    if place.kind == PlaceKind::Country && place.key.eq_ignore_ascii_case(query.trim()) {
        return Some(0);
    }
    catalogue::rank(place.name, query)
}

fn row(place: &Place) -> Value {
    let country = catalogue::country(place.country);
    let mut row = json!({
        "key": place.key,
        "name": place.name,
        "type": place.kind.word(),
        "supports_region": matches!(place.kind, PlaceKind::Country | PlaceKind::City | PlaceKind::Zip | PlaceKind::Region),
        "supports_city": matches!(place.kind, PlaceKind::Country | PlaceKind::City | PlaceKind::Region),
    });
    let Value::Object(map) = &mut row else { return row };
    if let Some((name, _)) = country {
        map.insert("country_code".to_owned(), json!(place.country));
        map.insert("country_name".to_owned(), json!(name));
    }
    let region = place.region.and_then(|key| catalogue::place(PlaceKind::Region, key));
    if let Some(region) = region {
        map.insert("region".to_owned(), json!(region.name));
        // A number here, though keys are texts.
        map.insert(
            "region_id".to_owned(),
            region.key.parse::<u64>().map_or_else(|_| json!(region.key), |id| json!(id)),
        );
    }
    if place.kind == PlaceKind::CountryGroup {
        map.insert("country_codes".to_owned(), json!(catalogue::group_countries(place.key)));
    }
    row
}

/// The name of a place in a targeting: by its key, else what the targeting itself calls it.
pub(super) fn name(kind: PlaceKind, item: &Value) -> String {
    let key = item.get("key").map_or_else(|| as_text(item), as_text);
    let given = || item.get("name").map_or_else(|| key.clone(), as_text);
    catalogue::place(kind, &key).map_or_else(given, |place| place.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_is_found_with_its_region_and_country() {
        let rows = found(&Params::from_form("q=seat&location_types=[\"city\"]")).unwrap();
        let expected = json!([{
            "key": "2418779", "name": "Seattle", "type": "city", "country_code": "US", "country_name": "United States",
            "region": "Washington", "region_id": 3890, "supports_region": true, "supports_city": true,
        }]);
        assert_eq!(Value::Array(rows), expected);
        let kinds: Vec<_> = found(&Params::from_form("q=washington")).unwrap();
        assert_eq!(kinds[0]["type"], "region");
        assert!(found(&Params::from_form("q=x&location_types=planet")).is_err());
    }

    #[test]
    fn what_stands_behind_keys_is_an_object() {
        let answer = meta(&Params::from_form("cities=[2418779,1]&regions=3847")).unwrap();
        assert_eq!(answer["data"]["cities"]["2418779"]["name"], "Seattle");
        assert_eq!(answer["data"]["cities"].as_object().unwrap().len(), 1);
        assert_eq!(answer["data"]["regions"]["3847"]["name"], "California");
    }

    #[test]
    fn a_radius_is_suggested_in_the_unit_that_was_asked_for() {
        let of = |query: &str| radius(&Params::from_form(query)).map(|rows| rows[0].clone());
        let miles = of("latitude=36&longitude=-121.5").unwrap();
        assert_eq!(miles, json!({ "suggested_radius": 17, "distance_unit": "mile" }));
        assert_eq!(of("latitude=36&longitude=-121.5&distance_unit=kilometer").unwrap()["suggested_radius"], 27);
        assert!(of("latitude=100&longitude=0").is_err());
    }
}
