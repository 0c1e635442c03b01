//! The members of audiences, as digests.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use super::State;
use super::change::Members;

/// Upload sessions of one audience, by the id that the client chose.
pub(crate) type Sessions = BTreeMap<String, Session>;

/// What one upload session has brought so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) received: u64,
    pub(crate) invalid: u64,
    pub(crate) batches: BTreeSet<u64>,
    pub(crate) last_seq: Option<u64>,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
}

impl Session {
    /// Whether every batch up to the last one came.
    pub(crate) fn is_complete(&self) -> bool {
        self.last_seq.is_some_and(|last| (1..=last).all(|seq| self.batches.contains(&seq)))
    }
}

impl State {
    pub(super) fn take_members(&mut self, change: Members) {
        let Members { audience, at, remove, people, received, invalid, batch } = change;
        let members = self.members.entry(audience).or_default();
        if remove {
            for person in &people {
                members.remove(person);
            }
        } else {
            members.extend(people);
        }
        if let Some(object) = self.objects.get_mut(&audience) {
            object.fields.insert("_uploaded".to_owned(), at.as_second().into());
        }
        if let Some(batch) = batch {
            let session = self.sessions.entry(audience).or_default().entry(batch.session).or_insert_with(|| Session {
                received: 0,
                invalid: 0,
                batches: BTreeSet::new(),
                last_seq: None,
                started: at,
                ended: None,
            });
            session.received += received;
            session.invalid += invalid;
            session.batches.insert(batch.seq);
            if batch.last {
                session.last_seq = Some(batch.seq);
            }
            if session.is_complete() {
                session.ended.get_or_insert(at);
            }
        }
        self.polls.remove(&audience);
    }

    pub(crate) fn members(&self, audience: u64) -> Option<&HashSet<String>> {
        self.members.get(&audience)
    }

    pub(crate) fn member_count(&self, audience: u64) -> u64 {
        self.members(audience).map_or(0, |members| u64::try_from(members.len()).unwrap_or(u64::MAX))
    }

    pub(crate) fn sessions(&self, audience: u64) -> Option<&Sessions> {
        self.sessions.get(&audience)
    }
}
