//! What is still to be told, and what was told to whom.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The most that may wait; more is not taken, and the log says so.
const WAITING_MAX: usize = 100_000;
/// How many attempts the log remembers.
const ATTEMPTS_MAX: usize = 10_000;

/// One thing to be told to one address.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) address: String,
    pub(super) content: Content,
    /// How often it was tried.
    pub(super) attempts: u32,
    /// When it was to be told first; Meta gives up a day and a half later.
    pub(super) first: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// An entry of a webhook about that kind of object.
    Entry { object: String, entry: Value },
    /// A form with a `signed_request`, whose content this is.
    SignedRequest(Value),
}

/// One attempt, as `/__sandbox/webhooks` shows it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Attempt {
    pub(super) at: Timestamp,
    pub(super) address: String,
    /// The kind of object, or `deauthorize`.
    pub(super) object: String,
    /// How many entries went in one request.
    pub(super) entries: usize,
    #[serde(rename = "attempt")]
    pub(super) number: u32,
    /// The status that the subscriber answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// Deliveries in the order in which they are due.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    /// Held while something is sent, so that there is one sender and an order.
    pub(super) sending: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Inner {
    serial: u64,
    waiting: BTreeMap<(Timestamp, u64), Delivery>,
    attempts: VecDeque<Attempt>,
}

impl Outbox {
    pub(super) fn put(&self, due: Timestamp, delivery: Delivery) {
        let mut inner = self.lock();
        if inner.waiting.len() >= WAITING_MAX {
            tracing::warn!(address = delivery.address, "too many webhooks wait; one was dropped");
            return;
        }
        inner.serial += 1;
        let serial = inner.serial;
        inner.waiting.insert((due, serial), delivery);
    }

    /// Takes everything that is due.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Delivery> {
        let mut inner = self.lock();
        let later = inner.waiting.split_off(&(now, u64::MAX));
        std::mem::replace(&mut inner.waiting, later).into_values().collect()
    }

    pub(super) fn log(&self, attempt: Attempt) {
        let mut inner = self.lock();
        if inner.attempts.len() >= ATTEMPTS_MAX {
            inner.attempts.pop_front();
        }
        inner.attempts.push_back(attempt);
    }

    /// The attempts so far, oldest first, as JSON lines.
    pub(crate) fn text(&self) -> String {
        let inner = self.lock();
        let lines = inner.attempts.iter().filter_map(|attempt| serde_json::to_string(attempt).ok());
        lines.flat_map(|line| [line, "\n".to_owned()]).collect()
    }

    /// Forgets what waits and what was tried.
    pub(crate) fn clear(&self) {
        *self.lock() = Inner::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_out_in_order_and_the_rest_stays() {
        let outbox = Outbox::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for (due, address) in [(5, "b"), (3, "a"), (9, "c")] {
            let content = Content::SignedRequest(Value::Null);
            let delivery = Delivery { address: address.to_owned(), content, attempts: 0, first: at(0) };
            outbox.put(at(due), delivery);
        }
        let names = |now| outbox.due(at(now)).into_iter().map(|it| it.address).collect::<Vec<_>>();
        assert_eq!(names(5), ["a", "b"]);
        assert!(names(8).is_empty());
        assert_eq!(names(9), ["c"]);
    }
}
