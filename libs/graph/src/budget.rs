//! How many retries there may be at all: a share of the calls, so that an outage at Meta does not multiply our load.

use std::sync::atomic::{AtomicU64, Ordering};

/// A retry, in the unit of the counter.
const RETRY: u64 = 100;

/// Filled by calls, emptied by retries. Full at first.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    full: u64,
    /// Hundredths of a retry that each call adds.
    percent: u64,
}

impl Budget {
    /// `percent` retries for a hundred calls, and `burst` saved up at most.
    pub(crate) fn new(percent: u32, burst: u32) -> Self {
        let full = u64::from(burst) * RETRY;
        Self { left: AtomicU64::new(full), full, percent: u64::from(percent) }
    }

    /// A call is made.
    pub(crate) fn earn(&self) {
        self.change(|left| Some((left + self.percent).min(self.full)));
    }

    /// Takes one retry, if there is one left.
    pub(crate) fn spend(&self) -> bool {
        self.change(|left| left.checked_sub(RETRY))
    }

    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, to).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_the_calls_once_the_burst_is_used() {
        let budget = Budget::new(20, 3);
        let retries = |calls: usize| {
            (0..calls)
                .filter(|_| {
                    budget.earn();
                    budget.spend()
                })
                .count()
        };
        assert_eq!(retries(3), 3);
        let later = retries(1000);
        assert!((200..=203).contains(&later), "{later}");
    }

    #[test]
    fn no_more_is_saved_up_than_the_burst() {
        let budget = Budget::new(100, 2);
        for _ in 0..50 {
            budget.earn();
        }
        assert!(budget.spend() && budget.spend() && !budget.spend());
    }
}
