//! Days as an ad account counts them: in its own time zone, so a day may have 23 or 25 hours.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A day on the calendar; which hours it covers depends on the account's zone.
pub type Day = jiff::civil::Date;

/// The day it is in `zone` at `now`.
pub fn today(zone: &TimeZone, now: Timestamp) -> Day {
    zone.to_datetime(now).date()
}

/// Days from `since` to `until`, both included, as Meta's `time_range` counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DayRange {
    since: Day,
    until: Day,
}

/// A range that ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range ends on {until}, before it begins on {since}")]
pub struct EmptyRange {
    since: Day,
    until: Day,
}

impl DayRange {
    /// Fails where `until` is before `since`.
    pub fn new(since: Day, until: Day) -> Result<Self, EmptyRange> {
        if since <= until { Ok(Self { since, until }) } else { Err(EmptyRange { since, until }) }
    }

    /// One day.
    pub fn of_day(day: Day) -> Self {
        Self { since: day, until: day }
    }

    /// The first day.
    pub fn since(self) -> Day {
        self.since
    }

    /// The last day, included.
    pub fn until(self) -> Day {
        self.until
    }

    /// Every day, oldest first.
    pub fn days(self) -> impl Iterator<Item = Day> {
        self.since.series(1.day()).take_while(move |day| *day <= self.until)
    }

    /// How many days, at least 1.
    pub fn day_count(self) -> usize {
        self.days().count()
    }

    /// Pieces of at most `days_max` days (0 counts as 1), oldest first, that cover each day once.
    pub fn split(self, days_max: usize) -> Vec<Self> {
        let days: Vec<Day> = self.days().collect();
        let ends = |piece: &[Day]| Some((*piece.first()?, *piece.last()?));
        let pieces = days.chunks(days_max.max(1)).filter_map(ends);
        pieces.map(|(since, until)| Self { since, until }).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_day_depends_on_the_zone() {
        let now: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        assert_eq!(today(&TimeZone::get("America/Los_Angeles").unwrap(), now), date(2026, 11, 21));
        assert_eq!(today(&TimeZone::get("Asia/Tokyo").unwrap(), now), date(2026, 11, 22));
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_refused() {
        let error = DayRange::new(date(2026, 3, 2), date(2026, 3, 1)).unwrap_err();
        assert_eq!(error.to_string(), "the range ends on 2026-03-01, before it begins on 2026-03-02");
    }

    proptest! {
        #[test]
        fn pieces_cover_each_day_once(start in 0_i32..20_000, length in 0_i32..400, days_max in 0_usize..120) {
            let since = date(1980, 1, 1).saturating_add(start.days());
            let range = DayRange::new(since, since.saturating_add(length.days())).unwrap();
            let pieces = range.split(days_max);
            prop_assert!(pieces.iter().all(|piece| piece.day_count() <= days_max.max(1)));
            let covered: Vec<Day> = pieces.iter().flat_map(|piece| piece.days()).collect();
            prop_assert_eq!(covered, range.days().collect::<Vec<_>>());
        }
    }
}
