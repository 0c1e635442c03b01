//! The fields that a row may have, by Meta's names.

use super::action::{ActionKind, Amount, List, Shape};
use super::metrics::{Event, Metric};

/// A field that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Named(Named),
    Number(Number),
    List(List),
    /// How long a video is watched: at so many points, percent of those who began.
    Curve(usize),
    Results(Results),
    /// Where the ad stands among those that it competes with; the number tells the three rankings apart.
    Ranking(u64),
    DateStart,
    DateStop,
    /// Known, and set on no row of the sandbox.
    Absent,
}

/// Ids, names and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    AccountId,
    AccountName,
    AccountCurrency,
    CampaignId,
    CampaignName,
    AdSetId,
    AdSetName,
    AdId,
    AdName,
    Objective,
    BuyingType,
    OptimizationGoal,
    AttributionSetting,
    CreatedTime,
    UpdatedTime,
    AdSetStart,
    AdSetEnd,
}

/// Single numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// Shown even when zero.
    Always(Metric),
    Count(Metric),
    Money(Metric),
    Reach,
    FullViewReach,
    Frequency,
    /// Clicks, cost for each and the like, for all clicks and for different people's.
    Unique(Metric),
    /// Percent of impressions.
    Rate(Metric),
    /// Different people, percent of reach.
    UniqueRate(Metric),
    Cost(Metric),
    UniqueCost(Metric),
    Cpm,
    Cpp,
    PostEngagement,
    CostPerPostEngagement,
    /// Estimates of who remembers the ad, in percent of the estimate: it, and its two bounds.
    Recallers(i64),
    RecallRate(i64),
    CostPerRecaller,
    PerClick(Event, Metric),
    ViewsPerClick,
    ResultRate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    Count,
    Cost,
    Rate,
}

/// Action types that a single list is about.
const OUTBOUND: &[ActionKind] = &[ActionKind::single("outbound_click", Amount::Metric(Metric::OutboundClicks))];
const LINK: &[ActionKind] = &[ActionKind::single("link_click", Amount::Metric(Metric::LinkClicks))];
const OMNI_PURCHASE: &[ActionKind] =
    &[ActionKind::off("omni_purchase", Amount::Worth(Event::Purchase, Event::PurchaseWorth))];
const PIXEL_PURCHASE: &[ActionKind] =
    &[ActionKind::off("offsite_conversion.fb_pixel_purchase", Amount::Worth(Event::Purchase, Event::PurchaseWorth))];
const CATALOG: &[ActionKind] = &[
    ActionKind::off("purchase", Amount::Catalog),
    ActionKind::off("omni_purchase", Amount::Catalog),
    ActionKind::off("offsite_conversion.fb_pixel_purchase", Amount::Catalog),
];
const CATALOG_OMNI: &[ActionKind] = &[ActionKind::off("omni_purchase", Amount::Catalog)];
const CATALOG_PIXEL: &[ActionKind] = &[ActionKind::off("offsite_conversion.fb_pixel_purchase", Amount::Catalog)];

macro_rules! video {
    ($metric:ident) => {
        &[ActionKind::video("video_view", Amount::Metric(Metric::$metric))]
    };
}

const fn list(kinds: &'static [ActionKind], shape: Shape) -> Column {
    Column::List(List { kinds, shape })
}

