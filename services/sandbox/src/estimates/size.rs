//! The size of a targeting, from the sizes of what it names.
//!
//! Shares multiply as if they had nothing to do with each other, in millionths and without fractions.

use serde_json::{Map, Value};

use crate::catalogue::{self, KINDS, PlaceKind};
use crate::nodes::write::id_of;
use crate::params::{as_integer, as_text};
use crate::state::{Object, State};

/// The whole, in millionths.
const ALL: u64 = 1_000_000;
/// Everybody whom Meta reaches.
const WORLD: u64 = 3_200_000_000;
/// Fewer people than that are never told (Meta, "Reach estimate").
const PEOPLE_MIN: u64 = 1_000;
/// A place that the catalogue does not hold, where such are taken.
const UNKNOWN_PLACE: u64 = 50_000;

/// What may be told of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    Between(u64, u64),
    /// A custom audience with too few people in it.
    Hidden,
}

/// The bounds of a targeting.
pub(super) fn of(state: &State, spec: &Map<String, Value>) -> Bounds {
    let included: Vec<&Object> = audiences(state, spec, "custom_audiences").collect();
    let members: u64 = included.iter().map(|audience| people_of(state, audience)).sum();
    if !included.is_empty() && members < PEOPLE_MIN {
        return Bounds::Hidden;
    }
    let mut people = located(spec);
    if !included.is_empty() {
        people = people.min(members);
    }
    for share in shares(spec) {
        people = part(people, share);
    }
    let out: u64 = audiences(state, spec, "excluded_custom_audiences").map(|audience| people_of(state, audience)).sum();
    let lower = rounded(people.saturating_sub(out).max(PEOPLE_MIN));
    Bounds::Between(lower, rounded(lower.saturating_mul(1_176) / 1_000))
}

fn part(people: u64, share: u64) -> u64 {
    u64::try_from(u128::from(people) * u128::from(share) / u128::from(ALL)).unwrap_or(u64::MAX)
}

/// Three digits that count, the rest zeros.
fn rounded(people: u64) -> u64 {
    let mut step = 1_u64;
    while people / step >= 1_000 {
        step = step.saturating_mul(10);
    }
    people / step * step
}

fn audiences<'a>(
    state: &'a State,
    spec: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a Object> + use<'a> {
    list(spec.get(name)).filter_map(id_of).filter_map(|id| state.object(id))
}

/// People of an audience: those that were uploaded, or the share of a lookalike in all of its countries.
fn people_of(state: &State, audience: &Object) -> u64 {
    let own = state.member_count(audience.id);
    if own > 0 || audience.text("subtype") != "LOOKALIKE" {
        return own;
    }
    let ratio =
        audience.fields.get("lookalike_spec").and_then(|spec| spec.get("ratio")).map(as_text).unwrap_or_default();
    let hundredths = ratio.trim_start_matches("0.").chars().chain(std::iter::repeat('0')).take(2).collect::<String>();
    part(WORLD / 20, hundredths.parse::<u64>().unwrap_or(1).max(1) * 10_000)
}

fn located(spec: &Map<String, Value>) -> u64 {
    let Some(Value::Object(places)) = spec.get("geo_locations") else { return WORLD };
    let included = in_places(places);
    let excluded = spec.get("excluded_geo_locations").and_then(Value::as_object).map(in_places).unwrap_or_default();
    included.saturating_sub(excluded)
}

