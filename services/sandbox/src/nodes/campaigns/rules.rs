//! The rules of a campaign, when it is made and when it is changed.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::catalogue;
use crate::error::Refusal;
use crate::nodes::{budgets, targeting};
use crate::params::as_text;
use crate::route::Call;
use crate::spec;
use crate::state::{Kind, Object, State};
use crate::version::Version;

/// The spend cap that takes a cap away.
const NO_CAP: &str = "922337203685478";
/// The smallest spend cap of a campaign, in minor units. Published for US dollars only.
const SPEND_CAP_MIN: i64 = 10_000;
/// From this version on a campaign without budget must say whether its ad sets share theirs.
const SHARING_SINCE: Version = Version(24);
/// Kinds of campaigns that Advantage+ took the place of, and since when no version makes or changes them any more
/// (Meta, "Advantage+ sales campaigns").
const AUTOMATED: &[&str] = &["AUTOMATED_SHOPPING_ADS", "SMART_APP_PROMOTION"];
const AUTOMATED_UNTIL: &str = "2026-05-19T00:00:00Z";
const AUTOMATED_UNTIL_VERSION: Version = Version(25);

/// Checks a new campaign.
pub(super) fn of_new(state: &State, call: &Call, account: u64, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    for name in ["name", "objective"] {
        call.params.required(name)?;
    }
    if !fields.contains_key("special_ad_categories") {
        return Err(Refusal::required("special_ad_categories"));
    }
    budgets_fit(state, account, fields)?;
    let has_budget = budgets::any(fields);
    if !has_budget && call.version >= SHARING_SINCE && !fields.contains_key("is_adset_budget_sharing_enabled") {
        let text = "You must specify True or False in is_adset_budget_sharing_enabled field if you are not using \
                    campaign budget.";
        return Err(Refusal::new(100, text).blame(&["is_adset_budget_sharing_enabled"]));
    }
    if !has_budget && fields.contains_key("bid_strategy") {
        let advice = "A bid strategy on the campaign needs a campaign budget.";
        return Err(Refusal::rule(1_885_621, "Campaign budget missing", advice, &["bid_strategy"]));
    }
    automated(call, fields.get("smart_promotion_type"))?;
    special(state, fields, None)?;
    paces(fields)?;
    times(fields, None, call.now)?;
    lifetime_minimum(state, account, fields, None, call.now)
}

/// Checks a change. `moves` says whether the call moves the budgets of ad sets as well.
pub(super) fn of_change(
    state: &State,
    call: &Call,
    old: &Object,
    given: &mut Map<String, Value>,
    moves: bool,
) -> Result<(), Refusal> {
    for name in ["objective", "buying_type"] {
        if given.get(name).is_some_and(|value| Some(value) != old.fields.get(name)) {
            return Err(Refusal::invalid(format!("The {name} of a campaign cannot be changed")).blame(&[name]));
        }
    }
    if !given.is_empty() && !call.params.has("migrate_to_advantage_plus") {
        automated(call, old.fields.get("smart_promotion_type"))?;
    }
    automated(call, given.get("smart_promotion_type"))?;
    if budgets::any(given) && !budgets::any(&old.fields) && !moves && super::ad_set_has_budget(state, old.id) {
        let advice = "The ad sets of this campaign have their own budgets.";
        return Err(Refusal::rule(1_885_621, "Budget on two levels", advice, &["daily_budget"]));
    }
    if given.contains_key("bid_strategy") && !budgets::any(&old.fields) && !budgets::any(given) {
        let advice = "A bid strategy on the campaign needs a campaign budget.";
        return Err(Refusal::rule(1_885_621, "Campaign budget missing", advice, &["bid_strategy"]));
    }
    budgets_fit(state, old.account, given)?;
    special(state, given, Some(old))?;
    suits_ad_sets(state, call, old, given)?;
    paces(given)?;
    times(given, Some(old), call.now)?;
    lifetime_minimum(state, old.account, given, Some(old), call.now)
}

/// Fails where categories are given that forbid how the campaign's ad sets are targeted.
fn suits_ad_sets(state: &State, call: &Call, old: &Object, given: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(categories) = given.get("special_ad_categories") else { return Ok(()) };
    let campaign = old.clone().with(json!({ "special_ad_categories": categories }));
    let ground = targeting::Ground { state, version: call.version, now: call.now, campaign: &campaign };
    let ad_sets = state.children(old.id, Kind::AdSet).filter_map(|id| state.object(id));
    let wanted = ad_sets.filter(|ad_set| !ad_set.status.is_gone()).filter_map(|ad_set| ad_set.fields.get("targeting"));
    for targeting in wanted {
        targeting::suits_category(ground, targeting)?;
    }
    Ok(())
}

