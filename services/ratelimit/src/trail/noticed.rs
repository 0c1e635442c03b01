//! What Meta said about buckets, until somebody has looked what became of them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::demand::Bucket;
use crate::priority::Priority;
use crate::store::Standing;
use crate::usage::{Close, Correction};

/// As many buckets as are looked at after one pause; the others wait for the next.
const LOOKED_AT_MAX: usize = 100;
/// As many buckets as wait.
const WAITING_MAX: usize = 2_000;
/// As many buckets as are remembered; beyond, all are forgotten, and what is told again is told twice.
const KNOWN_MAX: usize = 20_000;
/// How often a bucket is looked at only to see whether others use it too.
const DRIFT: Duration = Duration::from_secs(30);
/// Events that could not be written.
const KEPT_MAX: usize = 1_000;

/// The percents at which classes stop, and so what is worth telling.
const GATES: [Priority; 4] = [Priority::Backfill, Priority::Bulk, Priority::Sync, Priority::Interactive];

/// Which call ran into a closing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Blame {
    /// Whose; empty where it is not known.
    pub(crate) tenant: String,
    pub(crate) subcode: u32,
    pub(crate) trace_id: String,
}

/// Something that happened to a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at_ms: i64,
    pub(crate) app: u64,
    /// The bucket's key.
    pub(crate) bucket: String,
    pub(crate) kind: EventKind,
    pub(crate) code: u32,
    pub(crate) blame: Blame,
    /// 0 where there is no end.
    pub(crate) until_ms: i64,
    pub(crate) others: i64,
    pub(crate) percent: u32,
    /// What a person gave as reason.
    pub(crate) words: String,
}

/// `QuotaEventKind` in the proto says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Closed,
    Reopened,
    Gate,
    Drift,
    CountersLost,
    Frozen,
    Unfrozen,
}

impl EventKind {
    const ALL: [Self; 7] =
        [Self::Closed, Self::Reopened, Self::Gate, Self::Drift, Self::CountersLost, Self::Frozen, Self::Unfrozen];

    /// As in the table, and in the proto.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Closed => 1,
            Self::Reopened => 2,
            Self::Gate => 3,
            Self::Drift => 4,
            Self::CountersLost => 5,
            Self::Frozen => 6,
            Self::Unfrozen => 7,
        }
    }

    pub(crate) fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// What was said of one bucket.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    closes: bool,
    code: u32,
    blame: Blame,
    lets_through: bool,
    gate: Option<u32>,
}

/// What is known of a bucket from the last look.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    closed_until_ms: i64,
    gate: u32,
    others: i64,
    looked: Option<Instant>,
}

/// What waits to be looked at, and what is known.
#[derive(Debug, Default)]
pub(crate) struct Noticed {
    waiting: HashMap<String, (Bucket, Said)>,
    known: HashMap<String, Known>,
    unwritten: Vec<Event>,
}

/// Whether anything may have happened that is worth telling.
pub(super) fn is_notable(correction: &Correction) -> bool {
    correction.close != Close::No
        || correction.let_through_ms.is_some()
        || correction.used_percent.is_some_and(|percent| percent > 0)
        || correction.gate_percent.is_some_and(|percent| percent >= Priority::Backfill.gate_percent())
}

impl Noticed {
    /// Notes what Meta said. Where too much waits already, only closings are still taken.
    pub(super) fn tell(&mut self, bucket: &Bucket, correction: &Correction, blame: Option<&Blame>, now: Instant) {
        let closes = correction.close != Close::No;
        let urgent = closes || correction.let_through_ms.is_some() || is_gate(correction.gate_percent);
        if !urgent && self.is_known_fresh(&bucket.key, now) {
            return;
        }
        if self.waiting.len() >= WAITING_MAX && !closes && !self.waiting.contains_key(&bucket.key) {
            return;
        }
        let entry = self.waiting.entry(bucket.key.clone());
        let said = &mut entry.or_insert_with(|| (bucket.clone(), Said::default())).1;
        said.gate = said.gate.max(correction.gate_percent);
        said.lets_through |= correction.let_through_ms.is_some();
        if closes {
            (said.closes, said.code) = (true, correction.code);
            said.blame = blame.cloned().unwrap_or_default();
        }
    }

