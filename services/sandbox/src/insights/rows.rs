//! Rows as Meta writes them: every number is text, and what is zero is mostly left out.

use serde_json::{Map, Value, json};

use super::collect::Row;
use super::metrics::{Metric, Metrics};
use super::query::Query;
use crate::nodes::budgets::{major, minor_digits};
use crate::state::{Kind, Object, State};

/// Fields that rows have here.
const SHOWN: &str = "account_currency account_id account_name action_values actions ad_id ad_name adset_id adset_name \
    attribution_setting buying_type campaign_id campaign_name clicks conversion_values conversions cost_per_action_type \
    cost_per_inline_link_click cpc cpm cpp created_time ctr date_start date_stop frequency impressions \
    inline_link_click_ctr inline_link_clicks inline_post_engagement objective optimization_goal purchase_roas reach \
    results spend unique_clicks updated_time website_purchase_roas";

/// Fields that Meta knows and that no row has here.
const KNOWN: &str = "ad_click_actions ad_impression_actions age_targeting auction_bid auction_competitiveness \
    auction_max_competitor_bid average_purchases_conversion_value canvas_avg_view_percent canvas_avg_view_time \
    catalog_segment_actions catalog_segment_value catalog_segment_value_mobile_purchase_roas \
    catalog_segment_value_omni_purchase_roas catalog_segment_value_website_purchase_roas conversion_rate_ranking \
    conversion_lead_rate converted_product_quantity converted_product_value cost_per_15_sec_video_view \
    cost_per_2_sec_continuous_video_view cost_per_action_result cost_per_ad_click cost_per_conversion \
    cost_per_conversion_lead cost_per_dda_countby_convs cost_per_estimated_ad_recallers cost_per_inline_post_engagement \
    cost_per_one_thousand_ad_impression cost_per_outbound_click cost_per_result cost_per_thruplay \
    cost_per_unique_action_type cost_per_unique_click cost_per_unique_conversion cost_per_unique_inline_link_click \
    cost_per_unique_outbound_click creative_media_type dda_countby_convs dda_results engagement_rate_ranking \
    estimated_ad_recall_rate estimated_ad_recallers full_view_impressions full_view_reach gender_targeting \
    instagram_profile_visits instant_experience_clicks_to_open instant_experience_clicks_to_start \
    instant_experience_outbound_clicks interactive_component_tap labels landing_page_view_per_link_click location \
    marketing_messages_cost_per_delivered marketing_messages_cost_per_link_btn_click \
    marketing_messages_delivered mobile_app_purchase_roas objective_result_rate objective_results outbound_clicks \
    outbound_clicks_ctr place_page_name product_views qualifying_question_qualify_answer_rate quality_ranking \
    quality_score_ectr quality_score_ecvr quality_score_organic result_rate result_values_performance_indicator \
    shops_assisted_purchases social_spend total_postbacks unique_actions unique_conversions unique_ctr \
    unique_inline_link_click_ctr unique_inline_link_clicks unique_link_clicks_ctr unique_outbound_clicks \
    unique_outbound_clicks_ctr unique_video_continuous_2_sec_watched_actions unique_video_view_15_sec \
    video_15_sec_watched_actions video_30_sec_watched_actions video_avg_time_watched_actions \
    video_continuous_2_sec_watched_actions video_p100_watched_actions video_p25_watched_actions \
    video_p50_watched_actions video_p75_watched_actions video_p95_watched_actions video_play_actions \
    video_play_curve_actions video_play_retention_0_to_15s_actions video_play_retention_20_to_60s_actions \
    video_play_retention_graph_actions video_thruplay_watched_actions video_time_watched_actions \
    video_view_per_impression website_ctr wish_bid";

/// Decimals of rates and costs.
const RATE_DIGITS: usize = 6;

pub(super) fn is_known(name: &str) -> bool {
    SHOWN.split_whitespace().chain(KNOWN.split_whitespace()).any(|known| known == name)
}

