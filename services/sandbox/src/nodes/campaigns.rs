//! Campaigns.

mod moves;
mod rules;

use serde_json::{Map, Value, json};

use super::{advice, budgets, ceilings, goals, labels, lifecycle, write};
use crate::error::Refusal;
use crate::params::{Params, as_text};
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, iso, settle_delivery};

pub(crate) const FIELDS: &str = "account_id adlabels advantage_state_info bid_constraints bid_strategy boosted_object_id \
    brand_lift_studies budget_rebalance_flag budget_remaining budget_schedule_specs buying_type \
    campaign_group_active_time can_create_brand_lift_study can_use_spend_cap configured_status created_time \
    daily_budget effective_status frequency_control_specs has_secondary_skadnetwork_reporting id \
    is_adset_budget_sharing_enabled is_budget_schedule_enabled is_direct_send_campaign is_message_campaign \
    is_skadnetwork_attribution issues_info last_budget_toggling_time lifetime_budget name objective \
    pacing_type primary_attribution promoted_object recommendations smart_promotion_type source_campaign \
    source_campaign_id source_recommendation_type special_ad_categories special_ad_category \
    special_ad_category_country spend_cap start_time status stop_time topline_id updated_time";

const CATEGORIES: &[&str] = &[
    "NONE",
    "EMPLOYMENT",
    "HOUSING",
    "CREDIT",
    "FINANCIAL_PRODUCTS_SERVICES",
    "ISSUES_ELECTIONS_POLITICS",
    "ONLINE_GAMBLING_AND_GAMING",
];
/// Ways to bid, for campaigns with a budget and for ad sets with their own.
pub(crate) const BID_STRATEGIES: &[&str] =
    &["LOWEST_COST_WITHOUT_CAP", "LOWEST_COST_WITH_BID_CAP", "COST_CAP", "LOWEST_COST_WITH_MIN_ROAS"];

const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("objective", Form::Word(goals::OBJECTIVES)),
    ("buying_type", Form::Word(&["AUCTION", "RESERVED"])),
    ("special_ad_categories", Form::Words(CATEGORIES)),
    ("special_ad_category_country", Form::List),
    ("daily_budget", Form::Money),
    ("lifetime_budget", Form::Money),
    ("spend_cap", Form::Money),
    ("bid_strategy", Form::Word(BID_STRATEGIES)),
    ("pacing_type", Form::List),
    ("promoted_object", Form::Object),
    ("start_time", Form::Time),
    ("stop_time", Form::Time),
    ("is_adset_budget_sharing_enabled", Form::Boolean),
    ("is_skadnetwork_attribution", Form::Boolean),
    ("is_budget_schedule_enabled", Form::Boolean),
    ("source_campaign_id", Form::Text),
    ("smart_promotion_type", Form::Text),
];

pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let mut fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    rules::of_new(state, call, account, &mut fields)?;
    ceilings::campaigns(state, account)?;
    let status = lifecycle::initial(&state.settings, &call.params)?;
    let has_budget = budgets::any(&fields);
    let labels = labels::read(state, call, account)?;
    if only {
        return Ok(write::validated_with(call, &advice::of_campaign(&fields)));
    }
    fields.entry("buying_type").or_insert_with(|| json!("AUCTION"));
    if has_budget {
        fields.entry("bid_strategy").or_insert_with(|| json!("LOWEST_COST_WITHOUT_CAP"));
    }
    let mut campaign = Object::new(state.fresh_id(), Kind::Campaign, account, call.now);
    campaign.status = status;
    campaign.fields = fields;
    campaign.labels = labels.made(state, account, call.now);
    let id = campaign.id;
    write::keep(state, campaign);
    write::created(state, call, id)
}

pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let status = lifecycle::next(old, &call.params)?;
    ceilings::archived(state, old, status)?;
    let mut given = spec::read(state, old.account, PARAMS, &call.params, call.now)?;
    let moves = moves::Moves::read(state, call, old, &given)?;
    rules::of_change(state, call, old, &mut given, !moves.is_empty())?;
    lifecycle::running(old, "stop_time", &given, status, call.now)?;
    let labels = labels::read(state, call, old.account)?;
    if only {
        return Ok(write::validated_with(call, &advice::of_campaign(&old.fields)));
    }
    let mut campaign = old.clone();
    campaign.updated = call.now;
    budgets::given(&given, "daily_budget").and_then(|_| campaign.fields.remove("lifetime_budget"));
    budgets::given(&given, "lifetime_budget").and_then(|_| campaign.fields.remove("daily_budget"));
    let loses = budgets::any(&old.fields) && !moves::keeps_own(old, &given);
    if moves.bring_down() || loses {
        for name in ["daily_budget", "lifetime_budget", "bid_strategy"] {
            campaign.fields.remove(name);
        }
    }
    if call.params.boolean("migrate_to_advantage_plus")? {
        campaign.fields.remove("smart_promotion_type");
    }
    campaign.fields.extend(given);
    if budgets::any(&campaign.fields) {
        campaign.fields.entry("bid_strategy").or_insert_with(|| json!("LOWEST_COST_WITHOUT_CAP"));
    }
    if call.params.has("adlabels") {
        campaign.labels = labels.made(state, old.account, call.now);
    }
    write::keep(state, campaign);
    moves.make(state, call);
    if let Some(status) = status {
        lifecycle::set(state, old.id, status, call.now);
    }
    settle_delivery(state, old.id, call.now);
    write::updated(state, call, old.id)
}

