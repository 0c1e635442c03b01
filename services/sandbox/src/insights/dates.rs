//! The days of a query.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde_json::Value;

use crate::error::Refusal;
use crate::params::{Params, as_text};

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) since: Date,
    pub(super) until: Date,
}

impl Range {
    pub(super) fn days(self) -> impl Iterator<Item = Date> {
        self.since.series(1.day()).take_while(move |&day| day <= self.until)
    }

    pub(super) fn count(self) -> i64 {
        self.since.until(self.until).map_or(1, |span| i64::from(span.get_days()) + 1)
    }
}

/// How a range is cut into rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Increment {
    All,
    Days(i64),
    Monthly,
}

/// How far back insights go, in months.
const MONTHS_MAX: i32 = 37;
/// How far back numbers of different people go, those by hour, and reach that is broken down (Meta, January 2026).
pub(super) const UNIQUE_MONTHS: i32 = 13;
/// How far back it is told how often people saw an ad.
pub(super) const FREQUENCY_MONTHS: i32 = 6;

/// The ranges that a query asks for, each cut by its increment.
pub(super) fn slices(params: &Params, today: Date) -> Result<Vec<Range>, Refusal> {
    if let Some(ranges) = params.json("time_ranges")? {
        let list = ranges.as_array().cloned().unwrap_or_default();
        return list.iter().map(|range| range_of(range, today)).collect();
    }
    let range = match params.json("time_range")? {
        Some(range) => range_of(&range, today)?,
        None => preset(&params.text("date_preset").unwrap_or_else(|| "last_30d".to_owned()), today)?,
    };
    Ok(cut(range, increment(params)?))
}

fn range_of(value: &Value, today: Date) -> Result<Range, Refusal> {
    let day = |name: &str| {
        let text = value.get(name).map(as_text);
        text.and_then(|text| text.parse::<Date>().ok())
            .ok_or_else(|| Refusal::invalid(format!("Param time_range[{name}] must be a date of the form YYYY-MM-DD")))
    };
    let range = Range { since: day("since")?, until: day("until")? };
    if range.since > range.until {
        return Err(Refusal::invalid("Must specify start and end time: since must not be after until"));
    }
    // Where it is tomorrow already, clients ask for a day that has not begun in the account's zone.
    if range.since > today.tomorrow().unwrap_or(today) {
        return Err(Refusal::invalid("The start date of the time range cannot be in the future"));
    }
    let oldest = today.checked_sub(MONTHS_MAX.months()).unwrap_or(today);
    if range.since < oldest {
        let message = "(#3018) The start date of the time range cannot be beyond 37 months from the current date";
        return Err(Refusal::new(3_018, message));
    }
    Ok(range)
}

fn preset(word: &str, today: Date) -> Result<Range, Refusal> {
    let back = |days: i64| today.checked_sub(days.days()).unwrap_or(today);
    let last = |days: i64| Range { since: back(days), until: back(1) };
    let week = |start: Weekday| {
        let since_start = i64::from(today.weekday().since(start));
        back(since_start)
    };
    let before = |day: Date| day.checked_sub(1.day()).unwrap_or(day);
    let quarter = |day: Date| Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).unwrap_or(day);
    let range = match word {
        "today" => Range { since: today, until: today },
        "yesterday" => last(1),
        "last_3d" => last(3),
        "last_7d" => last(7),
        "last_14d" => last(14),
        "last_28d" => last(28),
        "last_30d" => last(30),
        "last_90d" => last(90),
        "this_week_mon_today" => Range { since: week(Weekday::Monday), until: today },
        "this_week_sun_today" => Range { since: week(Weekday::Sunday), until: today },
        "last_week_mon_sun" => whole_week(week(Weekday::Monday)),
        "last_week_sun_sat" => whole_week(week(Weekday::Sunday)),
        "this_month" => Range { since: today.first_of_month(), until: today },
        "last_month" => {
            let until = before(today.first_of_month());
            Range { since: until.first_of_month(), until }
        }
        "this_quarter" => Range { since: quarter(today), until: today },
        "last_quarter" => {
            let until = before(quarter(today));
            Range { since: quarter(until), until }
        }
        "this_year" => Range { since: today.first_of_year(), until: today },
        "last_year" => {
            let until = before(today.first_of_year());
            Range { since: until.first_of_year(), until }
        }
        "maximum" | "data_maximum" => {
            Range { since: today.checked_sub(MONTHS_MAX.months()).unwrap_or(today), until: today }
        }
        _ => {
            let message = "date_preset must be one of the following values: today, yesterday, this_month, last_month, \
                           this_quarter, maximum, data_maximum, last_3d, last_7d, last_14d, last_28d, last_30d, last_90d, \
                           last_week_mon_sun, last_week_sun_sat, last_quarter, last_year, this_week_mon_today, \
                           this_week_sun_today, this_year";
            return Err(Refusal::invalid(message));
        }
    };
    Ok(range)
}