/// All people in places; a place inside of a country that is named too adds nobody.
fn in_places(places: &Map<String, Value>) -> u64 {
    let mut countries: Vec<String> = list(places.get("countries")).map(as_text).collect();
    for group in list(places.get("country_groups")).map(as_text) {
        countries.extend(catalogue::group_countries(&group).into_iter().map(str::to_owned));
    }
    countries.sort_unstable();
    countries.dedup();
    let mut people: u64 = countries.iter().filter_map(|code| catalogue::country(code)).map(|(_, people)| people).sum();
    let smaller =
        [PlaceKind::Region, PlaceKind::City, PlaceKind::Zip, PlaceKind::GeoMarket, PlaceKind::ElectoralDistrict];
    for kind in smaller {
        for item in list(places.get(kind.member())) {
            let key = item.get("key").map(as_text).unwrap_or_default();
            let place = catalogue::place(kind, &key);
            let inside = place.is_some_and(|place| countries.iter().any(|code| code == place.country));
            if !inside {
                let own = place.map_or(UNKNOWN_PLACE, |place| place.people);
                people += own + own * kilometers(item) / 100;
            }
        }
    }
    // A hundred people on each square kilometre of a circle.
    let circles = list(places.get("custom_locations")).map(|item| kilometers(item).max(1));
    people + circles.map(|radius| radius * radius * 314).sum::<u64>()
}

fn kilometers(item: &Value) -> u64 {
    let radius = item.get("radius").map(as_text).unwrap_or_default();
    let whole = radius.split('.').next().and_then(|whole| whole.parse::<u64>().ok()).unwrap_or_default().min(1_000);
    if item.get("distance_unit").is_some_and(|unit| unit == "kilometer") { whole } else { whole * 8 / 5 }
}

/// Every condition of the targeting as a share of all people.
fn shares(spec: &Map<String, Value>) -> Vec<u64> {
    let wide = spec.get("targeting_automation").and_then(|it| it.get("advantage_audience")).and_then(as_integer);
    let mut shares = vec![of_ages(spec), of_systems(spec), of_devices(spec), of_platforms(spec), of_locales(spec)];
    // With Advantage+ audience the rest is a wish that does not bind (Meta, "Advantage+ audience").
    if wide == Some(1) {
        return shares;
    }
    let genders: Vec<i64> = list(spec.get("genders")).filter_map(as_integer).collect();
    shares.push(match genders.as_slice() {
        [1] => 540_000,
        [2] => 460_000,
        _ => ALL,
    });
    shares.push(any_of(spec));
    shares.extend(list(spec.get("flexible_spec")).filter_map(Value::as_object).map(any_of));
    if let Some(Value::Object(exclusions)) = spec.get("exclusions")
        && !exclusions.is_empty()
    {
        let out = any_of(exclusions);
        shares.push(if out == ALL { ALL } else { ALL - out });
    }
    shares
}

/// Ages of the world's people: a weight for each year from 13 to 65, the last for all who are older.
fn weight(age: i64) -> u64 {
    match age {
        13..=17 => 8,
        18..=24 => 26,
        25..=34 => 30,
        35..=44 => 22,
        45..=54 => 16,
        55..=64 => 11,
        65 => 120,
        _ => 0,
    }
}

fn of_ages(spec: &Map<String, Value>) -> u64 {
    let age = |name: &str, default: i64| spec.get(name).and_then(as_integer).unwrap_or(default).clamp(13, 65);
    let sum = |from: i64, to: i64| (from..=to).map(weight).sum::<u64>();
    sum(age("age_min", 18), age("age_max", 65)) * ALL / sum(18, 65).max(1)
}

/// People who match one entry or more of any class; everybody where none is named.
fn any_of(spec: &Map<String, Value>) -> u64 {
    let named =
        KINDS.iter().filter(|kind| !matches!(**kind, "user_os" | "user_device")).flat_map(|kind| list(spec.get(*kind)));
    let known = named.map(|item| id_of(item).and_then(catalogue::entry).map_or(5_000_000, |entry| entry.lower));
    let numbered = ["relationship_statuses", "education_statuses", "college_years"].into_iter();
    let numbered = numbered.flat_map(|kind| list(spec.get(kind))).map(|_| WORLD / 6);
    let sizes: Vec<u64> = known.chain(numbered).collect();
    if sizes.is_empty() { ALL } else { union(sizes.into_iter().map(|size| size * ALL / WORLD)) }
}

