//! The sandbox's own time, which can be turned.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

/// A clock that starts where it is told and runs on, or stands still.
#[derive(Debug)]
pub(crate) struct Clock {
    reading: Mutex<Reading>,
    turned: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    base: Timestamp,
    since: Instant,
    frozen: bool,
}

impl Reading {
    fn now(self) -> Timestamp {
        if self.frozen {
            return self.base;
        }
        SignedDuration::try_from(self.since.elapsed())
            .ok()
            .and_then(|passed| self.base.checked_add(passed).ok())
            .unwrap_or(self.base)
    }
}

impl Clock {
    /// Starts at `start`, else at the machine's time.
    pub(crate) fn new(start: Option<Timestamp>) -> Self {
        let base = start.unwrap_or_else(machine_time);
        let reading = Reading { base, since: Instant::now(), frozen: false };
        Self { reading: Mutex::new(reading), turned: Notify::new() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.reading().now()
    }

    pub(crate) fn frozen(&self) -> bool {
        self.reading().frozen
    }

    /// Turns the clock to `now`; from there it runs on unless it is frozen.
    pub(crate) fn set(&self, now: Timestamp, frozen: bool) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) =
            Reading { base: now, since: Instant::now(), frozen };
        self.turned.notify_waiters();
    }

    /// Waits until the clock shows `due`, by running or by being turned.
    pub(crate) async fn reached(&self, due: Timestamp) {
        loop {
            // Taken before the look, so that a turn between the two is not missed.
            let turned = self.turned.notified();
            let reading = self.reading();
            let Ok(left) = Duration::try_from(due.duration_since(reading.now())) else { return };
            if left.is_zero() {
                return;
            }
            if reading.frozen {
                turned.await;
            } else {
                tokio::select! {
                    () = turned => {}
                    () = tokio::time::sleep(left) => {}
                }
            }
        }
    }

    fn reading(&self) -> Reading {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn machine_time() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_stands_still_and_a_turned_one_starts_anew() {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let clock = Clock::new(Some(start));
        assert!(clock.now() >= start);
        let later: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        clock.set(later, true);
        assert_eq!(clock.now(), later);
        assert!(clock.frozen());
    }

    #[tokio::test]
    async fn a_wait_on_a_frozen_clock_ends_when_it_is_turned_far_enough() {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let clock = Clock::new(Some(start));
        clock.set(start, true);
        let due = start + SignedDuration::from_secs(60);
        let mut wait = std::pin::pin!(clock.reached(due));
        assert!(futures_now(wait.as_mut()).await.is_none());
        clock.set(start + SignedDuration::from_secs(59), true);
        assert!(futures_now(wait.as_mut()).await.is_none());
        clock.set(due, true);
        wait.await;
    }

    /// The result of a future if it is ready at once.
    async fn futures_now<T>(mut future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
