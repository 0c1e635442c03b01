//! How many ads of an account deliver, without walking them: every call asks for it, since it raises the limits.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::{Kind, Object, Settings, State, effective};

/// The tally of each account that was asked for.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    /// What the tallies were made under; other settings may end reviews at other times.
    settings: Option<Settings>,
    tallies: HashMap<u64, Tally>,
}

#[derive(Debug)]
struct Tally {
    at: Timestamp,
    active: HashSet<u64>,
    /// Under review, so that time alone moves them on.
    waiting: HashSet<u64>,
    /// To be looked at, since they or what stands above them changed.
    changed: HashSet<u64>,
}

impl Tallies {
    /// Notes what a change may move. `below` are the ads below the object.
    pub(super) fn touch<'a>(&mut self, object: &Object, below: impl Iterator<Item = &'a u64>) {
        let accounts = self.accounts.get_mut().unwrap_or_else(PoisonError::into_inner);
        match object.kind {
            Kind::AdAccount => {
                accounts.tallies.remove(&object.id);
            }
            Kind::Campaign | Kind::AdSet => {
                if let Some(tally) = accounts.tallies.get_mut(&object.account) {
                    tally.changed.extend(below);
                }
            }
            Kind::Ad => {
                if let Some(tally) = accounts.tallies.get_mut(&object.account) {
                    tally.changed.insert(object.id);
                }
            }
            _ => {}
        }
    }

    pub(super) fn active(&self, state: &State, account: u64, now: Timestamp) -> u64 {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.settings.as_ref() != Some(&state.settings) {
            *accounts = Accounts { settings: Some(state.settings.clone()), tallies: HashMap::new() };
        }
        let tally = accounts.tallies.entry(account).or_insert_with(|| Tally::whole(state, account, now));
        if now < tally.at {
            *tally = Tally::whole(state, account, now);
        }
        tally.settle(state, now);
        u64::try_from(tally.active.len()).unwrap_or(u64::MAX)
    }
}

impl Tally {
    /// Nothing is known yet: all ads are to be looked at.
    fn whole(state: &State, account: u64, now: Timestamp) -> Self {
        let changed = state.children(account, Kind::Ad).collect();
        Self { at: now, active: HashSet::new(), waiting: HashSet::new(), changed }
    }

    fn settle(&mut self, state: &State, now: Timestamp) {
        self.at = now;
        let mut changed = std::mem::take(&mut self.changed);
        changed.extend(self.waiting.drain());
        for id in changed {
            self.active.remove(&id);
            let Some(ad) = state.object(id) else { continue };
            match effective(state, ad, now) {
                "ACTIVE" => {
                    self.active.insert(id);
                }
                "IN_PROCESS" | "PENDING_REVIEW" => {
                    self.waiting.insert(id);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Change, Source, Status};
    use jiff::SignedDuration;

    fn now() -> Timestamp {
        "2026-11-15T20:30:00Z".parse().unwrap()
    }

    fn put(state: &mut State, object: Object) {
        state.commit(Change::Put(Box::new(object)));
    }

    /// What the tally must come to: every ad looked at.
    fn walked(state: &State, now: Timestamp) -> u64 {
        let ads = state.children(ACCOUNTS[0], Kind::Ad).filter_map(|id| state.object(id));
        u64::try_from(ads.filter(|ad| effective(state, ad, now) == "ACTIVE").count()).unwrap()
    }

    #[test]
    fn a_paused_parent_takes_its_ads_out_and_gives_them_back() {
        let mut state = State::new(&Source::Small, 1, now());
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), 5);
        let id = state.children(ACCOUNTS[0], Kind::Campaign).next().unwrap();
        let mut campaign = state.object(id).cloned().unwrap();
        campaign.status = Status::Paused;
        put(&mut state, campaign.clone());
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), walked(&state, now()));
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), 2);
        campaign.status = Status::Active;
        put(&mut state, campaign);
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), 5);
    }

    #[test]
    fn an_ad_counts_when_its_review_is_over_and_not_before() {
        let mut state = State::new(&Source::Small, 1, now());
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), 5);
        let id = state.children(ACCOUNTS[0], Kind::Ad).next().unwrap();
        let mut ad = state.object(id).cloned().unwrap();
        ad.review_from = Some(now());
        put(&mut state, ad);
        let ended = now().checked_add(SignedDuration::from_millis(state.settings.review_milliseconds)).unwrap();
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), 4);
        assert_eq!(state.active_ads(ACCOUNTS[0], ended), 5);
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), 4, "the clock was turned back");
        state.settings.review_milliseconds = 0;
        assert_eq!(state.active_ads(ACCOUNTS[0], now()), 5);
    }
}