/// Shares joined by "or".
fn union(shares: impl Iterator<Item = u64>) -> u64 {
    ALL - shares.fold(ALL, |left, share| part(left, ALL.saturating_sub(share)))
}

fn of_platforms(spec: &Map<String, Value>) -> u64 {
    of_words(spec, "publisher_platforms", |word| match word {
        "facebook" => 800_000,
        "instagram" => 620_000,
        "audience_network" => 350_000,
        "messenger" => 280_000,
        "threads" => 120_000,
        _ => 100_000,
    })
}

fn of_devices(spec: &Map<String, Value>) -> u64 {
    of_words(spec, "device_platforms", |word| if word == "mobile" { 930_000 } else { 260_000 })
}

fn of_systems(spec: &Map<String, Value>) -> u64 {
    of_words(spec, "user_os", |word| if word.starts_with("iOS") { 240_000 } else { 720_000 })
}

fn of_locales(spec: &Map<String, Value>) -> u64 {
    of_words(spec, "locales", |_| 300_000)
}

fn of_words(spec: &Map<String, Value>, name: &str, share: impl Fn(&str) -> u64) -> u64 {
    let words: Vec<String> = list(spec.get(name)).map(as_text).collect();
    if words.is_empty() { ALL } else { union(words.iter().map(|word| share(word))) }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lower(spec: &Value) -> u64 {
        let state = State::new(&crate::state::Source::Small, 1, "2026-11-01T00:00:00Z".parse().unwrap());
        match of(&state, spec.as_object().unwrap()) {
            Bounds::Between(lower, upper) => {
                assert!(lower < upper, "{spec}");
                lower
            }
            Bounds::Hidden => 0,
        }
    }

    #[test]
    fn every_further_condition_makes_it_smaller() {
        let mut spec = json!({ "geo_locations": { "countries": ["US", "CA"] } });
        let mut before = lower(&spec);
        assert_eq!(before, 261_000_000);
        let golf = catalogue::named(None, "Golf").unwrap().id.to_string();
        for (name, value) in [
            ("geo_locations", json!({ "countries": ["US"] })),
            ("excluded_geo_locations", json!({ "regions": [{ "key": "3847" }] })),
            ("age_min", json!(25)),
            ("age_max", json!(54)),
            ("genders", json!([2])),
            ("locales", json!([6])),
            ("publisher_platforms", json!(["instagram"])),
            ("device_platforms", json!(["mobile"])),
            ("user_os", json!(["iOS"])),
            ("flexible_spec", json!([{ "interests": [{ "id": golf }] }])),
            ("geo_locations", json!({ "cities": [{ "key": "2418779" }] })),
        ] {
            spec[name] = value;
            let now = lower(&spec);
            assert!(now < before, "{name}: {now} of {before}");
            before = now;
        }
        assert!(before >= PEOPLE_MIN);
    }

    #[test]
    fn an_alternative_makes_it_larger_and_a_wider_audience_forgets_wishes() {
        let with = |interests: Value| json!({ "geo_locations": { "countries": ["DE"] }, "interests": interests });
        let (tea, coffee) = (catalogue::named(None, "Tea").unwrap().id, catalogue::named(None, "Coffee").unwrap().id);
        let one = with(json!([{ "id": tea }]));
        let two = with(json!([{ "id": tea }, { "id": coffee }]));
        assert!(lower(&one) < lower(&two));
        let mut wide = one.clone();
        wide["targeting_automation"] = json!({ "advantage_audience": 1 });
        assert_eq!(lower(&wide), 34_000_000);
    }

    #[test]
    fn nobody_is_told_apart_below_a_thousand() {
        let few = json!({ "geo_locations": { "zips": [{ "key": "GB:SW1A" }] }, "age_min": 40, "age_max": 41 });
        assert_eq!(lower(&few), PEOPLE_MIN);
    }
}
