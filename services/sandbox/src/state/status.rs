//! `effective_status`: what follows from an object's own status, its parents' and its review.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Kind, Object, State, Status};

/// What a review came to. Kept in the member `_verdict` of an object; approval needs no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Verdict {
    Approved,
    /// Approved before it may run.
    Preapproved,
    Disapproved,
    /// Not a verdict on the content: something that the ad needs is gone.
    WithIssues,
}

/// Meta's word for the state that an object is really in.
pub(crate) fn effective(state: &State, object: &Object, now: Timestamp) -> &'static str {
    let parents = || [object.ad_set, object.campaign].into_iter().flatten().filter_map(|id| state.object(id));
    if object.status.is_gone() {
        return object.status.word();
    }
    if let Some(gone) = parents().find(|parent| parent.status.is_gone()) {
        return gone.status.word();
    }
    if object.status == Status::Paused {
        return "PAUSED";
    }
    if let Some(word) = review(state, object, now).or_else(|| trouble(state, object)) {
        return word;
    }
    match parents().find(|parent| parent.status == Status::Paused).map(|parent| parent.kind) {
        Some(Kind::Campaign) => "CAMPAIGN_PAUSED",
        Some(_) => {
            // A paused campaign hides a paused ad set.
            let campaign = object.campaign.and_then(|id| state.object(id));
            if campaign.is_some_and(|campaign| campaign.status == Status::Paused) {
                "CAMPAIGN_PAUSED"
            } else {
                "ADSET_PAUSED"
            }
        }
        None => "ACTIVE",
    }
}

/// Whether nothing that a person or a review has set keeps the ad from delivering.
pub(crate) fn is_delivering(state: &State, ad: &Object) -> bool {
    let runs = |it: &Object| it.status == Status::Active && trouble(state, it).is_none();
    let parent = |id: Option<u64>| id.and_then(|id| state.object(id)).is_some_and(runs);
    runs(ad) && parent(ad.ad_set) && parent(ad.campaign)
}

/// What keeps an object from running although it is switched on: its verdict, its account's debts, or issues.
fn trouble(state: &State, object: &Object) -> Option<&'static str> {
    match object.text("_verdict") {
        "DISAPPROVED" => return Some("DISAPPROVED"),
        "PREAPPROVED" => return Some("PREAPPROVED"),
        _ => {}
    }
    if object.kind == Kind::Ad && owes(state, object.account) {
        return Some("PENDING_BILLING_INFO");
    }
    object.fields.contains_key("issues_info").then_some("WITH_ISSUES")
}

/// Whether the account is `UNSETTLED` or `PENDING_SETTLEMENT`.
fn owes(state: &State, account: u64) -> bool {
    let status = state.object(account).and_then(|account| account.fields.get("account_status")?.as_i64());
    matches!(status, Some(3 | 8))
}

fn review(state: &State, object: &Object, now: Timestamp) -> Option<&'static str> {
    let age = now.duration_since(object.review_from?);
    let whole = SignedDuration::from_millis(state.settings.review_milliseconds);
    let half = SignedDuration::from_millis(state.settings.review_milliseconds / 2);
    if age < half {
        Some("IN_PROCESS")
    } else if age < whole {
        Some("PENDING_REVIEW")
    } else {
        None
    }
}
