//! `DELETE /act_X/campaigns`: many campaigns at once, by a strategy.

use serde_json::{Value, json};

use super::lifecycle;
use crate::error::Refusal;
use crate::route::Call;
use crate::spec;
use crate::state::{Kind, Object, State, Status};

/// Deletes the campaigns that the strategy picks, at most `object_count` of them, and says how many it left.
pub(crate) fn delete(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let strategy = call.params.required("delete_strategy")?;
    let before = match call.params.raw("before_date") {
        Some(raw) => Some(
            spec::moment(state, account, raw, call.now)
                .ok_or_else(|| Refusal::invalid("Param before_date must be a time").blame(&["before_date"]))?,
        ),
        None => None,
    };
    let live = |campaign: &&Object| campaign.status != Status::Deleted;
    let campaigns = state.children(account, Kind::Campaign).filter_map(|id| state.object(id)).filter(live);
    let mut picked: Vec<&Object> = match (strategy.as_str(), before) {
        ("DELETE_ANY", _) => campaigns.collect(),
        ("DELETE_OLDEST", before) => {
            campaigns.filter(|campaign| before.is_none_or(|before| campaign.created < before)).collect()
        }
        ("DELETE_ARCHIVED_BEFORE", Some(before)) => {
            let archived = campaigns.filter(|campaign| campaign.status == Status::Archived);
            archived.filter(|campaign| campaign.updated < before).collect()
        }
        ("DELETE_ARCHIVED_BEFORE", None) => return Err(Refusal::required("before_date")),
        _ => {
            let words = "{DELETE_ANY, DELETE_ARCHIVED_BEFORE, DELETE_OLDEST}";
            let text = format!("Param delete_strategy must be one of {words}");
            return Err(Refusal::invalid(text).blame(&["delete_strategy"]));
        }
    };
    picked.sort_by_key(|campaign| (campaign.created, campaign.id));
    let count = call.params.integer("object_count")?.map_or(picked.len(), |count| usize::try_from(count).unwrap_or(0));
    let ids: Vec<u64> = picked.iter().take(count).map(|campaign| campaign.id).collect();
    let left = picked.len() - ids.len();
    for &id in &ids {
        lifecycle::delete(state, id, call.now);
    }
    let deleted: Vec<String> = ids.iter().map(u64::to_string).collect();
    Ok(json!({ "objects_left_to_delete_count": left, "deleted_object_ids": deleted }))
}
