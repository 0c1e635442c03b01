//! One piece of work per key at a time: whoever comes meanwhile waits for its turn, and then sees what was done.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

/// The work that is under way. Clones share it.
#[derive(Debug)]
pub(crate) struct Flights<K>(Arc<Mutex<HashMap<K, Arc<Turns<()>>>>>);

/// Held as long as the work is done.
#[derive(Debug)]
pub(crate) struct Turn {
    _held: OwnedMutexGuard<()>,
}

impl<K> Clone for Flights<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq> Flights<K> {
    /// Waits until nobody else works on `key`. A drop while waiting gives the place up.
    pub(crate) async fn turn(&self, key: K) -> Turn {
        let turns = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // What nobody holds or waits for is forgotten, so that there are no more than are under way.
            flights.retain(|_, turns| Arc::strong_count(turns) > 1);
            Arc::clone(flights.entry(key).or_default())
        };
        Turn { _held: turns.lock_owned().await }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_works_on_a_key_and_the_others_wait() {
        let flights = Flights::default();
        let first = flights.turn(1).await;
        let second = flights.turn(1);
        let mut second = std::pin::pin!(second);
        assert!((&mut second).now_or_never().is_none());
        assert!(flights.turn(2).now_or_never().is_some(), "another key is free");
        drop(first);
        assert!((&mut second).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_ended_is_forgotten() {
        let flights = Flights::default();
        for key in 0..100 {
            drop(flights.turn(key).await);
        }
        assert_eq!(flights.0.lock().unwrap().len(), 1);
    }
}
