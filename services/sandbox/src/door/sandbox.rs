//! Everything that one sandbox holds, behind one lock.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::incoming::Incoming;
use super::struck::{Heard, asked};
use crate::clock::Clock;
use crate::error::Refusal;
use crate::faults::{Faults, Struck};
use crate::journal::{self, Journal, Origin};
use crate::options::Options;
use crate::requests::Requests;
use crate::state::{Source, State};
use crate::usage::Usage;
use crate::webhooks::{self, Outbox, Seen, Touch, Watch};

/// A running sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    options: Options,
    /// From what the world was made at the first start.
    origin: Origin,
    pub(super) clock: Clock,
    journal: Option<Journal>,
    inner: Mutex<Inner>,
    traces: AtomicU64,
    pub(crate) webhooks: Outbox,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: State,
    pub(crate) usage: Usage,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    watch: Watch,
    /// Counts the resets, so that what was due in an old world does not happen in a new one.
    pub(super) resets: u64,
}

impl Inner {
    /// What subscribers are to be told of the changes since the last call.
    fn seen(&mut self, now: Timestamp) -> Seen {
        let touched = self.state.take_touched();
        let notices = self.state.take_notices();
        let mut seen = if touched.is_empty() || !webhooks::is_wanted(&self.state) {
            Seen::default()
        } else {
            self.watch.look(&self.state, &touched, now)
        };
        seen.notices.extend(notices);
        seen
    }
}

impl Sandbox {
    /// Makes the world, or reads it back from its journal. Fails where that cannot be read.
    pub(crate) fn open(options: Options, stop: CancellationToken) -> io::Result<Self> {
        let clock = Clock::new(options.clock);
        let fresh = || {
            let (source, file) = Source::read(&options.world)?;
            Ok(Origin { world: source.word().to_owned(), seed: options.seed, began: clock.now(), file })
        };
        let (journal, origin, changes) = match &options.data {
            Some(folder) => {
                let (journal, origin, changes) = journal::open(folder, fresh)?;
                (Some(journal), origin, changes)
            }
            None => (None, fresh()?, Vec::new()),
        };
        let mut state = State::new(&Source::of(&origin)?, origin.seed, origin.began);
        for change in changes {
            state.apply(change);
        }
        if journal.is_some() {
            state.keep_changes();
        }
        state.settings.limits.tier = options.tier;
        let (faults, requests, watch) = (Faults::new(options.seed), Requests::default(), Watch::default());
        let inner = Inner { state, usage: Usage::default(), faults, requests, watch, resets: 0 };
        let traces = AtomicU64::new(0);
        let (inner, webhooks, tasks) = (Mutex::new(inner), Outbox::default(), TaskTracker::new());
        Ok(Self { options, origin, clock, journal, inner, traces, webhooks, tasks, stop })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An id of a call, as errors and headers carry it.
    pub(super) fn trace(&self) -> String {
        let number = self.traces.fetch_add(1, Ordering::Relaxed);
        let mixed = mix(mix(self.options.seed).wrapping_add(number));
        let bytes = u128::from(mixed) << 64 | u128::from(mix(mixed));
        format!("A{}", URL_SAFE_NO_PAD.encode(bytes.to_be_bytes()))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the world, and returns when what it changed is on disk.
    pub(super) async fn change<T>(self: &Arc<Self>, work: impl FnOnce(&mut Inner) -> T) -> Result<T, Refusal> {
        let (result, seen, woken, mark) = {
            let mut inner = self.lock();
            inner.state.begin(self.now());
            let result = work(&mut inner);
            let seen = inner.seen(self.now());
            let woken = inner.state.take_woken();
            let lines = inner.state.take_pending();
            let mark = match &self.journal {
                Some(journal) if !lines.is_empty() => Some(journal.append(&lines)),
                _ => None,
            };
            (result, seen, woken, mark)
        };
        if let Some(mark) = mark {
            self.synced(mark).await?;
        }
        self.tell(seen);
        self.begin_sets(woken);
        Ok(result)
    }

    /// Returns when the journal is on disk up to the mark.
    async fn synced(self: &Arc<Self>, mark: io::Result<u64>) -> Result<(), Refusal> {
        let mark = mark.map_err(|error| lost(&error))?;
        let sandbox = Arc::clone(self);
        let synced = tokio::task::spawn_blocking(move || match &sandbox.journal {
            Some(journal) => journal.sync(mark),
            None => Ok(()),
        });
        synced.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| lost(&error))
    }

    /// What an object that goes on by itself has come to.
    pub(crate) fn look_at(&self, id: u64) -> Seen {
        let now = self.now();
        let Inner { state, watch, .. } = &mut *self.lock();
        watch.look(state, &[(id, Touch::Aged)], now)
    }

    /// The world as it was in the beginning, dated back from now.
    pub(super) fn reset(&self) -> io::Result<()> {
        let mut inner = self.lock();
        let origin = Origin { began: self.now(), ..self.origin.clone() };
        let settings = inner.state.settings.clone();
        inner.state = State::new(&Source::of(&origin)?, origin.seed, origin.began);
        inner.state.settings = settings;
        inner.usage.clear();
        inner.faults = Faults::new(self.options.seed);
        inner.resets += 1;
        inner.requests.clear();
        inner.watch = Watch::default();
        self.webhooks.clear();
        if let Some(journal) = &self.journal {
            journal.restart(&origin)?;
            inner.state.keep_changes();
        }
        Ok(())
    }

    /// Turns the clock. Turned back, it does not make news of what was changed before.
    pub(super) fn turn(&self, now: Timestamp, frozen: bool) {
        let mut inner = self.lock();
        self.clock.set(now, frozen);
        inner.state.turned(now);
    }

    /// What the rules say of a call.
    pub(super) fn strike(&self, incoming: &Incoming) -> Struck {
        let now = self.now();
        let mut inner = self.lock();
        let Inner { state, faults, .. } = &mut *inner;
        faults.strike(|| {
            let Incoming { method, verb, path, params, bearer, .. } = incoming;
            let bearer = bearer.as_deref();
            asked(state, Heard { method, verb: *verb, path, params, bearer, is_item: false, now })
        })
    }

    /// Does something at a moment of the sandbox's clock, unless it stops before.
    pub(crate) fn later(self: &Arc<Self>, due: Timestamp, work: impl Future<Output = ()> + Send + 'static) {
        let sandbox = Arc::clone(self);
        self.tasks.spawn(async move {
            let waited = sandbox.stop.run_until_cancelled(sandbox.clock.reached(due)).await;
            if waited.is_some() {
                work.await;
            }
        });
    }

    /// Waits, unless the sandbox stops before.
    pub(super) async fn hold(&self, time: Duration) {
        self.stop.run_until_cancelled(tokio::time::sleep(time)).await;
    }
}

/// A number that looks like no other one's (SplitMix64): ids of calls are told apart, and hide nothing.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn lost(error: &io::Error) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "journal not written");
    Refusal::new(2, "(#2) Service temporarily unavailable").http(500).transient(true)
}
