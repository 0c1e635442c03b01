//! Single numbers of a row, in the form in which rows show them and conditions compare them.

use super::action::{List, Shape, Window};
use super::columns::Number;
use super::metrics::{Bucket, Metric, Metrics, reach, unique};
use crate::nodes::budgets::major;

/// Decimals of rates and costs.
const RATE_DIGITS: usize = 6;
const MILLION: i128 = 1_000_000;
/// Of a hundred people reached by a campaign for awareness, so many would remember it.
const RECALL_PERCENT: i64 = 9;

/// A number as Meta writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Count(i64),
    /// Minor units, and how many digits of them the currency has.
    Money(i64, usize),
    /// In millionths, of which trailing zeros are not shown.
    Ratio(i64),
}

impl Figure {
    pub(super) fn text(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Money(minor, digits) => major(minor, digits),
            Self::Ratio(millionths) => {
                let text = major(millionths, RATE_DIGITS);
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
        }
    }

    /// For comparing figures of one column.
    pub(super) fn size(self) -> i64 {
        match self {
            Self::Count(size) | Self::Money(size, _) | Self::Ratio(size) => size,
        }
    }

    fn is_zero(self) -> bool {
        self.size() == 0
    }
}

/// The numbers of a row and what else decides how they are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) metrics: &'a Metrics,
    /// The reach where it is not that of all impressions.
    pub(super) reach: Option<i64>,
    /// Minor digits of the account's currency.
    pub(super) digits: usize,
    pub(super) shows_reach: bool,
    pub(super) shows_unique: bool,
}

impl Numbers<'_> {
    fn get(&self, metric: Metric) -> i64 {
        self.metrics.get(metric)
    }

    fn reach(&self) -> i64 {
        self.reach.unwrap_or_else(|| reach(self.get(Metric::Impressions)))
    }

    /// What is shown under a name; `None` where it is zero, cannot be told or is not kept.
    pub(super) fn of(&self, number: Number) -> Option<Figure> {
        if let Number::Always(metric) = number {
            return Some(Figure::Count(self.get(metric)));
        }
        if number == Number::Money(Metric::Spend) {
            return Some(Figure::Money(self.metrics.spend(), self.digits));
        }
        let count = |metric| self.get(metric);
        let kept_unique = |figure: Option<Figure>| figure.filter(|_| self.shows_unique);
        let kept_reach = |figure: Option<Figure>| figure.filter(|_| self.shows_reach);
        let recallers = reach(count(Metric::RecallImpressions)) * RECALL_PERCENT / 100;
        let figure = match number {
            Number::Always(metric) | Number::Count(metric) => Some(Figure::Count(count(metric))),
            Number::Money(metric) => Some(Figure::Money(count(metric), self.digits)),
            Number::Reach => kept_reach(Some(Figure::Count(self.reach()))),
            Number::FullViewReach => kept_reach(Some(Figure::Count(reach(count(Metric::FullViews))))),
            Number::Frequency => kept_reach(ratio(count(Metric::Impressions), self.reach(), 1)),
            Number::Unique(metric) => kept_unique(Some(Figure::Count(unique(count(metric))))),
            Number::Rate(metric) => ratio(count(metric), count(Metric::Impressions), 100),
            Number::UniqueRate(metric) => kept_unique(kept_reach(ratio(unique(count(metric)), self.reach(), 100))),
            Number::Cost(metric) => self.cost(count(metric), 1),
            Number::UniqueCost(metric) => kept_unique(self.cost(unique(count(metric)), 1)),
            Number::Cpm => self.cost(count(Metric::Impressions), 1_000),
            Number::Cpp => kept_reach(self.cost(self.reach(), 1_000)),
            Number::PostEngagement => Some(Figure::Count(self.metrics.post_engagement())),
            Number::CostPerPostEngagement => self.cost(self.metrics.post_engagement(), 1),
            Number::Recallers(percent) => kept_reach(Some(Figure::Count(recallers * percent / 100))),
            Number::RecallRate(percent) => kept_reach(ratio(recallers * percent / 100, self.reach(), 100)),
            Number::CostPerRecaller => kept_reach(self.cost(recallers, 1)),
            Number::PerClick(event, metric) => ratio(self.metrics.event(event, Bucket::Value), count(metric), 1),
            Number::ViewsPerClick => ratio(count(Metric::LandingPageViews), count(Metric::LinkClicks), 1),
            Number::ResultRate => {
                let results: i64 = super::metrics::INDICATORS.iter().map(|it| self.metrics.result(*it).0).sum();
                ratio(results, count(Metric::Impressions), 100)
            }
        };
        figure.filter(|figure| !figure.is_zero())
    }

    /// One item of a list: how often its actions happened and what they brought, shown in the list's way.
    pub(super) fn item(&self, shape: Shape, count: i64, worth: i64) -> Option<Figure> {
        let figure = match shape {
            Shape::Count => Some(Figure::Count(count)),
            Shape::Unique => Some(Figure::Count(unique(count))).filter(|_| self.shows_unique),
            Shape::Worth => Some(Figure::Money(worth, self.digits)),
            Shape::WorthOfOne => ratio(worth, count.saturating_mul(scale(self.digits)), 1),
            Shape::Cost => self.cost(count, 1),
            Shape::UniqueCost => self.cost(unique(count), 1).filter(|_| self.shows_unique),
            Shape::Rate => ratio(count, self.get(Metric::Impressions), 100),
            Shape::UniqueRate => {
                ratio(unique(count), self.reach(), 100).filter(|_| self.shows_unique && self.shows_reach)
            }
            Shape::Return => ratio(worth, self.metrics.spend(), 1),
            Shape::ForEachPlay => Some(Figure::Count(count / self.get(Metric::VideoPlays).max(1))),
        };
        figure.filter(|figure| !figure.is_zero())
    }

    /// The figure of one action type in a list, by which rows are sorted.
    pub(super) fn of_action(&self, list: List, word: &str, window: Option<Window>) -> Option<Figure> {
        let kind = list.kinds.iter().find(|kind| kind.word == word)?;
        self.item(list.shape, kind.amount.count(self.metrics, window), kind.amount.worth(self.metrics, window))
    }

    /// What so many cost, each or by the thousand.
    pub(super) fn cost(&self, count: i64, times: i64) -> Option<Figure> {
        ratio(self.metrics.spend(), count.saturating_mul(scale(self.digits)), times)
    }
}

