//! `GET /act_X/ads_volume`: how many ads run or wait for their review, of all or for each page.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::write;
use crate::error::Refusal;
use crate::route::Call;
use crate::state::{Kind, Object, State, effective};

/// Answers with one row, or with one for each page that shows in ads.
pub(crate) fn show(state: &State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let page = if call.params.has("page_id") { Some(write::required_id(&call.params, "page_id")?) } else { None };
    if let Some(id) = page
        && state.of_kind(id, Kind::Page).is_none()
    {
        return Err(Refusal::invalid("Param page_id must be a valid page ID").blame(&["page_id"]));
    }
    let ads = state.children(account, Kind::Ad).filter_map(|id| state.object(id));
    let mut by_page: BTreeMap<Option<u64>, u64> = BTreeMap::new();
    for ad in ads.filter(|ad| counts(effective(state, ad, call.now))) {
        *by_page.entry(actor(state, ad)).or_default() += 1;
    }
    by_page.retain(|actor, _| page.is_none() || *actor == page);
    if !call.params.boolean("show_breakdown_by_actor")? {
        return Ok(json!({ "data": [{ "ads_running_or_in_review_count": by_page.values().sum::<u64>() }] }));
    }
    let limit = state.settings.ads_per_page;
    let rows: Vec<Value> = by_page
        .iter()
        .filter_map(|(actor, count)| {
            let actor = state.object((*actor)?)?;
            Some(json!({
                "actor_id": actor.id.to_string(),
                "actor_name": actor.name(),
                "ads_running_or_in_review_count": count,
                "current_account_ads_running_or_in_review_count": count,
                "limit_on_ads_running_or_in_review": limit,
            }))
        })
        .collect();
    Ok(json!({ "data": rows }))
}

/// Whether an ad in this state runs or may soon.
fn counts(word: &str) -> bool {
    matches!(word, "ACTIVE" | "IN_PROCESS" | "PENDING_REVIEW" | "PREAPPROVED" | "PENDING_BILLING_INFO")
}

/// The page that an ad speaks for.
fn actor(state: &State, ad: &Object) -> Option<u64> {
    let creative = state.object(ad.creative?)?;
    creative.fields.get("object_story_spec")?.get("page_id").and_then(write::id_of)
}