/// What `parameter_overrides` of a copy set, checked against the rest of the source.
pub(crate) fn overridden(
    state: &State,
    call: &Call,
    source: &Object,
    given: &Params,
) -> Result<Map<String, Value>, Refusal> {
    let mut fields = spec::read(state, source.account, PARAMS, given, call.now)?;
    rules::budgets_fit(state, source.account, &mut fields)?;
    if budgets::any(&fields) != budgets::any(&source.fields) && state.children(source.id, Kind::AdSet).next().is_some()
    {
        let advice = "The copy keeps its budget on the level where the source has it.";
        return Err(Refusal::rule(1_885_621, "Budget on the wrong level", advice, &["parameter_overrides"]));
    }
    rules::special(state, &mut fields, Some(source))?;
    Ok(fields)
}

pub(crate) fn show(view: &View<'_>, campaign: &Object, name: &str) -> Option<Shown> {
    match name {
        "daily_budget" | "lifetime_budget" if campaign.minor(name) == 0 => Some(Shown::Absent),
        "budget_remaining" => Some(Shown::text(budgets::remaining(view, campaign).to_string())),
        "start_time" if !campaign.fields.contains_key("start_time") => {
            Some(Shown::text(iso(view.state, campaign.account, campaign.created)))
        }
        "source_campaign" => Some(Shown::node(campaign.text("source_campaign_id").parse().ok())),
        "can_use_spend_cap" => Some(Shown::Value(Value::Bool(true))),
        "source_campaign_id" => Some(Shown::text(nonempty(campaign.text(name), "0"))),
        "special_ad_category" => {
            let first = campaign.fields.get("special_ad_categories").and_then(|all| all.get(0));
            Some(Shown::text(first.and_then(Value::as_str).unwrap_or("NONE")))
        }
        "advantage_state_info" => Some(Shown::Value(advantage(view.state, campaign))),
        _ => None,
    }
}

/// How far a campaign is left to Meta: its budget, its audiences, its placements (Meta, "Advantage+ campaigns").
fn advantage(state: &State, campaign: &Object) -> Value {
    let ad_sets: Vec<&Object> = state
        .children(campaign.id, Kind::AdSet)
        .filter_map(|id| state.object(id))
        .filter(|ad_set| !ad_set.status.is_gone())
        .collect();
    let all = |fits: &dyn Fn(&Value) -> bool| {
        !ad_sets.is_empty() && ad_sets.iter().all(|ad_set| ad_set.fields.get("targeting").is_some_and(fits))
    };
    let budget = budgets::any(&campaign.fields);
    let audience =
        all(&|it| it.pointer("/targeting_automation/advantage_audience").map(as_text).as_deref() == Some("1"));
    let placement = all(&|it| it.get("publisher_platforms").is_none());
    let whole = match campaign.text("objective") {
        _ if !(budget && audience && placement) => "DISABLED",
        "OUTCOME_SALES" => "ADVANTAGE_PLUS_SALES",
        "OUTCOME_APP_PROMOTION" => "ADVANTAGE_PLUS_APP",
        "OUTCOME_LEADS" => "ADVANTAGE_PLUS_LEADS",
        _ => "DISABLED",
    };
    let word = |on: bool| if on { "ENABLED" } else { "DISABLED" };
    json!({
        "advantage_state": whole,
        "advantage_budget_state": word(budget),
        "advantage_audience_state": word(audience),
        "advantage_placement_state": word(placement),
    })
}

/// Whether one of the campaign's ad sets has a budget of its own.
pub(crate) fn ad_set_has_budget(state: &State, campaign: u64) -> bool {
    state
        .children(campaign, Kind::AdSet)
        .filter_map(|id| state.object(id))
        .any(|ad_set| !ad_set.status.is_gone() && budgets::any(&ad_set.fields))
}

fn nonempty<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}
