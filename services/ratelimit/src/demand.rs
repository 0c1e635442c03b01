//! What a call asks for, with everything that the script has to know about its buckets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vocabulary::ids::TenantId;

use crate::ceilings::{Ceiling, Ceilings, Tier};
use crate::policies::{Known, Policies};
use crate::priority::Priority;
use crate::reservation::Under;
use crate::scope::{Kind, Scope};
use crate::window::Window;

/// One bucket with its rules.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) scope: Scope,
    /// Its key in Redis.
    pub(crate) key: String,
    pub(crate) window: Window,
    pub(crate) ceiling: Ceiling,
    /// That Meta named for its ad account, when the ceiling was looked up.
    pub(crate) tier: Option<Tier>,
}

/// What one call takes, from all buckets or from none.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    pub(crate) app: u64,
    pub(crate) priority: Priority,
    /// The version of the policies by which it has its ceilings.
    pub(crate) ruled: i64,
    /// From what is held for this it takes first.
    pub(crate) reservation: Under,
    /// Each bucket once.
    pub(crate) charges: Vec<(Bucket, u32)>,
}

/// The weights of tenants that have not 1.
pub(crate) type Weights = BTreeMap<TenantId, u32>;

/// Turns scopes into buckets, by the settings and by what people set beside them. Clones share the policies.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    ceilings: Arc<Ceilings>,
    weights: Arc<Weights>,
    travel: Duration,
    policies: Policies,
}

impl Rules {
    /// `travel` is how long after its permit a call may still arrive at Meta.
    pub(crate) fn new(ceilings: Ceilings, travel: Duration) -> Self {
        Self { ceilings: Arc::new(ceilings), weights: Arc::default(), travel, policies: Policies::default() }
    }

    /// The same with weights that the settings give to tenants.
    pub(crate) fn with_weights(self, weights: Weights) -> Self {
        Self { weights: Arc::new(weights), ..self }
    }

    pub(crate) fn ceilings(&self) -> &Ceilings {
        &self.ceilings
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The bucket that a scope is counted in, for the tier that Meta named for its ad account, if it did.
    pub(crate) fn bucket(&self, scope: Scope, tier: Option<Tier>) -> Bucket {
        self.bucket_by(&self.policies.known(), scope, tier)
    }

    fn bucket_by(&self, known: &Known, scope: Scope, tier: Option<Tier>) -> Bucket {
        let scope = self.ceilings.bucket_of(scope);
        Bucket {
            key: scope.key(),
            window: Window::of(&scope, self.travel),
            ceiling: self.ceiling(known, &scope, tier),
            tier,
            scope,
        }
    }

    fn ceiling(&self, known: &Known, scope: &Scope, tier: Option<Tier>) -> Ceiling {
        let Some((tenant, shared)) = scope.shared() else { return known.ceiling(&self.ceilings, scope, tier) };
        let whole = known.ceiling(&self.ceilings, &shared, tier);
        let weight = tenant.parse().map_or(1, |tenant| self.weight_by_settings(&tenant));
        known.share(&whole, &shared, tenant, weight)
    }

    /// How much more than others a tenant gets where calls wait for this bucket.
    pub(crate) fn weight(&self, scope: &Scope, tenant: &TenantId) -> u32 {
        let set = self.policies.known().weight(scope, tenant);
        set.or_else(|| self.weights.get(tenant).copied()).unwrap_or(1)
    }

    /// What the settings say about a tenant's weight.
    pub(crate) fn weight_by_settings(&self, tenant: &TenantId) -> u32 {
        self.weights.get(tenant).copied().unwrap_or(1)
    }

    /// Scopes that fall into one bucket are charged there together.
    pub(crate) fn demand(
        &self,
        app: u64,
        priority: Priority,
        charges: impl IntoIterator<Item = (Scope, Option<Tier>, u32)>,
    ) -> Demand {
        let known = self.policies.known();
        let mut by_key: BTreeMap<String, (Bucket, u32)> = BTreeMap::new();
        for (scope, tier, cost) in charges {
            let bucket = self.bucket_by(&known, scope, tier);
            let entry = by_key.entry(bucket.key.clone()).or_insert_with(|| (bucket, 0));
            entry.1 = entry.1.saturating_add(cost);
        }
        let (ruled, charges) = (known.version(), by_key.into_values().collect());
        Demand { app, priority, ruled, reservation: Under::default(), charges }
    }

    /// The same of a tenant, which takes from its share of whatever is shared, too.
    pub(crate) fn demand_of(
        &self,
        tenant: &TenantId,
        app: u64,
        priority: Priority,
        charges: impl IntoIterator<Item = (Scope, Option<Tier>, u32)>,
    ) -> Demand {
        let known = self.policies.known();
        let with_share = |(scope, tier, cost): (Scope, Option<Tier>, u32)| {
            let whole = self.ceilings.bucket_of(scope.clone());
            let share = if known.is_shared(&whole) { whole.share(tenant.as_str()) } else { None };
            [Some((scope, tier, cost)), share.map(|share| (share, tier, cost))].into_iter().flatten()
        };
        self.demand(app, priority, charges.into_iter().flat_map(with_share))
    }

    /// The same demand under the policies of now, where they are others: who waits is let through by these.
    pub(crate) fn renewed(&self, demand: &Demand) -> Option<Demand> {
        let known = self.policies.known();
        let renewed = |(bucket, cost): &(Bucket, u32)| {
            let ceiling = self.ceiling(&known, &bucket.scope, bucket.tier);
            (Bucket { ceiling, ..bucket.clone() }, *cost)
        };
        (known.version() != demand.ruled).then(|| Demand {
            ruled: known.version(),
            charges: demand.charges.iter().map(renewed).collect(),
            ..demand.clone()
        })
    }
}

impl Bucket {
    /// What a class may fill of it; `None` where nothing limits it. Safety calls are counted in a share, and go beyond it:
    /// what has to stop now stops as long as the whole has room.
    pub(crate) fn cap(&self, class: Priority) -> Option<u32> {
        let is_free = self.scope.kind == Kind::TenantShare && class == Priority::Safety;
        if is_free { None } else { self.ceiling.cap(class) }
    }