/// All columns that rows have here.
const COLUMNS: &[(&str, Column)] = &[
    ("account_currency", Column::Named(Named::AccountCurrency)),
    ("account_id", Column::Named(Named::AccountId)),
    ("account_name", Column::Named(Named::AccountName)),
    ("action_values", list(super::action::ALL, Shape::Worth)),
    ("actions", list(super::action::ALL, Shape::Count)),
    ("ad_click_actions", list(LINK, Shape::Count)),
    ("ad_id", Column::Named(Named::AdId)),
    ("ad_name", Column::Named(Named::AdName)),
    ("adset_end", Column::Named(Named::AdSetEnd)),
    ("adset_id", Column::Named(Named::AdSetId)),
    ("adset_name", Column::Named(Named::AdSetName)),
    ("adset_start", Column::Named(Named::AdSetStart)),
    ("attribution_setting", Column::Named(Named::AttributionSetting)),
    ("average_purchases_conversion_value", list(OMNI_PURCHASE, Shape::WorthOfOne)),
    ("buying_type", Column::Named(Named::BuyingType)),
    ("campaign_id", Column::Named(Named::CampaignId)),
    ("campaign_name", Column::Named(Named::CampaignName)),
    ("catalog_segment_actions", list(CATALOG, Shape::Count)),
    ("catalog_segment_value", list(CATALOG, Shape::Worth)),
    ("catalog_segment_value_omni_purchase_roas", list(CATALOG_OMNI, Shape::Return)),
    ("catalog_segment_value_website_purchase_roas", list(CATALOG_PIXEL, Shape::Return)),
    ("clicks", Column::Number(Number::Always(Metric::Clicks))),
    ("conversion_rate_ranking", Column::Ranking(3)),
    ("conversion_values", list(super::action::CONVERSIONS, Shape::Worth)),
    ("conversions", list(super::action::CONVERSIONS, Shape::Count)),
    ("converted_product_quantity", list(CATALOG_OMNI, Shape::Count)),
    ("converted_product_value", list(CATALOG_OMNI, Shape::Worth)),
    ("cost_per_15_sec_video_view", list(video!(Video15), Shape::Cost)),
    ("cost_per_2_sec_continuous_video_view", list(video!(Video2), Shape::Cost)),
    ("cost_per_6_sec_video_view", list(video!(Video6), Shape::Cost)),
    ("cost_per_action_type", list(super::action::ALL, Shape::Cost)),
    ("cost_per_ad_click", list(LINK, Shape::Cost)),
    ("cost_per_conversion", list(super::action::CONVERSIONS, Shape::Cost)),
    ("cost_per_estimated_ad_recallers", Column::Number(Number::CostPerRecaller)),
    ("cost_per_inline_link_click", Column::Number(Number::Cost(Metric::LinkClicks))),
    ("cost_per_inline_post_engagement", Column::Number(Number::CostPerPostEngagement)),
    ("cost_per_objective_result", Column::Results(Results::Cost)),
    ("cost_per_outbound_click", list(OUTBOUND, Shape::Cost)),
    ("cost_per_result", Column::Results(Results::Cost)),
    ("cost_per_thruplay", list(video!(ThruPlays), Shape::Cost)),
    ("cost_per_unique_action_type", list(super::action::ALL, Shape::UniqueCost)),
    ("cost_per_unique_click", Column::Number(Number::UniqueCost(Metric::Clicks))),
    ("cost_per_unique_conversion", list(super::action::CONVERSIONS, Shape::UniqueCost)),
    ("cost_per_unique_inline_link_click", Column::Number(Number::UniqueCost(Metric::LinkClicks))),
    ("cost_per_unique_outbound_click", list(OUTBOUND, Shape::UniqueCost)),
    ("cpc", Column::Number(Number::Cost(Metric::Clicks))),
    ("cpm", Column::Number(Number::Cpm)),
    ("cpp", Column::Number(Number::Cpp)),
    ("created_time", Column::Named(Named::CreatedTime)),
    ("ctr", Column::Number(Number::Rate(Metric::Clicks))),
    ("date_start", Column::DateStart),
    ("date_stop", Column::DateStop),
    ("engagement_rate_ranking", Column::Ranking(2)),
    ("estimated_ad_recall_rate", Column::Number(Number::RecallRate(100))),
    ("estimated_ad_recall_rate_lower_bound", Column::Number(Number::RecallRate(80))),
    ("estimated_ad_recall_rate_upper_bound", Column::Number(Number::RecallRate(120))),
    ("estimated_ad_recallers", Column::Number(Number::Recallers(100))),
    ("estimated_ad_recallers_lower_bound", Column::Number(Number::Recallers(80))),
    ("estimated_ad_recallers_upper_bound", Column::Number(Number::Recallers(120))),
    ("frequency", Column::Number(Number::Frequency)),
    ("full_view_impressions", Column::Number(Number::Count(Metric::FullViews))),
    ("full_view_reach", Column::Number(Number::FullViewReach)),
    ("impressions", Column::Number(Number::Always(Metric::Impressions))),
    ("inline_link_click_ctr", Column::Number(Number::Rate(Metric::LinkClicks))),
    ("inline_link_clicks", Column::Number(Number::Count(Metric::LinkClicks))),
    ("inline_post_engagement", Column::Number(Number::PostEngagement)),
    ("landing_page_view_per_link_click", Column::Number(Number::ViewsPerClick)),
    ("objective", Column::Named(Named::Objective)),
    ("objective_result_rate", Column::Results(Results::Rate)),
    ("objective_results", Column::Results(Results::Count)),
    ("optimization_goal", Column::Named(Named::OptimizationGoal)),
    ("outbound_clicks", list(OUTBOUND, Shape::Count)),
    ("outbound_clicks_ctr", list(OUTBOUND, Shape::Rate)),
    ("purchase_per_landing_page_view", Column::Number(Number::PerClick(Event::Purchase, Metric::LandingPageViews))),
    ("purchase_roas", list(OMNI_PURCHASE, Shape::Return)),
    ("purchases_per_link_click", Column::Number(Number::PerClick(Event::Purchase, Metric::LinkClicks))),
    ("quality_ranking", Column::Ranking(1)),
    ("reach", Column::Number(Number::Reach)),
    ("result_rate", Column::Number(Number::ResultRate)),
    ("results", Column::Results(Results::Count)),
    ("social_spend", Column::Number(Number::Money(Metric::SocialSpend))),
    ("spend", Column::Number(Number::Money(Metric::Spend))),
    ("unique_actions", list(super::action::ALL, Shape::Unique)),
    ("unique_clicks", Column::Number(Number::Unique(Metric::Clicks))),
    ("unique_conversions", list(super::action::CONVERSIONS, Shape::Unique)),
    ("unique_ctr", Column::Number(Number::UniqueRate(Metric::Clicks))),
    ("unique_inline_link_click_ctr", Column::Number(Number::UniqueRate(Metric::LinkClicks))),
    ("unique_inline_link_clicks", Column::Number(Number::Unique(Metric::LinkClicks))),
    ("unique_link_clicks_ctr", Column::Number(Number::UniqueRate(Metric::LinkClicks))),
    ("unique_outbound_clicks", list(OUTBOUND, Shape::Unique)),
    ("unique_outbound_clicks_ctr", list(OUTBOUND, Shape::UniqueRate)),
    ("unique_video_continuous_2_sec_watched_actions", list(video!(Video2), Shape::Unique)),
    ("unique_video_view_15_sec", list(video!(Video15), Shape::Unique)),
    ("updated_time", Column::Named(Named::UpdatedTime)),
    ("video_15_sec_watched_actions", list(video!(Video15), Shape::Count)),
    ("video_30_sec_watched_actions", list(video!(Video30), Shape::Count)),
    ("video_6_sec_watched_actions", list(video!(Video6), Shape::Count)),
    ("video_avg_time_watched_actions", list(video!(WatchSeconds), Shape::ForEachPlay)),
    ("video_continuous_2_sec_watched_actions", list(video!(Video2), Shape::Count)),
    ("video_p100_watched_actions", list(video!(VideoP100), Shape::Count)),
    ("video_p25_watched_actions", list(video!(VideoP25), Shape::Count)),
    ("video_p50_watched_actions", list(video!(VideoP50), Shape::Count)),
    ("video_p75_watched_actions", list(video!(VideoP75), Shape::Count)),
    ("video_p95_watched_actions", list(video!(VideoP95), Shape::Count)),
    ("video_play_actions", list(video!(VideoPlays), Shape::Count)),
    ("video_play_curve_actions", Column::Curve(22)),
    ("video_play_retention_0_to_15s_actions", Column::Curve(15)),
    ("video_play_retention_20_to_60s_actions", Column::Curve(9)),
    ("video_play_retention_graph_actions", Column::Curve(31)),
    ("video_thruplay_watched_actions", list(video!(ThruPlays), Shape::Count)),
    ("video_time_watched_actions", list(video!(WatchSeconds), Shape::Count)),
    ("video_view_per_impression", list(video!(VideoViews), Shape::Rate)),
    ("website_ctr", list(LINK, Shape::Rate)),
    ("website_purchase_roas", list(PIXEL_PURCHASE, Shape::Return)),
];

