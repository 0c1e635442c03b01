//! Meta's words for queries, with what our rules must know of each.
//!
//! Learnt from the insights reference of v26 and its page on breakdowns. Words that Meta adds later are let in by a
//! setting of the insights service, so a table that is behind stops nobody for long.

/// How a metric's values look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A whole number.
    Count,
    /// A decimal number without a unit.
    Ratio,
    /// An amount in major units of the account's currency.
    Money,
    /// Text.
    Text,
    /// Counts by action type.
    Actions,
    /// Amounts by action type.
    ActionMoney,
    /// Ratios by action type.
    ActionRatios,
    /// Meta's own structure.
    Json,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As Meta spells it.
    pub name: &'static str,
    /// How its values look.
    pub shape: Shape,
    /// Whether its values may be added up over rows: not people reached, not ratios.
    pub additive: bool,
}

/// Whether values of this shape are sums at all, before the metric's own exceptions.
const fn sums(shape: Shape) -> bool {
    matches!(shape, Shape::Count | Shape::Money | Shape::Actions | Shape::ActionMoney)
}

const fn metric(name: &'static str, shape: Shape) -> Metric {
    Metric { name, shape, additive: sums(shape) }
}

/// A count of people, or a cost per something: the shape of a sum, but never one.
const fn apart(name: &'static str, shape: Shape) -> Metric {
    Metric { name, shape, additive: false }
}

