//! The days of a query: ranges, Meta's named periods, slices, and how far back Meta answers.

use graph::insights::{Increment, words};
use jiff::{Span, Timestamp, ToSpan, civil::Weekday, tz};
use proto::insights::v1::{self as pb, query::Period as PbPeriod};
use vocabulary::{Day, DayRange};

use super::{
    Period,
    findings::{Findings, retired, unknown},
};

/// The day it is now, which depends on where one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Today {
    /// Where the day begins last.
    pub earliest: Day,
    /// Where the day begins first.
    pub latest: Day,
}

impl Today {
    /// At this moment, in the zones furthest apart.
    pub(crate) fn at(now: Timestamp) -> Self {
        let day = |hours| tz::Offset::constant(hours).to_datetime(now).date();
        Self { earliest: day(-12), latest: day(14) }
    }
}

pub(super) fn period(query: &pb::Query, today: Today, findings: &mut Findings) -> Option<Period> {
    match &query.period {
        None => {
            findings.add("time_range", "PERIOD_MISSING", "set `time_range` or `date_preset`");
            None
        }
        Some(PbPeriod::DatePreset(preset)) if words::DATE_PRESETS.contains(&preset.as_str()) => {
            Some(Period::Preset(preset.clone()))
        }
        Some(PbPeriod::DatePreset(preset)) => {
            match retired(preset, words::DATE_PRESETS_RETIRED) {
                Some(gone) => findings.add("date_preset", "RETIRED_DATE_PRESET", gone),
                None => {
                    let text = unknown(preset, words::DATE_PRESETS.iter().copied());
                    findings.add("date_preset", "UNKNOWN_DATE_PRESET", text);
                }
            }
            None
        }
        Some(PbPeriod::TimeRange(range)) => time_range(range, today, findings).map(Period::Days),
    }
}

fn time_range(range: &pb::TimeRange, today: Today, findings: &mut Findings) -> Option<DayRange> {
    let mut day = |path: &str, text: &str| {
        // Only the plain spelling: jiff reads times and week dates too.
        let day = text.parse::<Day>().ok().filter(|day| day.to_string() == text);
        if day.is_none() {
            findings.add(path, "DATE", "must be a day such as `2026-11-22`");
        }
        day
    };
    let (since, until) = (day("time_range.since", &range.since), day("time_range.until", &range.until));
    let (since, until) = (since?, until?);
    if until > today.latest {
        let text = format!("{until} is still to come: the last day that can be measured is today, {}", today.latest);
        findings.add("time_range.until", "DATE_IN_FUTURE", text);
        return None;
    }
    DayRange::new(since, until)
        .inspect_err(|_| findings.add("time_range.until", "DATE_ORDER", format!("{until} is before {since}")))
        .ok()
}

pub(super) fn increment(word: Option<&str>, findings: &mut Findings) -> Option<Increment> {
    match word {
        None | Some("all_days") => Some(Increment::All),
        Some("monthly") => Some(Increment::Monthly),
        Some(word) => match word.parse::<u8>() {
            Ok(days @ 1..=90) => Some(Increment::Days(days)),
            _ => {
                findings.add("time_increment", "TIME_INCREMENT", "must be `all_days`, `monthly`, or 1 to 90 days");
                None
            }
        },
    }
}

/// Meta refuses what is too old (error 3018), or silently leaves it out, which is worse.
pub(super) fn kept(query: &pb::Query, days: DayRange, today: Today, findings: &mut Findings) {
    let before = |months: i32| today.earliest.saturating_sub(months.months());
    let oldest = before(words::MONTHS_KEPT);
    if days.since() < oldest {
        let text = format!("Meta keeps {} months: the first day is {oldest}", words::MONTHS_KEPT);
        findings.add("time_range.since", "TOO_OLD", text);
        return;
    }
    let oldest = before(words::MONTHS_KEPT_UNIQUE);
    if days.since() >= oldest {
        return;
    }
    let text = |what: &str| format!("Meta keeps {what} for {} months: since {oldest}", words::MONTHS_KEPT_UNIQUE);
    if query.breakdowns.iter().any(|word| words::HOURLY.contains(&word.as_str())) {
        findings.add("time_range.since", "TOO_OLD", text("hours"));
    }
    let people = |field: &&String| {
        // Meta keeps plain `reach` as long as all else; split or unique, it does not.
        words::counts_people(field) && (field.starts_with("unique_") || !query.breakdowns.is_empty())
    };
    if let Some(field) = query.fields.iter().find(people) {
        findings.add("time_range.since", "TOO_OLD", text(&format!("`{field}`")));
    }
}

