//! Whose turn it is within one priority: fair queueing by virtual time.
//!
//! Each tenant's calls stand one behind the other on a time line of the queue, each as long as its cost divided by the
//! tenant's weight, and the call that begins first goes first. Whoever waits with one call begins where the queue is now,
//! however many calls another tenant has in it.

use std::collections::HashMap;

use vocabulary::ids::TenantId;

/// As long as a cost of one is at a weight of one: fine enough for weights up to 1,000.
const UNIT: u64 = 1_000;

/// As many tenants as are remembered before those whose calls are all served are forgotten.
const TENANTS_MAX: usize = 1_000;

/// The time line of one queue and priority.
#[derive(Debug, Default)]
pub(super) struct Turns {
    now: u64,
    ends: HashMap<TenantId, u64>,
}

impl Turns {
    /// Where a call of this tenant begins.
    pub(super) fn next(&mut self, tenant: &TenantId, cost: u32, weight: u32) -> u64 {
        if self.ends.len() >= TENANTS_MAX {
            let now = self.now;
            self.ends.retain(|_, end| *end > now);
        }
        let begins = self.ends.get(tenant).copied().unwrap_or_default().max(self.now);
        let length = u64::from(cost).saturating_mul(UNIT) / u64::from(weight.max(1));
        self.ends.insert(tenant.clone(), begins.saturating_add(length));
        begins
    }

    /// A call that began here was served.
    pub(super) fn served(&mut self, begins: u64) {
        self.now = self.now.max(begins);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In which order calls go: one letter each.
    fn order(turns: &mut Turns, calls: &[(&str, u32, u32)]) -> String {
        let mut places: Vec<_> = calls
            .iter()
            .enumerate()
            .map(|(arrival, (tenant, cost, weight))| {
                (turns.next(&tenant.parse().unwrap(), *cost, *weight), arrival, *tenant)
            })
            .collect();
        places.sort_unstable();
        places.iter().map(|(_, _, tenant)| *tenant).collect()
    }

    #[test]
    fn one_call_of_another_goes_second_whatever_the_flood() {
        let mut calls = vec![("a", 1, 1); 500];
        calls.push(("b", 1, 1));
        let order = order(&mut Turns::default(), &calls);
        assert_eq!(order.find('b'), Some(1));
    }

    #[test]
    fn tenants_share_by_weight() {
        let calls = [[("a", 1, 3); 30], [("b", 1, 1); 30]].concat();
        let order = order(&mut Turns::default(), &calls);
        let first: Vec<char> = order.chars().take(40).collect();
        assert_eq!(first.iter().filter(|tenant| **tenant == 'a').count(), 30);
        assert_eq!(first.iter().filter(|tenant| **tenant == 'b').count(), 10);
    }

    #[test]
    fn a_dear_call_takes_as_long_as_many_cheap_ones() {
        let calls = [vec![("a", 10, 1); 2], vec![("b", 1, 1); 11]].concat();
        assert_eq!(order(&mut Turns::default(), &calls), "abbbbbbbbbbab");
    }

    #[test]
    fn who_was_silent_saves_nothing_up() {
        let mut turns = Turns::default();
        let a = "a".parse().unwrap();
        for _ in 0..50 {
            let begins = turns.next(&a, 1, 1);
            turns.served(begins);
        }
        let calls = [vec![("b", 1, 1); 5], vec![("a", 1, 1); 5]].concat();
        assert_eq!(order(&mut turns, &calls), "bbabababaa");
    }
}
