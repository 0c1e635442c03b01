//! Allowances, written ahead: so that counters which Redis loses can be rebuilt without letting anything more through.
//!
//! A replica charges a bucket in Redis only up to what PostgreSQL says it may ([`ledger`]). One task writes what is
//! wanted, everything in one statement; a replica raises an allowance before it runs out, so that hardly anybody waits.
//! Buckets without a ceiling are not written down: nothing that they lose could let too much through.
//!
//! Where PostgreSQL is away and Redis is well, calls go on and are written when it is back. Where Redis is away, what was
//! written and not spent may still be spent, once its epoch is ended (`store::epoch`).
//!
//! Known limit: a replica that dies while PostgreSQL is away takes with it what it spent in that time. A loss of Redis
//! within the same window would not know of it.

mod ledger;

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::metrics::Counter;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

pub(crate) use ledger::{Allowance, Held, Ledger, Terms, When};

use crate::{
    demand::{Bucket, Demand},
    error::Error,
    priority::Priority,
    store::{Allowances, Horizon, Written},
};

/// The longest that one write may take; in tests a busy machine is no outage.
const WRITE: Duration = Duration::from_secs(if cfg!(test) { 30 } else { 2 });
/// How soon a write that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// As many rows as one statement writes.
const WRITTEN_AT_ONCE: usize = 5_000;
/// How soon a row is tried again whose app somebody agrees on.
const AGREEING: Duration = Duration::from_millis(20);
/// How often lines are lowered and rows swept.
const TIDY: Duration = Duration::from_secs(30);
/// How long after an outage of PostgreSQL other replicas may still have something to write.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Charges that went on without a journal.
static UNJOURNALED: LazyLock<Counter<u64>> =
    LazyLock::new(|| runtime::telemetry::meter("ratelimit").u64_counter("adplane_quota_unjournaled").build());

/// What covers a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cover {
    /// What was written, or, while PostgreSQL is away, nothing yet.
    Held(When),
    /// PostgreSQL has another epoch for the app: it has to be agreed on first.
    OtherEpoch,
}

/// The journal of one replica.
pub(crate) struct Journal {
    rows: Allowances,
    replica: Uuid,
    ledger: Mutex<Ledger>,
    /// The newest epoch of each app that PostgreSQL did not take a row of.
    over: Mutex<HashMap<u64, i64>>,
    /// When PostgreSQL was last away, and whether it still is.
    away: Mutex<Option<Away>>,
    wanted: Notify,
    written: Notify,
}

/// What came of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    All,
    /// Somebody agrees on an app whose rows were to be written; they are tried again soon.
    NotAll,
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    last: Instant,
    still: bool,
}

impl Journal {
    /// Writes nothing until [`Journal::run`] runs.
    pub(crate) fn new(rows: Allowances) -> Self {
        Self {
            rows,
            replica: Uuid::new_v4(),
            ledger: Mutex::default(),
            over: Mutex::default(),
            away: Mutex::default(),
            wanted: Notify::new(),
            written: Notify::new(),
        }
    }

    pub(crate) fn rows(&self) -> &Allowances {
        &self.rows
    }

    /// Waits until the demand's costs are covered: mostly not at all, once per bucket and stretch for one write.
    pub(crate) async fn hold(&self, demand: &Demand, epoch: i64, horizon: &Horizon) -> Cover {
        let charges = charges(demand);
        loop {
            let when = When { app: demand.app, epoch, now_ms: horizon.now_ms() };
            let written = self.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            if self.is_over(when) {
                return Cover::OtherEpoch;
            }
            match self.ledger().hold(when, &charges) {
                Held::Covered => return Cover::Held(when),
                Held::Low => {
                    self.wanted.notify_one();
                    return Cover::Held(when);
                }
                Held::Short => self.wanted.notify_one(),
                Held::Stale => return Cover::OtherEpoch,
            }
            if self.is_away() {
                self.ledger().hold_uncovered(when, &charges);
                UNJOURNALED.add(1, &[]);
                return Cover::Held(when);
            }
            written.await;
        }
    }

    /// Without Redis: whether what was written before covers the demand.
    pub(crate) fn hold_open(&self, demand: &Demand, when: When) -> bool {
        let bound = demand.charges.iter().filter(|(bucket, _)| bucket.cap(demand.priority).is_some());
        let charges: Vec<_> = bound.filter_map(|(bucket, cost)| Some((terms(bucket)?, *cost))).collect();
        self.ledger().hold_open(when, &charges, demand.priority == Priority::Safety)
    }

    /// What was written under an epoch and is not spent.
    pub(crate) fn open(&self, app: u64, epoch: i64, now_ms: i64) -> Vec<Allowance> {
        self.ledger().open(app, epoch, now_ms)
    }

    /// PostgreSQL has this epoch for the app now, though it may have refused rows of it before it adopted it.
    pub(crate) fn agreed(&self, app: u64, epoch: i64) {
        let mut epochs = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = epochs.get(&app).copied().filter(|over| *over <= epoch);
        if refused.is_some() {
            epochs.remove(&app);
        }
        drop(epochs);
        if refused == Some(epoch) {
            self.ledger().adopted(app, epoch);
            self.wanted.notify_one();
        }
    }

