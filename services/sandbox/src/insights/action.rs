//! Actions: their types, how they overlap, and in which windows they are counted.

use super::metrics::{Bucket, Event, Metric, Metrics};

/// An attribution window that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) word: &'static str,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Click1,
    Click7,
    Click28,
    View1,
    Engaged1,
    /// The ad set's own setting, which data-driven attribution is taken to agree with.
    Value,
    /// What would not have happened without the ad: taken to be what follows a click at once.
    Caused,
    /// Accepted, and without values: ended on 12 January 2026, of apps, or for the first conversion only.
    Nothing,
}

/// Meta's words. The two views beyond a day are dead since January 2026.
const WINDOWS: &[(&str, Counts)] = &[
    ("1d_click", Counts::Click1),
    ("1d_ev", Counts::Engaged1),
    ("1d_sequenced", Counts::Nothing),
    ("1d_view", Counts::View1),
    ("28d_click", Counts::Click28),
    ("28d_sequenced", Counts::Nothing),
    ("28d_view", Counts::Nothing),
    ("28d_view_all_conversions", Counts::Nothing),
    ("28d_view_first_conversion", Counts::Nothing),
    ("7d_click", Counts::Click7),
    ("7d_sequenced", Counts::Nothing),
    ("7d_view", Counts::Nothing),
    ("7d_view_all_conversions", Counts::Nothing),
    ("7d_view_first_conversion", Counts::Nothing),
    ("custom", Counts::Nothing),
    ("dda", Counts::Value),
    ("default", Counts::Value),
    ("incrementality", Counts::Caused),
    ("incrementality_all_conversions", Counts::Nothing),
    ("incrementality_first_conversion", Counts::Nothing),
    ("skan_click", Counts::Nothing),
    ("skan_click_second_postback", Counts::Nothing),
    ("skan_click_third_postback", Counts::Nothing),
    ("skan_view", Counts::Nothing),
    ("skan_view_second_postback", Counts::Nothing),
    ("skan_view_third_postback", Counts::Nothing),
];

impl Window {
    pub(super) fn parse(word: &str) -> Option<Self> {
        WINDOWS.iter().find(|(known, _)| *known == word).map(|(word, counts)| Self { word, counts: *counts })
    }

    pub(super) fn words() -> String {
        WINDOWS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
    }
}

/// What is counted of an action, or what it brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    Metric(Metric),
    PostEngagement,
    /// Post engagement and new likes of the page.
    PageEngagement,
    Event(Event),
    /// Two kinds of the same that cannot both happen to one ad.
    Either(Event, Event),
    /// An event that is worth money, and the worth.
    Worth(Event, Event),
    /// Purchases of products of a catalogue.
    Catalog,
}

/// Which breakdowns of actions an action takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Happens at Meta, at the ad.
    On,
    Reaction,
    Video,
    Link,
    /// Happens on a website or in an app of the advertiser.
    Off,
}

/// An action type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ActionKind {
    pub(super) word: &'static str,
    pub(super) amount: Amount,
    pub(super) class: Class,
}

/// How a list shows its actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Count,
    Unique,
    Worth,
    /// The worth of one action.
    WorthOfOne,
    Cost,
    UniqueCost,
    /// Percent of impressions.
    Rate,
    /// Different people, percent of reach.
    UniqueRate,
    /// What was earned for each unit spent.
    Return,
    ForEachPlay,
}

/// A list of actions in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    pub(super) kinds: &'static [ActionKind],
    pub(super) shape: Shape,
}

impl ActionKind {
    pub(super) const fn single(word: &'static str, amount: Amount) -> Self {
        Self { word, amount, class: Class::Link }
    }

    pub(super) const fn off(word: &'static str, amount: Amount) -> Self {
        Self { word, amount, class: Class::Off }
    }

    pub(super) const fn video(word: &'static str, amount: Amount) -> Self {
        Self { word, amount, class: Class::Video }
    }

