//! Agreeing on the counters of an app: a new one's, and those that Redis has lost.
//!
//! An epoch is a run of whole counters. PostgreSQL says which one is valid and Redis carries it beside the counters,
//! with the id of the server's run. Where the two differ, counters may be missing: after an empty restart, a restart from
//! an old file, a failover that lost the last moments, an eviction. One replica then opens the next epoch under the lock
//! of the app's row, which stops all allowances of the one before, and puts what may have been spent where it can last
//! have been spent. So nothing more is admitted than without the loss, and no hour is lost.
//!
//! A replica that does not reach Redis ends the epoch in PostgreSQL before it spends anything that it was allowed: others
//! may reach Redis all the while, which would not know of it.
//!
//! Known limit: a replica that reaches neither that end nor PostgreSQL, and still reaches Redis, goes on under the ended
//! epoch. Then as much may be too much as the first had written and not spent.
//!
//! Without PostgreSQL nobody can say what was spent: only safety calls go on, within the share that no other class can
//! have used, until it is back or a window has passed. Where safety itself had used that share, as much is too much: not to
//! be able to stop an ad for an hour would be worse.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use storage::Transaction;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Store,
    agreement::{self, Agreement, Found, Why},
    allowances::{self, Opened, Spent},
    epoch_key, outcome,
    scripts::Script,
};
use crate::{
    demand::{Bucket, Demand},
    error::Error,
    journal::When,
};

/// As many buckets as one call rebuilds.
const LOADED_AT_ONCE: usize = 200;

/// How long ending an epoch may take while Redis is away and somebody waits; in tests a busy machine is no outage.
const FENCE: Duration = Duration::from_secs(if cfg!(test) { 30 } else { 2 });

/// How long it is taken for granted that nobody has begun another epoch since.
const FENCE_LASTS: Duration = Duration::from_secs(1);

/// How often Redis is asked whether it evicts.
const LOOK: Duration = Duration::from_secs(2);

/// What Redis says of an app's epoch, how it stands there (empty where there is none), and which server said so.
struct Read {
    found: Found,
    value: String,
    run_id: String,
}

/// What this replica may spend though it does not reach Redis, and the epoch that this ended.
pub(super) struct Fence {
    epoch: i64,
    /// When PostgreSQL was asked. What others add to the counters for it they add later, so what is spent counts from here.
    asked: Instant,
    /// By bucket: what everybody may have spent of it.
    points: HashMap<String, i64>,
    /// By bucket: what is left to this replica. Empty where the epoch was not ended.
    open: Mutex<HashMap<String, u64>>,
}

impl Fence {
    /// Whether all that everybody may spend of a bucket is within its ceiling.
    fn has_room(&self, bucket: &Bucket) -> bool {
        let points = self.points.get(&bucket.key).copied().unwrap_or_default();
        bucket.ceiling.limit.is_none_or(|limit| points <= i64::from(limit))
    }

    /// Takes all costs, if all that everybody may spend is within the ceilings and `held` says that the journal has them.
    fn take(&self, demand: &Demand, held: impl FnOnce() -> bool) -> bool {
        let counted = || demand.charges.iter().filter(|(bucket, _)| bucket.cap(demand.priority).is_some());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let covers = |(bucket, cost): &(Bucket, u32)| {
            self.has_room(bucket) && open.get(&bucket.key).is_some_and(|left| *left >= u64::from(*cost))
        };
        if open.is_empty() || !counted().all(covers) || !held() {
            return false;
        }
        for (bucket, cost) in counted() {
            if let Some(left) = open.get_mut(&bucket.key) {
                *left -= u64::from(*cost);
            }
        }
        true
    }
}

