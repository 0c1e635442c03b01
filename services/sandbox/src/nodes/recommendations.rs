//! `GET` and `POST /act_X/recommendations`, and the score that follows from what is left to do.
//!
//! Meta keeps its rules to itself. Ours are few and plain: an ad set that runs on a small budget should have more, and
//! a campaign whose ad sets have budgets of their own should have one for all.

use serde_json::{Value, json};

use super::{ad_sets, budgets, campaigns, write};
use crate::error::Refusal;
use crate::params::Params;
use crate::route::Call;
use crate::state::{Kind, Object, State, Status, sealed};

/// An ad set with a daily budget below this many times the minimum is told to spend more.
const SMALL_BUDGET: i64 = 100;
/// By how much its budget should grow, in percent.
const GROWTH_PERCENT: i64 = 20;
/// How many points of the score each recommendation is worth.
const POINTS: i64 = 5;
/// The member of an account that holds the signatures of what it has done.
const DONE: &str = "_recommendations_done";

/// One thing that could be done.
struct Advice {
    signature: String,
    kind: &'static str,
    object: u64,
    body: &'static str,
}

/// `GET /act_X/recommendations`.
pub(crate) fn list(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    let wanted = call.params.words("recommendation_names")?;
    let rows: Vec<Value> = open(state, account)
        .iter()
        .filter(|advice| wanted.as_ref().is_none_or(|names| names.iter().any(|name| name == advice.kind)))
        .map(|advice| {
            json!({
                "recommendation_signature": advice.signature,
                "type": advice.kind,
                "object_ids": [advice.object.to_string()],
                "recommendation_content": {
                    "lift_estimate": format!("{GROWTH_PERCENT}%"),
                    "body": advice.body,
                    "opportunity_score_lift": POINTS.to_string(),
                },
                "url": format!("https://business.facebook.com/adsmanager/manage?act={}", account.id),
            })
        })
        .collect();
    Ok(json!({ "data": if rows.is_empty() { json!([]) } else { json!([{ "recommendations": rows }]) } }))
}

/// `POST /act_X/recommendations`: does what the signature says. Its writes follow all rules of writes.
pub(crate) fn apply(state: &mut State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let signature = call.params.required("recommendation_signature")?;
    let Some(advice) = open(state, account).into_iter().find(|advice| advice.signature == signature) else {
        let text = "The recommendation_signature is not valid or the recommendation was applied before";
        return Err(Refusal::invalid(text).blame(&["recommendation_signature"]));
    };
    let Some(object) = state.object(advice.object).cloned() else {
        return Err(Refusal::missing("post", &advice.object.to_string()));
    };
    let mut params = Params::default();
    if object.kind == Kind::AdSet {
        let old = object.minor("daily_budget");
        let new = old.saturating_mul(100 + GROWTH_PERCENT) / 100;
        params.put("daily_budget", json!(new));
        ad_sets::update(state, &Call { params, ..call.clone() }, &object)?;
    } else {
        params.put("is_adset_budget_sharing_enabled", json!(true));
        campaigns::update(state, &Call { params, ..call.clone() }, &object)?;
    }
    let mut account = account.clone();
    let mut done = account.fields.get(DONE).and_then(Value::as_array).cloned().unwrap_or_default();
    done.push(json!(signature));
    account.fields.insert(DONE.to_owned(), Value::Array(done));
    write::keep(state, account);
    Ok(write::validated())
}

/// `opportunity_score`: 100 less what is left to do, never below 0. A float at Meta.
pub(crate) fn score(state: &State, account: &Object) -> Value {
    let left = i64::try_from(open(state, account).len()).unwrap_or(i64::MAX);
    let score = 100_i64.saturating_sub(left.saturating_mul(POINTS)).max(0);
    serde_json::from_str(&format!("{score}.0")).unwrap_or_default()
}

fn open(state: &State, account: &Object) -> Vec<Advice> {
    let is_done = |advice: &Advice| {
        let done = account.fields.get(DONE).and_then(Value::as_array);
        done.is_some_and(|done| done.iter().any(|signature| *signature == advice.signature))
    };
    let enough = budgets::minimum_daily(&state.settings, account.text("currency")).saturating_mul(SMALL_BUDGET);
    let running = |kind| {
        let all = state.children(account.id, kind).filter_map(|id| state.object(id));
        all.filter(|object| object.status == Status::Active)
    };
    let budget = running(Kind::AdSet)
        .filter(|ad_set| (1..enough).contains(&ad_set.minor("daily_budget")))
        .map(|ad_set| advice(ad_set, "BUDGET_LIMITED", "A higher budget brings this ad set more results."));
    let sharing = running(Kind::Campaign)
        .filter(|campaign| campaigns::ad_set_has_budget(state, campaign.id))
        .filter(|campaign| campaign.fields.get("is_adset_budget_sharing_enabled") != Some(&Value::Bool(true)))
        .map(|campaign| {
            advice(campaign, "ADSET_BUDGET_SHARING", "Let the ad sets of this campaign share their budgets.")
        });
    budget.chain(sharing).filter(|advice| !is_done(advice)).collect()
}

fn advice(object: &Object, kind: &'static str, body: &'static str) -> Advice {
    let signature = sealed(&format!("{kind}:{}", object.id)).chars().take(24).collect();
    Advice { signature, kind, object: object.id, body }
}