/// A row of the answer.
pub(super) fn shown(state: &State, query: &Query, row: &Row) -> Value {
    let mut map = Map::new();
    let object = state.object(row.object);
    for name in &query.fields {
        if let Some(value) = field(state, query, row, object, name) {
            map.insert(name.clone(), value);
        }
    }
    map.insert("date_start".to_owned(), json!(row.range.since.to_string()));
    map.insert("date_stop".to_owned(), json!(row.range.until.to_string()));
    for (breakdown, value) in query.breakdowns.iter().zip(&row.cell) {
        map.insert(breakdown.word().to_owned(), json!(value));
    }
    Value::Object(map)
}

/// The totals over all rows, in the fields that add up.
pub(super) fn summary(state: &State, query: &Query, rows: &[Row]) -> Value {
    let mut metrics = Metrics::default();
    for row in rows {
        metrics.add(&row.metrics);
    }
    let since = query.slices.iter().map(|range| range.since).min();
    let until = query.slices.iter().map(|range| range.until).max();
    let (Some(since), Some(until)) = (since, until) else { return json!({}) };
    let range = super::dates::Range { since, until };
    let row = Row { object: query.account, range, cell: Vec::new(), metrics };
    let mut map = Map::new();
    for name in query.fields.iter().filter(|name| !name.ends_with("_id") && !name.ends_with("_name")) {
        if let Some(value) = field(state, query, &row, None, name) {
            map.insert(name.clone(), value);
        }
    }
    map.insert("date_start".to_owned(), json!(since.to_string()));
    map.insert("date_stop".to_owned(), json!(until.to_string()));
    Value::Object(map)
}

/// Whether a row meets the conditions on numbers.
pub(super) fn passes(query: &Query, row: &Row) -> bool {
    query.filters.iter().filter(|condition| !condition.field.contains('.')).all(|condition| {
        let value = match condition.field.as_str() {
            "impressions" => row.metrics.get(Metric::Impressions),
            "clicks" => row.metrics.get(Metric::Clicks),
            "reach" => row.metrics.reach(row.range.count()),
            "spend" => return condition.meets(&major(row.metrics.spend(), 2)).unwrap_or(true),
            _ => return true,
        };
        condition.meets(&value.to_string()).unwrap_or(true)
    })
}

/// Sorts by one number: `spend_descending`.
pub(super) fn sort(rows: &mut [Row], query: &Query) {
    let Some(sort) = &query.sort else { return };
    let (name, descending) = match (sort.strip_suffix("_descending"), sort.strip_suffix("_ascending")) {
        (Some(name), _) => (name, true),
        (None, Some(name)) => (name, false),
        _ => return,
    };
    let key = |row: &Row| match name {
        "spend" => row.metrics.spend(),
        "impressions" => row.metrics.get(Metric::Impressions),
        "clicks" => row.metrics.get(Metric::Clicks),
        "reach" => row.metrics.reach(row.range.count()),
        _ => 0,
    };
    rows.sort_by_key(key);
    if descending {
        rows.reverse();
    }
}

fn field(state: &State, query: &Query, row: &Row, object: Option<&Object>, name: &str) -> Option<Value> {
    named(state, query, object, name).or_else(|| number(state, query, row, name))
}

/// Ids, names and settings of the object and those above it.
fn named(state: &State, query: &Query, object: Option<&Object>, name: &str) -> Option<Value> {
    let account = state.object(query.account)?;
    let up = |kind: Kind| {
        let object = object?;
        let id = match kind {
            _ if kind == object.kind => Some(object.id),
            Kind::Campaign => object.campaign,
            Kind::AdSet => object.ad_set,
            _ => None,
        };
        id.and_then(|id| state.object(id))
    };
    let id = |object: &Object| json!(object.id.to_string());
    let title = |object: &Object| json!(object.name());
    match name {
        "account_id" => Some(id(account)),
        "account_name" => Some(title(account)),
        "account_currency" => Some(json!(account.text("currency"))),
        "campaign_id" => up(Kind::Campaign).map(id),
        "campaign_name" => up(Kind::Campaign).map(title),
        "adset_id" => up(Kind::AdSet).map(id),
        "adset_name" => up(Kind::AdSet).map(title),
        "ad_id" => up(Kind::Ad).map(id),
        "ad_name" => up(Kind::Ad).map(title),
        "objective" | "buying_type" => up(Kind::Campaign).map(|campaign| json!(campaign.text(name))),
        "optimization_goal" => up(Kind::AdSet).map(|ad_set| json!(ad_set.text(name))),
        "attribution_setting" => up(Kind::AdSet).map(|_| json!("7d_click_1d_view")),
        "created_time" => {
            object.map(|object| json!(crate::state::day(state, query.account, object.created).to_string()))
        }
        "updated_time" => {
            object.map(|object| json!(crate::state::day(state, query.account, object.updated).to_string()))
        }
        _ => None,
    }
}

