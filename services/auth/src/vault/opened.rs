//! Keys in clear, in memory, until somebody says to forget them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::seal::Key;

/// So many keys are remembered; beyond it all are forgotten and opened again as they are needed.
const REMEMBERED_MAX: usize = 20_000;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// Wraps the keys of rows.
    Wrap,
    /// Makes keyed hashes.
    Hash,
}

/// Tenants' keys in clear. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Opened(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Grows whenever all is forgotten, so that what was being opened meanwhile is not remembered after all.
    generation: u64,
    keys: HashMap<(Purpose, String, i32), Arc<Key>>,
}

impl Opened {
    /// A key that was opened before.
    pub(super) fn get(&self, purpose: Purpose, tenant: &str, version: i32) -> Option<Arc<Key>> {
        self.lock().keys.get(&(purpose, tenant.to_owned(), version)).cloned()
    }

    /// To be asked before a key is opened that is to be remembered.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Remembers a key, unless everything was forgotten since `generation`.
    pub(super) fn put(&self, generation: u64, (purpose, tenant, version): (Purpose, &str, i32), key: &Arc<Key>) {
        let mut inner = self.lock();
        if inner.generation != generation {
            return;
        }
        if inner.keys.len() >= REMEMBERED_MAX {
            inner.keys.clear();
        }
        inner.keys.insert((purpose, tenant.to_owned(), version), Arc::clone(key));
    }

    /// Forgets all keys; each is wiped when its last user is done.
    pub(super) fn forget(&self) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.keys.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_being_opened_while_all_were_forgotten_is_not_remembered() {
        let (opened, key) = (Opened::default(), Arc::new(Key::random().unwrap()));
        let before = opened.generation();
        opened.forget();
        opened.put(before, (Purpose::Wrap, "acme", 1), &key);
        assert!(opened.get(Purpose::Wrap, "acme", 1).is_none());
        opened.put(opened.generation(), (Purpose::Wrap, "acme", 1), &key);
        assert!(opened.get(Purpose::Wrap, "acme", 1).is_some());
        assert!(opened.get(Purpose::Hash, "acme", 1).is_none() && opened.get(Purpose::Wrap, "acme", 2).is_none());
        opened.forget();
        assert_eq!(Arc::strong_count(&key), 1);
    }
}
