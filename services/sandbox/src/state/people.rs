//! The members of audiences, as digests.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::State;
use super::change::{Batch, Members};

/// Upload sessions of one audience, by the id that the client chose.
pub(crate) type Sessions = BTreeMap<String, Session>;

/// What one upload session has brought so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) received: u64,
    pub(crate) invalid: u64,
    pub(crate) batches: BTreeSet<u64>,
    pub(crate) last_seq: Option<u64>,
    pub(crate) schema: Vec<String>,
    pub(crate) replace: bool,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
}

/// How long a session may take (Meta, "Customer file custom audiences").
const SESSION_MINUTES: i64 = 90;

impl Session {
    fn begun(batch: &Batch, replace: bool, started: Timestamp) -> Self {
        Self {
            received: 0,
            invalid: 0,
            batches: BTreeSet::new(),
            last_seq: None,
            schema: batch.schema.clone(),
            replace,
            started,
            ended: None,
        }
    }

    /// Whether its time is over, so that its id begins anew.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.started) > SignedDuration::from_mins(SESSION_MINUTES)
    }

    /// Whether every batch up to the last one came.
    pub(crate) fn is_complete(&self) -> bool {
        self.last_seq.is_some_and(|last| (1..=last).all(|seq| self.batches.contains(&seq)))
    }
}

impl State {
    pub(super) fn take_members(&mut self, change: Members) {
        let Members { audience, at, remove, replace, people, received, invalid, batch } = change;
        let (new, ended) = match &batch {
            Some(batch) => self.take_batch(audience, batch, replace, at, (received, invalid)),
            None => (true, None),
        };
        let begins = batch.as_ref().is_some_and(|batch| batch.seq == 1 && new);
        if replace && new {
            let staged = self.replacing.entry(audience).or_default();
            if begins {
                staged.clear();
            }
            staged.extend(people);
            if ended.is_some() {
                let staged = self.replacing.remove(&audience).unwrap_or_default();
                self.members.insert(audience, staged);
            }
        } else if replace {
            // A batch that came before, sent again after a lost answer.
        } else if remove {
            let members = self.members.entry(audience).or_default();
            for person in &people {
                members.remove(person);
            }
        } else {
            self.members.entry(audience).or_default().extend(people);
        }
        if let Some(object) = self.objects.get_mut(&audience) {
            object.fields.insert("_uploaded".to_owned(), at.as_second().into());
            for (name, more) in [("_received", received), ("_invalid", invalid)] {
                let before = object.fields.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
                object.fields.insert(name.to_owned(), before.saturating_add(if new { more } else { 0 }).into());
            }
        }
        self.polls.remove(&audience);
    }

    /// Notes a batch of a session. Says whether it is the first time, and when the session ended if it did with it.
    fn take_batch(
        &mut self,
        audience: u64,
        batch: &Batch,
        replace: bool,
        at: Timestamp,
        (received, invalid): (u64, u64),
    ) -> (bool, Option<Timestamp>) {
        let sessions = self.sessions.entry(audience).or_default();
        if sessions.get(&batch.session).is_some_and(|session| session.is_over(at)) {
            sessions.remove(&batch.session);
        }
        let session = sessions.entry(batch.session.clone()).or_insert_with(|| Session::begun(batch, replace, at));
        let new = session.batches.insert(batch.seq);
        if new {
            session.received += received;
            session.invalid += invalid;
        }
        if batch.last {
            session.last_seq = Some(batch.seq);
        }
        let was_complete = session.ended.is_some();
        if session.is_complete() {
            session.ended.get_or_insert(at);
        }
        (new, session.ended.filter(|_| !was_complete))
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
