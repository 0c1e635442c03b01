//! Several decisions in one script, under load and only then.
//!
//! A demand that finds no script of its app under way is sent at once and alone. Whoever comes while one runs waits for its
//! answer and then goes with all the others that came: nothing is ever held back to gather company, and the busier Redis
//! is, the fewer round trips it makes. The script decides in the order of arrival.
//!
//! Where Redis does not answer, whoever waits is told so at once: only those who were asked for have waited for it.
//!
//! What a drop leaves behind: a caller who goes away before the answer has spent its points; the others lose nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::epoch_key;
use super::horizon::Horizon;
use super::outcome::{self, Answer};
use super::scripts::{Script, Scripts};
use super::terms::Terms;
use crate::demand::Demand;
use crate::error::Error;

/// Demands in one script: with four buckets each about a millisecond, in which Redis does nothing else.
const TOGETHER_MAX: usize = 32;

/// Demands of one app that wait for a script; beyond, the caller is told to come back.
const WAITING_MAX: usize = 10_000;

/// What is decided and under which epoch its costs were written down.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) demand: Demand,
    pub(super) epoch: i64,
}

/// The scripts under way, one of each app at most. Clones share them.
#[derive(Clone)]
pub(super) struct Flights {
    scripts: Arc<Scripts>,
    horizon: Arc<Horizon>,
    tasks: TaskTracker,
    /// By app, while one is under way: who goes next.
    next: Arc<Mutex<HashMap<u64, VecDeque<Waiter>>>>,
}

struct Waiter {
    asked: Asked,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

/// The one script under way of an app. When it ends, or its caller goes away, the next begins.
struct Alone<'a> {
    flights: &'a Flights,
    app: u64,
}

impl Flights {
    pub(super) fn new(scripts: Arc<Scripts>, horizon: Arc<Horizon>, tasks: TaskTracker) -> Self {
        Self { scripts, horizon, tasks, next: Arc::default() }
    }

    #[cfg(test)]
    pub(super) fn with(mut self, horizon: Arc<Horizon>) -> Self {
        self.horizon = horizon;
        self
    }

    /// Decides, alone or together with others. With [`Error::Crowded`] and [`Error::Unasked`] nothing was sent.
    pub(super) async fn decide(&self, asked: Asked) -> Result<Answer, Error> {
        let app = asked.demand.app;
        let (answer, decided) = oneshot::channel();
        let alone = match self.lock().entry(app) {
            std::collections::hash_map::Entry::Occupied(next) if next.get().len() >= WAITING_MAX => {
                return Err(Error::Crowded);
            }
            std::collections::hash_map::Entry::Occupied(mut next) => {
                next.get_mut().push_back(Waiter { asked, answer });
                None
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                Some(asked)
            }
        };
        let Some(asked) = alone else { return decided.await.unwrap_or_else(|_| Err(Error::away())) };
        let _alone = Alone { flights: self, app };
        let mut answers = self.run(app, std::slice::from_ref(&asked)).await?;
        answers.pop().ok_or(Error::Script)
    }

    /// Goes on until nobody waits any more.
    async fn fly(self, app: u64) {
        while let Some(waiters) = self.board(app) {
            let (asked, callers): (Vec<Asked>, Vec<_>) =
                waiters.into_iter().map(|waiter| (waiter.asked, waiter.answer)).unzip();
            let mut answers = match self.run(app, &asked).await {
                Ok(answers) => answers.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); callers.len()],
            };
            answers.resize(callers.len(), Err(Error::Script));
            for (caller, answer) in callers.into_iter().zip(answers) {
                // Whoever went away has spent its points.
                drop(caller.send(answer));
            }
        }
    }

    /// Those who go next: all under one epoch. `None` where nobody waits, and then nothing is under way any more.
    fn board(&self, app: u64) -> Option<Vec<Waiter>> {
        let mut next = self.lock();
        let queue = next.get_mut(&app)?;
        queue.retain(|waiter| !waiter.answer.is_closed());
        let Some(epoch) = queue.front().map(|first| first.asked.epoch) else {
            next.remove(&app);
            return None;
        };
        let same = queue.iter().take(TOGETHER_MAX).take_while(|waiter| waiter.asked.epoch == epoch).count();
        Some(queue.drain(..same).collect())
    }

    /// Decides demands of one app and epoch with one script.
    async fn run(&self, app: u64, asked: &[Asked]) -> Result<Vec<Answer>, Error> {
        let Some(first) = asked.first() else { return Ok(Vec::new()) };
        let epoch_key = epoch_key(app);
        // The permit's time and the latest moment that the script may believe begin together, the permit's first: however
        // long this took until Redis runs the script, no charge is dated further back than its permit.
        let sent = Instant::now();
        let terms = Terms::of(asked, self.horizon.not_after_ms());
        let mut keys = vec![epoch_key.as_str()];
        keys.extend(&terms.keys);
        match self.scripts.run_packed(Script::Acquire, &keys, &terms.packed).await {
            Ok(answer) => outcome::decode(&answer, first.epoch, sent, asked.len()),
            Err(error) => {
                if error.is_redis_away() {
                    self.turn_away(app);
                }
                Err(error)
            }
        }
    }

    /// Whoever waits has not been asked for.
    fn turn_away(&self, app: u64) {
        let waiters = self.lock().get_mut(&app).map(std::mem::take).unwrap_or_default();
        for waiter in waiters {
            drop(waiter.answer.send(Err(Error::Unasked)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, VecDeque<Waiter>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let mut next = self.flights.lock();
        if next.get(&self.app).is_some_and(VecDeque::is_empty) {
            next.remove(&self.app);
        } else {
            drop(next);
            self.flights.tasks.spawn(self.flights.clone().fly(self.app));
        }
    }
}

#[cfg(test)]
mod tests;
