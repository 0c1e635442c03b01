//! The numbers of a row: whole numbers only, so that sums are exact.

/// How many numbers are kept.
pub(super) const COUNT: usize = 16;

/// What is counted. Money is in minor units of the account's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Impressions,
    Spend,
    Clicks,
    LinkClicks,
    LandingPageViews,
    Reactions,
    VideoViews,
    ViewContent,
    AddToCart,
    InitiateCheckout,
    /// Purchases by their attribution window: within a day of a click, the further ones up to day 7 and 28, and
    /// within a day of a view.
    PurchasesClick1,
    PurchasesClick7,
    PurchasesClick28,
    PurchasesView1,
    Leads,
    /// What one purchase brings, times the purchases of the default windows; kept apart so that it sums up.
    Revenue,
}

/// One value for each metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Metrics(pub(super) [i64; COUNT]);

impl Metrics {
    pub(super) fn get(&self, metric: Metric) -> i64 {
        self.0.get(metric as usize).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, metric: Metric, value: i64) {
        if let Some(slot) = self.0.get_mut(metric as usize) {
            *slot = value;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, value) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(value);
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|&value| value == 0)
    }

    pub(crate) fn spend(&self) -> i64 {
        self.get(Metric::Spend)
    }

    /// Purchases of the usual setting of an ad set: 7 days after a click, one after a view.
    pub(super) fn purchases(&self) -> i64 {
        self.get(Metric::PurchasesClick1) + self.get(Metric::PurchasesClick7) + self.get(Metric::PurchasesView1)
    }

    /// All engagement with the post, of which link clicks are a part.
    pub(super) fn post_engagement(&self) -> i64 {
        self.get(Metric::LinkClicks) + self.get(Metric::Reactions) + self.get(Metric::VideoViews)
    }

    /// People reached. It is no sum: the more days a row has, the more people are seen again.
    pub(super) fn reach(&self, days: i64) -> i64 {
        let per_person = 1_150 + 40 * (days - 1).clamp(0, 60);
        let impressions = self.get(Metric::Impressions);
        if impressions == 0 { 0 } else { (impressions.saturating_mul(1_000) / per_person).max(1) }
    }
}