fn number(state: &State, query: &Query, row: &Row, name: &str) -> Option<Value> {
    let metrics = &row.metrics;
    let digits = minor_digits(state.currency(query.account));
    let (impressions, clicks) = (metrics.get(Metric::Impressions), metrics.get(Metric::Clicks));
    let (link_clicks, reach) = (metrics.get(Metric::LinkClicks), metrics.reach(row.range.count()));
    let spend = metrics.spend();
    let text = |value: i64| Some(json!(value.to_string()));
    let cost = |of: i64| ratio(spend, of.saturating_mul(scale(digits)), 1).map(Value::from);
    match name {
        "impressions" => text(impressions),
        "clicks" => text(clicks),
        "unique_clicks" => text(clicks * 92 / 100),
        "reach" => text(reach),
        "spend" => Some(json!(major(spend, digits))),
        "inline_link_clicks" if link_clicks > 0 => text(link_clicks),
        "inline_post_engagement" if metrics.post_engagement() > 0 => text(metrics.post_engagement()),
        "frequency" => ratio(impressions, reach, 1).map(Value::from),
        "ctr" => ratio(clicks, impressions, 100).map(Value::from),
        "inline_link_click_ctr" => ratio(link_clicks, impressions, 100).map(Value::from),
        "cpc" => cost(clicks),
        "cost_per_inline_link_click" => cost(link_clicks),
        "cpm" => ratio(spend, impressions.saturating_mul(scale(digits)), 1_000).map(Value::from),
        "cpp" => ratio(spend, reach.saturating_mul(scale(digits)), 1_000).map(Value::from),
        "actions" => listed(actions(query, metrics)),
        "action_values" => listed(values(query, metrics, digits)),
        "conversions" => listed(Vec::new()),
        "cost_per_action_type" => listed(
            counts(metrics)
                .into_iter()
                .filter_map(|(word, count)| {
                    Some(json!({ "action_type": word, "value": ratio(spend, count.saturating_mul(scale(digits)), 1)? }))
                })
                .collect(),
        ),
        "purchase_roas" | "website_purchase_roas" => {
            let word = if name == "purchase_roas" { "omni_purchase" } else { "offsite_conversion.fb_pixel_purchase" };
            let value = ratio(metrics.get(Metric::Revenue), spend, 1).filter(|_| metrics.purchases() > 0)?;
            Some(json!([{ "action_type": word, "value": value }]))
        }
        "results" => listed(results(metrics)),
        _ => None,
    }
}

fn results(metrics: &Metrics) -> Vec<Value> {
    let purchases = metrics.purchases();
    if purchases == 0 {
        return Vec::new();
    }
    vec![json!({
        "indicator": "actions:offsite_conversion.fb_pixel_purchase",
        "values": [{ "value": purchases.to_string(), "attribution_windows": ["default"] }],
    })]
}

