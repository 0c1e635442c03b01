//! To whom and where an ad is shown, as far as its targeting and creative say it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::breakdowns::Breakdown;
use super::character::{Aim, Character};
use super::places;
use crate::state::{Kind, Object, State};

/// A value of a breakdown, and its weight.
pub(super) type Weight = (u64, i64);

/// The values that are not in a fixed table, by their codes, as JSON.
pub(super) type Texts = HashMap<u64, String>;

/// What the breakdowns of a query need to know of an ad.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) countries: Vec<Weight>,
    pub(super) ages: Vec<Weight>,
    pub(super) genders: Vec<Weight>,
    pub(super) platforms: Vec<Weight>,
    /// Of the one asset breakdown that a query may have.
    pub(super) assets: Vec<Weight>,
    pub(super) cards: Vec<Weight>,
    pub(super) media: Vec<Weight>,
    pub(super) destination: Vec<Weight>,
}

/// Age groups from the first year of each. The last is for people whose age is not known.
const AGES: &[(&str, u64, i64)] = &[
    ("13-17", 13, 2),
    ("18-24", 18, 14),
    ("25-34", 25, 29),
    ("35-44", 35, 24),
    ("45-54", 45, 17),
    ("55-64", 55, 10),
    ("65+", 65, 6),
    ("Unknown", 200, 1),
];
const AGE_UNKNOWN: usize = 7;
const GENDERS: &[(&str, i64)] = &[("male", 43), ("female", 55), ("unknown", 2)];
const PLATFORMS: &[(&str, i64)] =
    &[("facebook", 50), ("instagram", 41), ("audience_network", 5), ("messenger", 2), ("threads", 2)];
/// The shares of the first countries that an ad set names; all further ones get the last.
const COUNTRY_SHARES: &[i64] = &[50, 25, 12, 6, 3];
/// The most countries that a row is broken down by; a real campaign seldom names more.
const COUNTRIES_MAX: usize = 12;

pub(super) fn age_word(code: u64) -> &'static str {
    usize::try_from(code).ok().and_then(|at| AGES.get(at)).map_or("Unknown", |(word, ..)| word)
}

pub(super) fn gender_word(code: u64) -> &'static str {
    usize::try_from(code).ok().and_then(|at| GENDERS.get(at)).map_or("unknown", |(word, _)| word)
}

pub(super) fn platform_word(code: u64) -> &'static str {
    usize::try_from(code).ok().and_then(|at| PLATFORMS.get(at)).map_or("unknown", |(word, _)| word)
}

impl Profile {
    /// Texts that stand in no table are added to `texts`.
    pub(super) fn of(
        state: &State,
        ad: &Object,
        character: &Character,
        asked: &[Breakdown],
        texts: &mut Texts,
    ) -> Self {
        let targeting =
            ad.ad_set.and_then(|id| state.of_kind(id, Kind::AdSet)).and_then(|it| it.fields.get("targeting"));
        let targeting = targeting.unwrap_or(&Value::Null);
        let creative = ad.creative.and_then(|id| state.object(id));
        let asset = asked.iter().copied().find(|breakdown| breakdown.is_asset());
        let destination = match character.aim {
            Aim::App => "app",
            Aim::Leads if character.on_form => "on_ad",
            _ if character.messages => "messenger",
            _ => "website",
        };
        let format = super::assets::format(creative);
        Self {
            countries: countries(targeting),
            ages: ages(targeting),
            genders: genders(targeting),
            platforms: platforms(targeting),
            assets: asset.map(|asset| super::assets::of(asset, creative, texts)).unwrap_or_default(),
            cards: super::assets::cards(creative, texts),
            media: vec![(coded(format, &json!(format), texts), 1)],
            destination: vec![(coded(destination, &json!(destination), texts), 1)],
        }
    }
}

/// Keeps a value that stands in no table, and gives its code.
pub(super) fn coded(key: &str, value: &Value, texts: &mut Texts) -> u64 {
    let code = code(key);
    texts.entry(code).or_insert_with(|| value.to_string());
    code
}

