//! What objects were before they were changed, for reads that lag behind writes; and what a call changed.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::{Change, Object, State};

/// How many changes are remembered; a lag over more of them sees the older ones too early.
const ENTRIES_MAX: usize = 20_000;

/// The changes of late. It is forgotten at a restart.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The time of the changes that are being made; none where nothing is remembered.
    now: Option<Timestamp>,
    entries: VecDeque<Entry>,
    /// How many entries there ever were.
    remembered: u64,
    /// The ids of what was committed since they were last asked for.
    committed_ids: Vec<u64>,
}

#[derive(Debug)]
struct Entry {
    at: Timestamp,
    id: u64,
    before: Option<Box<Object>>,
}

/// What was taken away while the world is set back.
#[derive(Debug)]
pub(crate) struct Past {
    newest: BTreeMap<u64, Option<Object>>,
    /// How many changes were remembered when the world was set back.
    marked: usize,
}

impl History {
    pub(super) fn remember(&mut self, id: u64, before: Option<Object>) {
        let Some(at) = self.now else { return };
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { at, id, before: before.map(Box::new) });
        self.remembered += 1;
    }

    pub(super) fn remembered(&self) -> u64 {
        self.remembered
    }

    pub(super) fn committed_ids(&self) -> usize {
        self.committed_ids.len()
    }

    pub(super) fn forget_ids(&mut self, from: usize) {
        self.committed_ids.truncate(from);
    }

    pub(super) fn note(&mut self, change: &Change) {
        match change {
            Change::Put(object) => self.committed_ids.push(object.id),
            Change::Members(members) => self.committed_ids.push(members.audience),
            Change::Events { dataset, .. } => self.committed_ids.push(*dataset),
            _ => {}
        }
    }
}

impl State {
    /// Says at what time the changes that follow are made.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.history.now = Some(now);
    }

    /// The clock was turned; what was changed later than now was changed now.
    pub(crate) fn turned(&mut self, now: Timestamp) {
        for entry in &mut self.history.entries {
            entry.at = entry.at.min(now);
        }
    }

    /// The ids of what was committed since the last call, each once, in the order of their first change.
    pub(crate) fn take_committed_ids(&mut self) -> Vec<u64> {
        let mut seen = std::collections::HashSet::new();
        let mut committed_ids = std::mem::take(&mut self.history.committed_ids);
        committed_ids.retain(|id| seen.insert(*id));
        committed_ids
    }

    /// Makes the world what it was at `cut`, as far as objects go.
    pub(crate) fn set_back(&mut self, cut: Timestamp) -> Past {
        let mut then: BTreeMap<u64, Option<Object>> = BTreeMap::new();
        for entry in self.history.entries.iter().filter(|entry| entry.at > cut) {
            then.entry(entry.id).or_insert_with(|| entry.before.as_deref().cloned());
        }
        let mut newest = BTreeMap::new();
        for (id, before) in then {
            newest.insert(id, self.exchange(id, before));
        }
        Past { newest, marked: self.history.entries.len() }
    }

    /// Makes the world what it is. What the read itself changed yields to what is newer, in the journal too.
    pub(crate) fn set_forth(&mut self, past: Past) {
        let during: Vec<u64> = self.history.entries.iter().skip(past.marked).map(|entry| entry.id).collect();
        for (id, newest) in past.newest {
            match newest {
                Some(object) if during.contains(&id) => self.commit(Change::Put(Box::new(object))),
                newest => drop(self.exchange(id, newest)),
            }
        }
    }

    /// Puts every object back that was changed since so many changes were remembered, the last first, and forgets that.
    pub(super) fn take_back(&mut self, remembered: u64) {
        while self.history.remembered > remembered
            && let Some(entry) = self.history.entries.pop_back()
        {
            self.history.remembered -= 1;
            self.exchange(entry.id, entry.before.map(|before| *before));
        }
    }

    /// Puts an object in its place or takes it away, without a trace, and gives what stood there.
    fn exchange(&mut self, id: u64, object: Option<Object>) -> Option<Object> {
        let stood = self.objects.get(&id).cloned();
        let now = self.history.now.take();
        match object {
            Some(object) => self.put(object),
            None => self.remove(id),
        }
        self.history.now = now;
        stood
    }
}
