//! When ads deliver: kept beside each ad, so that its history does not move when its parents change.

use jiff::Timestamp;

use super::{Change, Kind, Object, Span, State, Status, day, is_delivering};

/// What an ad spends a day where no budget says it, in minor units.
const DAILY_MINOR: i64 = 2_000;
/// A lifetime budget is taken to last this long.
const LIFETIME_DAYS: i64 = 30;

/// Opens and closes the days of delivery of all ads at or below `id`, after its status may have changed.
pub(crate) fn settle(state: &mut State, id: u64, now: Timestamp) {
    let Some(object) = state.object(id) else { return };
    let ads: Vec<u64> = match object.kind {
        Kind::Ad => vec![id],
        Kind::Campaign | Kind::AdSet => state.children(id, Kind::Ad).collect(),
        _ => return,
    };
    for ad in ads {
        if let Some(changed) = settled(state, ad, now) {
            state.commit(Change::Put(Box::new(changed)));
        }
    }
}

fn settled(state: &State, id: u64, now: Timestamp) -> Option<Object> {
    let ad = state.object(id)?;
    let today = day(state, ad.account, now);
    let running = ad.spans.last().is_some_and(|span| span.to.is_none());
    match (is_delivering(state, ad), running) {
        (true, false) => {
            let mut ad = ad.clone();
            ad.spans.push(Span { from: today, to: None, daily_minor: share(state, &ad) });
            Some(ad)
        }
        (false, true) => {
            let mut ad = ad.clone();
            if let Some(span) = ad.spans.last_mut() {
                span.to = Some(today);
            }
            Some(ad)
        }
        _ => None,
    }
}

/// The ad's part of the daily budget above it.
fn share(state: &State, ad: &Object) -> i64 {
    let daily = |id: Option<u64>| {
        let object = id.and_then(|id| state.object(id))?;
        let daily = object.minor("daily_budget").max(object.minor("lifetime_budget") / LIFETIME_DAYS);
        (daily > 0).then_some((daily, object.id))
    };
    let Some((budget, holder)) = daily(ad.ad_set).or_else(|| daily(ad.campaign)) else { return DAILY_MINOR };
    let ads = state
        .children(holder, Kind::Ad)
        .filter_map(|id| state.object(id))
        .filter(|other| other.status == Status::Active)
        .count();
    (budget / i64::try_from(ads.max(1)).unwrap_or(1)).max(1)
}