/// A number that stands for a text: 53 bits, so that it can also be shown as an id. It is the same at each start, since
/// cursors hold it.
pub(super) fn code(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 29)) & ((1 << 53) - 1)
}

fn countries(targeting: &Value) -> Vec<Weight> {
    let geo = targeting.get("geo_locations").unwrap_or(&Value::Null);
    let list = |name: &str| geo.get(name).and_then(Value::as_array).into_iter().flatten();
    let of_items =
        ["regions", "cities", "zips"].into_iter().flat_map(|name| list(name).filter_map(|it| it.get("country")));
    let mut found: Vec<u64> = Vec::new();
    for country in list("countries").chain(of_items).filter_map(Value::as_str).filter_map(places::country_code) {
        if !found.contains(&country) && found.len() < COUNTRIES_MAX {
            found.push(country);
        }
    }
    if found.is_empty() {
        found.extend(places::country_code("US"));
    }
    let share = |at: usize| COUNTRY_SHARES.get(at).or(COUNTRY_SHARES.last()).copied().unwrap_or(1);
    found.into_iter().enumerate().map(|(at, country)| (country, share(at))).collect()
}

fn ages(targeting: &Value) -> Vec<Weight> {
    let year = |name: &str, other: u64| targeting.get(name).and_then(Value::as_u64).unwrap_or(other);
    let widened = targeting.pointer("/targeting_automation/advantage_audience").and_then(Value::as_u64) == Some(1);
    let (least, most) = if widened { (18, 65) } else { (year("age_min", 18), year("age_max", 65)) };
    let mut groups = Vec::new();
    for (at, (_, first, weight)) in AGES.iter().enumerate() {
        let next = AGES.get(at + 1).map_or(u64::MAX, |(_, next, _)| *next);
        if at == AGE_UNKNOWN || (*first <= most && next > least) {
            groups.push((u64::try_from(at).unwrap_or_default(), *weight));
        }
    }
    groups
}

/// Meta writes 1 for men and 2 for women.
fn genders(targeting: &Value) -> Vec<Weight> {
    let wanted: Vec<u64> =
        targeting.get("genders").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect();
    let all = GENDERS.iter().enumerate().map(|(at, (_, weight))| (u64::try_from(at).unwrap_or_default(), *weight));
    let only = wanted.first().copied().filter(|first| (1..=2).contains(first) && wanted.len() == 1);
    all.filter(|(at, _)| only.is_none_or(|only| *at + 1 == only)).collect()
}

fn platforms(targeting: &Value) -> Vec<Weight> {
    let wanted: Vec<&str> = targeting
        .get("publisher_platforms")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let all = PLATFORMS.iter().enumerate();
    let found: Vec<Weight> = all
        .filter(|(_, (word, _))| wanted.is_empty() || wanted.contains(word))
        .map(|(at, (_, weight))| (u64::try_from(at).unwrap_or_default(), *weight))
        .collect();
    if found.is_empty() { vec![(0, 1)] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targeting_narrows_what_is_shown() {
        let targeting = json!({
            "age_min": 25, "age_max": 40, "genders": [2], "publisher_platforms": ["instagram"],
            "geo_locations": { "countries": ["DE", "FR"], "cities": [{ "key": "1", "country": "AT" }] },
        });
        let words = |weights: Vec<Weight>, word: fn(u64) -> &'static str| {
            weights.into_iter().map(|(code, _)| word(code)).collect::<Vec<_>>()
        };
        assert_eq!(words(ages(&targeting), age_word), ["25-34", "35-44", "Unknown"]);
        assert_eq!(words(genders(&targeting), gender_word), ["female"]);
        assert_eq!(words(platforms(&targeting), platform_word), ["instagram"]);
        assert_eq!(countries(&targeting).len(), 3);
        assert_eq!(words(ages(&json!({ "age_max": 65 })), age_word).len(), 7);
    }

    #[test]
    fn a_code_is_the_same_every_time_and_has_an_idlike_size() {
        assert_eq!(code("carousel"), code("carousel"));
        assert_ne!(code("a"), code("b"));
        assert!(code("anything") < 1 << 53);
    }
}