/// `above / below * times` with six decimals; `None` where it cannot be told.
pub(super) fn ratio(above: i64, below: i64, times: i64) -> Option<Figure> {
    if below == 0 || above == 0 {
        return None;
    }
    // Nearly always the product fits, and the shorter division is many times faster.
    let short = above.checked_mul(times).and_then(|above| above.checked_mul(1_000_000));
    let millionths = match short {
        Some(above) => above / below,
        None => i64::try_from(i128::from(above) * i128::from(times) * MILLION / i128::from(below)).ok()?,
    };
    Some(Figure::Ratio(millionths))
}

fn scale(digits: usize) -> i64 {
    u32::try_from(digits).map_or(1, |digits| 10_i64.saturating_pow(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(figure: Option<Figure>) -> Option<String> {
        figure.map(Figure::text)
    }

    #[test]
    fn ratios_have_at_most_six_decimals_and_none_for_nothing() {
        assert_eq!(text(ratio(5_631, 112 * 100, 1)).as_deref(), Some("0.502767"));
        assert_eq!(text(ratio(1, 4, 100)).as_deref(), Some("25"));
        assert_eq!(ratio(1, 0, 1), None);
        assert_eq!(text(ratio(i64::MAX / 10, i64::MAX / 10, 100)).as_deref(), Some("100"));
    }

    #[test]
    fn money_has_the_digits_of_its_currency() {
        let mut metrics = Metrics::default();
        metrics.set(Metric::Spend, 1_234_567);
        metrics.set(Metric::Clicks, 10);
        for (digits, spend, cost) in
            [(0, "1234567", "123456.7"), (2, "12345.67", "1234.567"), (3, "1234.567", "123.4567")]
        {
            let numbers = Numbers { metrics: &metrics, reach: None, digits, shows_reach: true, shows_unique: true };
            assert_eq!(text(numbers.of(Number::Money(Metric::Spend))).as_deref(), Some(spend));
            assert_eq!(text(numbers.of(Number::Cost(Metric::Clicks))).as_deref(), Some(cost));
        }
    }

    #[test]
    fn what_is_not_kept_is_left_out() {
        let mut metrics = Metrics::default();
        metrics.set(Metric::Impressions, 900);
        metrics.set(Metric::Clicks, 10);
        let mut numbers = Numbers { metrics: &metrics, reach: None, digits: 2, shows_reach: true, shows_unique: true };
        assert!(numbers.of(Number::Unique(Metric::Clicks)).is_some() && numbers.of(Number::Frequency).is_some());
        numbers.shows_unique = false;
        assert!(numbers.of(Number::Unique(Metric::Clicks)).is_none() && numbers.of(Number::Frequency).is_some());
        numbers.shows_reach = false;
        assert!(numbers.of(Number::Reach).is_none() && numbers.of(Number::Rate(Metric::Clicks)).is_some());
    }
}