/// Every metric that a query may ask for, sorted by name. Ids and names of objects are not metrics: rows always have them.
pub const METRICS: &[Metric] = &[
    metric("account_currency", Shape::Text),
    metric("action_values", Shape::ActionMoney),
    metric("actions", Shape::Actions),
    metric("ad_click_actions", Shape::Actions),
    metric("ad_impression_actions", Shape::Actions),
    metric("attribution_setting", Shape::Text),
    metric("auction_bid", Shape::Ratio),
    metric("auction_competitiveness", Shape::Ratio),
    metric("auction_max_competitor_bid", Shape::Ratio),
    apart("average_purchases_conversion_value", Shape::ActionMoney),
    metric("buying_type", Shape::Text),
    metric("canvas_avg_view_percent", Shape::Ratio),
    metric("canvas_avg_view_time", Shape::Ratio),
    metric("catalog_segment_actions", Shape::Actions),
    metric("catalog_segment_value", Shape::ActionMoney),
    metric("catalog_segment_value_mobile_purchase_roas", Shape::ActionRatios),
    metric("catalog_segment_value_omni_purchase_roas", Shape::ActionRatios),
    metric("catalog_segment_value_website_purchase_roas", Shape::ActionRatios),
    metric("clicks", Shape::Count),
    metric("conversion_lead_rate", Shape::ActionRatios),
    metric("conversion_leads", Shape::Actions),
    metric("conversion_rate_ranking", Shape::Text),
    metric("conversion_values", Shape::ActionMoney),
    metric("conversions", Shape::Actions),
    metric("converted_product_quantity", Shape::Actions),
    metric("converted_product_value", Shape::ActionMoney),
    apart("cost_per_15_sec_video_view", Shape::ActionMoney),
    apart("cost_per_2_sec_continuous_video_view", Shape::ActionMoney),
    apart("cost_per_action_type", Shape::ActionMoney),
    apart("cost_per_ad_click", Shape::ActionMoney),
    apart("cost_per_conversion", Shape::ActionMoney),
    apart("cost_per_conversion_lead", Shape::ActionMoney),
    apart("cost_per_estimated_ad_recallers", Shape::Money),
    apart("cost_per_inline_link_click", Shape::Money),
    apart("cost_per_inline_post_engagement", Shape::Money),
    metric("cost_per_objective_result", Shape::Json),
    apart("cost_per_outbound_click", Shape::ActionMoney),
    metric("cost_per_result", Shape::Json),
    apart("cost_per_thruplay", Shape::ActionMoney),
    apart("cost_per_unique_action_type", Shape::ActionMoney),
    apart("cost_per_unique_click", Shape::Money),
    apart("cost_per_unique_conversion", Shape::ActionMoney),
    apart("cost_per_unique_inline_link_click", Shape::Money),
    apart("cost_per_unique_outbound_click", Shape::ActionMoney),
    apart("cpc", Shape::Money),
    apart("cpm", Shape::Money),
    apart("cpp", Shape::Money),
    metric("created_time", Shape::Text),
    metric("creative_media_type", Shape::Text),
    metric("ctr", Shape::Ratio),
    metric("engagement_rate_ranking", Shape::Text),
    metric("estimated_ad_recall_rate", Shape::Ratio),
    apart("estimated_ad_recallers", Shape::Count),
    metric("frequency", Shape::Ratio),
    metric("full_view_impressions", Shape::Count),
    apart("full_view_reach", Shape::Count),
    metric("impressions", Shape::Count),
    metric("inline_link_click_ctr", Shape::Ratio),
    metric("inline_link_clicks", Shape::Count),
    metric("inline_post_engagement", Shape::Count),
    metric("instagram_profile_visits", Shape::Count),
    metric("instant_experience_clicks_to_open", Shape::Count),
    metric("instant_experience_clicks_to_start", Shape::Count),
    metric("instant_experience_outbound_clicks", Shape::Actions),
    metric("interactive_component_tap", Shape::Actions),
    metric("landing_page_view_per_link_click", Shape::Ratio),
    metric("mobile_app_purchase_roas", Shape::ActionRatios),
    metric("objective", Shape::Text),
    metric("objective_result_rate", Shape::Json),
    metric("objective_results", Shape::Json),
    metric("optimization_goal", Shape::Text),
    metric("outbound_clicks", Shape::Actions),
    metric("outbound_clicks_ctr", Shape::ActionRatios),
    metric("purchase_per_landing_page_view", Shape::Ratio),
    metric("purchase_roas", Shape::ActionRatios),
    metric("purchases_per_link_click", Shape::Ratio),
    metric("qualifying_question_qualify_answer_rate", Shape::Ratio),
    metric("quality_ranking", Shape::Text),
    apart("reach", Shape::Count),
    metric("result_rate", Shape::Json),
    metric("result_values_performance_indicator", Shape::Text),
    metric("results", Shape::Json),
    metric("shops_assisted_purchases", Shape::Count),
    metric("social_spend", Shape::Money),
    metric("spend", Shape::Money),
    apart("unique_actions", Shape::Actions),
    apart("unique_clicks", Shape::Count),
    apart("unique_conversions", Shape::Actions),
    metric("unique_ctr", Shape::Ratio),
    metric("unique_inline_link_click_ctr", Shape::Ratio),
    apart("unique_inline_link_clicks", Shape::Count),
    metric("unique_link_clicks_ctr", Shape::Ratio),
    apart("unique_outbound_clicks", Shape::Actions),
    metric("unique_outbound_clicks_ctr", Shape::ActionRatios),
    metric("updated_time", Shape::Text),
    metric("video_15_sec_watched_actions", Shape::Actions),
    metric("video_30_sec_watched_actions", Shape::Actions),
    apart("video_avg_time_watched_actions", Shape::Actions),
    metric("video_continuous_2_sec_watched_actions", Shape::Actions),
    metric("video_p100_watched_actions", Shape::Actions),
    metric("video_p25_watched_actions", Shape::Actions),
    metric("video_p50_watched_actions", Shape::Actions),
    metric("video_p75_watched_actions", Shape::Actions),
    metric("video_p95_watched_actions", Shape::Actions),
    metric("video_play_actions", Shape::Actions),
    metric("video_play_curve_actions", Shape::Json),
    metric("video_thruplay_watched_actions", Shape::Actions),
    metric("video_time_watched_actions", Shape::Actions),
    metric("video_view_per_impression", Shape::ActionRatios),
    metric("website_ctr", Shape::ActionRatios),
    metric("website_purchase_roas", Shape::ActionRatios),
];

/// What rows always have, so that a caller who asks for it gets it without a complaint.
pub const ALWAYS: &[&str] = &[
    "account_id",
    "account_name",
    "ad_id",
    "ad_name",
    "adset_id",
    "adset_name",
    "campaign_id",
    "campaign_name",
    "date_start",
    "date_stop",
];

/// Metrics that Meta refuses or ignores by now, and what to use instead.
pub const METRICS_RETIRED: &[(&str, &str)] = &[
    ("app_store_clicks", "use `actions`"),
    ("newsfeed_avg_position", "Meta has no successor"),
    ("newsfeed_clicks", "use the breakdown `platform_position`"),
    ("newsfeed_impressions", "use the breakdown `platform_position`"),
    ("relevance_score", "use `quality_ranking`, `engagement_rate_ranking` and `conversion_rate_ranking`"),
];

