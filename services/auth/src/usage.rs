//! How often tokens are leased: counted in memory per service, caller, connection and hour, written every other second,
//! and compared with the week before.
//!
//! A lease never waits for a count. A process that dies loses the counts of its last two seconds; a store that is away
//! makes them wait, up to a bound.

mod rule;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use vocabulary::{
    ids::{ConnectionId, TenantId},
    names,
};

pub use self::rule::{Rise, rise};
use crate::{
    by::By,
    error::Error,
    meters,
    now::Now,
    store::{Store, Told, usage},
};

/// How often counts are written.
const FLUSH: Duration = Duration::from_secs(2);
/// How many kinds of use wait for being written at most. What comes beyond is not counted.
const KEYS_MAX: usize = 20_000;
/// How long hours are kept.
const KEEP: SignedDuration = SignedDuration::from_hours(35 * 24);
/// How many days of the past an hour is compared with.
const DAYS: i64 = 7;

/// A kind of use in an hour. The order is the one in which rows are locked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Whose connection.
    pub tenant: TenantId,
    /// The hour's first moment.
    pub hour: Timestamp,
    /// The service that leased.
    pub service: Arc<str>,
    /// For whom.
    pub caller: Arc<str>,
    /// Whose token.
    pub connection: ConnectionId,
}

/// How often it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What.
    pub key: Key,
    /// How often.
    pub leases: i64,
    /// It was found to be unusual.
    pub unusual: bool,
}

/// Which counts to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only hours from this moment on.
    pub from: Option<Timestamp>,
    /// Only hours before this moment.
    pub until: Option<Timestamp>,
    /// Only what rose unusually.
    pub unusual_only: bool,
    /// After this one.
    pub after: Option<Key>,
    /// At most so many.
    pub limit: i64,
}

/// Counts leases.
#[derive(Clone)]
pub struct Usage {
    store: Store,
    now: Now,
    counts: Arc<Mutex<HashMap<Key, i64>>>,
}

impl Usage {
    /// Nothing counted yet.
    pub fn new(store: Store, now: Now) -> Self {
        Self { store, now, counts: Arc::default() }
    }

    /// One more lease.
    pub fn count(&self, by: &By, service: &str, connection: ConnectionId) {
        let key = Key {
            tenant: by.tenant.clone(),
            hour: hour_of((self.now)()),
            service: service.into(),
            caller: Arc::clone(&by.actor),
            connection,
        };
        self.add(key, 1);
    }

    fn add(&self, key: Key, leases: i64) {
        let mut counts = self.counts();
        if counts.len() >= KEYS_MAX && !counts.contains_key(&key) {
            drop(counts);
            meters::USE_UNCOUNTED.add(u64::try_from(leases).unwrap_or(0), &key.service);
            return;
        }
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(leases);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Key, i64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until it is stopped, and once more then.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(FLUSH);
        loop {
            let stopped = stop.run_until_cancelled(tick.tick()).await.is_none();
            if let Err(error) = self.flush().await {
                warn!(error = &error as &dyn std::error::Error, "counts of leases wait to be written");
            }
            if stopped {
                return;
            }
        }
    }

    /// Writes what was counted, and compares what may be unusual.
    pub async fn flush(&self) -> Result<(), Error> {
        let mut counts: Vec<(Key, i64)> = std::mem::take(&mut *self.counts()).into_iter().collect();
        if counts.is_empty() {
            return Ok(());
        }
        counts.sort();
        let written = async { usage::add(&self.store.client().await?, &counts).await };
        let sums = match written.await {
            Ok(sums) => sums,
            Err(error) => {
                // Perhaps they were written and the answer was lost: a count too high is better than one too low.
                for (key, leases) in counts {
                    self.add(key, leases);
                }
                return Err(error.into());
            }
        };
        for sum in sums.iter().filter(|sum| !sum.unusual && rise(sum.leases, &[]).is_some()) {
            self.compare(sum).await?;
        }
        Ok(())
    }

    /// Tells of an unusual rise, once for its hour: in the tenant's audit, in the log and in a metric.
    async fn compare(&self, sum: &Count) -> Result<(), Error> {
        let key = &sum.key;
        let hours: Vec<_> = (1..=DAYS).map(|days| key.hour - SignedDuration::from_hours(24 * days)).collect();
        let mut client = self.store.client().await?;
        let before = usage::in_hours(&client, key, &hours).await?;
        let Some(Rise { usual, limit }) = rise(sum.leases, &before) else { return Ok(()) };
        let transaction = client.transaction().await?;
        if !usage::mark(&transaction, key).await? {
            return Ok(());
        }
        let connection = names::of_connection(key.connection);
        let detail = json!({
            "service": &*key.service,
            "caller": &*key.caller,
            "hour": key.hour.to_string(),
            "leases": sum.leases,
            "usual": usual,
            "limit": limit,
        });
        let told = Told { action: "credentials.unusual_use", resource: &connection, detail };
        self.store.commit(transaction, &By::ourselves(key.tenant.clone()), told, None).await?;
        meters::UNUSUAL_USE.add(1, &key.service);
        warn!(
            tenant.id = %key.tenant,
            connection.id = %key.connection,
            service.name = &*key.service,
            caller.name = &*key.caller,
            leases = sum.leases,
            leases.usual = usual,
            "a token is used far more often than in the week before"
        );
        Ok(())
    }

    /// The tenant's counts, newest hour first. What was counted in the last two seconds is not in it yet.
    pub async fn list(&self, by: &By, listing: &Listing) -> Result<Vec<Count>, Error> {
        Ok(usage::list(&self.store.client().await?, by.tenant.as_str(), listing).await?)
    }

    /// Forgets hours with which nothing is compared any more.
    pub async fn sweep(&self) -> Result<u64, Error> {
        Ok(usage::sweep(&self.store.client().await?, (self.now)() - KEEP).await?)
    }
}

/// The first moment of the hour.
pub fn hour_of(moment: Timestamp) -> Timestamp {
    let seconds = moment.as_second();
    Timestamp::from_second(seconds - seconds.rem_euclid(3_600)).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_begins_at_its_first_second() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(hour_of(at("2026-11-22T14:59:59.9Z")), at("2026-11-22T14:00:00Z"));
        assert_eq!(hour_of(at("2026-11-22T14:00:00Z")), at("2026-11-22T14:00:00Z"));
    }
}
