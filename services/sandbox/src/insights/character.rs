//! What kind of ad it is: what it is after, how its conversions are attributed, how well it does.

use serde_json::Value;

use super::dice::Dice;
use super::metrics::{BUCKETS, Bucket, Event, Indicator, Metric, Metrics};
use crate::state::{Kind, Object, State};

/// What the campaign wants people to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Sales,
    Traffic,
    Leads,
    Engagement,
    App,
    Awareness,
}

/// All that decides an ad's numbers beside its budget and the day.
#[derive(Debug, Clone)]
pub(super) struct Character {
    pub(super) aim: Aim,
    pub(super) indicator: Indicator,
    /// Whether leads are given in a form on the ad, else on the website.
    pub(super) on_form: bool,
    pub(super) messages: bool,
    /// Whether it advertises products of a catalogue.
    pub(super) catalogue: bool,
    /// The share of impressions that play a video, per mille.
    pub(super) video: i64,
    /// Minor units for a thousand impressions.
    pub(super) cost_per_thousand: i64,
    /// Clicks on a thousand impressions.
    pub(super) clicks: i64,
    /// Minor units that a purchase brings.
    pub(super) price: i64,
    /// The buckets that the attribution setting of the ad set counts.
    counted: [bool; BUCKETS.len()],
}

impl Character {
    /// An ad without ad set or campaign is taken for one of traffic.
    pub(super) fn of(state: &State, ad: &Object) -> Self {
        let ad_set = ad.ad_set.and_then(|id| state.of_kind(id, Kind::AdSet));
        let campaign = ad.campaign.and_then(|id| state.of_kind(id, Kind::Campaign));
        let text = |object: Option<&Object>, name: &str| object.map_or("", |it| it.text(name)).to_owned();
        let aim = aim(campaign.map_or("", |campaign| campaign.text("objective")));
        let (goal, destination) = (text(ad_set, "optimization_goal"), text(ad_set, "destination_type"));
        let on_form = destination == "ON_AD" || matches!(goal.as_str(), "LEAD_GENERATION" | "QUALITY_LEAD");
        let promoted = ad_set.and_then(|ad_set| ad_set.fields.get("promoted_object"));
        let creative = ad.creative.and_then(|id| state.object(id));
        let mut dice = Dice::new(state.seed, ad.id, jiff::civil::Date::ZERO);
        let clicks = match aim {
            Aim::Sales => (9, 22),
            Aim::Traffic => (14, 30),
            Aim::Leads | Aim::App => (8, 18),
            Aim::Engagement => (6, 14),
            Aim::Awareness => (2, 6),
        };
        // Meta turns some pictures into short videos, so that not only video ads are watched.
        let animated = if dice.between(0, 2) == 0 { dice.between(50, 400) } else { 0 };
        Self {
            aim,
            indicator: indicator(&goal, aim, on_form),
            on_form,
            messages: goal == "CONVERSATIONS",
            catalogue: promoted.is_some_and(|it| it.get("product_set_id").or(it.get("product_catalog_id")).is_some()),
            video: if creative.is_some_and(has_video) { dice.between(850, 980) } else { animated },
            cost_per_thousand: dice.between(500, 1_200),
            clicks: dice.between(clicks.0, clicks.1),
            price: dice.between(3_500, 9_500),
            counted: counted(ad_set),
        }
    }

    /// Fills in what follows from the other numbers: values by the attribution setting, results, the catalogue's part.
    pub(super) fn settle(&self, metrics: &mut Metrics) {
        for event in super::metrics::EVENTS {
            let buckets = BUCKETS.iter().zip(self.counted).filter(|(_, counted)| *counted);
            let value = buckets.map(|(bucket, _)| metrics.event(event, *bucket)).sum();
            metrics.set_event(event, Bucket::Value, value);
        }
        if self.catalogue {
            metrics.set(Metric::CatalogPurchases, metrics.event(Event::Purchase, Bucket::Value));
            metrics.set(Metric::CatalogRevenue, metrics.event(Event::PurchaseWorth, Bucket::Value));
        }
        if self.aim == Aim::Awareness {
            metrics.set(Metric::RecallImpressions, metrics.get(Metric::Impressions));
        }
        let count = match self.indicator {
            Indicator::Purchase => metrics.event(Event::Purchase, Bucket::Value),
            Indicator::LinkClick => metrics.get(Metric::LinkClicks),
            Indicator::LandingPageView => metrics.get(Metric::LandingPageViews),
            Indicator::PixelLead => metrics.event(Event::PixelLead, Bucket::Value),
            Indicator::FormLead => metrics.event(Event::FormLead, Bucket::Value),
            Indicator::Message => metrics.event(Event::Message, Bucket::Value),
            Indicator::Install => metrics.event(Event::Install, Bucket::Value),
            Indicator::Engagement => metrics.post_engagement(),
            Indicator::ThruPlay => metrics.get(Metric::ThruPlays),
            Indicator::Impressions | Indicator::Reach => metrics.get(Metric::Impressions),
        };
        metrics.set_result(self.indicator, count, metrics.spend());
    }
}

/// Older objectives can still be read, so they still deliver.
fn aim(objective: &str) -> Aim {
    match objective {
        "OUTCOME_SALES" | "CONVERSIONS" | "PRODUCT_CATALOG_SALES" => Aim::Sales,
        "OUTCOME_LEADS" | "LEAD_GENERATION" => Aim::Leads,
        "OUTCOME_ENGAGEMENT" | "POST_ENGAGEMENT" | "PAGE_LIKES" | "MESSAGES" | "VIDEO_VIEWS" => Aim::Engagement,
        "OUTCOME_APP_PROMOTION" | "APP_INSTALLS" => Aim::App,
        "OUTCOME_AWARENESS" | "BRAND_AWARENESS" | "REACH" => Aim::Awareness,
        _ => Aim::Traffic,
    }
}

