//! Agreeing on the counters of an app: a new one's, and those that Redis has lost.
//!
//! An epoch is a run of whole counters. PostgreSQL says which one is valid and Redis carries it beside the counters,
//! with the id of the server's run. Where the two differ, counters may be missing: after an empty restart, a restart from
//! an old file, a failover that lost the last moments, an eviction. One replica then opens the next epoch under the lock
//! of the app's row, which stops all allowances of the one before, and puts what may have been spent where it can last
//! have been spent. So nothing more is admitted than without the loss, and no hour is lost.
//!
//! Without PostgreSQL nobody can say what was spent: only safety calls go on, within the share that no other class can
//! have used, until it is back or a window has passed.

use std::{fmt, sync::PoisonError, time::Duration};

use storage::Transaction;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Store,
    allowances::{self, Opened, Spent},
    epoch_key, outcome,
    scripts::Script,
};
use crate::error::Error;

/// As many buckets as one call rebuilds.
const LOADED_AT_ONCE: usize = 200;

/// Longer than all windows are counted but those of spend caps, of which safety keeps one change anyway.
const COUNTED_MS: i64 = 2 * 3_600_000;

/// How often Redis is asked whether it evicts.
const LOOK: Duration = Duration::from_secs(2);

/// Why there is a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    New,
    Emptied,
    RestartedOrFailedOver,
    OlderCounters,
    NoJournal,
}

/// What Redis says of an app's epoch.
struct Found {
    /// 0 where it is not of this run of the server.
    epoch: i64,
    /// As it stands in Redis; empty where there is none.
    value: String,
    time_ms: i64,
}

impl Store {
    pub(super) fn known_epoch(&self, app: u64) -> Option<i64> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).get(&app).copied()
    }

    /// Brings this replica from the epoch that it charged under to the one that holds, opening the next one where counters
    /// may be missing.
    pub(super) async fn agree(&self, app: u64, before: Option<i64>) -> Result<(), Error> {
        let _one = self.agreeing.lock().await;
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
        let found = self.found(app).await?;
        if found.epoch != 0 && found.epoch == opened.epoch {
            self.charge_under(app, opened.epoch);
            return Ok(());
        }
        if found.epoch != 0 && opened.epoch == 0 {
            // Whole counters that were begun without a journal.
            let adopted = Opened { epoch: found.epoch, exact_from_ms: found.time_ms };
            allowances::put(&transaction, app, adopted, "counted before there was a journal").await?;
            transaction.commit().await?;
            self.charge_under(app, found.epoch);
            return Ok(());
        }
        let why = found.why(opened);
        let next = self.next(app, opened, &found);
        allowances::put(&transaction, app, next, &why.to_string()).await?;
        let now_ms = found.time_ms;
        // What the journal does not know of still counts: nobody can say how much is left.
        let is_unknown = now_ms < next.exact_from_ms.saturating_add(COUNTED_MS) && why != Why::New;
        let (lost_at, rebuilt) = if is_unknown {
            (now_ms, 0)
        } else {
            let exact_from_ms = if why == Why::New { 0 } else { next.exact_from_ms };
            (exact_from_ms, self.rebuild(&transaction, app, now_ms).await?)
        };
        let holds = self.set_epoch(app, &found, next.epoch, lost_at).await?;
        if holds != next.epoch {
            return Err(Error::ServerChanges); // the server changed again; whoever asks next agrees anew
        }
        transaction.commit().await?;
        self.charge_under(app, next.epoch);
        match why {
            Why::New => info!(meta_app = app, quota.epoch = next.epoch, "counting for a new app"),
            _ => warn!(meta_app = app, quota.epoch = next.epoch, %why, quota.buckets = rebuilt, "counters rebuilt"),
        }
        Ok(())
    }

    /// Safety only: the counters are not known to be whole, and nobody can say what they were.
    async fn agree_without_journal(&self, app: u64) -> Result<(), Error> {
        let (found, known) = (self.found(app).await?, self.known_epoch(app));
        if found.epoch != 0 && known.is_none_or(|known| found.epoch >= known) {
            self.charge_under(app, found.epoch);
            return Ok(());
        }
        let next = self.next(app, Opened { epoch: known.unwrap_or_default(), exact_from_ms: 0 }, &found);
        let holds = self.set_epoch(app, &found, next.epoch, found.time_ms).await?;
        warn!(meta_app = app, quota.epoch = holds, why = %Why::NoJournal, "only safety calls go on");
        self.charge_under(app, holds);
        Ok(())
    }

    /// An epoch that nobody has had, and from when on the journal knows everything.
    fn next(&self, app: u64, opened: Opened, found: &Found) -> Opened {
        let known = self.known_epoch(app).unwrap_or_default();
        let epoch = [opened.epoch, found.epoch, found.old(), known].into_iter().max().unwrap_or_default() + 1;
        // Redis counted without a journal, or a living replica may still have something to write.
        let inexact = (opened.epoch == 0 && !found.value.is_empty()) || !self.journal.is_exact();
        let exact_from_ms = if inexact { found.time_ms } else { opened.exact_from_ms };
        Opened { epoch: epoch.max(found.time_ms), exact_from_ms }
    }

    /// What Redis has. Runs a script, so that a server which has changed is noticed.
    async fn found(&self, app: u64) -> Result<Found, Error> {
        let (key, args) = (epoch_key(app), [self.horizon.not_after_ms()]);
        let answer = self.scripts.run(Script::Look, &[&key], &args).await?;
        let value: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut self.scripts.connection()).await?;
        Ok(Found {
            epoch: outcome::number(&answer, 0)?,
            value: value.unwrap_or_default(),
            time_ms: self.horizon.now_ms(),
        })
    }

    async fn set_epoch(&self, app: u64, found: &Found, epoch: i64, lost_at: i64) -> Result<i64, Error> {
        let (epoch, lost_at) = (epoch.to_string(), lost_at.to_string());
        let args = [found.value.as_str(), &epoch, &lost_at];
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

    fn charge_under(&self, app: u64, epoch: i64) {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).insert(app, epoch);
    }

    /// A bucket that was evicted would be an empty one. So the epochs go too, and whoever charges next finds the counters
    /// lost, with PostgreSQL or without.
    pub(super) async fn watch_evictions(&self, stop: CancellationToken) {
        let mut before = self.evicted;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let Ok(evicted) = self.scripts.evicted_keys().await else { continue };
            if evicted > before
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

impl Found {
    /// The epoch of whatever run of the server.
    fn old(&self) -> i64 {
        self.value.split(':').next().and_then(|epoch| epoch.parse().ok()).unwrap_or_default()
    }

    fn why(&self, opened: Opened) -> Why {
        match (self.value.is_empty(), self.epoch) {
            (true, _) if opened.epoch == 0 => Why::New,
            (true, _) => Why::Emptied,
            (false, 0) => Why::RestartedOrFailedOver,
            (false, _) => Why::OlderCounters,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "a new app",
            Self::Emptied => "Redis had nothing of the app: restarted empty, flushed, or evicting",
            Self::RestartedOrFailedOver => "Redis restarted, or a replica of it was promoted",
            Self::OlderCounters => "Redis had counters of another epoch",
            Self::NoJournal => "PostgreSQL is away and Redis is not known to be whole",
        })
    }
}