/// The least for a lifetime is the least for a day, times the days; of a campaign without an end its ad sets know them.
fn lifetime_minimum(
    state: &State,
    account: u64,
    fields: &Map<String, Value>,
    old: Option<&Object>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let before = |name: &str| old.and_then(|old| old.fields.get(name));
    let moment =
        |name: &str| fields.get(name).or_else(|| before(name)).and_then(Value::as_str).and_then(spec::kept_time);
    let touched = ["lifetime_budget", "start_time", "stop_time"].iter().any(|name| fields.contains_key(*name));
    let lifetime = match old {
        Some(old) if !fields.contains_key("lifetime_budget") => budgets::given(&old.fields, "lifetime_budget"),
        _ => budgets::given(fields, "lifetime_budget"),
    };
    let (Some(minor), Some(stop), true) = (lifetime, moment("stop_time"), touched) else { return Ok(()) };
    let start = moment("start_time").unwrap_or_else(|| old.map_or(now, |old| old.created));
    let currency = state.currency(account);
    let least = budgets::minimum_lifetime(&state.settings, currency, stop.duration_since(start));
    if minor < least { Err(budgets::too_low("lifetime_budget", least, currency)) } else { Ok(()) }
}

/// Checks budgets and the spend cap, and turns the word for "no cap" into none.
pub(super) fn budgets_fit(state: &State, account: u64, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    budgets::check(&state.settings, fields, state.currency(account))?;
    if fields.get("spend_cap").is_some_and(|cap| cap == NO_CAP) {
        fields.insert("spend_cap".to_owned(), Value::Null);
    }
    if budgets::given(fields, "spend_cap").is_some_and(|cap| cap < SPEND_CAP_MIN) {
        return Err(Refusal::rule(2_446_307, "Spend cap too low", "Choose a higher spend cap.", &["spend_cap"]));
    }
    Ok(())
}

fn automated(call: &Call, kind: Option<&Value>) -> Result<(), Refusal> {
    let Some(kind) = kind.map(as_text).filter(|kind| AUTOMATED.contains(&kind.as_str())) else { return Ok(()) };
    let over = AUTOMATED_UNTIL.parse().is_ok_and(|until: Timestamp| call.now >= until);
    if !over && call.version < AUTOMATED_UNTIL_VERSION {
        return Ok(());
    }
    let text = format!("Campaigns of the smart_promotion_type {kind} can no longer be created or changed");
    Err(Refusal::invalid(text).blame(&["smart_promotion_type"]))
}

/// `["NONE"]` says the same as an empty list, and that is how it is read back; countries must exist.
pub(super) fn special(state: &State, fields: &mut Map<String, Value>, old: Option<&Object>) -> Result<(), Refusal> {
    let words = |value: Option<&Value>| -> Vec<String> {
        value.and_then(Value::as_array).into_iter().flatten().map(as_text).collect()
    };
    let categories = words(fields.get("special_ad_categories"));
    if categories.iter().any(|word| word == "NONE") {
        if categories.len() > 1 {
            let text = "NONE cannot stand beside other special_ad_categories";
            return Err(Refusal::invalid(text).blame(&["special_ad_categories"]));
        }
        fields.insert("special_ad_categories".to_owned(), json!([]));
    }
    let countries = words(fields.get("special_ad_category_country"));
    for (at, code) in countries.iter().enumerate() {
        if catalogue::country(code).is_none() {
            let all: Vec<&str> = catalogue::countries().map(|(code, ..)| code).collect();
            let text = format!("Param special_ad_category_country[{at}] must be one of {{{}}}", all.join(", "));
            return Err(Refusal::invalid(text).blame(&["special_ad_category_country"]));
        }
    }
    let known = old.is_some_and(|old| !words(old.fields.get("special_ad_category_country")).is_empty());
    let is_special = words(fields.get("special_ad_categories")).iter().any(|word| word != "NONE");
    if is_special && countries.is_empty() && !known && state.settings.special_country_required {
        let text = "A special ad category needs special_ad_category_country";
        return Err(Refusal::invalid(text).blame(&["special_ad_category_country"]));
    }
    Ok(())
}

fn paces(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let paces = fields.get("pacing_type").and_then(Value::as_array);
    for (at, pace) in paces.into_iter().flatten().map(as_text).enumerate() {
        if !matches!(pace.as_str(), "standard" | "day_parting" | "no_pacing") {
            let text = format!("Param pacing_type[{at}] must be one of {{standard, day_parting, no_pacing}}");
            return Err(Refusal::invalid(text).blame(&["pacing_type"]));
        }
    }
    Ok(())
}

fn times(fields: &Map<String, Value>, old: Option<&Object>, now: Timestamp) -> Result<(), Refusal> {
    let Some(stop) = fields.get("stop_time").and_then(Value::as_str).and_then(spec::kept_time) else { return Ok(()) };
    if stop <= now {
        let advice = "The end of a campaign must be in the future.";
        return Err(Refusal::rule(1_487_033, "Stop time in the past", advice, &["stop_time"]));
    }
    let start = fields.get("start_time").or_else(|| old.and_then(|old| old.fields.get("start_time")));
    if start.and_then(Value::as_str).and_then(spec::kept_time).is_some_and(|start| start >= stop) {
        return Err(Refusal::invalid("The stop_time must be after the start_time").blame(&["stop_time"]));
    }
    Ok(())
}
