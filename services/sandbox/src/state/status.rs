//! `effective_status`: what follows from an object's own status, its parents' and its review.

use jiff::{SignedDuration, Timestamp};

use super::{Kind, Object, State, Status};

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
    if let Some(word) = review(state, object, now) {
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

/// Whether nothing that a person has set keeps the ad from delivering.
pub(crate) fn is_delivering(state: &State, ad: &Object) -> bool {
    let active = |id: Option<u64>| id.and_then(|id| state.object(id)).is_some_and(|it| it.status == Status::Active);
    ad.status == Status::Active && active(ad.ad_set) && active(ad.campaign)
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