/// The days that one of Meta's named periods means on `today`, in the account's time zone. `last_…d` leaves today out;
/// weeks begin as the name says. A name that is not in the table means today: `period` has refused it.
pub(super) fn of_preset(preset: &str, today: Day) -> DayRange {
    let back = |span: Span| today.saturating_sub(span);
    let yesterday = back(1.day());
    let last = |days: i32| range(back(days.days()), yesterday);
    let last_week = |first: Weekday| {
        let this = week_begin(today, first);
        range(this.saturating_sub(7.days()), this.saturating_sub(1.day()))
    };
    let month = today.first_of_month();
    let quarter = quarter_begin(today);
    let year = today.first_of_year();
    match preset {
        "yesterday" => range(yesterday, yesterday),
        "last_3d" => last(3),
        "last_7d" => last(7),
        "last_14d" => last(14),
        "last_28d" => last(28),
        "last_30d" => last(30),
        "last_90d" => last(90),
        "this_week_mon_today" => range(week_begin(today, Weekday::Monday), today),
        "this_week_sun_today" => range(week_begin(today, Weekday::Sunday), today),
        "last_week_mon_sun" => last_week(Weekday::Monday),
        "last_week_sun_sat" => last_week(Weekday::Sunday),
        "this_month" => range(month, today),
        "last_month" => range(month.saturating_sub(1.month()), month.saturating_sub(1.day())),
        "this_quarter" => range(quarter, today),
        "last_quarter" => range(quarter.saturating_sub(3.months()), quarter.saturating_sub(1.day())),
        "this_year" => range(year, today),
        "last_year" => range(year.saturating_sub(1.year()), year.saturating_sub(1.day())),
        "maximum" => range(back(words::MONTHS_KEPT.months()).saturating_add(1.day()), today),
        _ => range(today, today),
    }
}

/// Both ends come from one `today`, so they are in order.
fn range(since: Day, until: Day) -> DayRange {
    DayRange::new(since, until).unwrap_or_else(|_| DayRange::of_day(until))
}

fn week_begin(day: Day, first: Weekday) -> Day {
    let passed = day.weekday().since(first);
    day.saturating_sub(i64::from(passed).days())
}

fn quarter_begin(day: Day) -> Day {
    let into = (day.month() - 1) % 3;
    day.first_of_month().saturating_sub(i64::from(into).months())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn named_periods_are_the_days_that_meta_means() {
        // A Sunday.
        let today = day("2026-11-22");
        for (preset, since, until) in [
            ("today", "2026-11-22", "2026-11-22"),
            ("yesterday", "2026-11-21", "2026-11-21"),
            ("last_7d", "2026-11-15", "2026-11-21"),
            ("last_90d", "2026-08-24", "2026-11-21"),
            ("this_week_mon_today", "2026-11-16", "2026-11-22"),
            ("this_week_sun_today", "2026-11-22", "2026-11-22"),
            ("last_week_mon_sun", "2026-11-09", "2026-11-15"),
            ("last_week_sun_sat", "2026-11-15", "2026-11-21"),
            ("this_month", "2026-11-01", "2026-11-22"),
            ("last_month", "2026-10-01", "2026-10-31"),
            ("this_quarter", "2026-10-01", "2026-11-22"),
            ("last_quarter", "2026-07-01", "2026-09-30"),
            ("this_year", "2026-01-01", "2026-11-22"),
            ("last_year", "2025-01-01", "2025-12-31"),
            ("maximum", "2023-10-23", "2026-11-22"),
        ] {
            assert_eq!(of_preset(preset, today), range(day(since), day(until)), "{preset}");
        }
    }

    #[test]
    fn every_named_period_is_known_here() {
        let today = day("2026-05-14");
        for preset in words::DATE_PRESETS.iter().filter(|preset| **preset != "today") {
            assert_ne!(of_preset(preset, today), range(today, today), "{preset}");
        }
    }

    #[test]
    fn days_are_refused_only_where_they_are_wrong_everywhere() {
        let today = Today::at("2026-11-22T11:00:00Z".parse().unwrap());
        assert_eq!((today.earliest, today.latest), (day("2026-11-21"), day("2026-11-23")));
        let findings = |since: &str, until: &str| {
            let mut findings = Findings::default();
            let range = pb::TimeRange { since: since.to_owned(), until: until.to_owned() };
            let days = time_range(&range, today, &mut findings);
            let query =
                pb::Query { breakdowns: vec!["age".into()], fields: vec!["reach".into()], ..Default::default() };
            if let Some(days) = days {
                kept(&query, days, today, &mut findings);
            }
            findings.into_list().into_iter().map(|found| found.reason).collect::<Vec<_>>()
        };
        assert!(findings("2026-11-23", "2026-11-23").is_empty());
        assert_eq!(findings("2026-11-01", "2026-11-24"), ["DATE_IN_FUTURE"]);
        assert_eq!(findings("2026-11-02", "2026-11-01"), ["DATE_ORDER"]);
        assert_eq!(findings("2026-11-2", "2026-02-30"), ["DATE", "DATE"]);
        assert_eq!(findings("2023-10-20", "2026-02-01"), ["TOO_OLD"]);
        assert_eq!(findings("2025-10-20", "2026-02-01"), ["TOO_OLD"], "reach with breakdowns is kept 13 months");
    }

    #[test]
    fn increments_are_one_to_ninety_days_or_a_word() {
        let read = |word| increment(word, &mut Findings::default());
        assert_eq!(read(None), Some(Increment::All));
        assert_eq!(read(Some("monthly")), Some(Increment::Monthly));
        assert_eq!(read(Some("90")), Some(Increment::Days(90)));
        for word in ["0", "91", "-1", "weekly", ""] {
            assert_eq!(read(Some(word)), None, "{word}");
        }
    }
}
