//! All that is kept in Redis: buckets, epochs, the tiers that Meta named, and which tenant used which bucket; and in
//! PostgreSQL what may have been spent, from which a loss of Redis is made good ([`epoch`]).
//!
//! Invariants: a refused demand writes nothing; per bucket, the own sum is charges less releases within the cells kept;
//! nothing is charged to a bucket with a ceiling that the journal does not know of, or will not as soon as it can.
//!
//! All keys of a Meta app carry its tag, so in a Redis Cluster they are in one slot and one server decides; the apps are
//! spread over the servers. A slot that moves is rebuilt as after a loss, for calls that were under way may be missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storage::Redis;
use storage::redis::Shard;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use vocabulary::ids::TenantId;

use crate::ceilings::Tier;
use crate::demand::{Bucket, Demand};
use crate::error::Error;
use crate::journal::{Cover, Journal, When};
use crate::permit::Permit;
use crate::scope::app_tag;
use crate::usage::{Close, Correction};

mod agreement;
mod allowances;
mod chains;
mod domains;
mod epoch;
mod flights;
mod freezes;
mod history;
mod holds;
mod horizon;
mod outcome;
mod peek;
mod policies;
mod repeats;
mod scripts;
mod terms;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
pub(crate) use agreement::{Agreement, Found, agree, agree_without_journal, is_known};
#[cfg(test)]
pub(crate) use allowances::Opened;
pub(crate) use allowances::{Allowances, Written};
pub(crate) use chains::Chains;
pub(crate) use domains::{Counted, Hit};
use flights::{Asked, Flights};
pub(crate) use freezes::{FreezeRows, Frozen};
pub(crate) use history::{
    Columns, Group, History, Losses, RefusedRow, Spent, Step, Told, UsageQuery, UsageRow, Viewer,
};
#[cfg(test)]
pub(crate) use horizon::Anchor;
pub(crate) use horizon::Horizon;
pub(crate) use outcome::{Admission, Outcome, Reason, Refusal, Standing};
pub(crate) use policies::PolicyRows;
pub(crate) use repeats::Repeat;
use scripts::{OneAtATime, Script, Scripts};

/// How long a percent of CPU or wall time counts when no newer report comes: then calls bring a new one.
const GATE_MS: i64 = 60_000;

/// How long a bucket stays in a tenant's list after its last use.
const USED_FOR: Duration = Duration::from_hours(24);

/// How often a call tries again after another replica opened an epoch.
const EPOCH_TRIES: usize = 4;

/// The counters.
pub(crate) struct Store {
    scripts: Arc<Scripts>,
    flights: Flights,
    horizon: Arc<Horizon>,
    journal: Journal,
    /// How many keys each server had evicted when this replica began.
    evicted: BTreeMap<String, u64>,
    /// The epoch of each app under which this replica charges.
    epochs: Mutex<HashMap<u64, i64>>,
    /// Of each app, what was left when Redis was last out of reach.
    fences: Mutex<HashMap<u64, Arc<epoch::Fence>>>,
    /// One task agrees on an epoch of a shard, the others wait for it.
    agreeing: OneAtATime,
}

