//! Waiting in order for a closed or full bucket, in this replica's memory.
//!
//! Waiters stand in the queue of the bucket that refused them, by priority, then by their tenants' turns ([`turns`]), and
//! one timer per queue is set to the moment that Redis named. When it fires, heads are tried until one is refused again. Who cannot be
//! served within its deadline is told at once. The order is that of one replica; how much is admitted is Redis' matter
//! alone. What a drop leaves behind: a waiter whose caller went away is skipped, and if it was admitted in that very
//! moment its charge is given back.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use vocabulary::ids::TenantId;

use crate::counter::Counter;
use crate::demand::{Demand, Rules};
use crate::error::Error;
use crate::priority::Priority;
use crate::store::{Outcome, Reason, Refusal};

mod turns;

use turns::Turns;

/// Waiters of one bucket; beyond, whoever would go last is answered at once.
const QUEUE_MAX: usize = 1_000;

/// Waiters of this replica.
const WAITERS_MAX: usize = 50_000;

/// What an answer needs to reach its caller before the deadline.
const MARGIN: Duration = Duration::from_millis(50);

/// Priority, then the tenant's turn, then arrival.
type Place = (Priority, u64, u64);

/// The queues. Clones share them.
#[derive(Clone)]
pub(crate) struct Waiting {
    counter: Arc<Counter>,
    rules: Rules,
    queues: Arc<Mutex<Queues>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Default)]
struct Queues {
    by_bucket: HashMap<String, Queue>,
    waiters: usize,
    arrivals: u64,
}

struct Queue {
    waiters: BTreeMap<Place, Waiter>,
    turns: BTreeMap<Priority, Turns>,
    retry_at: Instant,
    reason: Reason,
    changed: Arc<Notify>,
}

struct Waiter {
    tenant: TenantId,
    demand: Arc<Demand>,
    deadline: Instant,
    answer: oneshot::Sender<Result<Outcome, Error>>,
}

impl Waiting {
    /// Queues whose timers run on `tasks` until `stop`.
    pub(crate) fn new(counter: Arc<Counter>, rules: Rules, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { counter, rules, queues: Arc::default(), tasks, stop }
    }

    /// Decides at once where that is possible, else waits in order until shortly before the deadline.
    pub(crate) async fn acquire(&self, tenant: &TenantId, demand: Demand, deadline: Instant) -> Result<Outcome, Error> {
        if let Some((binding, wait)) = demand.never_fits() {
            return Ok(Outcome::Refused(Refusal { epoch: 0, wait, binding, reason: Reason::CostAboveCeiling }));
        }
        let deadline = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let refusal = match self.behind(&demand) {
            Some(refusal) => refusal,
            None => match self.counter.take(&demand).await? {
                Outcome::Refused(refusal) => refusal,
                admitted @ Outcome::Admitted(_) => return Ok(admitted),
            },
        };
        let Some(answer) = self.join(tenant, demand, deadline, &refusal) else { return Ok(Outcome::Refused(refusal)) };
        match timeout_at(deadline, answer).await {
            Ok(Ok(decided)) => decided,
            // Out of time, or shutting down.
            Ok(Err(_)) | Err(_) => Ok(Outcome::Refused(refusal)),
        }
    }

