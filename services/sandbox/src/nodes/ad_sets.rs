//! Ad sets.

pub(crate) mod learning;
mod rules;
mod schedule;

use serde_json::{Map, Value, json};

use super::{advice, budgets, campaigns, ceilings, goals, labels, lifecycle, write};
use crate::error::Refusal;
use crate::insights;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, iso, settle_delivery};
use rules::Draft;

pub(crate) const FIELDS: &str = "account_id adlabels adset_schedule anchor_event_attribution_window_days asset_feed_id \
    attribution_count_type attribution_spec automatic_manual_state bid_adjustments bid_amount bid_constraints \
    bid_info bid_strategy billing_event brand_safety_config budget_remaining campaign campaign_active_time \
    campaign_attribution campaign_id configured_status created_time creative_diversity_label \
    creative_diversity_score creative_sequence creative_sequence_repetition_pattern daily_budget \
    daily_min_spend_target daily_spend_cap destination_type dsa_beneficiary dsa_payor effective_status \
    end_time existing_customer_budget_percentage frequency_control_specs full_funnel_exploration_mode id \
    instagram_user_id is_ba_skip_delayed_eligible is_budget_schedule_enabled is_dynamic_creative \
    is_incremental_attribution_enabled is_organic_ad_joint_optimized issues_info learning_stage_info \
    lifetime_budget lifetime_imps lifetime_min_spend_target lifetime_spend_cap low_creative_reach \
    max_budget_spend_percentage min_budget_spend_percentage multi_event_conversion_attribution_window_seconds \
    multi_optimization_goal_weight name optimization_goal optimization_sub_event pacing_type \
    placement_soft_opt_out promoted_object recommendations recurring_budget_semantics \
    regional_regulated_categories regional_regulation_identities review_feedback rf_prediction_id \
    source_adset source_adset_id special_ad_categories start_time status targeting \
    targeting_optimization_types time_based_ad_rotation_id_blocks time_based_ad_rotation_intervals \
    trending_topics_spec tune_for_category updated_time use_new_app_click value_rule_set_id \
    value_rules_applied";

const PARAMS: &[Row] = &[
    ("name", Form::Text),
    (
        "billing_event",
        Form::Word(&[
            "IMPRESSIONS",
            "LINK_CLICKS",
            "THRUPLAY",
            "PAGE_LIKES",
            "POST_ENGAGEMENT",
            "APP_INSTALLS",
            "CLICKS",
            "OFFER_CLAIMS",
            "NONE",
            "PURCHASE",
            "LISTING_INTERACTION",
        ]),
    ),
    ("optimization_goal", Form::Word(goals::GOALS)),
    ("destination_type", Form::Word(goals::DESTINATIONS)),
    ("daily_budget", Form::Money),
    ("lifetime_budget", Form::Money),
    ("daily_min_spend_target", Form::Money),
    ("daily_spend_cap", Form::Money),
    ("lifetime_min_spend_target", Form::Money),
    ("lifetime_spend_cap", Form::Money),
    ("bid_strategy", Form::Word(campaigns::BID_STRATEGIES)),
    ("bid_amount", Form::Integer),
    ("bid_constraints", Form::Object),
    ("targeting", Form::Object),
    ("promoted_object", Form::Object),
    ("attribution_spec", Form::List),
    ("pacing_type", Form::List),
    ("adset_schedule", Form::List),
    ("frequency_control_specs", Form::List),
    ("start_time", Form::Time),
    ("end_time", Form::Time),
    ("is_dynamic_creative", Form::Boolean),
    ("is_incremental_attribution_enabled", Form::Boolean),
    ("dsa_beneficiary", Form::Text),
    ("dsa_payor", Form::Text),
    ("placement_soft_opt_out", Form::Object),
    ("regional_regulated_categories", Form::List),
    ("regional_regulation_identities", Form::Object),
];

pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    for name in ["name", "campaign_id", "billing_event", "optimization_goal", "targeting"] {
        call.params.required(name)?;
    }
    let campaign_id = write::required_id(&call.params, "campaign_id")?;
    let campaign = state
        .of_kind(campaign_id, Kind::Campaign)
        .filter(|campaign| campaign.account == account)
        .ok_or_else(|| Refusal::invalid("Invalid parameter: campaign_id does not exist").blame(&["campaign_id"]))?
        .clone();
    lifecycle::takes_children(&campaign)?;
    ceilings::ad_sets(state, &campaign)?;
    let status = lifecycle::initial(&state.settings, &call.params)?;
    let mut touched: Vec<String> = fields.keys().cloned().collect();
    touched.push("campaign_id".to_owned());
    let mut fields = Draft { state, call, campaign: &campaign, fields, touched, created: call.now }.settled()?;
    if !budgets::any(&campaign.fields) && !budgets::any(&fields) {
        return Err(no_budget());
    }
    let labels = labels::read(state, call, account)?;
    if only {
        return Ok(write::validated_with(call, &advice::of_ad_set(&fields)));
    }
    let goal = call.params.text("optimization_goal").unwrap_or_default();
    fields.entry("destination_type").or_insert_with(|| json!("UNDEFINED"));
    if !budgets::any(&campaign.fields) {
        // A bid without a strategy has meant a cap since before there were strategies.
        let usual = if fields.get("bid_amount").is_some_and(|amount| *amount != 0) {
            "LOWEST_COST_WITH_BID_CAP"
        } else {
            "LOWEST_COST_WITHOUT_CAP"
        };
        fields.entry("bid_strategy").or_insert_with(|| json!(usual));
    }
    let is_incremental = fields.get("is_incremental_attribution_enabled").is_some_and(|value| *value == true);
    if !is_incremental {
        fields.entry("attribution_spec").or_insert_with(|| attribution(&goal));
    }
    let mut ad_set = Object::new(state.fresh_id(), Kind::AdSet, account, call.now);
    ad_set.status = status;
    ad_set.campaign = Some(campaign_id);
    ad_set.fields = fields;
    ad_set.labels = labels.made(state, account, call.now);
    let id = ad_set.id;
    write::keep(state, ad_set);
    write::created(state, call, id)
}

fn no_budget() -> Refusal {
    let advice = "Set a budget on the campaign or on the ad set.";
    Refusal::rule(1_885_621, "Budget missing", advice, &["daily_budget"])
}

/// The attribution that Meta sets where none is given.
fn attribution(goal: &str) -> Value {
    if goals::counts_conversions(goal) {
        json!([{ "event_type": "CLICK_THROUGH", "window_days": 7 }, { "event_type": "VIEW_THROUGH", "window_days": 1 }])
    } else {
        json!([{ "event_type": "CLICK_THROUGH", "window_days": 1 }])
    }
}

pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let status = lifecycle::next(old, &call.params)?;
    ceilings::archived(state, old, status)?;
    let given = spec::read(state, old.account, PARAMS, &call.params, call.now)?;
    let campaign = old.campaign.and_then(|id| state.object(id)).cloned();
    let moved = call.params.text("campaign_id").is_some_and(|id| old.campaign.is_none_or(|own| own.to_string() != id));
    if moved {
        return Err(Refusal::invalid("The campaign of an ad set cannot be changed").blame(&["campaign_id"]));
    }
    let mut ad_set = old.clone();
    budgets::given(&given, "daily_budget").and_then(|_| ad_set.fields.remove("lifetime_budget"));
    budgets::given(&given, "lifetime_budget").and_then(|_| ad_set.fields.remove("daily_budget"));
    if given.contains_key("daily_budget") || given.contains_key("lifetime_budget") {
        let most = state.settings.limits.ad_set_budget_changes_an_hour;
        budgets::note_change(&mut ad_set, most, call.now)?;
    }
    changeable(state, call, old, &given)?;
    lifecycle::running(old, "end_time", &given, status, call.now)?;
    if given.get("bid_strategy").is_some_and(|strategy| strategy == "LOWEST_COST_WITHOUT_CAP")
        && !given.contains_key("bid_amount")
    {
        ad_set.fields.remove("bid_amount");
    }
    let touched: Vec<String> = given.keys().cloned().collect();
    ad_set.fields.extend(given);
    if let Some(campaign) = &campaign {
        let fields = std::mem::take(&mut ad_set.fields);
        ad_set.fields = Draft { state, call, campaign, fields, touched, created: old.created }.settled()?;
        if budgets::any(&old.fields) && !budgets::any(&ad_set.fields) && !budgets::any(&campaign.fields) {
            return Err(no_budget());
        }
    }
    if learning::is_significant(&old.fields, &ad_set.fields) {
        ad_set.fields.insert(learning::EDITED.to_owned(), json!(call.now.as_second()));
    }
    let labels = labels::read(state, call, old.account)?;
    if only {
        return Ok(write::validated_with(call, &advice::of_ad_set(&ad_set.fields)));
    }
    if call.params.has("adlabels") {
        ad_set.labels = labels.made(state, old.account, call.now);
    }
    ad_set.updated = call.now;
    write::keep(state, ad_set);
    if let Some(status) = status {
        lifecycle::set(state, old.id, status, call.now);
    }
    settle_delivery(state, old.id, call.now);
    write::updated(state, call, old.id)
}

/// Fails where a field may not be changed any more: never, once ads were published, or below what was spent.
fn changeable(state: &State, call: &Call, old: &Object, given: &Map<String, Value>) -> Result<(), Refusal> {
    let published = || {
        let ads = state.children(old.id, Kind::Ad).filter_map(|id| state.object(id));
        ads.into_iter().any(|ad| ad.review_from.is_some() || !ad.spans.is_empty())
    };
    let differs = |name: &str| {
        let unset = json!(false);
        given.get(name).is_some_and(|value| value != old.fields.get(name).unwrap_or(&unset))
    };
    if differs("is_dynamic_creative") {
        return Err(Refusal::invalid("is_dynamic_creative cannot be changed").blame(&["is_dynamic_creative"]));
    }
    for name in ["optimization_goal", "billing_event", "promoted_object"] {
        if differs(name) && published() {
            let text = format!("The {name} of an ad set cannot be changed after its ads were published");
            return Err(Refusal::invalid(text).blame(&[name]));
        }
    }
    if let Some(lifetime) = budgets::given(given, "lifetime_budget")
        && lifetime < insights::spent(&View::of(state, call), old)
    {
        let text = "The lifetime_budget must not be below what was already spent";
        return Err(Refusal::invalid(text).blame(&["lifetime_budget"]));
    }
    Ok(())
}

pub(crate) fn show(view: &View<'_>, ad_set: &Object, name: &str) -> Option<Shown> {
    match name {
        "campaign" => Some(Shown::node(ad_set.campaign)),
        "campaign_id" => ad_set.campaign.map(|id| Shown::text(id.to_string())),
        "daily_budget" | "lifetime_budget" => Some(Shown::text(ad_set.minor(name).to_string())),
        "budget_remaining" => Some(Shown::text(budgets::remaining(view, ad_set).to_string())),
        "start_time" if !ad_set.fields.contains_key("start_time") => {
            Some(Shown::text(iso(view.state, ad_set.account, ad_set.created)))
        }
        "bid_strategy" if !ad_set.fields.contains_key(name) => {
            let campaign = ad_set.campaign.and_then(|id| view.state.object(id))?;
            campaign.fields.get(name).cloned().map(Shown::Value)
        }
        "is_dynamic_creative" if !ad_set.fields.contains_key(name) => Some(Shown::Value(Value::Bool(false))),
        "source_adset" => Some(Shown::node(ad_set.text("source_adset_id").parse().ok())),
        "source_adset_id" if !ad_set.fields.contains_key(name) => Some(Shown::text("0")),
        "learning_stage_info" => Some(Shown::Value(learning::shown(view, ad_set))),
        _ => None,
    }
}
