//! Asking Redis, behind the memory of what it refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use storage::redis::Shard;
use tokio::time::Instant;

use crate::demand::{Bucket, Demand};
use crate::error::Error;
use crate::permit::{Charged, Permit};
use crate::refusals::Refusals;
use crate::store::{Admission, Outcome, Refusal, Store};
use crate::usage::Correction;

/// How soon Redis is asked again after it did not answer: until then nobody waits for it.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Decides demands. One per replica.
pub(crate) struct Counter {
    /// The server that keeps a shard did not answer; it is asked again then.
    away_until: Mutex<HashMap<Shard, Instant>>,
    store: Arc<Store>,
    refusals: Refusals,
}

impl Counter {
    /// Counts in `store`.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, refusals: Refusals::default(), away_until: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Takes from all buckets or from none; a refusal that still stands is answered from memory.
    pub(crate) async fn take(&self, demand: &Demand) -> Result<Outcome, Error> {
        if let Some(refusal) = self.refusals.standing(demand) {
            return Ok(Outcome::Refused(refusal));
        }
        let asked = if self.is_away(demand.app) { Err(Error::away()) } else { self.store.acquire(demand).await };
        let outcome = match asked {
            Err(error) if error.is_redis_away() => self.take_without_redis(demand, error).await?,
            asked => asked?,
        };
        if let Outcome::Refused(refusal) = &outcome {
            self.refusals.note(demand, refusal);
        }
        Ok(outcome)
    }

    /// What was written as allowed and is not spent may go all the same.
    async fn take_without_redis(&self, demand: &Demand, error: Error) -> Result<Outcome, Error> {
        self.ask_again_later(demand.app);
        self.store.acquire_without_redis(demand).await.ok_or(error)
    }

    fn ask_again_later(&self, app: u64) {
        let mut away = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        away.entry(self.store.shard(app)).or_insert_with(|| Instant::now() + ASK_AGAIN);
    }

    /// Did the server of an app's counters not answer a moment ago? Other servers of a cluster are none of its business.
    pub(crate) fn is_away(&self, app: u64) -> bool {
        let (mut away, shard) = (self.away_until.lock().unwrap_or_else(PoisonError::into_inner), self.store.shard(app));
        if away.get(&shard).is_some_and(|until| *until <= Instant::now()) {
            away.remove(&shard);
        }
        away.contains_key(&shard)
    }

    /// Corrects buckets of one app; nobody waits for a Redis that did not answer a moment ago. What was refused before is
    /// forgotten only then: a refusal that is noted meanwhile may be of the old state.
    pub(crate) async fn settle(&self, corrections: &[(Bucket, Correction)]) -> Result<(), Error> {
        let is_away = corrections.first().is_some_and(|(bucket, _)| self.is_away(bucket.scope.app));
        let settled = if is_away { Err(Error::away()) } else { self.store.settle(corrections).await };
        self.refusals.forget(corrections.iter().map(|(bucket, _)| bucket.key.as_str()));
        settled
    }

    /// Holds the demand's costs for its reservation; answers why not. Nobody waits for a Redis that did not answer a moment ago.
    pub(crate) async fn hold(&self, demand: &Demand, until_ms: i64) -> Result<Option<Refusal>, Error> {
        if self.is_away(demand.app) {
            return Err(Error::away());
        }
        self.store.hold(demand, until_ms).await
    }

    /// These buckets may have room now, whatever was refused before.
    pub(crate) fn forget(&self, buckets: &[Bucket]) {
        self.refusals.forget(buckets.iter().map(|bucket| bucket.key.as_str()));
    }

    /// Every bucket may have another ceiling now.
    pub(crate) fn forget_all(&self) {
        self.refusals.forget_all();
    }

    /// Gives a permit back; `buckets` are those of its charges, in their order.
    pub(crate) async fn release(&self, permit: &Permit, buckets: &[Bucket]) -> Result<bool, Error> {
        let released = self.store.release(permit, buckets).await?;
        self.refusals.forget(buckets.iter().map(|bucket| bucket.key.as_str()));
        Ok(released)
    }

    /// Gives back what nobody took. A failure costs points and admits nothing more.
    pub(crate) async fn give_back(&self, demand: &Demand, admission: &Admission) {
        let buckets: Vec<Bucket> = demand.charges.iter().map(|(bucket, _)| bucket.clone()).collect();
        if let Err(error) = self.release(&permit(demand, admission), &buckets).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a charge that nobody took could not be given back"
            );
        }
    }
}

/// The permit for what was charged.
pub(crate) fn permit(demand: &Demand, admission: &Admission) -> Permit {
    let charged = demand.charges.iter().zip(&admission.cells).map(|((bucket, cost), (cell, _))| Charged {
        key: bucket.key.clone(),
        cell: *cell,
        cost: *cost,
    });
    Permit {
        epoch: admission.epoch,
        app: demand.app,
        nonce: uuid::Uuid::new_v4().as_bytes().to_vec(),
        issued_ms: admission.issued_ms,
        probing: admission.probing,
        charged: charged.collect(),
        origin: None,
    }
}