/// Fields that Meta knows and that no row has here: of canvases, apps, messages, experiments, or inner workings.
const ABSENT: &str = "ad_impression_actions advanced_actions_28d_view advanced_reach_1d_lookback \
    advanced_reach_28d_lookback advanced_reach_7d_lookback age_targeting aggregated_play_time_per_reach \
    anchor_event_attribution_setting anchor_events_performance_indicator auction_bid auction_competitiveness \
    auction_max_competitor_bid canvas_avg_view_percent canvas_avg_view_time canvas_component_avg_pct_view \
    catalog_segment_value_mobile_purchase_roas conversion_lead_rate conversion_leads cost_per_action_result \
    cost_per_conversion_lead cost_per_dda_countby_convs cost_per_message_delivered cost_per_mmp_credited_install \
    cost_per_one_thousand_ad_impression creative_diversity_data creative_diversity_label creative_diversity_score \
    creative_fatigue_summary creative_fatigued_ads creative_media_type dda_countby_convs dda_results gender_targeting \
    instagram_profile_follow instagram_profile_visits instagram_upcoming_event_reminders_set \
    instant_experience_clicks_to_open instant_experience_clicks_to_start instant_experience_outbound_clicks \
    interactive_component_tap labels landing_page_view_actions_per_link_click landing_page_view_per_purchase_rate \
    link_clicks_per_results location messages_delivered messages_delivered_ctr mmp_credited_install \
    mobile_app_purchase_roas msa_seller_budget multi_event_conversion_attribution_setting \
    onsite_conversion_messaging_detected_purchase_deduped opportunity_score_l4 place_page_name \
    playable_average_game_length playable_game_start_rate product_group_retailer_id product_retailer_id product_views \
    qualifying_question_qualify_answer_rate quality_score_ectr quality_score_ecvr quality_score_organic read_rate \
    result_values_performance_indicator shop_clicks shops_assisted_purchases total_card_view total_postbacks \
    total_postbacks_detailed total_postbacks_detailed_v4 wish_bid";

