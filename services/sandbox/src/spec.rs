//! Parameters of writes: what each must be, and the form in which it is kept and read back.

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::loose;
use crate::params::{Params, as_boolean, as_integer, as_list, as_text};
use crate::state::{State, iso, zone};

/// What a parameter must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Text,
    /// Kept as a JSON integer.
    Integer,
    Boolean,
    /// Minor units; kept as digits in a string.
    Money,
    /// ISO 8601, unix seconds, or a few words; kept as ISO 8601 in the account's zone.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words.
    Words(&'static [&'static str]),
    /// A JSON object.
    Object,
    /// A list of anything.
    List,
}

/// A parameter of a create or an update.
pub(crate) type Row = (&'static str, Form);

/// Reads all parameters of the table that were given. Others are ignored, as Meta does.
pub(crate) fn read(
    state: &State,
    account: u64,
    table: &[Row],
    params: &Params,
    now: Timestamp,
) -> Result<Map<String, Value>, Refusal> {
    let mut fields = Map::new();
    for (name, form) in table {
        if let Some(raw) = params.raw(name) {
            fields.insert((*name).to_owned(), value(state, account, name, *form, raw, now)?);
        }
    }
    Ok(fields)
}

fn value(state: &State, account: u64, name: &str, form: Form, raw: &Value, now: Timestamp) -> Result<Value, Refusal> {
    let must = |what: &str| Refusal::invalid(format!("Param {name} must be {what}")).blame(&[name]);
    match form {
        Form::Text => Ok(Value::String(as_text(raw))),
        Form::Integer => as_integer(raw).map(Value::from).ok_or_else(|| must("an integer")),
        Form::Boolean => as_boolean(raw).map(Value::from).ok_or_else(|| must("a boolean")),
        Form::Money => as_integer(raw)
            .filter(|minor| *minor >= 0)
            .map(|minor| Value::String(minor.to_string()))
            .ok_or_else(|| must("a non-negative integer")),
        // 0 takes a time away.
        Form::Time if as_integer(raw) == Some(0) => Ok(Value::Null),
        Form::Time => {
            let at = moment(state, account, raw, now).ok_or_else(|| must("a time"))?;
            Ok(Value::String(iso(state, account, at)))
        }
        Form::Word(words) => {
            let word = as_text(raw);
            if words.contains(&word.as_str()) {
                Ok(Value::String(word))
            } else {
                Err(must(&format!("one of {{{}}}", words.join(", "))))
            }
        }
        Form::Words(words) => {
            let list = as_list(raw).ok_or_else(|| must("an array."))?;
            for (at, item) in list.iter().enumerate() {
                if !words.contains(&as_text(item).as_str()) {
                    let message = format!("Param {name}[{at}] must be one of {{{}}}", words.join(", "));
                    return Err(Refusal::invalid(message).blame(&[name]));
                }
            }
            Ok(Value::Array(list))
        }
        Form::Object => parsed(raw).filter(Value::is_object).ok_or_else(|| must("a valid JSON object")),
        Form::List => as_list(raw).map(Value::Array).ok_or_else(|| must("an array.")),
    }
}

fn parsed(raw: &Value) -> Option<Value> {
    match raw {
        Value::String(text) => loose::parse(text),
        other => Some(other.clone()),
    }
}

/// A time as callers write it: unix seconds, ISO 8601, or the words that clients use. What names no offset is of the
/// account's zone, and a bare date is the begin of that day.
pub(crate) fn moment(state: &State, account: u64, raw: &Value, now: Timestamp) -> Option<Timestamp> {
    if let Some(second) = as_integer(raw) {
        return Timestamp::from_second(second).ok();
    }
    let text = raw.as_str()?.trim();
    if let Some(span) = ahead(text) {
        return now.checked_add(span).ok();
    }
    let zone = zone(state, account);
    let today = now.to_zoned(zone.clone()).date();
    let day = match text {
        "today" | "midnight" => Some(today),
        "tomorrow" => today.tomorrow().ok(),
        "yesterday" => today.yesterday().ok(),
        _ => text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-01".len()),
    };
    if let Some(day) = day {
        return day.to_zoned(zone).ok().map(|it| it.timestamp());
    }
    let with_offset = text.parse().ok().or_else(|| kept_time(text));
    with_offset.or_else(|| Some(text.parse::<DateTime>().ok()?.to_zoned(zone).ok()?.timestamp()))
}

/// A time as it is kept in the fields of an object.
pub(crate) fn kept_time(text: &str) -> Option<Timestamp> {
    jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).ok()?.to_timestamp().ok()
}