    /// These buckets may have room earlier than was thought.
    pub(crate) fn reconsider<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        let mut queues = self.lock();
        for key in keys {
            if let Some(queue) = queues.by_bucket.get_mut(key) {
                queue.retry_at = Instant::now();
                queue.changed.notify_one();
            }
        }
    }

    /// Every bucket may: its ceiling may be another one.
    pub(crate) fn reconsider_all(&self) {
        for queue in self.lock().by_bucket.values_mut() {
            queue.retry_at = Instant::now();
            queue.changed.notify_one();
        }
    }

    /// Somebody as urgent already waits for one of the buckets: who comes later must not overtake. Who has points held
    /// of a bucket waits behind nobody there, for nobody else can have them.
    fn behind(&self, demand: &Demand) -> Option<Refusal> {
        let queues = self.lock();
        let now = Instant::now();
        let ahead = (1..).zip(&demand.charges).filter_map(|(number, (bucket, _))| {
            let queue = queues.by_bucket.get(&bucket.key).filter(|_| !demand.reservation.holds_of(&bucket.key))?;
            let (first, _) = queue.waiters.first_key_value()?;
            (first.0 <= demand.priority).then(|| Refusal {
                epoch: 0,
                wait: queue.retry_at.saturating_duration_since(now),
                binding: number,
                reason: queue.reason,
            })
        });
        ahead.max_by_key(|refusal| refusal.wait)
    }

    /// `None` where waiting is hopeless or the queue is full.
    fn join(
        &self,
        tenant: &TenantId,
        demand: Demand,
        deadline: Instant,
        refusal: &Refusal,
    ) -> Option<oneshot::Receiver<Result<Outcome, Error>>> {
        if refusal.reason == Reason::CostAboveCeiling || Instant::now() + refusal.wait > deadline {
            return None;
        }
        let (answer, receiver) = oneshot::channel();
        let waiter = Waiter { tenant: tenant.clone(), demand: Arc::new(demand), deadline, answer };
        self.insert(&mut self.lock(), None, waiter, refusal).then_some(receiver)
    }

    /// Puts a waiter into the queue of the bucket that refused it, at its old place where it had one there; begins the
    /// queue where there is none.
    fn insert(&self, queues: &mut Queues, place: Option<Place>, waiter: Waiter, refusal: &Refusal) -> bool {
        let Some(bucket) = waiter.demand.bucket(refusal.binding) else { return false };
        let is_held = waiter.demand.reservation.holds_of(&bucket.key);
        let weight = (!is_held).then(|| self.rules.weight(&bucket.scope, &waiter.tenant));
        let key = bucket.key.clone();
        if queues.waiters >= WAITERS_MAX || self.stop.is_cancelled() {
            return false;
        }
        queues.arrivals += 1;
        let (retry_at, arrival) = (Instant::now() + refusal.wait, queues.arrivals);
        let queue = queues.by_bucket.entry(key.clone()).or_insert_with(|| {
            let changed = Arc::new(Notify::new());
            self.tasks.spawn(self.clone().serve(key, Arc::clone(&changed)));
            let (waiters, turns) = (BTreeMap::new(), BTreeMap::new());
            Queue { waiters, turns, retry_at, reason: refusal.reason, changed }
        });
        let place = place.unwrap_or_else(|| queue.place(&waiter, arrival, weight));
        if queue.waiters.len() >= QUEUE_MAX {
            let before = queue.waiters.len();
            queue.waiters.retain(|_, waiter| !waiter.answer.is_closed());
            queues.waiters = queues.waiters.saturating_sub(before - queue.waiters.len());
        }
        if queue.waiters.len() >= QUEUE_MAX {
            let Some(last) = queue.waiters.last_entry().filter(|last| *last.key() > place) else { return false };
            refuse(last.remove(), *refusal);
            queues.waiters = queues.waiters.saturating_sub(1);
        }
        queue.retry_at = queue.retry_at.min(retry_at);
        queue.reason = refusal.reason;
        queue.waiters.insert(place, waiter);
        queue.changed.notify_one();
        queues.waiters += 1;
        true
    }

    /// One queue's timer: ends with the queue.
    async fn serve(self, key: String, changed: Arc<Notify>) {
        while let Some(retry_at) = self.retry_at(&key) {
            tokio::select! {
                () = sleep_until(retry_at) => self.try_heads(&key).await,
                () = changed.notified() => {}
                () = self.stop.cancelled() => return self.dismiss_all(&key),
            }
        }
    }

    /// When to try again; drops the queue where nobody waits any more.
    fn retry_at(&self, key: &str) -> Option<Instant> {
        let mut queues = self.lock();
        let queue = queues.by_bucket.get(key)?;
        if !queue.waiters.is_empty() {
            return Some(queue.retry_at);
        }
        queues.by_bucket.remove(key);
        None
    }

    /// Admits heads until one is refused.
    async fn try_heads(&self, key: &str) {
        while let Some((place, mut waiter)) = self.pop(key) {
            if waiter.answer.is_closed() {
                continue;
            }
            if let Some(renewed) = self.rules.renewed(&waiter.demand) {
                waiter.demand = Arc::new(renewed);
            }
            match self.counter.take(&waiter.demand).await {
                Ok(Outcome::Refused(refusal)) => {
                    if self.put_back(key, place, waiter, refusal) {
                        return;
                    }
                }
                decided => self.answer(waiter, decided).await,
            }
        }
    }

    fn pop(&self, key: &str) -> Option<(Place, Waiter)> {
        let mut queues = self.lock();
        let queue = queues.by_bucket.get_mut(key)?;
        let head = queue.waiters.pop_first()?;
        let (priority, begins, _) = head.0;
        queue.turns.entry(priority).or_default().served(begins);
        queues.waiters = queues.waiters.saturating_sub(1);
        Some(head)
    }

    /// A head that was refused again waits on, and whoever is behind it and cannot wait as long is answered. A head that
    /// cannot wait as long itself is answered alone: it may have asked for more than those behind it. Answers whether this
    /// queue has to wait.
    fn put_back(&self, key: &str, place: Place, waiter: Waiter, refusal: Refusal) -> bool {
        let same = waiter.demand.bucket(refusal.binding).is_some_and(|bucket| bucket.key == key);
        let retry_at = Instant::now() + refusal.wait;
        let mut queues = self.lock();
        if retry_at > waiter.deadline || refusal.reason == Reason::CostAboveCeiling {
            refuse(waiter, refusal);
            return false;
        }
        if same && let Some(queue) = queues.by_bucket.get_mut(key) {
            queue.retry_at = retry_at;
        }
        self.insert(&mut queues, same.then_some(place), waiter, &refusal);
        if same {
            dismiss(&mut queues, key, refusal, retry_at);
        }
        same
    }

    async fn answer(&self, waiter: Waiter, decided: Result<Outcome, Error>) {
        if let Err(Ok(Outcome::Admitted(admission))) = waiter.answer.send(decided) {
            self.counter.give_back(&waiter.demand, &admission).await;
        }
    }

    /// Everybody is told to ask again: another replica, or this one after its restart.
    fn dismiss_all(&self, key: &str) {
        let mut queues = self.lock();
        if let Some(queue) = queues.by_bucket.remove(key) {
            queues.waiters = queues.waiters.saturating_sub(queue.waiters.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// By weight; whoever has none takes nothing from others, and goes first of its class.
    fn place(&mut self, waiter: &Waiter, arrival: u64, weight: Option<u32>) -> Place {
        let priority = waiter.demand.priority;
        let Some(weight) = weight else { return (priority, 0, arrival) };
        let cost = waiter.demand.charges.iter().map(|(_, cost)| *cost).max().unwrap_or(1);
        (priority, self.turns.entry(priority).or_default().next(&waiter.tenant, cost, weight), arrival)
    }
}

/// Answers those whose deadline comes before the next try. The binding bucket has its own number in each demand.
fn dismiss(queues: &mut Queues, key: &str, refusal: Refusal, retry_at: Instant) {
    let Some(queue) = queues.by_bucket.get_mut(key) else { return };
    let late: Vec<Place> =
        queue.waiters.iter().filter(|(_, waiter)| waiter.deadline < retry_at).map(|(place, _)| *place).collect();
    for place in &late {
        if let Some(waiter) = queue.waiters.remove(place) {
            let number = (1..).zip(&waiter.demand.charges).find(|(_, (bucket, _))| bucket.key == key);
            let binding = number.map_or(refusal.binding, |(number, _)| number);
            refuse(waiter, Refusal { binding, ..refusal });
        }
    }
    queues.waiters = queues.waiters.saturating_sub(late.len());
}

/// Whoever went away needs no answer.
fn refuse(waiter: Waiter, refusal: Refusal) {
    drop(waiter.answer.send(Ok(Outcome::Refused(refusal))));
}

#[cfg(test)]
mod tests;