    /// What a class may put into one cell of it; `None` where it is not paced. A share leaves that to the whole.
    pub(crate) fn pace(&self, class: Priority) -> Option<u32> {
        let is_paced = self.window.is_paced() && self.scope.kind != Kind::TenantShare;
        self.ceiling.limit.filter(|_| is_paced).and_then(|limit| class.pace(limit))
    }

    /// How long anything that was counted can matter, in ms.
    pub(crate) fn kept_ms(&self) -> i64 {
        i64::from(self.window.cells).saturating_mul(self.cell_ms())
    }

    /// The length of a cell in ms.
    pub(crate) fn cell_ms(&self) -> i64 {
        i64::try_from(self.window.cell.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Demand {
    /// The number of the bucket in which the demand alone is more than its class may ever fill, and how long that
    /// bucket counts: no waiting helps.
    pub(crate) fn never_fits(&self) -> Option<(i64, Duration)> {
        let above = |bucket: &Bucket, cost| bucket.cap(self.priority).is_some_and(|cap| cost > cap);
        let numbered = (1..).zip(&self.charges);
        let (number, (bucket, _)) = numbered.into_iter().find(|(_, (bucket, cost))| above(bucket, *cost))?;
        Some((number, bucket.window.span))
    }

    /// The bucket with this number in the answers of the scripts, which count from 1.
    pub(crate) fn bucket(&self, number: i64) -> Option<&Bucket> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.charges.get(place).map(|(bucket, _)| bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceilings::Profile;
    use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT};

    #[test]
    fn scopes_that_share_a_bucket_are_charged_together() {
        let ceilings = Ceilings { profile: Profile::Source, ..Ceilings::default() };
        let rules = Rules::new(ceilings, Duration::from_secs(35));
        let charges = [ADS_INSIGHTS, ADS_MANAGEMENT].map(|use_case| (Scope::of_app(1, use_case), None, 2));
        let demand = rules.demand(1, Priority::Sync, charges);
        assert_eq!(demand.charges.len(), 1);
        assert_eq!((demand.charges[0].1, demand.bucket(1).unwrap().ceiling.limit), (4, Some(4_800)));
        assert!(demand.bucket(0).is_none() && demand.bucket(2).is_none());
    }

    #[test]
    fn a_cost_above_the_share_of_its_class_never_fits() {
        let rules = Rules::new(Ceilings::default(), Duration::ZERO);
        let demand = |cost, class| rules.demand(1, class, [(Scope::ad_account(1, "2", ADS_MANAGEMENT), None, cost)]);
        assert_eq!(demand(225, Priority::Bulk).never_fits(), None);
        assert_eq!(demand(226, Priority::Bulk).never_fits(), Some((1, Duration::from_hours(1))));
        assert_eq!(demand(226, Priority::Sync).never_fits(), None);
    }
}