    /// What is to be looked at now, closings first.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(Bucket, Said)> {
        let mut keys: Vec<(bool, String)> =
            self.waiting.iter().map(|(key, (_, said))| (!(said.closes || said.lets_through), key.clone())).collect();
        keys.sort();
        keys.truncate(LOOKED_AT_MAX);
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let taken = keys.into_iter().filter_map(|(_, key)| self.waiting.remove_entry(&key));
        taken
            .map(|(key, asked)| {
                self.known.entry(key).or_default().looked = Some(now);
                asked
            })
            .collect()
    }

    /// They could not be looked at.
    pub(super) fn ask_again(&mut self, asked: Vec<(Bucket, Said)>) {
        for (bucket, said) in asked {
            if self.waiting.len() < WAITING_MAX || said.closes {
                self.waiting.entry(bucket.key.clone()).or_insert((bucket, said));
            }
        }
    }

    /// These could not be written.
    pub(super) fn put_back(&mut self, events: Vec<Event>) {
        let room = KEPT_MAX.saturating_sub(self.unwritten.len());
        self.unwritten.extend(events.into_iter().take(room));
    }

    /// What happened to the buckets that were looked at, with what could not be written before.
    pub(super) fn events(
        &mut self,
        now_ms: i64,
        asked: &[(Bucket, Said)],
        standings: &[(String, Standing)],
    ) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.unwritten);
        let found: HashMap<&str, &Standing> = standings.iter().map(|(key, found)| (key.as_str(), found)).collect();
        for (bucket, said) in asked {
            if let Some(standing) = found.get(bucket.key.as_str()) {
                self.compare(now_ms, bucket, said, standing, &mut events);
            }
        }
        events
    }

    fn compare(&mut self, now_ms: i64, bucket: &Bucket, said: &Said, now: &Standing, events: &mut Vec<Event>) {
        let known = self.known.entry(bucket.key.clone()).or_default();
        let event = |kind| Event {
            at_ms: now_ms,
            app: bucket.scope.app,
            bucket: bucket.key.clone(),
            kind,
            code: 0,
            blame: Blame::default(),
            until_ms: 0,
            others: 0,
            percent: 0,
            words: String::new(),
        };
        let closed_until_ms = now.closed_until_ms.unwrap_or_default();
        if said.closes && closed_until_ms > known.closed_until_ms {
            let blame = said.blame.clone();
            events.push(Event { code: said.code, blame, until_ms: closed_until_ms, ..event(EventKind::Closed) });
        }
        if said.lets_through && closed_until_ms == 0 {
            events.push(event(EventKind::Reopened));
        }
        let gate = said.gate.unwrap_or_default();
        if level(gate) > level(known.gate) {
            events.push(Event { percent: gate, ..event(EventKind::Gate) });
        }
        // An integer percent is as fine as Meta tells; less than that is no news.
        let step = bucket.ceiling.limit.map_or(1, |limit| i64::from(limit / 100).max(1));
        if now.others >= known.others.saturating_add(step) {
            let percent = now.observed_percent.unwrap_or_default();
            events.push(Event { others: now.others, percent, ..event(EventKind::Drift) });
            known.others = now.others;
        }
        known.others = known.others.min(now.others);
        known.closed_until_ms = closed_until_ms.max(known.closed_until_ms);
        if said.gate.is_some() {
            known.gate = gate;
        }
    }

    fn is_known_fresh(&self, key: &str, now: Instant) -> bool {
        let looked = self.known.get(key).and_then(|known| known.looked);
        looked.is_some_and(|looked| now.saturating_duration_since(looked) < DRIFT)
    }
}

fn is_gate(percent: Option<u32>) -> bool {
    level(percent.unwrap_or_default()) > 0
}

/// How many classes stop at a percent.
fn level(percent: u32) -> usize {
    GATES.iter().filter(|class| percent >= class.gate_percent()).count()
}
