//! Reads of one account that come at the same time go to Meta as one batch.
//!
//! A read goes at once and alone while none of its kind is on its way. The others wait a few milliseconds for each other,
//! or until a batch is full; each is charged, answered and refused for itself. A waiting read may go away at any time:
//! the batch belongs to all who wait for it, and whoever is left drives it on.
//!
//! Insights stay out: one slow question would hold up, or with Meta's limit of time undo, forty-nine others. So do pages,
//! which are large.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::sync::Notify;
use vocabulary::ids::TenantId;

use crate::{
    answer::Got,
    batch,
    call::{UseCase, Verb},
    client::{Client, Outgoing},
    error::Error,
    on::{Asset, On, Priority},
};

/// What reads of one batch have in common: the lease and the class.
type Key = (TenantId, Asset, &'static str, Priority, UseCase);
/// What came of each read of a batch, until its waiter takes it. `None`: send it alone.
type Results = Arc<Mutex<Vec<Option<Result<Got, Error>>>>>;

/// The batches that are forming, of one client.
#[derive(Clone)]
pub(crate) struct Gather {
    lines: Arc<Mutex<HashMap<Key, Line>>>,
    wait: Duration,
    items_max: usize,
}

#[derive(Default)]
struct Line {
    /// Reads and batches that are on their way.
    going: usize,
    forming: Option<Forming>,
}

struct Forming {
    basket: Arc<Basket>,
    batch: Shared<BoxFuture<'static, Results>>,
}

/// What is in a batch that is forming.
#[derive(Default)]
struct Basket {
    items: Mutex<Vec<Item>>,
    full: Notify,
}

struct Item {
    call: Outgoing,
    deadline: Instant,
    /// Whether somebody still waits for it.
    waiter: Weak<()>,
}

/// How a read may go.
enum Turn {
    Alone(Going),
    Batch(Seat),
}

/// Something is on its way; dropped when it has arrived.
struct Going {
    gather: Gather,
    key: Key,
}

/// A place in a batch.
struct Seat {
    gather: Gather,
    key: Key,
    basket: Arc<Basket>,
    batch: Shared<BoxFuture<'static, Results>>,
    place: usize,
    waiter: Option<Arc<()>>,
}

impl Gather {
    /// Batches of up to `items_max`, that wait so long for more. With no time, or a single item, nothing is gathered.
    pub(crate) fn new(wait: Duration, items_max: usize) -> Self {
        Self { lines: Arc::default(), wait, items_max: items_max.min(batch::ITEMS_MAX) }
    }

    fn takes(&self, on: &On, call: &Outgoing) -> bool {
        self.items_max > 1
            && !self.wait.is_zero()
            && call.verb == Verb::Get
            && call.etag.is_none()
            && call.use_case != UseCase::AdsInsights
            && matches!(on.asset, Asset::AdAccount(_))
    }

    fn turn(&self, client: &Client, on: &On, call: &Outgoing) -> Turn {
        let key = (on.tenant.clone(), on.asset, on.purpose, on.priority, call.use_case);
        let mut lines = self.open();
        let line = lines.entry(key.clone()).or_default();
        if line.going == 0 && line.forming.is_none() {
            line.going = 1;
            return Turn::Alone(Going { gather: self.clone(), key });
        }
        let waiter = Arc::new(());
        let item = Item { call: call.clone(), deadline: on.deadline, waiter: Arc::downgrade(&waiter) };
        let forming = line.forming.get_or_insert_with(|| {
            let basket = Arc::<Basket>::default();
            let batch = self.clone().carry(client.clone(), on.clone(), key.clone(), Arc::clone(&basket));
            Forming { basket, batch: batch.boxed().shared() }
        });
        let (basket, batch) = (Arc::clone(&forming.basket), forming.batch.clone());
        let place = {
            let mut items = basket.open();
            items.push(item);
            items.len() - 1
        };
        if place + 1 >= self.items_max {
            line.forming = None; // the next one begins another
            basket.full.notify_one();
        }
        drop(lines);
        Turn::Batch(Seat { gather: self.clone(), key, basket, batch, place, waiter: Some(waiter) })
    }

    /// Waits for more, sends what has come together, and hands out the answers.
    async fn carry(self, client: Client, mut on: On, key: Key, basket: Arc<Basket>) -> Results {
        tokio::select! {
            () = tokio::time::sleep(self.wait) => {}
            () = basket.full.notified() => {}
        }
        let _going = self.close(key, &basket);
        let items = std::mem::take(&mut *basket.open());
        let mut results: Vec<Option<Result<Got, Error>>> = items.iter().map(|_| None).collect();
        let wanted = items.into_iter().enumerate().filter(|(_, item)| item.waiter.strong_count() > 0);
        let (places, items): (Vec<usize>, Vec<Item>) = wanted.unzip();
        // The batch carries reads of several jobs: what is held for one of them is not for the others.
        on.reservation = None;
        // Each waiter keeps its own deadline; the batch has the latest of them.
        on.deadline = items.iter().map(|item| item.deadline).max().unwrap_or(on.deadline);
        let calls: Vec<Outgoing> = items.into_iter().map(|item| item.call).collect();
        let answers = match Box::pin(rpc::deadline::shared(client.deliver_once(&on, &calls))).await {
            Ok(answers) => answers,
            // Meta, or a small bucket, does not take it as a batch; perhaps it takes it alone.
            Err(
                Error::Rejected { .. }
                | Error::Missing { .. }
                | Error::TooMuchData { .. }
                | Error::CostAboveCeiling { .. },
            ) => Vec::new(),
            Err(error) => calls.iter().map(|_| Some(Err(error.copied()))).collect(),
        };
        for (place, answer) in places.into_iter().zip(answers) {
            if let Some(result) = results.get_mut(place) {
                *result = answer;
            }
        }
        Arc::new(Mutex::new(results))
    }

    /// Nobody joins this batch any more, and it is on its way.
    fn close(&self, key: Key, basket: &Arc<Basket>) -> Going {
        let mut lines = self.open();
        let line = lines.entry(key.clone()).or_default();
        line.going += 1;
        line.leave(basket);
        Going { gather: self.clone(), key }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Forgets this batch as the one that is forming.
    fn leave(&mut self, basket: &Arc<Basket>) -> Option<Forming> {
        self.forming.take_if(|forming| Arc::ptr_eq(&forming.basket, basket))
    }

    fn is_empty(&self) -> bool {
        self.going == 0 && self.forming.is_none()
    }
}

impl Basket {
    fn open(&self) -> MutexGuard<'_, Vec<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let mut lines = self.gather.open();
        if let Some(line) = lines.get_mut(&self.key) {
            line.going = line.going.saturating_sub(1);
            if line.is_empty() {
                lines.remove(&self.key);
            }
        }
    }
}

/// The last one who leaves a batch that never went takes it along.
impl Drop for Seat {
    fn drop(&mut self) {
        self.waiter = None;
        let is_left = self.basket.open().iter().all(|item| item.waiter.strong_count() == 0);
        if !is_left {
            return;
        }
        let mut lines = self.gather.open();
        let left = lines.get_mut(&self.key).and_then(|line| line.leave(&self.basket));
        if lines.get(&self.key).is_some_and(Line::is_empty) {
            lines.remove(&self.key);
        }
        drop(lines);
        drop(left); // it holds a client, and with it these lines
    }
}

impl Client {
    /// One read, alone or with others.
    pub(crate) async fn read(&self, on: &On, call: &Outgoing) -> Result<Got, Error> {
        if !self.gather.takes(on, call) {
            return self.deliver(on, call, None).await.map(Got::from);
        }
        let seat = match self.gather.turn(self, on, call) {
            Turn::Alone(_going) => return self.deliver(on, call, None).await.map(Got::from),
            Turn::Batch(seat) => seat,
        };
        let answered = tokio::time::timeout_at(on.deadline.into(), seat.batch.clone()).await;
        let results = answered.map_err(|_| Error::Deadline { call: call.label.clone() })?;
        let result = {
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.get_mut(seat.place).and_then(Option::take)
        };
        drop(seat);
        match result {
            Some(result) => result,
            None => self.deliver(on, call, None).await.map(Got::from),
        }
    }
}