/// `now`, `+1 week`, `3 days`: how far ahead some of PHP's words lie.
fn ahead(text: &str) -> Option<SignedDuration> {
    let hours = |hours: i64| Some(SignedDuration::from_hours(hours));
    if text == "now" {
        return hours(0);
    }
    let (number, unit) = text.split_once(' ')?;
    let number: i64 = number.trim_start_matches('+').parse().ok()?;
    match unit.trim().trim_end_matches('s') {
        "second" | "sec" => Some(SignedDuration::from_secs(number)),
        "minute" | "min" => Some(SignedDuration::from_mins(number)),
        "hour" => hours(number),
        "day" => hours(number.checked_mul(24)?),
        "week" => hours(number.checked_mul(24 * 7)?),
        "month" => hours(number.checked_mul(24 * 30)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Source};
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-01T12:00:00Z".parse().unwrap()
    }

    fn one(form: Form, text: &str) -> Result<Value, Refusal> {
        let state = State::new(&Source::Small, 1, now());
        value(&state, ACCOUNTS[0], "it", form, &Value::String(text.to_owned()), now())
    }

    #[test]
    fn money_is_kept_as_digits_and_is_never_negative() {
        assert_eq!(one(Form::Money, "5000"), Ok(json!("5000")));
        assert_eq!(one(Form::Money, "-1").unwrap_err().code(), 100);
        assert_eq!(one(Form::Money, "12.5").unwrap_err().code(), 100);
    }

    #[test]
    fn times_are_kept_in_the_zone_of_the_account() {
        let kept = Ok(json!("2026-11-03T16:00:00-0800"));
        assert_eq!(one(Form::Time, "2026-11-04T00:00:00Z"), kept);
        assert_eq!(one(Form::Time, "2026-11-03T16:00:00-0800"), kept);
        assert_eq!(one(Form::Time, "1793750400"), kept);
        assert_eq!(one(Form::Time, "0"), Ok(Value::Null));
        assert_eq!(one(Form::Time, "+1 week"), Ok(json!("2026-11-08T04:00:00-0800")));
        assert_eq!(one(Form::Time, "-2 hours"), Ok(json!("2026-11-01T02:00:00-0800")));
        assert_eq!(one(Form::Time, "soon").unwrap_err().code(), 100);
    }

    #[test]
    fn a_time_without_an_offset_is_of_the_account() {
        for (text, kept) in [
            ("2026-11-04T09:30:00", "2026-11-04T09:30:00-0800"),
            ("2026-11-04 09:30:00", "2026-11-04T09:30:00-0800"),
            ("2026-10-31T09:30:00", "2026-10-31T09:30:00-0700"),
            ("2026-11-04", "2026-11-04T00:00:00-0800"),
            ("tomorrow", "2026-11-02T00:00:00-0800"),
            ("yesterday", "2026-10-31T00:00:00-0700"),
        ] {
            assert_eq!(one(Form::Time, text), Ok(json!(kept)), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_not_listed_is_refused_with_the_list() {
        let refusal = one(Form::Word(&["A", "B"]), "C").unwrap_err();
        assert!(refusal.envelope("x").to_string().contains("Param it must be one of {A, B}"));
    }
}