    const fn on(word: &'static str, amount: Amount) -> Self {
        Self { word, amount, class: Class::On }
    }
}

const PURCHASE: Amount = Amount::Worth(Event::Purchase, Event::PurchaseWorth);
const SUBSCRIBE: Amount = Amount::Worth(Event::Subscribe, Event::SubscribeWorth);

/// The types of `actions`. They overlap as Meta's do: page engagement holds post engagement, which holds link clicks;
/// `purchase`, `omni_purchase` and the pixel's purchase are the same ones.
pub(super) const ALL: &[ActionKind] = &[
    ActionKind::single("link_click", Amount::Metric(Metric::LinkClicks)),
    ActionKind::on("landing_page_view", Amount::Metric(Metric::LandingPageViews)),
    ActionKind::on("omni_landing_page_view", Amount::Metric(Metric::LandingPageViews)),
    ActionKind::video("video_view", Amount::Metric(Metric::VideoViews)),
    ActionKind { word: "post_reaction", amount: Amount::Metric(Metric::Reactions), class: Class::Reaction },
    ActionKind::on("comment", Amount::Metric(Metric::Comments)),
    ActionKind::on("post", Amount::Metric(Metric::Shares)),
    ActionKind::on("onsite_conversion.post_save", Amount::Metric(Metric::Saves)),
    ActionKind::on("like", Amount::Metric(Metric::PageLikes)),
    ActionKind::on("post_engagement", Amount::PostEngagement),
    ActionKind::on("page_engagement", Amount::PageEngagement),
    ActionKind::on("onsite_conversion.messaging_conversation_started_7d", Amount::Event(Event::Message)),
    ActionKind::on("onsite_conversion.total_messaging_connection", Amount::Event(Event::Message)),
    ActionKind::on("lead", Amount::Either(Event::FormLead, Event::PixelLead)),
    ActionKind::on("onsite_conversion.lead_grouped", Amount::Event(Event::FormLead)),
    ActionKind::off("offsite_conversion.fb_pixel_lead", Amount::Event(Event::PixelLead)),
    ActionKind::off("complete_registration", Amount::Event(Event::Registration)),
    ActionKind::off("omni_complete_registration", Amount::Event(Event::Registration)),
    ActionKind::off("offsite_conversion.fb_pixel_complete_registration", Amount::Event(Event::Registration)),
    ActionKind::off("mobile_app_install", Amount::Event(Event::Install)),
    ActionKind::off("omni_app_install", Amount::Event(Event::Install)),
    ActionKind::off("view_content", Amount::Event(Event::ViewContent)),
    ActionKind::off("omni_view_content", Amount::Event(Event::ViewContent)),
    ActionKind::off("offsite_conversion.fb_pixel_view_content", Amount::Event(Event::ViewContent)),
    ActionKind::off("add_to_cart", Amount::Event(Event::AddToCart)),
    ActionKind::off("omni_add_to_cart", Amount::Event(Event::AddToCart)),
    ActionKind::off("offsite_conversion.fb_pixel_add_to_cart", Amount::Event(Event::AddToCart)),
    ActionKind::off("initiate_checkout", Amount::Event(Event::Checkout)),
    ActionKind::off("omni_initiated_checkout", Amount::Event(Event::Checkout)),
    ActionKind::off("offsite_conversion.fb_pixel_initiate_checkout", Amount::Event(Event::Checkout)),
    ActionKind::off("purchase", PURCHASE),
    ActionKind::off("omni_purchase", PURCHASE),
    ActionKind::off("offsite_conversion.fb_pixel_purchase", PURCHASE),
];

/// The types of `conversions`, which holds only events that the account has defined beside the usual ones.
pub(super) const CONVERSIONS: &[ActionKind] =
    &[ActionKind::off("subscribe_total", SUBSCRIBE), ActionKind::off("subscribe_website", SUBSCRIBE)];

