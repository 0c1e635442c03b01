//! Refusals that still stand, so that a flood of hopeless calls costs Redis nothing.
//!
//! The only thing that is ever answered from memory is a refusal: at worst a call waits although another replica has
//! just given points back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::demand::Demand;
use crate::priority::Priority;
use crate::store::{Reason, Refusal};

/// As many buckets as are remembered; beyond, those whose time is over are dropped, and then nothing is added.
const KEPT_MAX: usize = 20_000;

/// What is known to be refused, by bucket.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Refused>>);

#[derive(Debug, Clone, Copy)]
struct Refused {
    until: Instant,
    reason: Reason,
    /// This class and the less urgent ones are refused.
    priority: Priority,
    /// This cost and higher ones are refused.
    cost: u32,
}

impl Refusals {
    /// Remembers what Redis refused.
    pub(crate) fn note(&self, demand: &Demand, refusal: &Refusal) {
        let place = usize::try_from(refusal.binding).unwrap_or_default().wrapping_sub(1);
        let Some((bucket, cost)) = demand.charges.get(place) else { return };
        if refusal.reason == Reason::CostAboveCeiling {
            return;
        }
        // A closed bucket is closed for any cost.
        let cost = if refusal.reason == Reason::Ceiling || refusal.reason == Reason::Pace { *cost } else { 0 };
        let until = Instant::now() + refusal.wait;
        let refused = Refused { until, reason: refusal.reason, priority: demand.priority, cost };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, refused| refused.until > Instant::now());
        }
        if kept.len() < KEPT_MAX {
            kept.insert(bucket.key.clone(), refused);
        }
    }

    /// The longest refusal that stands against a demand.
    pub(crate) fn standing(&self, demand: &Demand) -> Option<Refusal> {
        let now = Instant::now();
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let against = |(number, (bucket, cost)): (i64, &(crate::demand::Bucket, u32))| {
            let refused = kept.get(&bucket.key)?;
            // What is held for this very demand is no room for those who were refused.
            let is_free = refused.reason == Reason::Ceiling && demand.reservation.holds_of(&bucket.key);
            let is_as_much = demand.priority >= refused.priority && *cost >= refused.cost;
            let applies = refused.until > now && is_as_much && !is_free;
            applies.then(|| Refusal { epoch: 0, wait: refused.until - now, binding: number, reason: refused.reason })
        };
        (1..).zip(&demand.charges).filter_map(against).max_by_key(|refusal| refusal.wait)
    }

    /// Something changed about all of them.
    pub(crate) fn forget_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Something changed about these buckets, so Redis is asked again.
    pub(crate) fn forget<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            kept.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ceilings::Ceilings;
    use crate::demand::Rules;
    use crate::reservation::{ReservationId, Under};
    use crate::scope::{ADS_MANAGEMENT, Scope};

    fn demand(priority: Priority, cost: u32) -> Demand {
        let rules = Rules::new(Ceilings::default(), Duration::ZERO);
        rules.demand(1, priority, [(Scope::ad_account(1, "2", ADS_MANAGEMENT), None, cost)])
    }

    fn refusal(reason: Reason) -> Refusal {
        Refusal { epoch: 1, wait: Duration::from_secs(60), binding: 1, reason }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_stands_for_the_same_or_more_until_its_time_is_over() {
        let refusals = Refusals::default();
        refusals.note(&demand(Priority::Sync, 5), &refusal(Reason::Ceiling));
        assert!(refusals.standing(&demand(Priority::Sync, 5)).is_some());
        assert!(refusals.standing(&demand(Priority::Bulk, 9)).is_some());
        assert!(refusals.standing(&demand(Priority::Interactive, 5)).is_none());
        assert!(refusals.standing(&demand(Priority::Sync, 4)).is_none());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(refusals.standing(&demand(Priority::Sync, 5)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_points_held_is_asked_for_where_others_find_no_room_and_nowhere_else() {
        let refusals = Refusals::default();
        let of_others = demand(Priority::Bulk, 5);
        let under =
            |keys: Vec<String>| Demand { reservation: Under::new(ReservationId::default(), keys), ..of_others.clone() };
        refusals.note(&of_others, &refusal(Reason::Ceiling));
        assert!(refusals.standing(&under(vec![of_others.charges[0].0.key.clone()])).is_none());
        assert!(refusals.standing(&under(vec!["of another bucket".to_owned()])).is_some());
        refusals.note(&of_others, &refusal(Reason::Closed));
        assert!(refusals.standing(&under(vec![of_others.charges[0].0.key.clone()])).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_bucket_is_closed_for_any_cost_until_something_changes() {
        let refusals = Refusals::default();
        refusals.note(&demand(Priority::Interactive, 5), &refusal(Reason::Closed));
        let standing = refusals.standing(&demand(Priority::Interactive, 1)).unwrap();
        assert_eq!((standing.reason, standing.wait, standing.epoch), (Reason::Closed, Duration::from_secs(60), 0));
        refusals.forget([demand(Priority::Sync, 1).charges[0].0.key.as_str()]);
        assert!(refusals.standing(&demand(Priority::Interactive, 1)).is_none());
    }
}