/// Action types with their counts. They overlap, as Meta's do: page engagement holds post engagement, which holds clicks.
fn counts(metrics: &Metrics) -> Vec<(&'static str, i64)> {
    let get = |metric| metrics.get(metric);
    let all = [
        ("link_click", get(Metric::LinkClicks)),
        ("landing_page_view", get(Metric::LandingPageViews)),
        ("video_view", get(Metric::VideoViews)),
        ("post_reaction", get(Metric::Reactions)),
        ("post_engagement", metrics.post_engagement()),
        ("page_engagement", metrics.post_engagement()),
        ("lead", get(Metric::Leads)),
        ("offsite_conversion.fb_pixel_lead", get(Metric::Leads)),
        ("offsite_conversion.fb_pixel_view_content", get(Metric::ViewContent)),
        ("add_to_cart", get(Metric::AddToCart)),
        ("offsite_conversion.fb_pixel_add_to_cart", get(Metric::AddToCart)),
        ("initiate_checkout", get(Metric::InitiateCheckout)),
        ("offsite_conversion.fb_pixel_initiate_checkout", get(Metric::InitiateCheckout)),
        ("purchase", metrics.purchases()),
        ("omni_purchase", metrics.purchases()),
        ("offsite_conversion.fb_pixel_purchase", metrics.purchases()),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn actions(query: &Query, metrics: &Metrics) -> Vec<Value> {
    if !query.by_action {
        let sum: i64 = counts(metrics).iter().map(|(_, count)| count).sum();
        return if sum == 0 { Vec::new() } else { vec![json!({ "value": sum.to_string() })] };
    }
    let of = |(word, count): (&str, i64)| {
        let mut map = Map::new();
        map.insert("action_type".to_owned(), json!(word));
        map.insert("value".to_owned(), json!(count.to_string()));
        for window in &query.windows {
            let in_window =
                if word.ends_with("purchase") { purchases_in(metrics, window) } else { others_in(count, window) };
            if in_window > 0 {
                map.insert(window.clone(), json!(in_window.to_string()));
            }
        }
        Value::Object(map)
    };
    counts(metrics).into_iter().map(of).collect()
}

/// Purchases within a window; a longer one holds the shorter.
fn purchases_in(metrics: &Metrics, window: &str) -> i64 {
    let (day, week) = (metrics.get(Metric::PurchasesClick1), metrics.get(Metric::PurchasesClick7));
    match window {
        "1d_click" => day,
        "7d_click" => day + week,
        "28d_click" => day + week + metrics.get(Metric::PurchasesClick28),
        "1d_view" => metrics.get(Metric::PurchasesView1),
        "default" => metrics.purchases(),
        _ => 0,
    }
}

/// Clicks and engagement happen at once, so every click window holds all of them.
fn others_in(count: i64, window: &str) -> i64 {
    if matches!(window, "1d_click" | "7d_click" | "28d_click" | "default") { count } else { 0 }
}

fn values(query: &Query, metrics: &Metrics, digits: usize) -> Vec<Value> {
    let (purchases, revenue) = (metrics.purchases(), metrics.get(Metric::Revenue));
    if purchases == 0 {
        return Vec::new();
    }
    let words = ["purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase"];
    let of = |word: &&str| {
        let mut map = Map::new();
        map.insert("action_type".to_owned(), json!(word));
        map.insert("value".to_owned(), json!(major(revenue, digits)));
        for window in &query.windows {
            let count = purchases_in(metrics, window);
            if count > 0 {
                map.insert(window.clone(), json!(major(revenue.saturating_mul(count) / purchases, digits)));
            }
        }
        Value::Object(map)
    };
    words.iter().map(of).collect()
}

fn listed(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

/// `above / below * times` with six decimals; `None` where it cannot be told.
fn ratio(above: i64, below: i64, times: i64) -> Option<String> {
    if below == 0 || above == 0 {
        return None;
    }
    let scaled = i128::from(above) * i128::from(times) * i128::from(scale(RATE_DIGITS)) / i128::from(below);
    let text = major(i64::try_from(scaled).ok()?, RATE_DIGITS);
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

fn scale(digits: usize) -> i64 {
    u32::try_from(digits).map_or(1, |digits| 10_i64.saturating_pow(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_at_most_six_decimals_and_none_for_nothing() {
        assert_eq!(ratio(5_631, 112 * 100, 1).as_deref(), Some("0.502767"));
        assert_eq!(ratio(1, 4, 100).as_deref(), Some("25"));
        assert_eq!(ratio(1, 0, 1), None);
    }

    #[test]
    fn fields_that_meta_knows_are_taken_and_others_are_not() {
        assert!(is_known("spend") && is_known("video_play_actions"));
        assert!(!is_known("foo"));
    }
}