impl Amount {
    /// How often it happened: by the ad sets' own settings, or within a window.
    pub(super) fn count(self, metrics: &Metrics, window: Option<Window>) -> i64 {
        match self {
            Self::Metric(metric) => at_once(metrics.get(metric), window),
            Self::PostEngagement => at_once(metrics.post_engagement(), window),
            Self::PageEngagement => at_once(metrics.post_engagement() + metrics.get(Metric::PageLikes), window),
            Self::Event(event) | Self::Worth(event, _) => within(metrics, event, window),
            Self::Either(one, other) => within(metrics, one, window) + within(metrics, other, window),
            Self::Catalog => at_once(metrics.get(Metric::CatalogPurchases), window),
        }
    }

    /// What it brought, in minor units; nothing for most.
    pub(super) fn worth(self, metrics: &Metrics, window: Option<Window>) -> i64 {
        match self {
            Self::Worth(_, worth) => within(metrics, worth, window),
            Self::Catalog => at_once(metrics.get(Metric::CatalogRevenue), window),
            _ => 0,
        }
    }
}

/// Clicks and engagement happen with the click, so every click window holds all of them.
fn at_once(count: i64, window: Option<Window>) -> i64 {
    match window.map(|window| window.counts) {
        None | Some(Counts::Click1 | Counts::Click7 | Counts::Click28 | Counts::Value) => count,
        Some(Counts::View1 | Counts::Engaged1 | Counts::Caused | Counts::Nothing) => 0,
    }
}

/// A longer window holds the shorter ones.
fn within(metrics: &Metrics, event: Event, window: Option<Window>) -> i64 {
    let sum = |buckets: &[Bucket]| buckets.iter().map(|bucket| metrics.event(event, *bucket)).sum();
    match window.map(|window| window.counts) {
        None | Some(Counts::Value) => metrics.event(event, Bucket::Value),
        Some(Counts::Click1 | Counts::Caused) => metrics.event(event, Bucket::Click1),
        Some(Counts::Click7) => sum(&[Bucket::Click1, Bucket::Click7]),
        Some(Counts::Click28) => sum(&[Bucket::Click1, Bucket::Click7, Bucket::Click28]),
        Some(Counts::View1) => metrics.event(event, Bucket::View1),
        Some(Counts::Engaged1) => metrics.event(event, Bucket::Engaged1),
        Some(Counts::Nothing) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        let mut metrics = Metrics::default();
        let buckets = [(Bucket::Click1, 5), (Bucket::Click7, 3), (Bucket::Click28, 1), (Bucket::View1, 2)];
        for (bucket, count) in buckets {
            metrics.set_event(Event::Purchase, bucket, count);
        }
        metrics.set_event(Event::Purchase, Bucket::Value, 10);
        metrics.set(Metric::LinkClicks, 40);
        metrics.set(Metric::Reactions, 4);
        metrics.set(Metric::PageLikes, 1);
        metrics
    }

    #[test]
    fn longer_windows_hold_the_shorter_and_dead_ones_hold_nothing() {
        let count = |word: &str| PURCHASE.count(&metrics(), Window::parse(word));
        assert_eq!(["1d_click", "7d_click", "28d_click", "1d_view", "default"].map(count), [5, 8, 9, 2, 10]);
        assert_eq!(["7d_view", "28d_view", "skan_click"].map(count), [0, 0, 0]);
        assert_eq!(PURCHASE.count(&metrics(), None), 10);
        assert!(Window::parse("3d_click").is_none());
    }

    #[test]
    fn types_overlap_as_those_of_meta_do() {
        let count = |word: &str| ALL.iter().find(|kind| kind.word == word).unwrap().amount.count(&metrics(), None);
        assert_eq!((count("link_click"), count("post_engagement"), count("page_engagement")), (40, 44, 45));
        assert_eq!(count("purchase"), count("omni_purchase"));
        assert_eq!(count("purchase"), count("offsite_conversion.fb_pixel_purchase"));
    }
}