impl Store {
    /// What is decided for several callers at once runs on `tasks`.
    pub(crate) async fn open(redis: Redis, allowances: Allowances, tasks: TaskTracker) -> Result<Self, Error> {
        let scripts = Arc::new(Scripts::open(redis).await?);
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut scripts.connection()).await?;
        let evicted = scripts.evicted_keys().await?;
        let redis_ms = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
        let horizon = Arc::new(Horizon::starting_at(middle([redis_ms, allowances.time_ms().await?, own_ms()])));
        Ok(Self {
            flights: Flights::new(Arc::clone(&scripts), Arc::clone(&horizon), tasks),
            scripts,
            horizon,
            journal: Journal::new(allowances),
            evicted,
            epochs: Mutex::default(),
            fences: Mutex::default(),
            agreeing: OneAtATime::default(),
        })
    }

    /// Where the counters of an app are.
    pub(crate) fn shard(&self, app: u64) -> Shard {
        self.scripts.shard(&epoch_key(app))
    }

    #[cfg(test)]
    pub(crate) fn turned(mut self, horizon: Horizon) -> Self {
        self.horizon = Arc::new(horizon);
        self.flights = self.flights.with(Arc::clone(&self.horizon));
        self
    }

    /// Keeps the journal, and looks whether Redis has begun to forget, until `stop`.
    pub(crate) async fn keep(&self, stop: CancellationToken) {
        tokio::join!(self.journal.run(&self.horizon, stop.clone()), self.watch_evictions(stop));
    }

    /// Takes the demand's costs from all its buckets, or from none. One round trip, shared where others ask meanwhile.
    pub(crate) async fn acquire(&self, demand: &Demand) -> Result<Outcome, Error> {
        for _ in 0..EPOCH_TRIES {
            let Some(epoch) = self.known_epoch(demand.app) else {
                self.agree(demand.app, None).await?;
                continue;
            };
            let Cover::Held(when) = self.journal.hold(demand, epoch, &self.horizon).await else {
                self.agree(demand.app, Some(epoch)).await?;
                continue;
            };
            match self.flights.decide(Asked { demand: demand.clone(), epoch }).await {
                Err(error) => {
                    // Where only the answer is lost, what was held stays spent.
                    if matches!(error, Error::Crowded | Error::Unasked) {
                        self.journal.give_back(demand, when);
                    }
                    return Err(error);
                }
                Ok(outcome::Answer::OtherEpoch) => {
                    self.journal.give_back(demand, when);
                    self.agree(demand.app, Some(epoch)).await?;
                }
                Ok(outcome::Answer::Decided { time_ms, outcome }) => {
                    self.horizon.observe(time_ms);
                    if matches!(outcome, Outcome::Refused(_)) {
                        self.journal.give_back(demand, when);
                    }
                    return Ok(outcome);
                }
            }
        }
        Err(Error::ServerChanges)
    }

    /// While Redis is away: admits what was written as allowed and not spent, where all that everybody may spend is within
    /// the ceilings. There is nothing to give back to.
    pub(crate) async fn acquire_without_redis(&self, demand: &Demand) -> Option<Outcome> {
        let epoch = self.known_epoch(demand.app)?;
        let spent = self.spend_without_redis(demand, epoch).await.unwrap_or_else(|error| {
            warn!(error = &error as &dyn std::error::Error, "neither Redis nor PostgreSQL answers");
            None
        });
        let issued_ms = self.horizon.now_ms();
        Some(Outcome::Admitted(Admission { epoch, issued_ms, sent: spent?, probing: false, cells: Vec::new() }))
    }

    /// Corrects buckets of one app by what Meta said.
    pub(crate) async fn settle(&self, corrections: &[(Bucket, Correction)]) -> Result<(), Error> {
        let keys: Vec<&str> = corrections.iter().map(|(bucket, _)| bucket.key.as_str()).collect();
        let mut args = vec![self.horizon.not_after_ms(), GATE_MS];
        for (bucket, correction) in corrections {
            args.extend(correction_terms(bucket, correction));
        }
        let answer = self.scripts.run(Script::Settle, &keys, &args).await?;
        self.horizon.observe(outcome::number(&answer, 0)?);
        self.write_extras(corrections);
        Ok(())
    }

    /// Lets only safety through each bucket before its moment, in ms since 1970; 0 ends that. Forgotten with a loss of Redis:
    /// whoever keeps freezes says them again.
    pub(crate) async fn freeze(&self, freezes: &[(Bucket, i64)]) -> Result<(), Error> {
        let keys: Vec<&str> = freezes.iter().map(|(bucket, _)| bucket.key.as_str()).collect();
        let mut args = vec![self.horizon.not_after_ms()];
        for (bucket, until_ms) in freezes {
            args.extend([*until_ms, bucket.cell_ms(), i64::from(bucket.window.cells)]);
        }
        self.scripts.run(Script::Freeze, &keys, &args).await?;
        Ok(())
    }

    /// Gives a permit back. False where that was done before, or its epoch or window is over.
    pub(crate) async fn release(&self, permit: &Permit, buckets: &[Bucket]) -> Result<bool, Error> {
        let (epoch_key, marker) = (epoch_key(permit.app), marker_key(permit));
        let mut keys = vec![epoch_key.as_str(), marker.as_str()];
        let kept_ms = buckets.iter().map(Bucket::kept_ms).max().unwrap_or(1);
        let mut args = vec![self.horizon.not_after_ms(), permit.epoch, kept_ms.max(1)];
        for (charged, bucket) in permit.charged.iter().zip(buckets) {
            keys.push(&charged.key);
            let cells = i64::from(bucket.window.cells);
            args.extend([charged.cell, i64::from(charged.cost), bucket.cell_ms(), cells]);
        }
        let answer = self.scripts.run(Script::Release, &keys, &args).await?;
        Ok(outcome::number(&answer, 0)? == 1)
    }

    /// How buckets of one app stand.
    pub(crate) async fn look(&self, app: u64, buckets: &[Bucket]) -> Result<Vec<Standing>, Error> {
        let epoch_key = epoch_key(app);
        let mut keys = vec![epoch_key.as_str()];
        let mut args = vec![self.horizon.not_after_ms()];
        for bucket in buckets {
            keys.push(&bucket.key);
            args.extend([bucket.cell_ms(), i64::from(bucket.window.cells)]);
        }
        outcome::standings(&self.scripts.run(Script::Look, &keys, &args).await?)
    }

    /// The access tier that Meta named for an ad account.
    pub(crate) async fn tier(&self, app: u64, account: &str) -> Result<Option<Tier>, Error> {
        let mut command = redis::cmd("HGET");
        command.arg(tiers_key(app)).arg(account);
        let word: Option<String> = command.query_async(&mut self.scripts.connection()).await?;
        Ok(word.as_deref().and_then(Tier::from_word))
    }

    /// Keeps the tier for all replicas.
    pub(crate) async fn learn_tier(&self, app: u64, account: &str, tier: Tier) -> Result<(), Error> {
        let mut command = redis::cmd("HSET");
        command.arg(tiers_key(app)).arg(account).arg(tier.word());
        Ok(command.query_async(&mut self.scripts.connection()).await?)
    }

    /// Notes that a tenant's calls use these buckets.
    pub(crate) async fn note_use(&self, tenant: &TenantId, keys: &[&str]) -> Result<(), Error> {
        let (list, now) = (used_key(tenant), self.horizon.now_ms());
        let mut pipe = redis::pipe();
        let noted = pipe.cmd("ZADD").arg(&list);
        for key in keys {
            noted.arg(now).arg(key);
        }
        noted.ignore();
        pipe.cmd("EXPIRE").arg(&list).arg(USED_FOR.as_secs()).ignore();
        Ok(pipe.query_async(&mut self.scripts.connection()).await?)
    }

    /// The buckets that a tenant's calls used lately, in the order of their keys.
    pub(crate) async fn used_by(&self, tenant: &TenantId) -> Result<BTreeSet<String>, Error> {
        let list = used_key(tenant);
        let since = self.horizon.now_ms() - i64::try_from(USED_FOR.as_millis()).unwrap_or(i64::MAX);
        let mut pipe = redis::pipe();
        pipe.cmd("ZREMRANGEBYSCORE").arg(&list).arg("-inf").arg(since).ignore();
        pipe.cmd("ZRANGE").arg(&list).arg(0).arg(-1);
        let (keys,): (BTreeSet<String>,) = pipe.query_async(&mut self.scripts.connection()).await?;
        Ok(keys)
    }

    /// What calls cost beyond their permits was spent under no allowance.
    fn write_extras(&self, corrections: &[(Bucket, Correction)]) {
        for (bucket, correction) in corrections.iter().filter(|(_, correction)| correction.extra > 0) {
            let app = bucket.scope.app;
            if let Some(epoch) = self.known_epoch(app) {
                self.journal.charged(bucket, correction.extra, When { app, epoch, now_ms: self.horizon.now_ms() });
            }
        }
    }
}

