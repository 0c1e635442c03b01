//! Budgets: one kind on one level, not below the minimum, not changed too often.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::insights;
use crate::render::View;
use crate::state::{Object, Settings};

/// The smallest daily budget billed by impressions, in minor units. Only the one in US dollars is published; for the
/// others about the same worth is taken.
pub(crate) fn minimum_daily(settings: &Settings, currency: &str) -> i64 {
    let usual = MINIMUMS.iter().find(|(known, _)| *known == currency).map_or(100, |(_, minor)| *minor);
    settings.minimum_daily_budgets.get(currency).copied().unwrap_or(usual)
}

/// The least for a lifetime is the least for a day, times the days that it has begun by its end (Meta, "Budgets").
pub(crate) fn minimum_lifetime(settings: &Settings, currency: &str, time: SignedDuration) -> i64 {
    let days = (time.as_secs() + 86_399) / 86_400;
    minimum_daily(settings, currency).saturating_mul(days)
}

/// The minimum of each currency in minor units: about the worth of one US dollar, in round numbers.
pub(crate) const MINIMUMS: &[(&str, i64)] = &[
    ("AED", 400),
    ("ARS", 100_000),
    ("AUD", 150),
    ("BDT", 12_000),
    ("BHD", 400),
    ("BRL", 600),
    ("CAD", 150),
    ("CHF", 100),
    ("CLP", 1_000),
    ("CNY", 700),
    ("COP", 4_000),
    ("CRC", 500),
    ("CZK", 2_300),
    ("DKK", 700),
    ("EGP", 5_000),
    ("EUR", 100),
    ("GBP", 100),
    ("HKD", 800),
    ("HUF", 400),
    ("IDR", 16_000),
    ("ILS", 400),
    ("INR", 9_000),
    ("ISK", 140),
    ("JOD", 700),
    ("JPY", 100),
    ("KES", 13_000),
    ("KRW", 1_000),
    ("KWD", 300),
    ("MXN", 1_800),
    ("MYR", 450),
    ("NGN", 160_000),
    ("NOK", 1_100),
    ("NZD", 170),
    ("OMR", 400),
    ("PEN", 400),
    ("PHP", 5_800),
    ("PKR", 28_000),
    ("PLN", 400),
    ("PYG", 7_500),
    ("QAR", 400),
    ("RON", 450),
    ("SAR", 400),
    ("SEK", 1_000),
    ("SGD", 130),
    ("THB", 3_500),
    ("TND", 3_000),
    ("TRY", 4_000),
    ("TWD", 30),
    ("USD", 100),
    ("UYU", 4_000),
    ("VND", 25_000),
    ("ZAR", 1_800),
];

/// How many minor digits a currency has at Meta.
pub(crate) fn minor_digits(currency: &str) -> usize {
    match currency {
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => 3,
        "CLP" | "COP" | "CRC" | "HUF" | "ISK" | "IDR" | "JPY" | "KRW" | "PYG" | "TWD" | "VND" => 0,
        _ => 2,
    }
}

/// Minor units as a decimal in major units.
pub(crate) fn major(minor: i64, digits: usize) -> String {
    if digits == 0 {
        return minor.to_string();
    }
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    format!("{sign}{whole}.{part}")
}

/// A budget that was given and is not zero, which takes it away.
pub(crate) fn given(fields: &Map<String, Value>, name: &str) -> Option<i64> {
    fields.get(name)?.as_str()?.parse().ok().filter(|&minor| minor > 0)
}

/// Whether one of the two budgets is set.
pub(crate) fn any(fields: &Map<String, Value>) -> bool {
    given(fields, "daily_budget").or_else(|| given(fields, "lifetime_budget")).is_some()
}

/// What is left of an object's budget: of a day's the rest of today's, of a lifetime's the rest of all.
pub(crate) fn remaining(view: &View<'_>, object: &Object) -> i64 {
    let daily = given(&object.fields, "daily_budget").map(|daily| daily - insights::spent_today(view, object));
    let lifetime = || given(&object.fields, "lifetime_budget").map(|all| all - insights::spent_below(view, object));
    daily.or_else(lifetime).unwrap_or_default().max(0)
}

