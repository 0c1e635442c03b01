//! What ended lately, and in which revocation: a lease that auth lent before does not serve, wherever it comes from.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{LEASE_SECONDS_MAX, Lease};

/// No lease that is older lives, so what ended longer ago is not asked for.
const KEPT: Duration = Duration::from_secs(2 * LEASE_SECONDS_MAX);
/// So many may have ended before the old ones are looked for.
const KEPT_MIN: usize = 1_000;

/// Of connections and tenants, by name.
#[derive(Default)]
pub(super) struct Ended(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    /// Nothing lent before this generation serves.
    floor: i64,
    by_name: HashMap<String, (i64, Instant)>,
    /// With so many the old ones are looked for, so that each is looked at a few times at most.
    full: usize,
}

impl Ended {
    /// Nothing is known of what ended before this generation.
    pub(super) fn begin(&self, generation: i64) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.floor = inner.floor.max(generation);
    }

    /// A connection or a tenant ended.
    pub(super) fn add(&self, name: &str, generation: i64) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.by_name.insert(name.to_owned(), (generation, Instant::now()));
        if inner.by_name.len() >= inner.full.max(KEPT_MIN) {
            inner.by_name.retain(|_, (_, at)| at.elapsed() < KEPT);
            inner.full = inner.by_name.len().saturating_mul(2);
        }
    }

    /// Whether what the lease hangs on ended since auth lent it.
    pub(super) fn covers(&self, lease: &Lease) -> bool {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let ended = |name: &str| inner.by_name.get(name).is_some_and(|(generation, _)| *generation > lease.generation);
        inner.floor > lease.generation || ended(&lease.connection) || ended(lease.tenant.as_str())
    }
}
