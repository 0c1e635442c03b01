//! One replica: its memory, which a kill takes, and the real rules that decide with it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::demand::{Bucket, Demand};
use crate::journal::{self, Allowance, Held, Ledger, When};
use crate::store::Anchor;

/// The one app of the simulation.
pub(super) const APP: u64 = 1;

/// How long after an outage of PostgreSQL other replicas may still have something to write, as in the journal.
const CATCH_UP_MS: i64 = 10_000;

/// How far ahead of its estimate a replica lets the server's clock be, as the horizon has it.
const SLACK_MS: i64 = 1_000;

pub(super) struct Replica {
    /// Grows with every kill; what belongs to an older one is lost.
    pub(super) generation: u32,
    /// Until then it does not reach Redis.
    pub(super) cut_off_until_ms: i64,
    /// Stopped until then: nothing that reaches it is looked at before.
    pub(super) stopped_until_ms: i64,
    pub(super) ledger: Ledger,
    pub(super) epoch: Option<i64>,
    /// The newest epoch that PostgreSQL did not take a row of.
    pub(super) over: i64,
    /// When PostgreSQL was last away, and whether it still is.
    pub(super) away: Option<(i64, bool)>,
    pub(super) is_writing: bool,
    pub(super) wants_to_write: bool,
    pub(super) is_agreeing: bool,
    /// The epoch that it ended because Redis was out of reach.
    pub(super) fence: Option<Fence>,
    anchor: Anchor,
    began: Instant,
}

/// An epoch that was ended, what everybody may have spent of each bucket, and what is left to this replica.
pub(super) struct Fence {
    pub(super) epoch: i64,
    /// When PostgreSQL was asked.
    pub(super) asked_ms: i64,
    pub(super) points: BTreeMap<String, u64>,
    pub(super) open: BTreeMap<String, u64>,
}

/// What a replica does with a call next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Agree,
    Script(When),
    WaitForJournal,
}

impl Replica {
    /// Begins with an estimate of the buckets' clock that is a little off.
    pub(super) fn start(generation: u32, true_ms: i64, off_ms: i64, began: Instant) -> Self {
        let mut replica = Self {
            generation,
            cut_off_until_ms: 0,
            stopped_until_ms: 0,
            ledger: Ledger::default(),
            epoch: None,
            over: 0,
            away: None,
            is_writing: false,
            wants_to_write: false,
            is_agreeing: false,
            fence: None,
            anchor: Anchor::starting_at(began, 0),
            began,
        };
        replica.anchor = Anchor::starting_at(replica.instant(true_ms), true_ms + off_ms);
        replica
    }

    /// Its own monotonic clock, which no fault touches.
    fn instant(&self, true_ms: i64) -> Instant {
        self.began + Duration::from_millis(u64::try_from(true_ms).unwrap())
    }

    pub(super) fn estimate_ms(&self, true_ms: i64) -> i64 {
        self.anchor.estimate(self.instant(true_ms))
    }

    pub(super) fn not_after_ms(&self, true_ms: i64) -> i64 {
        self.estimate_ms(true_ms) + SLACK_MS
    }

    pub(super) fn observe(&mut self, true_ms: i64, told_ms: i64) {
        let now = self.instant(true_ms);
        self.anchor.follow(now, told_ms);
    }

    pub(super) fn is_exact(&self, true_ms: i64) -> bool {
        self.away.is_none_or(|(last, still)| !still && true_ms - last > CATCH_UP_MS)
    }

    pub(super) fn is_without_journal(&self) -> bool {
        self.away.is_some_and(|(_, still)| still)
    }

    /// As `Journal::hold` has it.
    pub(super) fn hold(&mut self, demand: &Demand, true_ms: i64) -> Next {
        let Some(epoch) = self.epoch else { return Next::Agree };
        let when = When { app: APP, epoch, now_ms: self.estimate_ms(true_ms) };
        if self.over >= epoch {
            return Next::Agree;
        }
        let charges = journal::charges(demand);
        match self.ledger.hold(when, &charges) {
            Held::Covered => Next::Script(when),
            Held::Low => {
                self.wants_to_write = true;
                Next::Script(when)
            }
            Held::Stale => Next::Agree,
            Held::Short => {
                self.wants_to_write = true;
                if !self.is_without_journal() {
                    return Next::WaitForJournal;
                }
                self.ledger.hold_uncovered(when, &charges);
                Next::Script(when)
            }
        }
    }

    /// While Redis does not answer: whether what was written covers it, and its epoch was ended for that.
    pub(super) fn hold_open(&mut self, demand: &Demand, true_ms: i64) -> bool {
        let Some(epoch) = self.epoch else { return false };
        let now_ms = self.estimate_ms(true_ms);
        let Some(Fence { points, open, .. }) = self.fence.as_mut().filter(|fence| fence.epoch == epoch) else {
            return false;
        };
        let covers = |(bucket, cost): &(Bucket, u32)| {
            let spent = points.get(&bucket.key).copied().unwrap_or_default();
            spent <= u64::from(bucket.ceiling.limit.unwrap())
                && open.get(&bucket.key).is_some_and(|left| *left >= u64::from(*cost))
        };
        let (when, all) = (When { app: APP, epoch, now_ms }, demand.priority == crate::priority::Priority::Safety);
        if !demand.charges.iter().all(covers) || !self.ledger.hold_open(when, &journal::charges(demand), all) {
            return false;
        }
        for (bucket, cost) in &demand.charges {
            *open.get_mut(&bucket.key).unwrap() -= u64::from(*cost);
        }
        true
    }

    pub(super) fn wrote(&mut self, stand: &[Allowance], over: &[Allowance], true_ms: i64) {
        self.ledger.written(stand);
        self.ledger.refused(over);
        self.over = over.iter().map(|row| row.epoch).fold(self.over, i64::max);
        if self.is_without_journal() {
            self.away = Some((true_ms, false));
        }
    }
}
