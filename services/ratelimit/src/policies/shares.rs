//! Shares: how much one tenant may take of a bucket that several share.
//!
//! An ad account, or the own buckets of an app, is shared where operators gave weights to two or more tenants in its own
//! policy: that is how they say that it is not one tenant's. A call of a tenant is then charged to its share too, a bucket
//! of its own beside the shared one: in the same script and slot, over the same window, all or none. A share's ceiling is
//! the tenant's part of the whole by weight, and of the rest as much as may be borrowed:
//!
//! > share + `borrow_max` x (ceiling - share)
//!
//! So one tenant's flood leaves the others what it may not borrow of theirs, at any moment, whatever was unused before; a
//! tenant alone for an hour gets all but that. What is counted is exact and needs nothing but the window, since no share
//! depends on what another tenant did. It was weighed against finding out in the script who used the account lately: that
//! costs a look per call and tenant also where nobody shares anything, and lets whoever comes first take everything.
//! Here an ad account that nobody named tenants for costs nothing and loses nothing; one that is shared costs one more bucket
//! a call.
//!
//! Classes fill a share as they fill the whole. Safety calls are counted in it and pass beyond it.
//!
//! Known limit: what a tenant spent before its account was shared is in no share, so for one window after it tenants may take
//! their share beside that. The whole has counted it all the same.

use std::collections::BTreeMap;

use super::effect::BORROW_MAX_PERCENT;
use super::{Known, Policy};
use crate::ceilings::Ceiling;
use crate::scope::{Kind, Scope};

/// From so many tenants on a thing is shared.
const SHARED_BY: usize = 2;

impl Known {
    /// Whether tenants have shares of a bucket.
    pub(crate) fn is_shared(&self, scope: &Scope) -> bool {
        self.weights(scope).is_some()
    }

    /// What a tenant may take of a bucket with this ceiling; without limit where nobody shares it. `otherwise` is the weight
    /// of a tenant that the policy does not name.
    pub(crate) fn share(&self, whole: &Ceiling, shared: &Scope, tenant: &str, otherwise: u32) -> Ceiling {
        let Some(((limit, policy), weights)) = whole.limit.zip(self.own(shared)).zip(self.weights(shared)) else {
            return Ceiling { limit: None, why: "nobody shares it with others".into(), ..whole.clone() };
        };
        let borrow = policy.borrow_max_percent.or_else(|| self.borrow_max(shared)).unwrap_or(BORROW_MAX_PERCENT);
        let share = of(limit, part(weights, tenant, otherwise));
        let most = share + of(limit - share, (borrow.min(100), 100));
        let why = format!("the share of tenants/{tenant}: {share} of {limit}, and {borrow} % of the rest to borrow");
        Ceiling { limit: Some(most), why: why.into(), ..whole.clone() }
    }

    fn weights(&self, scope: &Scope) -> Option<&BTreeMap<String, u32>> {
        self.own(scope).map(|policy| &policy.weights).filter(|weights| weights.len() >= SHARED_BY)
    }

    /// Operators' policy for just this: an app's says nothing of who shares its ad accounts.
    fn own(&self, scope: &Scope) -> Option<&Policy> {
        if self.layers.is_empty() {
            return None;
        }
        let name = match scope.kind {
            Kind::AdAccount => format!("adAccounts/act_{}", scope.id),
            Kind::App => format!("metaApps/{}", scope.app),
            Kind::User | Kind::Page | Kind::TenantShare | Kind::Mutation | Kind::BudgetChange => return None,
        };
        self.layers.get(&name)?.operators.as_ref()
    }

    fn borrow_max(&self, scope: &Scope) -> Option<u32> {
        self.layers.get(&format!("metaApps/{}", scope.app))?.operators.as_ref()?.borrow_max_percent
    }
}

/// A tenant's weight, and that of all.
fn part(weights: &BTreeMap<String, u32>, tenant: &str, otherwise: u32) -> (u32, u32) {
    let named: u32 = weights.values().sum();
    match weights.get(tenant) {
        Some(own) => (*own, named),
        None => (otherwise, named.saturating_add(otherwise)),
    }
}

/// A part of a number, rounded down, and at least one where there is any.
fn of(number: u32, (own, all): (u32, u32)) -> u32 {
    let part = u64::from(number) * u64::from(own) / u64::from(all.max(1));
    let least = u32::from(own > 0).min(number);
    u32::try_from(part).unwrap_or(number).clamp(least, number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceilings::Ceilings;
    use crate::policies::{Kept, OPERATORS};
    use crate::scope::ADS_MANAGEMENT;

    fn known(name: &str, weights: &[(&str, u32)], borrow_max_percent: Option<u32>) -> Known {
        let weights = weights.iter().map(|(tenant, weight)| ((*tenant).to_owned(), *weight)).collect();
        let policy = Policy { weights, borrow_max_percent, ..Policy::default() };
        Known::default().with([Kept { policy, version: 1, ..Kept::nothing(OPERATORS, name) }])
    }

    fn share(known: &Known, scope: &Scope, tenant: &str) -> Option<u32> {
        let whole = known.ceiling(&Ceilings::default(), scope, None);
        known.share(&whole, scope, tenant, 1).limit
    }

    #[test]
    fn a_share_is_by_weight_and_half_of_the_rest_can_be_borrowed() {
        let scope = Scope::ad_account(1, "2", ADS_MANAGEMENT); // 300 an hour
        let equal = known("adAccounts/act_2", &[("a", 1), ("b", 1)], None);
        assert_eq!([share(&equal, &scope, "a"), share(&equal, &scope, "b")], [Some(225); 2]);
        assert_eq!(share(&equal, &scope, "c"), Some(200), "one that is not named has a third beside them");
        let strict = known("adAccounts/act_2", &[("a", 2), ("b", 1)], Some(0));
        assert_eq!([share(&strict, &scope, "a"), share(&strict, &scope, "b")], [Some(200), Some(100)]);
        let open = known("adAccounts/act_2", &[("a", 1), ("b", 1)], Some(100));
        assert_eq!(share(&open, &scope, "a"), Some(300));
    }

    #[test]
    fn nobody_has_a_share_of_what_is_one_tenants() {
        let scope = Scope::ad_account(1, "2", ADS_MANAGEMENT);
        assert!(!known("adAccounts/act_2", &[("a", 3)], None).is_shared(&scope));
        let app = known("metaApps/1", &[("a", 1), ("b", 1)], None);
        assert!(!app.is_shared(&scope) && app.is_shared(&Scope::of_app(1, "")));
        assert_eq!(share(&app, &Scope::of_app(1, ""), "a"), Some(150));
        assert_eq!(share(&app, &Scope::of_app(1, ADS_MANAGEMENT), "a"), None, "it has no ceiling to share");
    }

    #[test]
    fn every_share_has_a_point_and_none_is_more_than_the_whole() {
        for (number, own, all) in [(1, 1, 1_000), (2, 1, 3), (300, 999, 1_000), (u32::MAX, 1, 2), (0, 1, 2)] {
            let part = of(number, (own, all));
            assert!(part <= number && (part >= 1 || number == 0), "{number} {own} {all}: {part}");
        }
    }
}
