//! Lookalike audiences: people who are like those of another audience.

use serde_json::{Map, Value, json};

use super::sharing;
use crate::catalogue;
use crate::error::Refusal;
use crate::nodes::write;
use crate::params::as_text;
use crate::state::{Kind, Object, State};

/// A source needs so many matched people.
pub(super) const SEED_MIN: u64 = 100;
/// The largest part of a country, in hundredths.
const RATIO_MAX: u32 = 20;
/// Adults on Meta's platforms by country, in millions; our own round figures, since Meta's move daily.
const MILLIONS: &[(&str, u64)] =
    &[("US", 250), ("BR", 150), ("IN", 500), ("GB", 55), ("DE", 45), ("FR", 47), ("CA", 30), ("JP", 60), ("MX", 95)];
const MILLIONS_ELSEWHERE: u64 = 10;

/// Checks the spec and the source, and gives the spec as it is read back, with its origin in it.
pub(super) fn check(state: &State, account: u64, fields: &Map<String, Value>) -> Result<Value, Refusal> {
    let Some(spec) = fields.get("lookalike_spec").and_then(Value::as_object) else {
        return Err(Refusal::required("lookalike_spec"));
    };
    shape(spec)?;
    let mut spec = spec.clone();
    if spec.contains_key("origin_ids") {
        // Sources such as the conversions of campaigns have no audience behind them.
        return match spec.get("conversion_type").and_then(Value::as_str) {
            Some("campaign_conversions" | "page_like") => Ok(Value::Object(spec)),
            _ => Err(wrong("conversion_type must be campaign_conversions or page_like")),
        };
    }
    let Some(given) = fields.get("origin_audience_id") else { return Err(Refusal::required("origin_audience_id")) };
    let origin = write::id_of(given).and_then(|id| state.of_kind(id, Kind::Audience));
    let Some(origin) = origin.filter(|origin| sharing::may_use(origin, account)) else {
        let message = format!("The source audience {} does not exist, or you have no access to it", as_text(given));
        return Err(Refusal::invalid(message).blame(&["origin_audience_id"]));
    };
    if origin.text("subtype") == "LOOKALIKE" {
        let advice = "A lookalike cannot be the source of another lookalike.";
        return Err(Refusal::rule(1_870_050, "Invalid source audience", advice, &["origin_audience_id"]));
    }
    if super::progress::people(state, origin) < SEED_MIN {
        let advice = "The source audience needs at least 100 matched people in the country.";
        let refusal = Refusal::new(200, "(#200) The source audience is too small.").subcode(1_870_047);
        return Err(refusal.shown("Audience too small", advice).blame(&["origin_audience_id"]));
    }
    let source = json!({ "id": origin.id.to_string(), "name": origin.name(), "type": "custom_audience" });
    spec.insert("origin".to_owned(), json!([source]));
    Ok(Value::Object(spec))
}

/// The type or a ratio must be there (Meta checks it since v24), ratios in steps of a hundredth.
fn shape(spec: &Map<String, Value>) -> Result<(), Refusal> {
    match spec.get("type").and_then(Value::as_str) {
        None if spec.contains_key("ratio") => {}
        Some("similarity" | "reach" | "custom_ratio") => {}
        _ => return Err(wrong("type must be similarity or reach")),
    }
    let part = |name: &str| match spec.get(name) {
        None => Ok(None),
        Some(value) => match hundredths(&as_text(value)) {
            Some(part) if part <= RATIO_MAX => Ok(Some(part)),
            _ => Err(wrong(&format!("{name} must be 0.01 to 0.20 in steps of 0.01"))),
        },
    };
    let (from, to) = (part("starting_ratio")?, part("ratio")?);
    if to == Some(0) || to.is_some_and(|to| from.is_some_and(|from| from >= to)) {
        return Err(wrong("ratio must be above starting_ratio"));
    }
    if let Some(country) = spec.get("country") {
        let country = as_text(country);
        if catalogue::country(&country).is_none() {
            return Err(wrong(&format!("there is no country {country}; it takes the two letters of ISO 3166")));
        }
    }
    if let Some(location) = spec.get("location_spec")
        && location.get("geo_locations").is_none_or(|places| !places.is_object())
    {
        return Err(wrong("location_spec must have geo_locations"));
    }
    Ok(())
}

/// How many people it holds once it is built.
pub(super) fn people(audience: &Object) -> u64 {
    let Some(spec) = audience.fields.get("lookalike_spec") else { return 0 };
    let part = |name: &str| spec.get(name).map(as_text).and_then(|text| hundredths(&text));
    let share = part("ratio").unwrap_or(1).saturating_sub(part("starting_ratio").unwrap_or(0));
    let countries = match spec.get("country") {
        Some(country) => vec![as_text(country)],
        None => {
            let named = spec.pointer("/location_spec/geo_locations/countries").and_then(Value::as_array);
            named.map_or_else(|| vec!["US".to_owned()], |all| all.iter().map(as_text).collect())
        }
    };
    let millions = |country: &String| {
        MILLIONS.iter().find(|(known, _)| known == country).map_or(MILLIONS_ELSEWHERE, |(_, millions)| *millions)
    };
    countries.iter().map(millions).sum::<u64>().saturating_mul(10_000).saturating_mul(u64::from(share))
}

/// A decimal as hundredths; `None` where it is finer or no number.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let part = part.trim_end_matches('0');
    if part.len() > 2 {
        return None;
    }
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u32 = format!("{part:0<2}").parse().ok()?;
    whole.checked_mul(100)?.checked_add(part)
}

fn wrong(advice: &str) -> Refusal {
    Refusal::invalid(format!("Param lookalike_spec: {advice}")).blame(&["lookalike_spec"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_go_in_steps_of_a_hundredth_up_to_a_fifth() {
        let table = [
            (json!({ "type": "similarity", "country": "US" }), true),
            (json!({ "ratio": 0.01 }), true),
            (json!({ "type": "reach", "ratio": "0.20", "starting_ratio": 0.1, "country": "DE" }), true),
            (json!({ "type": "reach", "location_spec": { "geo_locations": { "countries": ["US"] } } }), true),
            (json!({ "country": "US" }), false),
            (json!({ "type": "twins", "country": "US" }), false),
            (json!({ "ratio": 0.21 }), false),
            (json!({ "ratio": 0.015 }), false),
            (json!({ "ratio": 0 }), false),
            (json!({ "ratio": 0.05, "starting_ratio": 0.05 }), false),
            (json!({ "ratio": 0.05, "country": "usa" }), false),
            (json!({ "ratio": 0.05, "country": "ZZ" }), false),
            (json!({ "ratio": 0.05, "location_spec": {} }), false),
        ];
        for (spec, stands) in table {
            assert_eq!(shape(spec.as_object().unwrap()).is_ok(), stands, "{spec}");
        }
    }

    #[test]
    fn a_hundredth_of_a_country_is_a_hundredth_of_its_people() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let audience = Object::new(1, Kind::Audience, 1, now)
            .with(json!({ "lookalike_spec": { "ratio": 0.03, "starting_ratio": 0.01, "country": "US" } }));
        assert_eq!(people(&audience), 5_000_000);
    }
}
