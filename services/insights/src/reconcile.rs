//! Do the rows add up to what Meta says of the account?
//!
//! After a report's rows are kept, the same days are asked for once more by account. Impressions, clicks and spend must
//! agree to the last unit, day by day, so that rows lost or doubled by cutting, resuming or rereading show, and only the
//! days that differ are read again.

use std::collections::BTreeMap;

use graph::insights::{Query, words};
use vocabulary::Day;

use crate::query::is_property;

/// What can be added up over rows. Money in minor units of the account's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// How often something was shown.
    pub impressions: i64,
    /// Clicks of any kind.
    pub clicks: i64,
    /// What it cost.
    pub spend_minor: i64,
}

impl Sums {
    /// Adds; `None` where a sum passes 64 bits.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            impressions: self.impressions.checked_add(other.impressions)?,
            clicks: self.clicks.checked_add(other.clicks)?,
            spend_minor: self.spend_minor.checked_add(other.spend_minor)?,
        })
    }

    /// All of them; `None` where a sum passes 64 bits.
    pub(crate) fn total(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().try_fold(Self::default(), Self::plus)
    }
}

/// The first days of the slices whose sums differ. A slice without delivery has no row on either side.
pub(crate) fn differing(rows: &BTreeMap<Day, Sums>, control: &BTreeMap<Day, Sums>) -> Vec<Day> {
    let mut days: Vec<Day> = rows.keys().chain(control.keys()).copied().collect();
    days.sort_unstable();
    days.dedup();
    let of = |sums: &BTreeMap<Day, Sums>, day: &Day| sums.get(day).copied().unwrap_or_default();
    days.retain(|day| of(rows, day) != of(control, day));
    days
}

/// Why the account's totals are no measure for this query's rows, for a person; `None` where they are.
pub(crate) fn incomparable(query: &Query) -> Option<&'static str> {
    let any = |words: &[&str]| query.breakdowns.iter().any(|word| words.contains(&word.as_str()));
    if any(words::ASSETS) {
        return Some("one delivery counts for each of its assets");
    }
    if any(words::NOT_ADDITIVE) {
        return Some("the breakdown counts one delivery several times, or leaves some out");
    }
    // Actions are filtered within a row; the row itself stays.
    let drops_rows = |field: &str| !is_property(field) && !words::ACTION_BREAKDOWNS.contains(&field);
    if query.filtering.iter().any(|filter| drops_rows(&filter.field)) {
        return Some("the filter leaves out rows by what they measured");
    }
    if query.extra.keys().any(|key| !key.starts_with("use_")) {
        return Some("a parameter in `extra` may change which rows come");
    }
    None
}

#[cfg(test)]
mod tests {
    use graph::insights::{Filter, Increment, Level};
    use vocabulary::DayRange;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn sums(impressions: i64, spend_minor: i64) -> Sums {
        Sums { impressions, clicks: 1, spend_minor }
    }

    #[test]
    fn only_the_days_that_differ_are_named() {
        let rows = [(day("2026-11-01"), sums(5, 10)), (day("2026-11-02"), sums(6, 20))].into();
        let mut control = BTreeMap::from([(day("2026-11-01"), sums(5, 10)), (day("2026-11-02"), sums(6, 21))]);
        assert_eq!(differing(&rows, &control), [day("2026-11-02")]);
        control.insert(day("2026-11-02"), sums(6, 20));
        assert!(differing(&rows, &control).is_empty());
        control.insert(day("2026-11-03"), sums(1, 0));
        assert_eq!(differing(&rows, &control), [day("2026-11-03")]);
        control.insert(day("2026-11-03"), Sums::default());
        assert!(differing(&rows, &control).is_empty(), "nothing on either side");
    }

    #[test]
    fn sums_do_not_wrap() {
        assert_eq!(Sums::total([sums(i64::MAX, 0), sums(1, 0)]), None);
        assert_eq!(Sums::total([]), Some(Sums::default()));
    }

    #[test]
    fn a_query_is_compared_only_with_its_twin() {
        let query = |breakdown: &str, filter: &str| Query {
            level: Level::Ad,
            fields: Vec::new(),
            breakdowns: vec![breakdown.to_owned()],
            action_breakdowns: Vec::new(),
            days: DayRange::of_day(day("2026-11-01")),
            increment: Increment::All,
            windows: Vec::new(),
            filtering: vec![Filter { field: filter.to_owned(), operator: "IN".to_owned(), values: Vec::new() }],
            sort: None,
            extra: BTreeMap::new(),
        };
        assert!(incomparable(&query("age", "campaign.id")).is_none());
        assert!(incomparable(&query("age", "action_type")).is_none());
        assert!(incomparable(&query("age", "spend")).is_some());
        assert!(incomparable(&query("image_asset", "campaign.id")).is_some());
        assert!(incomparable(&query("product_id", "campaign.id")).is_some());
    }
}