/// Which clock to believe at the start: whichever of three jumped, the one in the middle did not.
fn middle(mut times_ms: [i64; 3]) -> i64 {
    times_ms.sort_unstable();
    let [_, middle, _] = times_ms;
    middle
}

fn own_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// As settle.lua reads them. A percent of a ceiling that we do not count can only be a gate.
fn correction_terms(bucket: &Bucket, correction: &Correction) -> [i64; 9] {
    let percent = correction.used_percent;
    let (used, gate) = match bucket.ceiling.limit {
        Some(limit) => (percent.map(|percent| u64::from(limit) * u64::from(percent) / 100), correction.gate_percent),
        None => (None, correction.gate_percent.max(percent)),
    };
    let close_ms = match correction.close {
        Close::No => 0,
        Close::BackOff => -1,
        Close::For(ms) => i64::try_from(ms).unwrap_or(i64::MAX),
    };
    let observed = percent.map_or(-1, |percent| i64::from(percent.min(1_000)));
    [
        used.and_then(|used| i64::try_from(used).ok()).unwrap_or(-1),
        observed,
        gate.map_or(-1, |gate| i64::from(gate.min(1_000))),
        close_ms,
        i64::from(correction.code),
        correction.let_through_ms.unwrap_or(-1),
        i64::from(correction.extra),
        bucket.cell_ms(),
        i64::from(bucket.window.cells),
    ]
}

fn epoch_key(app: u64) -> String {
    format!("{}:epoch", app_tag(app))
}

fn tiers_key(app: u64) -> String {
    format!("{}:tiers", app_tag(app))
}

/// Says that a permit was given back.
fn marker_key(permit: &Permit) -> String {
    format!("{}:r:{}", app_tag(permit.app), hex::encode(&permit.nonce))
}

/// Not of one app, so in a slot of its own.
fn used_key(tenant: &TenantId) -> String {
    format!("tenant:{tenant}:quotas")
}
