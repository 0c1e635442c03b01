//! How much of each limit is used: counted in sliding windows, told in Meta's headers, refused past 100 %.
//!
//! `bucket` says what there is to count under, `limit` how much of it is allowed, `meter` what was counted; `score` is
//! the older way to count an ad account's calls. A call is let in or refused before it is answered, and what it took is
//! counted after.

mod bucket;
mod headers;
mod limit;
mod meter;
mod refusal;
mod score;
mod script;
mod window;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::error::Refusal;
use crate::state::State;
use meter::{Allowed, Level, Meter};
use score::Score;

pub(crate) use bucket::{Bucket, Charge, UseCase};
pub(crate) use script::Script;

/// A header of an answer.
pub(crate) type Header = (&'static str, String);

/// All counts. They are not journalled: after a kill every limit is fresh, which no client can tell from a long pause.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    meters: HashMap<Bucket, Meter>,
    scores: HashMap<u64, Score>,
}

/// What a call came to, as far as limits are concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// How much was answered, in values.
    pub(crate) size: usize,
    /// Whether the caller's mistake was the reason that nothing came of it.
    pub(crate) mistaken: bool,
}

impl Usage {
    /// Counts a call, or refuses it. Calls that are refused are not counted unless the settings say so.
    pub(crate) fn admit(&mut self, state: &State, charge: &Charge, now: Timestamp) -> Result<(), Refusal> {
        let verdict = self.verdict(state, charge, now);
        if verdict.is_ok() || state.settings.limits.refused_calls_count {
            self.count(state, charge, now);
        }
        verdict
    }

    /// Counts what an admitted call took.
    pub(crate) fn settle(&mut self, charge: &Charge, outcome: Outcome, now: Timestamp) {
        let second = now.as_second();
        let (cpu, wall) = milliseconds(charge, outcome);
        for &bucket in &charge.buckets {
            let meter = self.meter(bucket);
            if bucket.limits_time() {
                meter.cpu.add(second, cpu);
                meter.wall.add(second, wall);
            }
            if outcome.mistaken && matches!(bucket, Bucket::UseCase(UseCase::AdsInsights, _)) {
                meter.errors.add(second, 1);
            }
        }
    }

    /// Everything counted so far is forgotten, and what a test made of it.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn verdict(&mut self, state: &State, charge: &Charge, now: Timestamp) -> Result<(), Refusal> {
        for &bucket in &charge.buckets {
            if self.level(state, bucket, now).is_some_and(Level::is_full) {
                return Err(refusal::of(bucket));
            }
        }
        let limits = &state.settings.limits;
        if limits.score_refuses {
            for account in charge.accounts() {
                if !self.score(account).admits(charge.writes, limits.tier, now.as_second()) {
                    return Err(refusal::of_score(limits.score_code));
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, state: &State, charge: &Charge, now: Timestamp) {
        let second = now.as_second();
        for &bucket in &charge.buckets {
            self.meter(bucket).calls.add(second, 1);
        }
        if state.settings.limits.score_refuses {
            for account in charge.accounts() {
                self.score(account).count(charge.writes, second);
            }
        }
    }

    /// What a limit allows now; `None` where nothing is limited.
    fn allowed(&mut self, state: &State, bucket: Bucket, now: Timestamp) -> Option<Allowed> {
        let meter = self.meter(bucket);
        let errors = meter.errors.total(now.as_second());
        let calls = match meter.limit {
            Some(calls) => calls.saturating_mul(limit::CALL),
            None => limit::of(state, bucket, now)?,
        };
        let each = state.settings.limits.milliseconds_a_call;
        let time = bucket.limits_time().then(|| (calls / limit::CALL).saturating_mul(each));
        // Each error takes a thousandth of a call.
        Some(Allowed { calls: calls.saturating_sub(errors), time })
    }

    fn level(&mut self, state: &State, bucket: Bucket, now: Timestamp) -> Option<Level> {
        let allowed = self.allowed(state, bucket, now)?;
        Some(self.meter(bucket).level(allowed, now.as_second()))
    }

    fn meter(&mut self, bucket: Bucket) -> &mut Meter {
        self.meters.entry(bucket).or_insert_with(|| Meter::new(bucket.seconds()))
    }

    fn score(&mut self, account: u64) -> &mut Score {
        self.scores.entry(account).or_default()
    }

    /// Whether anything of a use case was counted lately.
    fn is_used(&mut self, use_case: UseCase, id: u64, now: Timestamp) -> bool {
        self.meters.get_mut(&Bucket::UseCase(use_case, id)).is_some_and(|meter| meter.calls.total(now.as_second()) > 0)
    }
}

/// What a call is taken to have cost, of computing and of waiting: the same call always the same, so that no test
/// depends on the machine. A write costs more than a read, and much that is read more than little.
fn milliseconds(charge: &Charge, outcome: Outcome) -> (u64, u64) {
    let base = if charge.writes { 20 } else { 5 };
    let values = u64::try_from(outcome.size).unwrap_or(u64::MAX);
    let cpu = values.saturating_div(20).saturating_add(base);
    (cpu, cpu.saturating_mul(3) / 2)
}

#[cfg(test)]
mod tests;
