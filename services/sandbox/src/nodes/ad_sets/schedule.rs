//! When an ad set delivers within the day, and how fast.

use serde_json::Value;

use super::rules::Draft;
use crate::error::Refusal;
use crate::params::{as_integer, as_list, as_text};

const PACES: &[&str] = &["standard", "day_parting", "no_pacing"];
const MINUTES_A_DAY: i64 = 24 * 60;

/// Checks `pacing_type` and `adset_schedule`.
pub(super) fn check(draft: &Draft<'_>) -> Result<(), Refusal> {
    if !draft.touches(&["pacing_type", "adset_schedule"]) {
        return Ok(());
    }
    let paces: Vec<String> = list(draft, "pacing_type").iter().map(as_text).collect();
    for (at, pace) in paces.iter().enumerate() {
        if !PACES.contains(&pace.as_str()) {
            let text = format!("Param pacing_type[{at}] must be one of {{{}}}", PACES.join(", "));
            return Err(Refusal::invalid(text).blame(&["pacing_type"]));
        }
    }
    let has = |word: &str| paces.iter().any(|pace| pace == word);
    let parts = list(draft, "adset_schedule");
    if has("no_pacing") && draft.strategy() != "LOWEST_COST_WITH_BID_CAP" {
        return Err(Refusal::invalid("no_pacing needs the strategy LOWEST_COST_WITH_BID_CAP").blame(&["pacing_type"]));
    }
    if has("day_parting") && parts.is_empty() {
        return Err(Refusal::invalid("day_parting needs an adset_schedule").blame(&["adset_schedule"]));
    }
    if !parts.is_empty() && !draft.is_lifetime() {
        return Err(Refusal::invalid("An adset_schedule needs a lifetime budget").blame(&["adset_schedule"]));
    }
    if !parts.is_empty() && !has("day_parting") {
        return Err(Refusal::invalid("An adset_schedule needs the pacing_type day_parting").blame(&["pacing_type"]));
    }
    if parts.iter().all(part_fits) {
        return Ok(());
    }
    let text = "Each part of an adset_schedule has start_minute before end_minute, both whole hours of a day, days from \
                0 for Sunday to 6, and a timezone_type of USER or ADVERTISER";
    Err(Refusal::invalid(text).blame(&["adset_schedule"]))
}

fn part_fits(part: &Value) -> bool {
    let minute = |name: &str| part.get(name).and_then(as_integer).filter(|minute| minute % 60 == 0);
    let hours = minute("start_minute").zip(minute("end_minute"));
    let days = part.get("days").and_then(as_list).unwrap_or_default();
    let zone = part.get("timezone_type").map_or_else(|| "USER".to_owned(), as_text);
    hours.is_some_and(|(from, to)| 0 <= from && from < to && to <= MINUTES_A_DAY)
        && !days.is_empty()
        && days.iter().all(|day| as_integer(day).is_some_and(|day| (0..=6).contains(&day)))
        && matches!(zone.as_str(), "USER" | "ADVERTISER")
}

fn list(draft: &Draft<'_>, name: &str) -> Vec<Value> {
    draft.fields.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}
