//! The numbers of a row: whole numbers only, so that sums are exact.

/// What is counted once. Money is in minor units of the account's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Impressions,
    Spend,
    /// The part of the spend under which a friend's name stood.
    SocialSpend,
    Clicks,
    LinkClicks,
    OutboundClicks,
    LandingPageViews,
    Reactions,
    Comments,
    Shares,
    Saves,
    PageLikes,
    FullViews,
    /// Impressions of campaigns for awareness, the only ones that are asked how many remember them.
    RecallImpressions,
    VideoPlays,
    Video2,
    /// Of at least three seconds.
    VideoViews,
    Video6,
    Video15,
    Video30,
    ThruPlays,
    VideoP25,
    VideoP50,
    VideoP75,
    VideoP95,
    VideoP100,
    WatchSeconds,
    /// The purchases, and what they brought, of ads with a catalogue.
    CatalogPurchases,
    CatalogRevenue,
}

const SINGLE: usize = 29;

/// What people do later, counted by attribution window. The two worths are money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    ViewContent,
    AddToCart,
    Checkout,
    Purchase,
    PurchaseWorth,
    Subscribe,
    SubscribeWorth,
    PixelLead,
    FormLead,
    Registration,
    Message,
    Install,
}

pub(super) const EVENTS: [Event; 12] = [
    Event::ViewContent,
    Event::AddToCart,
    Event::Checkout,
    Event::Purchase,
    Event::PurchaseWorth,
    Event::Subscribe,
    Event::SubscribeWorth,
    Event::PixelLead,
    Event::FormLead,
    Event::Registration,
    Event::Message,
    Event::Install,
];

/// When an event happened after the ad was clicked, seen or watched. No event is in two of them; `Value` sums up those
/// of the ad set's own attribution setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bucket {
    /// Within a day of a click.
    Click1,
    /// On days 2 to 7 after a click.
    Click7,
    /// On days 8 to 28 after a click.
    Click28,
    /// Within a day of a view.
    View1,
    /// Within a day of watching a video for ten seconds.
    Engaged1,
    Value,
}

/// The buckets that are dealt out; `Value` follows from them.
pub(super) const BUCKETS: [Bucket; 5] =
    [Bucket::Click1, Bucket::Click7, Bucket::Click28, Bucket::View1, Bucket::Engaged1];
const BUCKETS_ALL: usize = 6;

/// What an ad set counts as its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indicator {
    Purchase,
    LinkClick,
    LandingPageView,
    PixelLead,
    FormLead,
    Message,
    Install,
    Engagement,
    ThruPlay,
    Impressions,
    /// Counted in impressions, from which reach follows.
    Reach,
}

pub(super) const INDICATORS: [Indicator; 11] = [
    Indicator::Purchase,
    Indicator::LinkClick,
    Indicator::LandingPageView,
    Indicator::PixelLead,
    Indicator::FormLead,
    Indicator::Message,
    Indicator::Install,
    Indicator::Engagement,
    Indicator::ThruPlay,
    Indicator::Impressions,
    Indicator::Reach,
];

const FIRST_RESULT: usize = SINGLE + EVENTS.len() * BUCKETS_ALL;

/// How many numbers are kept: the single ones, the events by bucket, and for each indicator its count and its spend.
pub(super) const COUNT: usize = FIRST_RESULT + INDICATORS.len() * 2;

/// One value for each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Metrics(pub(super) [i64; COUNT]);

impl Default for Metrics {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

/// The place of an event in the numbers.
pub(super) const fn slot(event: Event, bucket: Bucket) -> usize {
    SINGLE + event as usize * BUCKETS_ALL + bucket as usize
}

impl Metrics {
    pub(super) fn get(&self, metric: Metric) -> i64 {
        self.at(metric as usize)
    }

    pub(super) fn set(&mut self, metric: Metric, value: i64) {
        self.put(metric as usize, value);
    }

    pub(super) fn event(&self, event: Event, bucket: Bucket) -> i64 {
        self.at(slot(event, bucket))
    }

    pub(super) fn set_event(&mut self, event: Event, bucket: Bucket, value: i64) {
        self.put(slot(event, bucket), value);
    }

    /// How many results of a kind there were, and what was spent for them.
    pub(super) fn result(&self, indicator: Indicator) -> (i64, i64) {
        let place = FIRST_RESULT + indicator as usize * 2;
        (self.at(place), self.at(place + 1))
    }

    pub(super) fn set_result(&mut self, indicator: Indicator, count: i64, spend: i64) {
        let place = FIRST_RESULT + indicator as usize * 2;
        self.put(place, count);
        self.put(place + 1, spend);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, value) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.wrapping_add(*value);
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|&value| value == 0)
    }

    pub(super) fn spend(&self) -> i64 {
        self.get(Metric::Spend)
    }

    /// All engagement with the post, of which link clicks are a part.
    pub(super) fn post_engagement(&self) -> i64 {
        use Metric::{Comments, LinkClicks, Reactions, Saves, Shares, VideoViews};
        [LinkClicks, Reactions, Comments, Shares, Saves, VideoViews].into_iter().map(|metric| self.get(metric)).sum()
    }

    fn at(&self, place: usize) -> i64 {
        self.0.get(place).copied().unwrap_or_default()
    }

    fn put(&mut self, place: usize, value: i64) {
        if let Some(slot) = self.0.get_mut(place) {
            *slot = value;
        }
    }
}

/// People reached by so many impressions.
///
/// The function rises ever more slowly and begins at nothing. So whatever rows are put together, by days, levels or
/// breakdowns, their common reach is never less than that of one of them and never more than the sum.
pub(super) fn reach(impressions: i64) -> i64 {
    risen(impressions, &[(1_000, 900), (9_000, 780), (90_000, 600), (900_000, 430), (i64::MAX, 300)])
}

/// Different people behind so many actions; of the same kind as [`reach`].
pub(super) fn unique(count: i64) -> i64 {
    risen(count, &[(100, 950), (900, 900), (9_000, 840), (i64::MAX, 760)])
}

/// Adds up steps of `(width, per mille)`, rounded up once at the end.
fn risen(count: i64, steps: &[(i64, i64)]) -> i64 {
    let mut left = count.max(0);
    let mut thousandths = 0_i64;
    for (width, rate) in steps {
        let step = left.min(*width);
        thousandths = thousandths.saturating_add(step.saturating_mul(*rate));
        left -= step;
        if left == 0 {
            break;
        }
    }
    thousandths.saturating_add(999) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        assert_eq!(Metric::CatalogRevenue as usize + 1, SINGLE);
        for (at, event) in EVENTS.into_iter().enumerate() {
            assert_eq!(event as usize, at);
        }
        assert_eq!(Bucket::Value as usize + 1, BUCKETS_ALL);
        assert_eq!(slot(Event::Install, Bucket::Value) + 1, FIRST_RESULT);
        let mut metrics = Metrics::default();
        metrics.set_result(Indicator::Reach, 3, 4);
        assert_eq!(metrics.0[COUNT - 2..], [3, 4]);
    }

    #[test]
    fn reach_of_a_whole_lies_between_its_greatest_part_and_the_sum() {
        let sizes = [0, 1, 2, 3, 7, 99, 100, 101, 950, 1_000, 1_001, 4_321, 10_000, 99_999, 250_000, 3_000_000];
        for first in sizes {
            for second in sizes {
                for risen in [reach, unique] {
                    let whole = risen(first + second);
                    assert!(whole >= risen(first).max(risen(second)) && whole <= risen(first) + risen(second));
                    assert!(risen(first) <= first);
                }
            }
        }
    }
}