/// Every breakdown that a query may ask for, sorted.
pub const BREAKDOWNS: &[&str] = &[
    "ad_format_asset",
    "age",
    "app_id",
    "body_asset",
    "call_to_action_asset",
    "country",
    "description_asset",
    "device_platform",
    "gender",
    "hourly_stats_aggregated_by_advertiser_time_zone",
    "hourly_stats_aggregated_by_audience_time_zone",
    "image_asset",
    "impression_device",
    "link_url_asset",
    "media_type",
    "place_page_id",
    "platform_position",
    "product_id",
    "publisher_platform",
    "region",
    "skan_campaign_id",
    "skan_conversion_id",
    "title_asset",
    "user_segment_key",
    "video_asset",
];

/// Breakdowns that Meta refuses by now, and what to use instead.
pub const BREAKDOWNS_RETIRED: &[(&str, &str)] = &[
    ("comscore_market", "use `region`"),
    ("dma", "use `region`"),
    ("frequency_value", "Meta gives it with `reach` alone, and our rows always have their spend"),
];

/// Breakdowns by an asset of the creative. One delivery counts for each of its assets, so rows do not add up.
pub const ASSETS: &[&str] = &[
    "ad_format_asset",
    "body_asset",
    "call_to_action_asset",
    "description_asset",
    "image_asset",
    "link_url_asset",
    "title_asset",
    "video_asset",
];

/// All that Meta gives with an asset breakdown.
pub const ASSET_METRICS: &[&str] = &["action_values", "actions", "clicks", "impressions", "reach", "spend"];

/// Breakdowns by the hour of the day. Nothing about people comes with them, for a person has many hours.
pub const HOURLY: &[&str] =
    &["hourly_stats_aggregated_by_advertiser_time_zone", "hourly_stats_aggregated_by_audience_time_zone"];

/// Other breakdowns whose rows count one delivery several times or leave some out.
pub const NOT_ADDITIVE: &[&str] =
    &["place_page_id", "product_id", "skan_campaign_id", "skan_conversion_id", "user_segment_key"];

/// Every way to split actions, sorted.
pub const ACTION_BREAKDOWNS: &[&str] = &[
    "action_canvas_component_name",
    "action_carousel_card_id",
    "action_carousel_card_name",
    "action_converted_product_id",
    "action_destination",
    "action_device",
    "action_reaction",
    "action_target_id",
    "action_type",
    "action_video_sound",
    "action_video_type",
    "conversion_destination",
    "is_business_ai_assisted",
    "matched_persona_id",
    "matched_persona_name",
    "signal_source_bucket",
    "standard_event_content_type",
];

/// Action breakdowns that go with any permitted set marked so in [`PERMITTED`].
pub const ACTION_ANYWHERE: &[&str] = &["action_destination", "action_target_id", "action_type"];

/// Sets of breakdowns and action breakdowns that Meta answers, each sorted; `true` where [`ACTION_ANYWHERE`] may be
/// added. Asset breakdowns, which go alone or with age and gender, and single breakdowns that the page does not list,
/// which go alone, are rules of the insights service.
pub const PERMITTED: &[(&[&str], bool)] = &[
    (&[], true),
    (&["action_device"], true),
    (&["action_device", "impression_device"], true),
    (&["action_device", "publisher_platform"], true),
    (&["action_device", "impression_device", "publisher_platform"], true),
    (&["action_device", "platform_position", "publisher_platform"], true),
    (&["action_device", "impression_device", "platform_position", "publisher_platform"], true),
    (&["action_reaction"], false),
    (&["action_reaction", "action_type"], false),
    (&["age"], true),
    (&["age", "country"], true),
    (&["age", "gender"], true),
    (&["app_id", "skan_conversion_id"], false),
    (&["country"], true),
    (&["country", "gender"], true),
    (&["device_platform"], true),
    (&["device_platform", "publisher_platform"], true),
    (&["device_platform", "platform_position", "publisher_platform"], true),
    (&["gender"], true),
    (&["hourly_stats_aggregated_by_advertiser_time_zone"], true),
    (&["hourly_stats_aggregated_by_audience_time_zone"], true),
    (&["impression_device"], true),
    (&["platform_position", "publisher_platform"], true),
    (&["impression_device", "platform_position", "publisher_platform"], true),
    (&["product_id"], true),
    (&["publisher_platform"], true),
    (&["impression_device", "publisher_platform"], true),
    (&["region"], true),
    (&["action_carousel_card_id"], false),
    (&["action_carousel_card_id", "impression_device"], false),
    (&["action_carousel_card_id", "country"], false),
    (&["action_carousel_card_id", "age"], false),
    (&["action_carousel_card_id", "gender"], false),
    (&["action_carousel_card_id", "age", "gender"], false),
    (&["action_carousel_card_name"], false),
    (&["action_carousel_card_name", "impression_device"], false),
    (&["action_carousel_card_name", "country"], false),
    (&["action_carousel_card_name", "age"], false),
    (&["action_carousel_card_name", "gender"], false),
    (&["action_carousel_card_name", "age", "gender"], false),
    (&["action_converted_product_id"], false),
    (&["action_converted_product_id", "action_type"], false),
];