fn indicator(goal: &str, aim: Aim, on_form: bool) -> Indicator {
    match goal {
        "LINK_CLICKS" => Indicator::LinkClick,
        "LANDING_PAGE_VIEWS" => Indicator::LandingPageView,
        "POST_ENGAGEMENT" | "PAGE_LIKES" | "PROFILE_AND_PAGE_ENGAGEMENT" => Indicator::Engagement,
        "THRUPLAY" => Indicator::ThruPlay,
        "CONVERSATIONS" => Indicator::Message,
        "IMPRESSIONS" | "AD_RECALL_LIFT" => Indicator::Impressions,
        "REACH" => Indicator::Reach,
        "APP_INSTALLS" => Indicator::Install,
        _ => match aim {
            Aim::Sales => Indicator::Purchase,
            Aim::Leads if on_form => Indicator::FormLead,
            Aim::Leads => Indicator::PixelLead,
            Aim::App => Indicator::Install,
            Aim::Engagement => Indicator::Engagement,
            Aim::Awareness => Indicator::Reach,
            Aim::Traffic => Indicator::LinkClick,
        },
    }
}

fn has_video(creative: &Object) -> bool {
    let story = creative.fields.get("object_story_spec");
    let feed = creative.fields.get("asset_feed_spec").and_then(|feed| feed.get("videos")).and_then(Value::as_array);
    creative.fields.contains_key("video_id")
        || story.is_some_and(|story| story.get("video_data").is_some())
        || feed.is_some_and(|videos| !videos.is_empty())
}

/// The windows of an ad set's `attribution_spec`, as `(event type, days)`; Meta's own setting where there is none.
fn windows(ad_set: Option<&Object>) -> Vec<(String, i64)> {
    let spec = ad_set.and_then(|ad_set| ad_set.fields.get("attribution_spec")).and_then(Value::as_array);
    let one = |item: &Value| {
        let days = item.get("window_days").map(crate::params::as_text)?;
        Some((item.get("event_type")?.as_str()?.to_owned(), days.parse().ok()?))
    };
    match spec.filter(|items| !items.is_empty()) {
        Some(items) => items.iter().filter_map(one).collect(),
        None => vec![("CLICK_THROUGH".to_owned(), 7), ("VIEW_THROUGH".to_owned(), 1)],
    }
}

fn counted(ad_set: Option<&Object>) -> [bool; BUCKETS.len()] {
    let windows = windows(ad_set);
    let days =
        |event: &str| windows.iter().filter(|(given, _)| given == event).map(|(_, days)| *days).max().unwrap_or(0);
    let click = days("CLICK_THROUGH");
    BUCKETS.map(|bucket| match bucket {
        Bucket::Click1 => click >= 1,
        Bucket::Click7 => click >= 7,
        Bucket::Click28 => click >= 28,
        Bucket::View1 => days("VIEW_THROUGH") >= 1,
        Bucket::Engaged1 => days("ENGAGED_VIDEO_VIEW") >= 1,
        Bucket::Value => false,
    })
}

/// The attribution setting in the words of insights: `7d_click_1d_view`.
pub(super) fn attribution_setting(ad_set: &Object) -> String {
    let mut words = Vec::new();
    for (event, word) in [("CLICK_THROUGH", "click"), ("VIEW_THROUGH", "view"), ("ENGAGED_VIDEO_VIEW", "ev")] {
        let days = windows(Some(ad_set)).iter().filter(|(given, _)| given == event).map(|(_, days)| *days).max();
        if let Some(days) = days.filter(|days| *days > 0) {
            words.push(format!("{days}d_{word}"));
        }
    }
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ad_set(spec: Value) -> Object {
        let mut object = Object::new(1, Kind::AdSet, 1, jiff::Timestamp::UNIX_EPOCH);
        object.fields.insert("attribution_spec".to_owned(), spec);
        object
    }

    #[test]
    fn the_setting_of_the_ad_set_says_what_counts() {
        let plain = ad_set(json!([]));
        assert_eq!(attribution_setting(&plain), "7d_click_1d_view");
        assert_eq!(counted(Some(&plain)), [true, true, false, true, false]);
        let click = ad_set(json!([{ "event_type": "CLICK_THROUGH", "window_days": 1 }]));
        assert_eq!(attribution_setting(&click), "1d_click");
        assert_eq!(counted(Some(&click)), [true, false, false, false, false]);
        let all = ad_set(json!([
            { "event_type": "CLICK_THROUGH", "window_days": "7" },
            { "event_type": "VIEW_THROUGH", "window_days": 1 },
            { "event_type": "ENGAGED_VIDEO_VIEW", "window_days": 1 },
        ]));
        assert_eq!(attribution_setting(&all), "7d_click_1d_view_1d_ev");
        assert_eq!(counted(Some(&all)), [true, true, false, true, true]);
    }

    #[test]
    fn the_result_follows_the_goal_and_then_the_objective() {
        assert_eq!(indicator("LINK_CLICKS", Aim::Sales, false), Indicator::LinkClick);
        assert_eq!(indicator("OFFSITE_CONVERSIONS", aim("OUTCOME_SALES"), false), Indicator::Purchase);
        assert_eq!(indicator("OFFSITE_CONVERSIONS", aim("OUTCOME_LEADS"), false), Indicator::PixelLead);
        assert_eq!(indicator("LEAD_GENERATION", aim("OUTCOME_LEADS"), true), Indicator::FormLead);
    }
}
