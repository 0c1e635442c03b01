//! Sums by the minute, in memory: bounded, and what is too much to keep apart is summed up further.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::time::Duration;

use super::{Origin, minute_of};
use crate::demand::Demand;
use crate::scope::Kind;
use crate::store::{Reason, Refusal};
use crate::usage::Answer;

/// As many sums as are kept apart between two writes.
const KEPT_MAX: usize = 10_000;
/// As many more for what was too much to keep apart.
const OTHER_MAX: usize = 1_000;
/// The call of what was too much to keep apart.
pub(crate) const OTHER: &str = "other";

/// What is summed up on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UsageKey {
    /// The beginning of the minute, in ms since 1970.
    pub(crate) minute_ms: i64,
    pub(crate) app: u64,
    pub(crate) origin: Origin,
    /// Meta's error code; 0 for what is counted before there is an answer.
    pub(crate) code: u32,
}

/// A sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) calls: i64,
    pub(crate) points: i64,
    pub(crate) refused: i64,
    pub(crate) answers: i64,
    pub(crate) waited_ms: i64,
    pub(crate) longest_ms: i64,
}

/// Which refusals are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RefusedKey {
    pub(crate) minute_ms: i64,
    pub(crate) app: u64,
    pub(crate) tenant: String,
    pub(crate) subject: String,
    /// The key of the bucket that bound.
    pub(crate) bucket: String,
    pub(crate) reason: Reason,
    pub(crate) priority: i32,
    pub(crate) caller: String,
    pub(crate) call: String,
}

/// Refusals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Refusals {
    pub(crate) count: i64,
    pub(crate) last_ms: i64,
    pub(crate) delay_ms: i64,
}

pub(crate) type RefusedSums = HashMap<RefusedKey, Refusals>;

/// What one replica has not written yet.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) usage: HashMap<UsageKey, Usage>,
    pub(crate) refused: RefusedSums,
}

impl Sums {
    pub(crate) fn is_empty(&self) -> bool {
        self.usage.is_empty() && self.refused.is_empty()
    }

    /// Counts a decision. Answers how many calls found no place.
    pub(crate) fn decided(
        &mut self,
        now_ms: i64,
        origin: &Origin,
        demand: &Demand,
        refusal: Option<&Refusal>,
        waited: Duration,
    ) -> u64 {
        let minute_ms = minute_of(now_ms);
        let key = UsageKey { minute_ms, app: demand.app, origin: origin.clone(), code: 0 };
        let waited_ms = millis(waited);
        let mut usage = Usage { waited_ms, longest_ms: waited_ms, ..Usage::default() };
        if refusal.is_some() {
            usage.refused = 1;
        } else {
            (usage.calls, usage.points) = size(demand);
        }
        let dropped = self.add(key, usage);
        if let Some(refusal) = refusal
            && let Some(bucket) = demand.bucket(refusal.binding)
        {
            let key = RefusedKey {
                minute_ms,
                app: demand.app,
                tenant: origin.tenant.clone(),
                subject: origin.subject.clone(),
                bucket: bucket.key.clone(),
                reason: refusal.reason,
                priority: origin.priority,
                caller: origin.caller.clone(),
                call: origin.call.clone(),
            };
            self.refuse(key, Refusals { count: 1, last_ms: now_ms, delay_ms: millis(refusal.wait) });
        }
        dropped
    }

    /// Counts an answer of Meta's.
    pub(crate) fn answered(&mut self, now_ms: i64, answer: &Answer) -> u64 {
        let (app, origin, code) = (answer.app, answer.origin.clone(), answer.code);
        let key = UsageKey { minute_ms: minute_of(now_ms), app, origin, code };
        self.add(key, Usage { answers: 1, ..Usage::default() })
    }

    /// Takes back what could not be written.
    pub(crate) fn merge(&mut self, other: Self) -> u64 {
        let dropped = other.usage.into_iter().map(|(key, usage)| self.add(key, usage)).sum();
        for (key, refusals) in other.refused {
            self.refuse(key, refusals);
        }
        dropped
    }

    fn add(&mut self, mut key: UsageKey, usage: Usage) -> u64 {
        if self.usage.len() >= KEPT_MAX && !self.usage.contains_key(&key) {
            OTHER.clone_into(&mut key.origin.call);
            key.origin.purpose.clear();
        }
        match place(&mut self.usage, key, KEPT_MAX + OTHER_MAX) {
            Some(sum) => {
                sum.add(usage);
                0
            }
            None => u64::try_from(usage.calls + usage.refused + usage.answers).unwrap_or_default(),
        }
    }

    /// Refusals are told of beside their sums, so those that find no place are only not told apart.
    fn refuse(&mut self, mut key: RefusedKey, refusals: Refusals) {
        if self.refused.len() >= KEPT_MAX && !self.refused.contains_key(&key) {
            OTHER.clone_into(&mut key.call);
        }
        if let Some(sum) = place(&mut self.refused, key, KEPT_MAX + OTHER_MAX) {
            sum.count = sum.count.saturating_add(refusals.count);
            if refusals.last_ms >= sum.last_ms {
                (sum.last_ms, sum.delay_ms) = (refusals.last_ms, refusals.delay_ms);
            }
        }
    }
}

impl Usage {
    pub(crate) fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.points = self.points.saturating_add(other.points);
        self.refused = self.refused.saturating_add(other.refused);
        self.answers = self.answers.saturating_add(other.answers);
        self.waited_ms = self.waited_ms.saturating_add(other.waited_ms);
        self.longest_ms = self.longest_ms.max(other.longest_ms);
    }
}

/// The value of a key, new where there is none and still room for it.
fn place<K: Eq + Hash, V: Default>(map: &mut HashMap<K, V>, key: K, most: usize) -> Option<&mut V> {
    let room = map.len() < most;
    match map.entry(key) {
        Entry::Occupied(there) => Some(there.into_mut()),
        Entry::Vacant(free) => room.then(|| free.insert(V::default())),
    }
}

/// How many calls a demand is, and how many points of the account's score; a bucket that counts points says the latter.
fn size(demand: &Demand) -> (i64, i64) {
    let is_score = |kind, use_case: &str| kind == Kind::AdAccount && use_case.is_empty();
    let most = |score: bool| {
        let charges = demand.charges.iter();
        let of = charges.filter(|(bucket, _)| is_score(bucket.scope.kind, &bucket.scope.use_case) == score);
        of.map(|(_, cost)| i64::from(*cost)).max()
    };
    // The calls of one batch may fall under several use cases.
    let of_use_cases = demand.charges.iter().filter(|(bucket, _)| {
        bucket.scope.kind == Kind::AdAccount && !is_score(bucket.scope.kind, &bucket.scope.use_case)
    });
    let calls = most(false).max(Some(of_use_cases.map(|(_, cost)| i64::from(*cost)).sum()).filter(|calls| *calls > 0));
    (calls.unwrap_or(1), most(true).or(calls).unwrap_or(1))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
