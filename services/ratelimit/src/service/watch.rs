//! `WatchQuotas`: a tenant's buckets as a stream.
//!
//! A quota is a state and no event: a stream tells each bucket once and then whenever it is another than it was told. What a
//! reader knows is remembered here as a number per bucket, and only while the stream lives.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use prost::Message;
use proto::ratelimit::v1 as pb;
use tokio::sync::mpsc::{self, Receiver, Sender, error::SendTimeoutError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::Status;
use vocabulary::ids::TenantId;
use vocabulary::page::{PageRequest, PageTokens};

use crate::error::Error;
use crate::quotas::{Filter, Quotas};
use crate::wire;

/// As many streams as one replica holds: each looks at all its buckets again and again.
const WATCHERS_MAX: usize = 200;
/// As many of them as one tenant has: nobody's watchers keep others out.
const WATCHERS_OF_TENANT_MAX: usize = 20;
/// As many messages as wait for a reader, beside what its connection holds.
const WAITING_MAX: usize = 64;
/// As many buckets as are looked at for one page.
const LOOKED_AT: usize = 1_000;

/// What a stream sends.
pub(crate) type Told = Result<pb::WatchQuotasResponse, Status>;

/// How often streams look, and how long they live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two looks at all buckets.
    pub(crate) look: Duration,
    /// The longest without a word.
    pub(crate) checkpoint: Duration,
    pub(crate) life: Duration,
    /// How long a message waits for its reader.
    pub(crate) patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(2),
            checkpoint: Duration::from_secs(15),
            life: Duration::from_mins(20),
            patience: Duration::from_secs(30),
        }
    }
}

/// Holds streams open. One per replica.
pub(crate) struct Watching {
    quotas: Arc<Quotas>,
    pages: PageTokens,
    pace: Pace,
    room: Arc<Semaphore>,
    seats: Seats,
    tasks: TaskTracker,
}

/// How many streams each tenant has.
type Seats = Arc<Mutex<HashMap<TenantId, usize>>>;

/// One of a tenant's streams.
struct Seat {
    seats: Seats,
    tenant: TenantId,
}

impl Seat {
    fn take(seats: &Seats, tenant: &TenantId) -> Option<Self> {
        let mut taken = seats.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.entry(tenant.clone()).or_default();
        if *own >= WATCHERS_OF_TENANT_MAX {
            return None;
        }
        *own += 1;
        Some(Self { seats: Arc::clone(seats), tenant: tenant.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

/// What one stream is about.
pub(crate) struct Subject {
    pub(crate) tenant: TenantId,
    pub(crate) filter: Filter,
    /// The filter as it was sent: its tokens are bound to it.
    pub(crate) covered: Vec<u8>,
    /// The key behind which to begin.
    pub(crate) after: Option<String>,
}

impl Watching {
    pub(crate) fn new(quotas: Arc<Quotas>, pages: PageTokens, pace: Pace, tasks: TaskTracker) -> Self {
        Self { quotas, pages, pace, room: Arc::new(Semaphore::new(WATCHERS_MAX)), seats: Seats::default(), tasks }
    }

    /// The stream from the first bucket that was not told on. What makes its messages ends with its reader.
    pub(crate) fn stream(&self, subject: Subject) -> Result<BoxStream<'static, Told>, Error> {
        let seat = Seat::take(&self.seats, &subject.tenant).ok_or(Error::TooManyWatchers)?;
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| Error::TooManyWatchers)?;
        let now = Instant::now();
        let watch = Watch {
            quotas: Arc::clone(&self.quotas),
            pages: self.pages.clone(),
            pace: self.pace,
            whole: subject.after.is_none(),
            after: subject.after.clone(),
            subject,
            told: HashMap::new(),
            present: HashSet::new(),
            changed: VecDeque::new(),
            next_checkpoint: now,
            ends: now + self.pace.life,
            _room: (room, seat),
        };
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let cut = Arc::new(AtomicBool::new(false));
        self.tasks.spawn(rpc::carried(watch.run(sender, Arc::clone(&cut))));
        let reader = Reader { receiver, cut, patience: self.pace.patience };
        Ok(stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) }).boxed())
    }
}

/// The end that messages go from.
struct Reader {
    receiver: Receiver<Told>,
    cut: Arc<AtomicBool>,
    patience: Duration,
}

