//! Campaigns.

use serde_json::{Map, Value, json};

use super::{budgets, ceilings, goals, labels, lifecycle, write};
use crate::error::Refusal;
use crate::params::Params;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, iso, settle_delivery};
use crate::version::Version;

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
];

/// The spend cap that takes a cap away.
const NO_CAP: &str = "922337203685478";
/// The smallest spend cap of a campaign, in minor units. Published for US dollars only.
const SPEND_CAP_MIN: i64 = 10_000;
/// From this version on a campaign without budget must say whether its ad sets share theirs.
const SHARING_SINCE: Version = Version(24);

pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let mut fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    for name in ["name", "objective"] {
        call.params.required(name)?;
    }
    if !fields.contains_key("special_ad_categories") {
        return Err(Refusal::required("special_ad_categories"));
    }
    ceilings::campaigns(state, account)?;
    let status = lifecycle::initial(&call.params)?;
    budgets_fit(state, account, &mut fields)?;
    let has_budget = budgets::any(&fields);
    if !has_budget && call.version >= SHARING_SINCE && !fields.contains_key("is_adset_budget_sharing_enabled") {
        let text = "You must specify True or False in is_adset_budget_sharing_enabled field if you are not using campaign budget.";
        return Err(Refusal::rule(
            4_834_011,
            "Budget sharing flag missing",
            text,
            &["is_adset_budget_sharing_enabled"],
        ));
    }
    if !has_budget && fields.contains_key("bid_strategy") {
        let advice = "A bid strategy on the campaign needs a campaign budget.";
        return Err(Refusal::rule(1_885_621, "Campaign budget missing", advice, &["bid_strategy"]));
    }
    none_is_empty(&mut fields);
    let labels = labels::read(state, call, account)?;
    if only {
        return Ok(write::validated());
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
    if given.get("objective").is_some_and(|objective| Some(objective) != old.fields.get("objective")) {
        return Err(Refusal::invalid("The objective of a campaign cannot be changed").blame(&["objective"]));
    }
    if budgets::any(&given) && !budgets::any(&old.fields) && ad_set_has_budget(state, old.id) {
        let advice = "The ad sets of this campaign have their own budgets.";
        return Err(Refusal::rule(1_885_621, "Budget on two levels", advice, &["daily_budget"]));
    }
    budgets_fit(state, old.account, &mut given)?;
    none_is_empty(&mut given);
    let labels = labels::read(state, call, old.account)?;
    if only {
        return Ok(write::validated());
    }
    let mut campaign = old.clone();
    campaign.updated = call.now;
    budgets::given(&given, "daily_budget").and_then(|_| campaign.fields.remove("lifetime_budget"));
    budgets::given(&given, "lifetime_budget").and_then(|_| campaign.fields.remove("daily_budget"));
    campaign.fields.extend(given);
    if call.params.has("adlabels") {
        campaign.labels = labels.made(state, old.account, call.now);
    }
    write::keep(state, campaign);
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
    budgets_fit(state, source.account, &mut fields)?;
    if budgets::any(&fields) != budgets::any(&source.fields) && state.children(source.id, Kind::AdSet).next().is_some()
    {
        let advice = "The copy keeps its budget on the level where the source has it.";
        return Err(Refusal::rule(1_885_621, "Budget on the wrong level", advice, &["parameter_overrides"]));
    }
    none_is_empty(&mut fields);
    Ok(fields)
}

pub(crate) fn show(view: &View<'_>, campaign: &Object, name: &str) -> Option<Shown> {
    match name {
        "daily_budget" | "lifetime_budget" if campaign.minor(name) == 0 => Some(Shown::Absent),
        "budget_remaining" => {
            let left = campaign.minor("daily_budget").max(campaign.minor("lifetime_budget"));
            Some(Shown::text(left.to_string()))
        }
        "start_time" if !campaign.fields.contains_key("start_time") => {
            Some(Shown::text(iso(view.state, campaign.account, campaign.created)))
        }
        "source_campaign" => Some(Shown::node(campaign.text("source_campaign_id").parse().ok())),
        "can_use_spend_cap" => Some(Shown::Value(Value::Bool(true))),
        "source_campaign_id" => Some(Shown::text(nonempty(campaign.text(name), "0"))),
        "special_ad_category" => Some(Shown::text("NONE")),
        "advantage_state_info" => Some(Shown::Value(json!({
            "advantage_state": "DISABLED",
            "advantage_budget_state": if budgets::any(&campaign.fields) { "ENABLED" } else { "DISABLED" },
        }))),
        _ => None,
    }
}

/// Whether one of the campaign's ad sets has a budget of its own.
pub(crate) fn ad_set_has_budget(state: &State, campaign: u64) -> bool {
    state
        .children(campaign, Kind::AdSet)
        .filter_map(|id| state.object(id))
        .any(|ad_set| !ad_set.status.is_gone() && budgets::any(&ad_set.fields))
}

fn budgets_fit(state: &State, account: u64, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    budgets::check(&state.settings, fields, state.currency(account))?;
    if fields.get("spend_cap").is_some_and(|cap| cap == NO_CAP) {
        fields.insert("spend_cap".to_owned(), Value::Null);
    }
    if budgets::given(fields, "spend_cap").is_some_and(|cap| cap < SPEND_CAP_MIN) {
        return Err(Refusal::rule(2_446_307, "Spend cap too low", "Choose a higher spend cap.", &["spend_cap"]));
    }
    Ok(())
}

/// `["NONE"]` says the same as an empty list, and that is how it is read back.
fn none_is_empty(fields: &mut Map<String, Value>) {
    if fields.get("special_ad_categories").is_some_and(|value| *value == json!(["NONE"])) {
        fields.insert("special_ad_categories".to_owned(), json!([]));
    }
}

fn nonempty<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}
