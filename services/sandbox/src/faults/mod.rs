//! Faults on demand: rules by which calls fail in a chosen way.
//!
//! A rule has a `matcher` (which calls), an `action` (what happens to them) and a `count` (how often at most). Items of
//! a batch are matched like calls of their own. The rules are asked in their order: the first that ends a call decides;
//! rules before it that only change how a call goes (slow, partial, lagging, ids as numbers, reports) come on top.
//!
//! Rules are not in the journal, and neither are storms and removed versions under way, nor the past that lagging reads
//! look at: a kill ends them all. What a rule caused to be committed is there after a kill: what was created before
//! its answer was lost, a dead token, what became of a report. A commit that was still to come
//! (`timeout_then_commit`) is lost with the kill, as it would be with a queue of Meta's that burns down.

mod action;
mod around;
mod lag;
mod matcher;
mod nearest;
mod numbers;
mod pages;
mod refusal;
mod report;
mod rule;
mod storm;

use serde_json::{Value, json};

use crate::error::Refusal;
use crate::options::Tier;
use crate::usage::{Bucket, Header};
use crate::version::Version;
use storm::Storm;

pub(crate) use action::Action;
pub(crate) use around::{Around, Going};
pub(crate) use matcher::Asked;
pub(crate) use refusal::known as known_refusal;
pub(crate) use rule::{Rule, read as read_rules};

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    last_id: u64,
    rules: Vec<InForce>,
}

/// A rule, and how it fared.
#[derive(Debug)]
struct InForce {
    id: u64,
    rule: Rule,
    /// How often it matched.
    matched: u64,
    /// How often it struck.
    hits: u64,
    under_way: Option<UnderWay>,
}

/// What holds from a hit on.
#[derive(Debug)]
enum UnderWay {
    Storm(Storm),
    Removed(Version),
}

/// What the rules say of one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Struck {
    /// What ends it.
    pub(crate) ending: Option<Action>,
    /// What changes how it goes.
    pub(crate) shaping: Vec<Action>,
    /// The rules that struck.
    pub(crate) rules: Vec<u64>,
    /// What it is refused with where no rule does: a callback that did not answer.
    pub(crate) refused: Option<Refusal>,
}

impl Struck {
    /// The error that the call is refused with.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.ending.as_ref().and_then(Action::refusal).or_else(|| self.refused.clone())
    }
}

impl Faults {
    /// The seed is that of the dice.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, last_id: 0, rules: Vec::new() }
    }

    pub(crate) fn add(&mut self, rule: Rule) -> u64 {
        self.last_id += 1;
        self.rules.push(InForce { id: self.last_id, rule, matched: 0, hits: 0, under_way: None });
        self.last_id
    }

    /// Takes one rule away, and what it had under way; says whether it was there.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The rules as they were written, with their ids and how they fared.
    pub(crate) fn shown(&self) -> Value {
        self.rules.iter().map(InForce::shown).collect()
    }

    /// What the rules say of a call. It is only looked at closely where there are rules.
    pub(crate) fn strike<'a>(&mut self, look: impl FnOnce() -> Asked<'a>) -> Struck {
        let mut struck = Struck::default();
        if self.rules.is_empty() {
            return struck;
        }
        let asked = look();
        if let Some(rule) = self.rules.iter().find(|rule| rule.removes(asked.version)) {
            struck.rules.push(rule.id);
            struck.ending = Some(rule.rule.action.clone());
            return struck;
        }
        for rule in &mut self.rules {
            if !rule.strikes(&asked, self.seed) {
                continue;
            }
            struck.rules.push(rule.id);
            let action = &rule.rule.action;
            match action {
                Action::ThrottleStorm { .. } => {
                    // The storm itself refuses the call, once its token is known to be good.
                    rule.under_way = Storm::begun(action, &asked).map(UnderWay::Storm);
                    return struck;
                }
                Action::RemovedVersion { .. } => rule.under_way = Some(UnderWay::Removed(asked.version)),
                _ => {}
            }
            if action.ends() {
                struck.ending = Some(action.clone());
                return struck;
            }
            struck.shaping.push(action.clone());
        }
        struck
    }

    /// The refusal of a storm that reaches a call of this bucket, with its headers and the id of its rule.
    pub(crate) fn throttled(
        &mut self,
        bucket: Bucket,
        tier: Tier,
        now: jiff::Timestamp,
    ) -> Option<(u64, Refusal, Vec<Header>)> {
        self.rules.iter_mut().find_map(|rule| {
            let Some(UnderWay::Storm(storm)) = &mut rule.under_way else { return None };
            let (refusal, headers) = storm.refuse(bucket, tier, now)?;
            Some((rule.id, refusal, headers))
        })
    }
}

impl InForce {
    fn removes(&self, version: Version) -> bool {
        matches!(self.under_way, Some(UnderWay::Removed(removed)) if removed == version)
    }

    /// Counts the call where it matches, and says whether it is struck.
    fn strikes(&mut self, asked: &Asked<'_>, seed: u64) -> bool {
        let action = &self.rule.action;
        let count = self.rule.count.or(action.lasts().then_some(1));
        if count.is_some_and(|count| self.hits >= count) || !self.rule.matcher.fits(asked) || !action.concerns(asked) {
            return false;
        }
        self.matched += 1;
        let turn = self.rule.matcher.turn(self.matched, roll(seed, self.id, self.matched));
        self.hits += u64::from(turn);
        turn
    }

    fn shown(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "matcher": self.rule.matcher,
            "action": self.rule.action,
            "matched": self.matched,
            "hits": self.hits,
        });
        if let Value::Object(map) = &mut shown {
            if let Some(count) = self.rule.count {
                map.insert("count".to_owned(), json!(count));
            }
            match &self.under_way {
                Some(UnderWay::Storm(storm)) => drop(map.insert("under_way".to_owned(), json!(storm))),
                Some(UnderWay::Removed(version)) => drop(map.insert("under_way".to_owned(), json!(version.word()))),
                None => {}
            }
        }
        shown
    }
}

/// From 0 to below 1, the same for the same seed, rule and turn.
#[expect(clippy::float_arithmetic, reason = "dice, no money")]
fn roll(seed: u64, rule: u64, turn: u64) -> f64 {
    let digest = crate::state::sealed(&format!("{seed}:{rule}:{turn}"));
    let number = digest.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default();
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
