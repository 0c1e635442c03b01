//! How a report's days are asked for: at once or by runs, and in which slices.
//!
//! Meta counts increments from the first day asked for, so slices are cut only where a row ends: rows of a cut report
//! are the rows of the whole one. A report of one row over all days cannot be cut, since reach does not add up.

use graph::insights::{Increment, Level, Query};
use jiff::ToSpan;
use vocabulary::DayRange;

/// Up to so many days Meta is asked at once; beyond, Meta itself asks for report runs.
pub(crate) const SYNC_DAYS_MAX: usize = 7;

/// Aimed at for one run: small enough to finish in minutes and to be worth repeating alone.
const RUN_DAYS: usize = 7;

/// How Meta is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One question, read page by page.
    Sync,
    /// Report runs.
    Async,
}

/// The mode and, for a person, why.
pub(crate) fn mode(query: &Query) -> (Mode, &'static str) {
    let days = query.days.day_count();
    if days > SYNC_DAYS_MAX {
        return (Mode::Async, "more than seven days");
    }
    if !query.breakdowns.is_empty() {
        return (Mode::Async, "split by breakdowns");
    }
    // An account has few campaigns, but may have a hundred thousand ads, and each day multiplies them.
    if query.level == Level::Ad && matches!(query.increment, Increment::Days(each) if usize::from(each) < days) {
        return (Mode::Async, "a row for each ad and day");
    }
    (Mode::Sync, "at most seven days, without breakdowns")
}

/// The slices of a query, oldest first; each day is in exactly one.
pub(crate) fn slices(query: &Query, mode: Mode) -> Vec<DayRange> {
    match (mode, query.increment) {
        (Mode::Sync, _) | (_, Increment::All) => vec![query.days],
        (Mode::Async, Increment::Days(each)) => {
            let each = usize::from(each.max(1));
            query.days.split(each * (RUN_DAYS / each).max(1))
        }
        (Mode::Async, Increment::Monthly) => months(query.days),
    }
}

/// Cuts a slice in two where a row ends, about in the middle; `None` where it holds a single row per object.
pub(crate) fn halves(slice: DayRange, increment: Increment) -> Option<(DayRange, DayRange)> {
    let rows = match increment {
        Increment::All => return None,
        Increment::Days(each) => slice.split(usize::from(each.max(1))),
        Increment::Monthly => months(slice),
    };
    let (first, second) = rows.split_at_checked(rows.len().div_ceil(2))?;
    let join = |rows: &[DayRange]| DayRange::new(rows.first()?.since(), rows.last()?.until()).ok();
    Some((join(first)?, join(second)?))
}

fn months(days: DayRange) -> Vec<DayRange> {
    let mut pieces = Vec::new();
    let mut since = days.since();
    loop {
        let until = since.last_of_month().min(days.until());
        pieces.extend(DayRange::new(since, until));
        if until >= days.until() {
            return pieces;
        }
        since = until.saturating_add(1.day());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn days(since: &str, until: &str) -> DayRange {
        DayRange::new(since.parse().unwrap(), until.parse().unwrap()).unwrap()
    }

    fn query(since: &str, until: &str, increment: Increment) -> Query {
        Query {
            level: Level::Campaign,
            fields: Vec::new(),
            breakdowns: Vec::new(),
            action_breakdowns: Vec::new(),
            days: days(since, until),
            increment,
            windows: Vec::new(),
            filtering: Vec::new(),
            sort: None,
            extra: BTreeMap::new(),
        }
    }

    #[test]
    fn seven_days_are_read_at_once_and_eight_are_not() {
        assert_eq!(mode(&query("2026-11-01", "2026-11-07", Increment::All)).0, Mode::Sync);
        assert_eq!(mode(&query("2026-11-01", "2026-11-08", Increment::All)).0, Mode::Async);
    }

    #[test]
    fn breakdowns_and_ads_by_the_day_go_by_runs() {
        let mut split = query("2026-11-01", "2026-11-01", Increment::All);
        split.breakdowns = vec!["age".to_owned()];
        assert_eq!(mode(&split).0, Mode::Async);
        let mut ads = query("2026-11-01", "2026-11-02", Increment::Days(1));
        ads.level = Level::Ad;
        assert_eq!(mode(&ads).0, Mode::Async);
        ads.increment = Increment::Days(2);
        assert_eq!(mode(&ads).0, Mode::Sync);
    }

    #[test]
    fn slices_cover_each_day_once_and_end_where_rows_end() {
        for each in 1..=90_u8 {
            let query = query("2026-01-10", "2026-11-20", Increment::Days(each));
            let slices = slices(&query, Mode::Async);
            let covered: Vec<_> = slices.iter().flat_map(|slice| slice.days()).collect();
            assert_eq!(covered, query.days.days().collect::<Vec<_>>());
            let (_, whole) = slices.split_last().unwrap();
            assert!(whole.iter().all(|slice| slice.day_count() % usize::from(each) == 0), "{each}");
        }
    }

    #[test]
    fn a_slice_is_halved_until_it_holds_one_row() {
        let whole = days("2026-11-01", "2026-11-07");
        let (first, second) = halves(whole, Increment::Days(3)).unwrap();
        assert_eq!((first, second), (days("2026-11-01", "2026-11-06"), days("2026-11-07", "2026-11-07")));
        assert_eq!(halves(second, Increment::Days(3)), None);
        assert_eq!(halves(whole, Increment::All), None);
        let (october, november) = halves(days("2026-10-20", "2026-11-07"), Increment::Monthly).unwrap();
        assert_eq!((october, november), (days("2026-10-20", "2026-10-31"), days("2026-11-01", "2026-11-07")));
    }

    #[test]
    fn one_row_over_all_days_is_asked_for_in_one_piece() {
        assert_eq!(slices(&query("2024-01-01", "2026-11-01", Increment::All), Mode::Async).len(), 1);
        assert_eq!(slices(&query("2024-01-15", "2024-03-02", Increment::Monthly), Mode::Async).len(), 3);
    }
}
