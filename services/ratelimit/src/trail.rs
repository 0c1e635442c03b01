//! The trail: what every decision and everything that Meta said leaves behind, so that it can be asked later.
//!
//! A decision only adds to sums in memory ([`sums`]), bounded and never waiting for anything. What Meta said about a bucket
//! is noted likewise ([`noticed`]) and looked at beside the calls: whether it closed, whether others use it too. One task
//! writes everything in a few statements every two seconds. While PostgreSQL is away the sums grow by the minute, and
//! what is too much is summed up further; only what fits nowhere is dropped, and counted.
//!
//! What a SIGKILL loses: the statistics of two seconds, never a charge.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::Counter;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

mod noticed;
mod origin;
mod sums;

pub(crate) use noticed::{Blame, Event, EventKind};
pub(crate) use origin::{Asker, Origin};
pub(crate) use sums::{Refusals, RefusedKey, Sums, Usage, UsageKey};

use self::noticed::Noticed;
use crate::demand::{Bucket, Demand};
use crate::error::Error;
use crate::scope::Scope;
use crate::store::{History, Outcome, Store};
use crate::usage::{Answer, Correction};

/// How often everything is written.
const FLUSH: Duration = Duration::from_secs(2);
/// The longest that writing may take.
const WRITE: Duration = Duration::from_secs(5);
/// How often what is over is removed.
const SWEEP: Duration = Duration::from_secs(600);

/// Statistics that fitted nowhere.
static DROPPED: LazyLock<Counter<u64>> =
    LazyLock::new(|| runtime::telemetry::meter("ratelimit").u64_counter("adplane_quota_trail_dropped").build());

/// The trail of one replica.
pub(crate) struct Trail {
    history: History,
    store: Arc<Store>,
    sums: Mutex<Sums>,
    noticed: Mutex<Noticed>,
    /// One writes at a time.
    writing: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    keep: Duration,
}

impl Trail {
    /// What is older than `keep` is removed. What somebody asks to be written is written on `tasks`.
    pub(crate) fn new(history: History, store: Arc<Store>, keep: Duration, tasks: TaskTracker) -> Self {
        let (sums, noticed) = (Mutex::default(), Mutex::default());
        Self { history, store, sums, noticed, writing: tokio::sync::Mutex::default(), tasks, keep }
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// A demand was decided after it stood in line for `waited`.
    pub(crate) fn decided(&self, origin: &Origin, demand: &Demand, outcome: &Outcome, waited: Duration) {
        let now_ms = self.store.now_ms();
        let refusal = match outcome {
            Outcome::Admitted(_) => None,
            Outcome::Refused(refusal) => Some(refusal),
        };
        let dropped = self.sums().decided(now_ms, origin, demand, refusal, waited);
        count_dropped(dropped);
    }

    /// Meta answered.
    pub(crate) fn answered(&self, answers: &[Answer]) {
        let now_ms = self.store.now_ms();
        let mut sums = self.sums();
        let dropped = answers.iter().map(|answer| sums.answered(now_ms, answer)).sum();
        drop(sums);
        count_dropped(dropped);
    }

    /// Meta said something about a bucket, which was corrected by it.
    pub(crate) fn told(&self, bucket: &Bucket, correction: &Correction, blame: Option<&Blame>) {
        if noticed::is_notable(correction) {
            self.noticed().tell(bucket, correction, blame, Instant::now());
        }
    }

    /// Writes until `stop`, and then a last time.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = interval(FLUSH);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut swept: Option<Instant> = None;
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            self.write_or_warn().await;
            if swept.is_none_or(|swept| swept.elapsed() > SWEEP) {
                swept = Some(Instant::now());
                self.sweep().await;
            }
        }
        self.write_or_warn().await;
    }

    /// Writes what there is, so that whoever asks next sees it. It is finished though the asker goes away: nothing that was
    /// taken out to be written is lost.
    pub(crate) async fn write(self: &Arc<Self>) -> Result<(), Error> {
        let own = Arc::clone(self);
        self.tasks.spawn(async move { own.write_all().await }).await.unwrap_or(Err(Error::Late))
    }

    async fn write_all(&self) -> Result<(), Error> {
        let _one = self.writing.lock().await;
        let events = self.look().await;
        let sums = std::mem::take(&mut *self.sums());
        let written = timeout(WRITE, self.history.write(&sums)).await.unwrap_or(Err(Error::Late));
        if let Err(error) = written {
            let dropped = self.sums().merge(sums);
            count_dropped(dropped);
            self.noticed().put_back(events?);
            return Err(error);
        }
        let events = events?;
        let added = timeout(WRITE, self.history.add_events(&events)).await.unwrap_or(Err(Error::Late));
        if added.is_err() {
            self.noticed().put_back(events);
        }
        added
    }

    /// What became of the buckets that Meta spoke about.
    async fn look(&self) -> Result<Vec<Event>, Error> {
        let asked = self.noticed().take(Instant::now());
        let mut by_app: Vec<Bucket> = asked.iter().map(|(bucket, _)| bucket.clone()).collect();
        by_app.sort_by(|one, other| one.key.cmp(&other.key));
        let mut standings = Vec::with_capacity(by_app.len());
        for buckets in by_app.chunk_by(|one, next| one.scope.app == next.scope.app) {
            let app = buckets.first().map_or(0, |bucket| bucket.scope.app);
            match self.store.look(app, buckets).await {
                Ok(found) => standings.extend(buckets.iter().map(|bucket| bucket.key.clone()).zip(found)),
                Err(error) => {
                    self.noticed().ask_again(asked);
                    return Err(error);
                }
            }
        }
        let now_ms = self.store.now_ms();
        Ok(self.noticed().events(now_ms, &asked, &standings))
    }

    async fn write_or_warn(&self) {
        if let Err(error) = self.write_all().await {
            warn!(error = &error as &dyn std::error::Error, "the history of use is kept in memory for now");
        }
    }

    async fn sweep(&self) {
        let keep_ms = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.store.now_ms().saturating_sub(keep_ms);
        if let Err(error) = self.history.sweep(before_ms).await {
            warn!(error = &error as &dyn std::error::Error, "history that is over stays for now");
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noticed(&self) -> MutexGuard<'_, Noticed> {
        self.noticed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_dropped(calls: u64) {
    if calls > 0 {
        DROPPED.add(calls, &[]);
    }
}

/// The beginning of the minute of a moment, both in ms since 1970.
fn minute_of(ms: i64) -> i64 {
    ms - ms.rem_euclid(60_000)
}

/// What a scope is about, as people name it; empty for an app.
pub(crate) fn subject(scope: &Scope) -> String {
    use crate::scope::Kind;
    match (scope.account(), scope.kind) {
        (Some(account), _) => format!("adAccounts/act_{account}"),
        (None, Kind::Page) => format!("pages/{}", scope.id),
        (None, Kind::User) => format!("users/{}", scope.id),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests;