/// Families of further names that are known and absent.
const ABSENT_FAMILIES: &[&str] =
    &["configurable_", "converted_product_", "converted_promoted_product_", "marketing_messages_"];

/// Fields that stand in no row that is broken down (Meta, 'Insights: breakdowns', "Limitations").
const NEVER_BROKEN_DOWN: &[&str] =
    &["app_store_clicks", "newsfeed_avg_position", "newsfeed_clicks", "newsfeed_impressions", "relevance_score"];

pub(super) fn column(name: &str) -> Option<Column> {
    if let Some((_, column)) = COLUMNS.iter().find(|(known, _)| *known == name) {
        return Some(*column);
    }
    let known = ABSENT.split_whitespace().any(|known| known == name)
        || NEVER_BROKEN_DOWN.contains(&name)
        || ABSENT_FAMILIES.iter().any(|family| name.starts_with(family));
    known.then_some(Column::Absent)
}

pub(super) fn is_never_broken_down(name: &str) -> bool {
    NEVER_BROKEN_DOWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_meta_knows_are_taken_and_others_are_not() {
        assert_eq!(column("spend"), Some(Column::Number(Number::Money(Metric::Spend))));
        assert_eq!(column("canvas_avg_view_time"), Some(Column::Absent));
        assert_eq!(column("marketing_messages_sent"), Some(Column::Absent));
        assert_eq!(column("foo"), None);
    }

    #[test]
    fn no_field_stands_there_twice() {
        for (at, (name, _)) in COLUMNS.iter().enumerate() {
            assert!(COLUMNS.iter().skip(at + 1).all(|(other, _)| other != name), "{name}");
            assert!(ABSENT.split_whitespace().all(|other| other != *name), "{name}");
        }
    }
}
