//! What one ad did on one day.

use jiff::civil::Date;

use super::metrics::{Metric, Metrics};
use crate::state::Object;

/// How many of the conversions of a day are known so many days later, in percent. All are after a week.
const KNOWN_PERCENT: [i64; 8] = [40, 62, 74, 82, 88, 93, 97, 100];

/// The current day and hour in the account's zone. The current day is only as old as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Today {
    pub(super) date: Date,
    pub(super) hour: i8,
}

/// The numbers, or `None` where the ad did not deliver. The same seed, ad and day always give the same final numbers.
pub(super) fn of(seed: u64, ad: &Object, day: Date, today: Today) -> Option<Metrics> {
    if day > today.date {
        return None;
    }
    let span = ad.spans.iter().find(|span| span.holds(day))?;
    let mut dice = Dice::new(seed, ad.id, day);
    let mut character = Dice::new(seed, ad.id, Date::ZERO);
    let part = if day == today.date { i64::from(today.hour) + 1 } else { 24 };
    let spend = span.daily_minor.saturating_mul(dice.between(82, 104)) / 100 * part / 24;
    let cost_per_thousand = character.between(500, 1_200);
    let impressions = spend.saturating_mul(1_000) / (cost_per_thousand * dice.between(92, 108) / 100).max(1);
    let clicks = per_mille(impressions, character.between(9, 22) * dice.between(90, 110) / 100);
    let link_clicks = dice.part(clicks, 70, 82);
    let page_views = dice.part(link_clicks, 78, 90);
    let content = dice.part(page_views, 60, 80);
    let cart = dice.part(content, 12, 20);
    let checkout = dice.part(cart, 40, 55);
    let known = known_percent(day, today.date);
    let bought = dice.part(checkout, 50, 75);
    let bought = dice.part(bought, known, known);
    let first_day = dice.part(bought, 64, 64);
    let price = character.between(3_500, 9_500);
    let mut metrics = Metrics::default();
    let values = [
        (Metric::Impressions, impressions),
        (Metric::Spend, spend),
        (Metric::Clicks, clicks),
        (Metric::LinkClicks, link_clicks),
        (Metric::LandingPageViews, page_views),
        (Metric::Reactions, per_mille(impressions, dice.between(2, 6))),
        (Metric::VideoViews, per_mille(impressions, dice.between(20, 60))),
        (Metric::ViewContent, content),
        (Metric::AddToCart, cart),
        (Metric::InitiateCheckout, checkout),
        (Metric::PurchasesClick1, first_day),
        (Metric::PurchasesClick7, bought - first_day),
        (Metric::PurchasesClick28, dice.part(bought, 12, 12)),
        (Metric::PurchasesView1, dice.part(bought, 5, 15)),
        (Metric::Leads, dice.part(page_views, 0, 2)),
    ];
    for (metric, value) in values {
        metrics.set(metric, value);
    }
    metrics.set(Metric::Revenue, metrics.purchases().saturating_mul(price));
    Some(metrics)
}

fn per_mille(value: i64, rate: i64) -> i64 {
    value.saturating_mul(rate) / 1_000
}

fn known_percent(day: Date, today: Date) -> i64 {
    let age = day.until(today).map_or(0, |span| span.get_days());
    usize::try_from(age).ok().and_then(|age| KNOWN_PERCENT.get(age).copied()).unwrap_or(100)
}

/// Numbers that look like chance and are not: `SplitMix64`.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, ad: u64, day: Date) -> Self {
        let day = u64::from(day.year().unsigned_abs()) * 400 + u64::try_from(day.day_of_year()).unwrap_or_default();
        let mut dice = Self(seed ^ ad.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ day.wrapping_mul(0xd1b5_4a32_d192_ed03));
        dice.next();
        dice
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between so many and so many percent of a value; what is no whole number is rounded by the dice, since always
    /// rounding down would leave nothing of small numbers.
    fn part(&mut self, value: i64, least: i64, most: i64) -> i64 {
        let percent = self.between(least, most);
        (value.saturating_mul(percent) + self.between(0, 99)) / 100
    }

    /// A number of the range, its ends included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        let width = u64::try_from(most - least + 1).unwrap_or(1).max(1);
        least + i64::try_from(self.next() % width).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Kind, Span};
    use jiff::civil::date;

    fn ad() -> Object {
        let mut ad = Object::new(7, Kind::Ad, 1, jiff::Timestamp::UNIX_EPOCH);
        ad.spans = vec![Span { from: date(2026, 1, 1), to: Some(date(2026, 1, 31)), daily_minor: 4_000 }];
        ad
    }

    fn late() -> Today {
        Today { date: date(2026, 3, 1), hour: 12 }
    }

    #[test]
    fn the_same_day_is_always_the_same_and_days_differ() {
        let first = of(1, &ad(), date(2026, 1, 5), late()).unwrap();
        assert_eq!(Some(first), of(1, &ad(), date(2026, 1, 5), late()));
        assert_ne!(Some(first), of(1, &ad(), date(2026, 1, 6), late()));
        assert_ne!(Some(first), of(2, &ad(), date(2026, 1, 5), late()));
    }

    #[test]
    fn an_ad_delivers_only_on_its_days() {
        assert!(of(1, &ad(), date(2025, 12, 31), late()).is_none());
        assert!(of(1, &ad(), date(2026, 2, 1), late()).is_none());
    }

    #[test]
    fn the_current_day_grows_and_conversions_ripen() {
        let noon = of(1, &ad(), date(2026, 1, 5), Today { date: date(2026, 1, 5), hour: 11 }).unwrap();
        let next_week = of(1, &ad(), date(2026, 1, 5), late()).unwrap();
        assert!(noon.spend() < next_week.spend());
        assert!(noon.purchases() < next_week.purchases());
    }
}
