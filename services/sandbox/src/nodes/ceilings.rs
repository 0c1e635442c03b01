//! How many objects an account, a campaign and an ad set may hold (Meta, "Ad account limits").

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::budgets;
use crate::error::Refusal;
use crate::state::{Ceilings, Kind, Object, State, Status};

/// Fails where an account has its campaigns.
pub(crate) fn campaigns(state: &State, account: u64) -> Result<(), Refusal> {
    whole(state, account, Kind::Campaign, of(state, account).campaigns, "campaigns")
}

/// Fails where the account or the campaign has its ad sets.
pub(crate) fn ad_sets(state: &State, campaign: &Object) -> Result<(), Refusal> {
    let ceilings = of(state, campaign.account);
    let most = if budgets::any(&campaign.fields) {
        ceilings.ad_sets_of_a_budget.min(ceilings.ad_sets_of_a_campaign)
    } else {
        ceilings.ad_sets_of_a_campaign
    };
    if present(state, campaign.id, Kind::AdSet) >= most {
        let advice = format!("A campaign like this holds at most {most} ad sets.");
        return Err(Refusal::rule(1_487_225, "Too many ad sets", advice, &["campaign_id"]));
    }
    whole(state, campaign.account, Kind::AdSet, ceilings.ad_sets, "ad sets")
}

/// Fails where the account or the ad set has its ads, or the account made too many lately.
pub(crate) fn ads(state: &State, ad_set: &Object, now: Timestamp) -> Result<(), Refusal> {
    let ceilings = of(state, ad_set.account);
    let most = ceilings.ads_of_an_ad_set;
    if present(state, ad_set.id, Kind::Ad) >= most {
        let advice = format!("An ad set holds at most {most} ads.");
        return Err(Refusal::rule(1_487_225, "Too many ads", advice, &["adset_id"]));
    }
    if let Some(most) = state.settings.limits.ads_created_an_hour
        && made_lately(state, ad_set.account, now) >= most
    {
        let message = "(#613) Calls to this api have exceeded the rate limit.";
        let advice = format!("This ad account can create at most {most} ads an hour.");
        return Err(Refusal::new(613, message).subcode(1_487_225).shown("Ad Creation Limited", advice));
    }
    whole(state, ad_set.account, Kind::Ad, ceilings.ads, "ads")
}

/// Fails where the object is to be archived and its account has archived so many of its kind.
pub(crate) fn archived(state: &State, object: &Object, asked: Option<Status>) -> Result<(), Refusal> {
    if asked != Some(Status::Archived) || object.status == Status::Archived {
        return Ok(());
    }
    let most = of(state, object.account).archived;
    if state.with_status(object.account, object.kind, Status::Archived) < most {
        return Ok(());
    }
    let advice = format!("An ad account has at most {most} archived objects of a kind. Delete some of them first.");
    Err(Refusal::rule(1_487_990, "Too many archived objects", advice, &["status"]))
}

/// Fails where an account has its audiences of a subtype.
pub(crate) fn audiences(state: &State, account: u64, subtype: &str) -> Result<(), Refusal> {
    let ceilings = of(state, account);
    let most = match subtype {
        "CUSTOM" => ceilings.customer_audiences,
        "WEBSITE" => ceilings.website_audiences,
        "APP" => ceilings.app_audiences,
        "LOOKALIKE" => ceilings.lookalikes,
        _ => return Ok(()),
    };
    let audiences = state.children(account, Kind::Audience).filter_map(|id| state.object(id));
    let count = audiences.filter(|audience| !audience.status.is_gone() && audience.text("subtype") == subtype).count();
    if u64::try_from(count).unwrap_or(u64::MAX) < most {
        return Ok(());
    }
    let advice = format!("An ad account has at most {most} audiences of this kind.");
    Err(Refusal::rule(1_870_092, "Too many audiences", advice, &["subtype"]))
}

/// The account's own ceilings where it has some, else those of the settings.
fn of(state: &State, account: u64) -> Ceilings {
    let own = state.object(account).and_then(|account| account.fields.get("_ceilings")?.as_object());
    let Some(own) = own else { return state.settings.ceilings.clone() };
    let mut all = serde_json::to_value(&state.settings.ceilings).unwrap_or_default();
    if let Value::Object(map) = &mut all {
        map.extend(own.clone());
    }
    serde_json::from_value(all).unwrap_or_else(|_| state.settings.ceilings.clone())
}

fn whole(state: &State, account: u64, kind: Kind, most: u64, what: &str) -> Result<(), Refusal> {
    let kept = [Status::Active, Status::Paused, Status::Archived];
    let count: u64 = kept.map(|status| state.with_status(account, kind, status)).into_iter().sum();
    if count < most {
        return Ok(());
    }
    let advice = format!("An ad account has at most {most} {what} that are not deleted. Delete some of them first.");
    Err(Refusal::invalid(&advice).shown("Ad account is full", advice))
}

/// The children that are neither archived nor deleted.
fn present(state: &State, parent: u64, kind: Kind) -> u64 {
    let children = state.children(parent, kind).filter_map(|id| state.object(id));
    u64::try_from(children.filter(|child| !child.status.is_gone()).count()).unwrap_or(u64::MAX)
}

/// The ads of an account that were made within the hour. The newest have the highest ids.
fn made_lately(state: &State, account: u64, now: Timestamp) -> usize {
    let newest_first = state.children(account, Kind::Ad).rev().filter_map(|id| state.object(id));
    newest_first.take_while(|ad| now.duration_since(ad.created) < SignedDuration::from_hours(1)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Change, Source};
    use serde_json::json;

    fn world() -> State {
        State::new(&Source::Small, 1, "2026-11-15T20:30:00Z".parse().unwrap())
    }

    fn first(state: &State, kind: Kind) -> Object {
        state.children(ACCOUNTS[0], kind).next().and_then(|id| state.object(id)).cloned().unwrap()
    }

    #[test]
    fn a_ceiling_is_reached_by_what_is_not_deleted() {
        let mut state = world();
        state.settings.ceilings.campaigns = 3;
        assert_eq!(campaigns(&state, ACCOUNTS[0]).unwrap_err().code(), 100);
        let mut campaign = first(&state, Kind::Campaign);
        campaign.status = Status::Deleted;
        state.commit(Change::Put(Box::new(campaign)));
        assert!(campaigns(&state, ACCOUNTS[0]).is_ok());
    }

    #[test]
    fn an_account_may_have_its_own() {
        let mut state = world();
        state.settings.ceilings.ads_of_an_ad_set = 1;
        let ad_set = first(&state, Kind::AdSet);
        let now = ad_set.created;
        assert!(ads(&state, &ad_set, now).is_err());
        let account = state.object(ACCOUNTS[0]).cloned().unwrap();
        state.commit(Change::Put(Box::new(account.with(json!({ "_ceilings": { "ads_of_an_ad_set": 9 } })))));
        assert!(ads(&state, &ad_set, now).is_ok());
    }

    #[test]
    fn a_campaign_with_the_budget_holds_fewer_ad_sets() {
        let mut state = world();
        let campaign = first(&state, Kind::Campaign);
        state.settings.ceilings.ad_sets_of_a_budget = 2;
        assert!(ad_sets(&state, &campaign).is_ok());
        let with_budget = campaign.with(json!({ "daily_budget": "9000" }));
        assert!(ad_sets(&state, &with_budget).is_err());
    }
}