impl Store {
    pub(super) fn known_epoch(&self, app: u64) -> Option<i64> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).get(&app).copied()
    }

    /// Brings this replica from the epoch that it charged under to the one that holds, opening the next one where counters
    /// may be missing.
    pub(super) async fn agree(&self, app: u64, before: Option<i64>) -> Result<(), Error> {
        let _one = self.agreeing.enter(self.shard(app)).await;
        if self.known_epoch(app) != before {
            return Ok(());
        }
        match self.agree_by_journal(app).await {
            Err(Error::Postgres(error)) if error.is_outage() => self.agree_without_journal(app).await,
            agreed => agreed,
        }
    }

    async fn agree_by_journal(&self, app: u64) -> Result<(), Error> {
        let mut client = self.journal.rows().client().await?;
        let transaction = client.transaction().await?;
        let opened = allowances::lock(&transaction, app).await?;
        let read = self.read(app).await?;
        let fenced = allowances::fenced(&transaction, app, opened.epoch.saturating_sub(1)).await?;
        let known = self.known_epoch(app).unwrap_or_default();
        match agreement::agree(opened, read.found, known, self.journal.is_exact(), !fenced.is_empty()) {
            Agreement::Holds(epoch) => self.agreed(app, epoch),
            Agreement::Adopt(adopted) => {
                allowances::put(&transaction, app, adopted, "counted before there was a journal").await?;
                transaction.commit().await?;
                self.agreed(app, adopted.epoch);
            }
            Agreement::Mend { next, lost_at_ms } => {
                allowances::put(&transaction, app, next, "what was spent without Redis was added").await?;
                allowances::forget_fences(&transaction, app).await?;
                self.add(&fenced).await?;
                if self.set_epoch(app, &read, next.epoch, lost_at_ms).await? != next.epoch {
                    return Err(Error::ServerChanges);
                }
                transaction.commit().await?;
                self.agreed(app, next.epoch);
                info!(meta_app = app, quota.epoch = next.epoch, "what was spent while Redis was away is counted");
            }
            Agreement::Open { next, why, lost_at_ms, rebuilds } => {
                allowances::put(&transaction, app, next, &why.to_string()).await?;
                allowances::forget_fences(&transaction, app).await?;
                let time_ms = read.found.time_ms;
                let rebuilt = if rebuilds { self.rebuild(&transaction, app, time_ms).await? } else { 0 };
                if self.set_epoch(app, &read, next.epoch, lost_at_ms).await? != next.epoch {
                    return Err(Error::ServerChanges); // the server changed again; whoever asks next agrees anew
                }
                transaction.commit().await?;
                self.agreed(app, next.epoch);
                if why == Why::New {
                    info!(meta_app = app, quota.epoch = next.epoch, "counting for a new app");
                } else {
                    warn!(meta_app = app, quota.epoch = next.epoch, %why, quota.buckets = rebuilt, "counters rebuilt");
                }
            }
        }
        Ok(())
    }

    async fn agree_without_journal(&self, app: u64) -> Result<(), Error> {
        let read = self.read(app).await?;
        let epoch = match agreement::agree_without_journal(read.found, self.known_epoch(app)) {
            Agreement::Holds(epoch)
            | Agreement::Adopt(Opened { epoch, .. })
            | Agreement::Mend { next: Opened { epoch, .. }, .. } => epoch,
            Agreement::Open { next, why, lost_at_ms, .. } => {
                let holds = self.set_epoch(app, &read, next.epoch, lost_at_ms).await?;
                warn!(meta_app = app, quota.epoch = holds, %why, "only safety calls go on");
                holds
            }
        };
        self.charge_under(app, epoch);
        Ok(())
    }

    /// What Redis has. Runs a script, so that a server which has changed is noticed.
    async fn read(&self, app: u64) -> Result<Read, Error> {
        let (key, args) = (epoch_key(app), [self.horizon.not_after_ms()]);
        let run_id = self.scripts.run_id(&key).await?;
        let answer = self.scripts.run(Script::Look, &[&key], &args).await?;
        let value: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut self.scripts.connection()).await?;
        let value = value.unwrap_or_default();
        let found = Found {
            epoch: outcome::number(&answer, 0)?,
            lost_at_ms: outcome::number(&answer, 1)?,
            any_epoch: value.split(':').next().and_then(|epoch| epoch.parse().ok()).unwrap_or_default(),
            is_empty: value.is_empty(),
            time_ms: self.horizon.now_ms(),
        };
        if self.scripts.run_id(&key).await? != run_id {
            return Err(Error::ServerChanges);
        }
        Ok(Read { found, value, run_id })
    }

    async fn set_epoch(&self, app: u64, read: &Read, epoch: i64, lost_at: i64) -> Result<i64, Error> {
        let (epoch, lost_at) = (epoch.to_string(), lost_at.to_string());
        let args = [read.value.as_str(), &epoch, &lost_at, &read.run_id];
        let answer = self.scripts.run_words(Script::Epoch, &[&epoch_key(app)], &args).await?;
        outcome::number(&answer, 0)
    }

    /// Puts into every bucket what may have been spent of it. Answers how many buckets.
    async fn rebuild(&self, transaction: &Transaction<'_>, app: u64, now_ms: i64) -> Result<usize, Error> {
        let spent = allowances::spent(transaction, app, now_ms).await?;
        let buckets: Vec<&[Spent]> = spent.chunk_by(|one, next| one.key == next.key).collect();
        for part in buckets.chunks(LOADED_AT_ONCE) {
            let mut args = vec![self.horizon.not_after_ms()];
            let keys: Vec<&str> = part.iter().filter_map(|rows| rows.first()).map(|row| row.key.as_str()).collect();
            for rows in part {
                let window = rows.iter().max_by_key(|row| row.cells).map_or((1, 1), |row| (row.cell_ms, row.cells));
                args.extend([window.0, window.1, i64::try_from(rows.len()).unwrap_or(i64::MAX)]);
                args.extend(rows.iter().flat_map(|row| [row.at_ms, row.points]));
            }
            self.scripts.run(Script::Load, &keys, &args).await?;
        }
        Ok(buckets.len())
    }

    /// Spends what was written as allowed without asking Redis. Before, the epoch is ended in PostgreSQL, so that nobody's
    /// allowances of it can grow any more, and what this replica may spend is written there. Others may still reach Redis,
    /// and spend theirs in it; whoever needs more than it has written finds the epoch ended, and adds to the counters what
    /// may have been spent beside them. From then on nothing more is, which is why PostgreSQL is asked every second.
    ///
    /// Answers from when on the time of the permit runs.
    pub(super) async fn spend_without_redis(&self, demand: &Demand, epoch: i64) -> Result<Option<Instant>, Error> {
        let fence = match self.fence_of(demand.app, epoch) {
            Some(fence) => fence,
            None => tokio::time::timeout(FENCE, self.fence(demand, epoch)).await.unwrap_or(Err(Error::Late))?,
        };
        let when = When { app: demand.app, epoch, now_ms: self.horizon.now_ms() };
        Ok(fence.take(demand, || self.journal.hold_open(demand, when)).then_some(fence.asked))
    }

    async fn fence(&self, demand: &Demand, epoch: i64) -> Result<Arc<Fence>, Error> {
        let _one = self.agreeing.enter(self.shard(demand.app)).await;
        let (app, now_ms, asked) = (demand.app, self.horizon.now_ms(), Instant::now());
        if let Some(fence) = self.fence_of(app, epoch) {
            return Ok(fence); // of whoever came first
        }
        let mut client = self.journal.rows().client().await?;
        let transaction = client.transaction().await?;
        let opened = allowances::lock(&transaction, app).await?;
        let mut points: HashMap<String, i64> = HashMap::new();
        for row in allowances::spent(&transaction, app, now_ms).await? {
            *points.entry(row.key).or_default() += row.points;
        }
        let mut fence = Fence { epoch, asked, points, open: Mutex::default() };
        let ended_before = opened.epoch == epoch + 1 && !allowances::fenced(&transaction, app, epoch).await?.is_empty();
        let is_known = agreement::is_known(opened, now_ms) && self.journal.is_exact();
        let open = self.journal.open(app, epoch, now_ms);
        if !open.is_empty() && is_known && (opened.epoch == epoch || ended_before) {
            let ended = Opened { epoch: epoch + 1, ..opened };
            allowances::put(&transaction, app, ended, "a replica did not reach Redis").await?;
            allowances::fence(&transaction, app, epoch, self.journal.replica(), &open).await?;
            fence.open = Mutex::new(open.into_iter().map(|row| (row.key, row.points)).collect());
        }
        transaction.commit().await?;
        let fence = Arc::new(fence);
        self.fences.lock().unwrap_or_else(PoisonError::into_inner).insert(app, Arc::clone(&fence));
        Ok(fence)
    }

    fn fence_of(&self, app: u64, epoch: i64) -> Option<Arc<Fence>> {
        let fences = self.fences.lock().unwrap_or_else(PoisonError::into_inner);
        fences.get(&app).filter(|fence| fence.epoch == epoch && fence.asked.elapsed() < FENCE_LASTS).cloned()
    }

    /// Adds what was spent beside Redis to what it counted.
    async fn add(&self, fenced: &[Spent]) -> Result<(), Error> {
        for part in fenced.chunks(LOADED_AT_ONCE) {
            let keys: Vec<&str> = part.iter().map(|row| row.key.as_str()).collect();
            let mut args = vec![self.horizon.not_after_ms(), 0];
            for row in part {
                args.extend([-1, -1, -1, 0, 0, -1, row.points, row.cell_ms, row.cells]);
            }
            self.scripts.run(Script::Settle, &keys, &args).await?;
        }
        Ok(())
    }

    fn agreed(&self, app: u64, epoch: i64) {
        self.journal.agreed(app, epoch);
        self.charge_under(app, epoch);
    }

    fn charge_under(&self, app: u64, epoch: i64) {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).insert(app, epoch);
    }

    /// A bucket that was evicted would be an empty one. So the epochs go too, and whoever charges next finds the counters
    /// lost, with PostgreSQL or without.
    pub(super) async fn watch_evictions(&self, stop: CancellationToken) {
        let mut before = self.evicted.clone();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let Ok(evicted) = self.scripts.evicted_keys().await else { continue };
            let has_more = |(server, keys): (&String, &u64)| before.get(server).is_none_or(|before| keys > before);
            if evicted.iter().filter(|(_, keys)| **keys > 0).any(has_more)
                && let Err(error) = self.end_epochs().await
            {
                warn!(error = &error as &dyn std::error::Error, "Redis evicts, and epochs could not be ended yet");
                continue;
            }
            before = evicted;
        }
    }

    async fn end_epochs(&self) -> Result<(), Error> {
        let apps: Vec<u64> = self.epochs.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        for app in apps {
            warn!(meta_app = app, "Redis evicted keys; the counters are rebuilt with the next call");
            redis::cmd("DEL").arg(epoch_key(app)).exec_async(&mut self.scripts.connection()).await?;
        }
        Ok(())
    }
}
