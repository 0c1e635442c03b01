//! What is dear to compute, remembered until the world it was computed from has changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Kind, State};

/// The latest answer to each question. None is wrong after a change: every one names the version that it is of.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    totals: Mutex<HashMap<(u64, Kind), (u64, usize)>>,
}

impl State {
    /// How many objects an edge shows where nobody filters it, by `count` unless it is known.
    pub(crate) fn total(&self, account: u64, edge: (u64, Kind), count: impl FnOnce() -> usize) -> usize {
        let version = self.index.version(account);
        let mut totals = self.remembered.totals.lock().unwrap_or_else(PoisonError::into_inner);
        match totals.get(&edge) {
            Some(&(of, total)) if of == version => total,
            _ => {
                let total = count();
                totals.insert(edge, (version, total));
                total
            }
        }
    }
}