/// Fails where both kinds are given, or one is below the minimum.
pub(crate) fn check(settings: &Settings, fields: &Map<String, Value>, currency: &str) -> Result<(), Refusal> {
    if given(fields, "daily_budget").is_some() && given(fields, "lifetime_budget").is_some() {
        let text = "Choose either a daily_budget or a lifetime_budget";
        return Err(Refusal::invalid(text).blame(&["lifetime_budget"]));
    }
    for name in ["daily_budget", "lifetime_budget"] {
        let least = minimum_daily(settings, currency);
        if let Some(minor) = given(fields, name)
            && minor < least
        {
            return Err(too_low(name, least, currency));
        }
    }
    Ok(())
}

/// The refusal of a budget below `least` minor units.
pub(crate) fn too_low(name: &str, least: i64, currency: &str) -> Refusal {
    let advice = format!("Your budget must be at least {} {currency}.", major(least, minor_digits(currency)));
    Refusal::rule(1_885_272, "Budget too low", advice, &[name])
}

/// Notes a change of an ad set's budget, and refuses it where there were `most` within an hour. Setting the same amount
/// counts too.
pub(crate) fn note_change(ad_set: &mut Object, most: usize, now: Timestamp) -> Result<(), Refusal> {
    noted(ad_set, SignedDuration::from_hours(1), most, now).map_err(|()| {
        let message = "(#613) Calls to this api have exceeded the rate limit.";
        let advice = format!("You can change the budget of an ad set at most {most} times per hour.");
        Refusal::new(613, message).subcode(1_487_632).shown("Budget changed too often", advice)
    })
}

/// Notes a change of an ad account's spend cap, and refuses it where there were `most` within a day.
pub(crate) fn note_cap_change(account: &mut Object, most: usize, now: Timestamp) -> Result<(), Refusal> {
    noted(account, SignedDuration::from_hours(24), most, now).map_err(|()| {
        let advice = format!("You can change the spending limit of an ad account at most {most} times a day.");
        Refusal::new(17, "(#17) User request limit reached")
            .subcode(1_885_172)
            .shown("Spending limit changed too often", advice)
    })
}

fn noted(object: &mut Object, within: SignedDuration, most: usize, now: Timestamp) -> Result<(), ()> {
    object.budget_changes.retain(|&at| now.duration_since(at) < within);
    if object.budget_changes.len() >= most {
        return Err(());
    }
    object.budget_changes.push(now);
    Ok(())
}

/// Fails for a currency that ad accounts do not have.
pub(crate) fn takes(currency: &str) -> Result<(), Refusal> {
    if MINIMUMS.iter().any(|(known, _)| *known == currency) {
        return Ok(());
    }
    Err(Refusal::new(2607, "(#2607) The currency is invalid for ad accounts").blame(&["currency"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Kind;
    use serde_json::json;

    fn fields(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn amounts_are_shown_in_major_units() {
        assert_eq!(major(5, 2), "0.05");
        assert_eq!(major(123_456, 2), "1234.56");
        assert_eq!(major(500, 0), "500");
        assert_eq!(major(300, minor_digits("KWD")), "0.300");
        for currency in ["BHD", "JOD", "KWD", "OMR", "TND"] {
            assert!(MINIMUMS.iter().any(|(known, _)| *known == currency), "{currency}");
        }
    }

    #[test]
    fn a_budget_below_the_minimum_is_blamed() {
        let refusal = check(&Settings::default(), &fields(&json!({ "daily_budget": "99" })), "USD").unwrap_err();
        assert!(refusal.envelope("x").to_string().contains("daily_budget"));
        assert!(check(&Settings::default(), &fields(&json!({ "daily_budget": "100" })), "USD").is_ok());
        assert!(
            check(&Settings::default(), &fields(&json!({ "daily_budget": "100", "lifetime_budget": "100" })), "USD")
                .is_err()
        );
    }

    #[test]
    fn the_fifth_change_within_an_hour_is_refused() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let mut ad_set = Object::new(1, Kind::AdSet, 1, now);
        for _ in 0..4 {
            assert!(note_change(&mut ad_set, 4, now).is_ok());
        }
        assert_eq!(note_change(&mut ad_set, 4, now).unwrap_err().code(), 613);
        let later = now.checked_add(SignedDuration::from_hours(1)).unwrap();
        assert!(note_change(&mut ad_set, 4, later).is_ok());
    }
}