/// Every attribution window that Meta still answers, sorted.
pub const ATTRIBUTION_WINDOWS: &[&str] =
    &["1d_click", "1d_ev", "1d_view", "28d_click", "7d_click", "dda", "default", "incrementality"];

/// Attribution windows that are gone, and what to use instead.
pub const ATTRIBUTION_WINDOWS_RETIRED: &[(&str, &str)] = &[("28d_view", "use `1d_view`"), ("7d_view", "use `1d_view`")];

/// Every period that has a name, sorted. `last_…d` leaves today out.
pub const DATE_PRESETS: &[&str] = &[
    "last_14d",
    "last_28d",
    "last_30d",
    "last_3d",
    "last_7d",
    "last_90d",
    "last_month",
    "last_quarter",
    "last_week_mon_sun",
    "last_week_sun_sat",
    "last_year",
    "maximum",
    "this_month",
    "this_quarter",
    "this_week_mon_today",
    "this_week_sun_today",
    "this_year",
    "today",
    "yesterday",
];

/// Periods that are gone, and what to use instead.
pub const DATE_PRESETS_RETIRED: &[(&str, &str)] = &[("data_maximum", "use `maximum`"), ("lifetime", "use `maximum`")];

/// Operators that compare with one number.
pub const OPERATORS_NUMBER: &[&str] = &["GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"];

/// Operators that take a list.
pub const OPERATORS_LIST: &[&str] = &[
    "ALL",
    "ANY",
    "CONTAINS_ALL",
    "CONTAINS_ANY",
    "IN",
    "IN_RANGE",
    "NONE",
    "NOT_CONTAINS_ANY",
    "NOT_IN",
    "NOT_IN_RANGE",
];

/// Operators that take one text.
pub const OPERATORS_TEXT: &[&str] = &[
    "AFTER",
    "BEFORE",
    "CONTAIN",
    "ENDS_WITH",
    "EQUAL",
    "NOT_CONTAIN",
    "NOT_EQUAL",
    "ON_OR_AFTER",
    "ON_OR_BEFORE",
    "STARTS_WITH",
    "STEM_MATCH",
];

/// How far back Meta answers totals, in months; before it error 3018.
pub const MONTHS_KEPT: i32 = 37;

/// How far back Meta answers metrics about people and hours, in months.
pub const MONTHS_KEPT_UNIQUE: i32 = 13;

/// After so many days Meta no longer restates a day's numbers.
pub const DAYS_TO_FINAL: i32 = 28;

/// Whether a metric counts people, so that hours have none of it and old days neither.
pub fn counts_people(metric: &str) -> bool {
    matches!(metric, "reach" | "frequency" | "cpp") || metric.starts_with("unique_") || metric.contains("_unique_")
}

/// The metric of this name, where the table has it.
pub fn metric_named(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_hold_nothing_twice() {
        let names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        for table in [&names[..], BREAKDOWNS, ACTION_BREAKDOWNS, ATTRIBUTION_WINDOWS, DATE_PRESETS] {
            assert!(table.windows(2).all(|pair| pair[0] < pair[1]), "{table:?}");
        }
        for (set, _) in PERMITTED {
            assert!(set.windows(2).all(|pair| pair[0] < pair[1]), "{set:?}");
        }
    }

    #[test]
    fn every_permitted_set_is_made_of_known_words() {
        for (set, _) in PERMITTED {
            for word in *set {
                assert!(BREAKDOWNS.contains(word) || ACTION_BREAKDOWNS.contains(word), "{word}");
            }
        }
    }

    #[test]
    fn people_are_never_added_up() {
        assert!(METRICS.iter().filter(|metric| counts_people(metric.name)).all(|metric| !metric.additive));
    }
}