impl Reader {
    async fn next(&mut self) -> Option<Told> {
        if let Some(message) = self.receiver.recv().await {
            return Some(message);
        }
        let was_cut = self.cut.swap(false, Ordering::AcqRel);
        was_cut.then(|| Err(Error::SlowReader { seconds: self.patience.as_secs() }.into()))
    }
}

/// One stream.
struct Watch {
    quotas: Arc<Quotas>,
    pages: PageTokens,
    pace: Pace,
    subject: Subject,
    /// The key behind which the next page begins; `None` for the first.
    after: Option<String>,
    /// Whether this look began with the first bucket.
    whole: bool,
    /// What was told of each bucket, as a number.
    told: HashMap<String, u64>,
    /// The buckets of this look.
    present: HashSet<String>,
    /// Looked at and not yet sent.
    changed: VecDeque<(String, pb::Quota)>,
    next_checkpoint: Instant,
    ends: Instant,
    _room: (OwnedSemaphorePermit, Seat),
}

impl Watch {
    /// Ends with its life, with the reader, with the server, or when the reader does not read.
    async fn run(mut self, sender: Sender<Told>, cut: Arc<AtomicBool>) {
        let stop = rpc::stopping();
        while !stop.is_cancelled() && Instant::now() < self.ends {
            let looked = tokio::select! {
                () = sender.closed() => return,
                () = stop.cancelled() => break,
                looked = self.look() => looked,
            };
            let is_done = match looked {
                Ok(is_done) => is_done,
                Err(error) => return self.hand(&sender, &cut, Err(error.into())).await.unwrap_or_default(),
            };
            while let Some((key, quota)) = self.changed.pop_front() {
                let message = self.say(&key, Some(quota));
                if self.hand(&sender, &cut, Ok(message)).await.is_none() {
                    return;
                }
            }
            if !is_done {
                continue;
            }
            if Instant::now() >= self.next_checkpoint {
                let message = self.say("", None);
                if self.hand(&sender, &cut, Ok(message)).await.is_none() {
                    return;
                }
            }
            let wait = self.pace.look.min(self.ends.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = sender.closed() => return,
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        // The end is a good one, and its last word is where to go on.
        let key = self.after.clone().unwrap_or_default();
        let last = pb::WatchQuotasResponse { resume_token: self.token(&key), ..pb::WatchQuotasResponse::default() };
        self.hand(&sender, &cut, Ok(last)).await.unwrap_or_default();
    }

    /// Looks at the next page; answers whether every bucket was looked at.
    async fn look(&mut self) -> Result<bool, Error> {
        let page = PageRequest { size: LOOKED_AT, after: self.after.clone() };
        let (shown, last) = self.quotas.list(&self.subject.tenant, &self.subject.filter, &page).await?;
        for shown in &shown {
            let (key, quota) = (shown.0.key.clone(), wire::quota(shown));
            let mut state = DefaultHasher::new();
            quota.encode_to_vec().hash(&mut state);
            let state = state.finish();
            if self.told.insert(key.clone(), state) != Some(state) {
                self.changed.push_back((key.clone(), quota));
            }
            self.present.insert(key);
        }
        self.after = last;
        if self.after.is_some() {
            return Ok(false);
        }
        let whole = std::mem::replace(&mut self.whole, true);
        let present = std::mem::take(&mut self.present);
        if whole {
            self.told.retain(|key, _| present.contains(key));
        }
        Ok(whole)
    }

    fn say(&mut self, key: &str, quota: Option<pb::Quota>) -> pb::WatchQuotasResponse {
        let now = Instant::now();
        // The first one stays due until the reader has caught up.
        if quota.is_none() || self.next_checkpoint > now {
            self.next_checkpoint = now + self.pace.checkpoint.saturating_sub(self.pace.look);
        }
        pb::WatchQuotasResponse { checkpoint: quota.is_none(), quota, resume_token: self.token(key) }
    }

    /// Behind this bucket, or with none before the first.
    fn token(&self, key: &str) -> String {
        self.pages.seal(&self.subject.tenant, &self.subject.covered, key)
    }

    /// `None` where nobody reads any more.
    async fn hand(&self, sender: &Sender<Told>, cut: &AtomicBool, message: Told) -> Option<()> {
        match sender.send_timeout(message, self.pace.patience).await {
            Ok(()) => Some(()),
            Err(SendTimeoutError::Closed(_)) => None,
            Err(SendTimeoutError::Timeout(_)) => {
                cut.store(true, Ordering::Release);
                tracing::info!(rpc.method = "WatchQuotas", "a stream is cut because nobody reads it");
                None
            }
        }
    }
}