    /// This replica, as PostgreSQL knows it.
    pub(crate) fn replica(&self) -> Uuid {
        self.replica
    }

    /// Redis refused it for sure.
    pub(crate) fn give_back(&self, demand: &Demand, when: When) {
        self.ledger().give_back(when, &charges(demand));
    }

    /// Was charged already, whatever is covered.
    pub(crate) fn charged(&self, bucket: &Bucket, cost: u32, when: When) {
        if let Some(terms) = terms(bucket) {
            self.ledger().hold_uncovered(when, &[(terms, cost)]);
            self.wanted.notify_one();
        }
    }

    /// Whether everything that living replicas spent is written, as far as this one can tell.
    pub(crate) fn is_exact(&self) -> bool {
        self.away().is_none_or(|away| !away.still && away.last.elapsed() > CATCH_UP)
    }

    /// Writes until `stop`, and then once more.
    pub(crate) async fn run(&self, horizon: &Horizon, stop: CancellationToken) {
        let mut tidy = tokio::time::interval(TIDY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let again = if self.is_away() { AGAIN } else { Duration::MAX };
            tokio::select! {
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(again) => {}
                _ = tidy.tick() => self.sweep(horizon.now_ms()).await,
                () = stop.cancelled() => break,
            }
            if self.write(horizon.now_ms()).await == Wrote::NotAll {
                tokio::time::sleep(AGREEING).await;
                self.wanted.notify_one();
            }
        }
        self.write(horizon.now_ms()).await;
    }

    /// Raises go before what is lowered, for somebody waits for them.
    async fn write(&self, now_ms: i64) -> Wrote {
        let wanted = self.ledger().unwritten(now_ms);
        let mut wrote = Wrote::All;
        if wanted.is_empty() && self.is_away() {
            wrote = self.write_part(Vec::new(), now_ms).await;
        }
        for part in wanted.chunks(WRITTEN_AT_ONCE) {
            match self.write_part(part.to_vec(), now_ms).await {
                Wrote::All => {}
                Wrote::NotAll => wrote = Wrote::NotAll,
                Wrote::Nothing => break,
            }
        }
        self.written.notify_waiters();
        wrote
    }

    async fn write_part(&self, rows: Vec<Allowance>, now_ms: i64) -> Wrote {
        let written = tokio::time::timeout(WRITE, self.rows.write(self.replica, rows, now_ms)).await;
        match written.unwrap_or(Err(Error::Late)) {
            Ok(written) => {
                let all = if written.later { Wrote::NotAll } else { Wrote::All };
                self.wrote(&written);
                all
            }
            Err(error) => {
                self.failed(&error);
                Wrote::Nothing
            }
        }
    }

    fn wrote(&self, Written { stand, over, .. }: &Written) {
        // Before the lines: nobody may find room in a line of an epoch that is over.
        let mut epochs = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        for row in over {
            let epoch = epochs.entry(row.app).or_default();
            *epoch = row.epoch.max(*epoch);
        }
        drop(epochs);
        let mut ledger = self.ledger();
        ledger.written(stand);
        ledger.refused(over);
        drop(ledger);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(away) = away.as_mut().filter(|away| away.still) {
            away.still = false;
            away.last = Instant::now();
            info!("PostgreSQL is back; what was charged without it is written");
        }
    }

    fn failed(&self, error: &Error) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.is_none_or(|away| !away.still) {
            let error = error as &dyn std::error::Error;
            warn!(error, "PostgreSQL is away; calls go on and are written when it is back");
        }
        *away = Some(Away { last: Instant::now(), still: true });
    }

    async fn sweep(&self, now_ms: i64) {
        // Those who wait for a write wait for this too, so for that long at most.
        let swept = tokio::time::timeout(WRITE, self.rows.sweep(now_ms)).await;
        if let Err(error) = swept.unwrap_or(Err(Error::Late)) {
            warn!(error = &error as &dyn std::error::Error, "allowances that are over stay for now");
        }
    }

    fn is_over(&self, when: When) -> bool {
        let epochs = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.get(&when.app).is_some_and(|over| *over >= when.epoch)
    }

    fn is_away(&self) -> bool {
        self.away().is_some_and(|away| away.still)
    }

    fn away(&self) -> Option<Away> {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The charges that count against a ceiling.
pub(crate) fn charges(demand: &Demand) -> Vec<(Terms<'_>, u32)> {
    demand.charges.iter().filter_map(|(bucket, cost)| Some((terms(bucket)?, *cost))).collect()
}

fn terms(bucket: &Bucket) -> Option<Terms<'_>> {
    let cells = i64::from(bucket.window.cells);
    Some(Terms { key: &bucket.key, limit: bucket.ceiling.limit?, cell_ms: bucket.cell_ms(), cells })
}
