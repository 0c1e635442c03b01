//! What a call costs, in the unit of each bucket that Meta counts it in.

use proto::ratelimit::v1::{Charge, Scope, ScopeKind};

use crate::{
    call::{Call, UseCase, Verb},
    on::Asset,
};

/// What Meta's score takes for a read and for a write (Meta, "Marketing API rate limiting": ad account level).
const SCORE_READ: u32 = 1;
const SCORE_WRITE: u32 = 3;

/// The word under which calls to datasets are counted per app. Meta publishes no limit for them, so they have no
/// use case of Meta's own.
const CONVERSIONS: &str = "conversions_api";

/// The facts of a call that its price depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Priced {
    verb: Verb,
    use_case: UseCase,
}

impl<T> From<&Call<T>> for Priced {
    fn from(call: &Call<T>) -> Self {
        Self { verb: call.verb, use_case: call.use_case }
    }
}

/// The charges of these calls together: one call, or all items of a batch, each of which Meta counts.
pub(crate) fn charges(meta_app: &str, asset: Asset, calls: impl IntoIterator<Item = Priced>) -> Vec<Charge> {
    let mut charges: Vec<Charge> = Vec::new();
    for call in calls {
        for (kind, id, use_case, cost) in of_call(asset, call) {
            let scope = Scope { meta_app: meta_app.to_owned(), kind: kind.into(), id, use_case: use_case.to_owned() };
            match charges.iter_mut().find(|charge| charge.scope.as_ref() == Some(&scope)) {
                Some(charge) => charge.cost = charge.cost.saturating_add(cost),
                None => charges.push(Charge { scope: Some(scope), cost }),
            }
        }
    }
    charges
}

/// The charges of a job of so many calls under `ads_management`.
pub(crate) fn of_job(meta_app: &str, asset: Asset, reads: usize, writes: usize) -> Vec<Charge> {
    let of = |verb| Priced { verb, use_case: UseCase::AdsManagement };
    let calls = std::iter::repeat_n(of(Verb::Get), reads).chain(std::iter::repeat_n(of(Verb::Post), writes));
    charges(meta_app, asset, calls)
}

fn of_call(asset: Asset, call: Priced) -> Vec<(ScopeKind, String, &'static str, u32)> {
    let Asset::AdAccount(account) = asset else {
        return vec![(ScopeKind::App, String::new(), CONVERSIONS, 1)];
    };
    let account = account.to_string();
    let use_case = call.use_case.word();
    let mut charges = vec![(ScopeKind::App, String::new(), use_case, 1)];
    if call.use_case != UseCase::None {
        charges.push((ScopeKind::AdAccount, account.clone(), use_case, 1));
    }
    if call.use_case == UseCase::AdsManagement {
        let write = call.verb != Verb::Get;
        charges.push((ScopeKind::AdAccount, account.clone(), "", if write { SCORE_WRITE } else { SCORE_READ }));
        if write {
            charges.push((ScopeKind::Mutation, account, "", 1));
        }
    }
    charges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Replay;

    fn told(charges: &[Charge]) -> Vec<(ScopeKind, String, u32)> {
        charges
            .iter()
            .map(|charge| {
                let scope = charge.scope.clone().unwrap();
                (scope.kind(), format!("{}/{}", scope.id, scope.use_case), charge.cost)
            })
            .collect()
    }

    #[test]
    fn a_write_costs_a_call_three_points_and_a_mutation() {
        let call: Call<()> = Call::post("/act_7/campaigns", Replay::Never);
        let charges = charges("metaApps/1", Asset::AdAccount("7".parse().unwrap()), [Priced::from(&call)]);
        assert_eq!(
            told(&charges),
            [
                (ScopeKind::App, "/ads_management".to_owned(), 1),
                (ScopeKind::AdAccount, "7/ads_management".to_owned(), 1),
                (ScopeKind::AdAccount, "7/".to_owned(), 3),
                (ScopeKind::Mutation, "7/".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn every_item_of_a_batch_is_charged() {
        let read: Call<()> = Call::get("/1");
        let charges = charges("metaApps/1", Asset::AdAccount("7".parse().unwrap()), [Priced::from(&read); 50]);
        assert!(told(&charges).iter().all(|(_, _, cost)| *cost == 50));
    }

    #[test]
    fn events_have_no_account_to_pay() {
        let call: Call<()> = Call::post("/9/events", Replay::Safe).use_case(UseCase::None);
        let charges = charges("metaApps/1", Asset::Dataset("9".parse().unwrap()), [Priced::from(&call)]);
        assert_eq!(told(&charges), [(ScopeKind::App, "/conversions_api".to_owned(), 1)]);
    }
}