fn whole_week(this_week: Date) -> Range {
    let back = |days: i64| this_week.checked_sub(days.days()).unwrap_or(this_week);
    Range { since: back(7), until: back(1) }
}

fn increment(params: &Params) -> Result<Increment, Refusal> {
    let refused = || Refusal::invalid("time_increment must be all_days, monthly, or a number of days from 1 to 90");
    match params.text("time_increment").as_deref() {
        None | Some("all_days" | "") => Ok(Increment::All),
        Some("monthly") => Ok(Increment::Monthly),
        Some(text) => {
            let days: i64 = text.parse().map_err(|_| refused())?;
            if (1..=90).contains(&days) { Ok(Increment::Days(days)) } else { Err(refused()) }
        }
    }
}

fn cut(range: Range, increment: Increment) -> Vec<Range> {
    let mut slices = Vec::new();
    let mut since = range.since;
    while since <= range.until {
        let last = match increment {
            Increment::All => range.until,
            Increment::Days(days) => since.checked_add((days - 1).days()).unwrap_or(range.until),
            Increment::Monthly => since.last_of_month(),
        };
        let until = last.min(range.until);
        slices.push(Range { since, until });
        match until.tomorrow() {
            Ok(next) => since = next,
            Err(_) => break,
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn of(form: &str) -> Result<Vec<Range>, Refusal> {
        slices(&Params::from_form(form), date(2026, 11, 18))
    }

    #[test]
    fn the_last_days_do_not_hold_today() {
        assert_eq!(
            of("date_preset=last_7d").unwrap(),
            [Range { since: date(2026, 11, 11), until: date(2026, 11, 17) }]
        );
        assert_eq!(of("").unwrap()[0].count(), 30);
    }

    #[test]
    fn a_week_starts_on_the_day_that_is_asked_for() {
        let monday = of("date_preset=last_week_mon_sun").unwrap();
        assert_eq!(monday, [Range { since: date(2026, 11, 9), until: date(2026, 11, 15) }]);
    }

    #[test]
    fn increments_cut_without_gap_and_without_overlap() {
        let days = of("time_range={'since':'2026-11-01','until':'2026-11-10'}&time_increment=4").unwrap();
        assert_eq!(days.iter().map(|slice| slice.count()).collect::<Vec<_>>(), [4, 4, 2]);
        let months = of("time_range={'since':'2026-09-15','until':'2026-11-10'}&time_increment=monthly").unwrap();
        assert_eq!(months.len(), 3);
    }

    #[test]
    fn days_too_long_ago_and_turned_ranges_are_refused() {
        assert_eq!(of("time_range={'since':'2020-01-01','until':'2026-01-01'}").unwrap_err().code(), 3_018);
        assert_eq!(of("time_range={'since':'2026-02-01','until':'2026-01-01'}").unwrap_err().code(), 100);
        assert_eq!(of("date_preset=lifetime").unwrap_err().code(), 100);
    }
}
