//! An explanation in plain words: what is so and until when, why, and what to do next. Pure.

use std::fmt::Write;

use super::span::{clock, span};
use super::{BucketState, ClassState, Facts};
use crate::priority::Priority;
use crate::scope::{Kind, SPEND_CAP, Scope};
use crate::store::{Reason, RefusedRow, Spent};
use crate::trail::{Event, EventKind};

/// As many reasons as are told.
const REASONS_MAX: usize = 20;

/// What holds calls back; `ThrottleState` in the proto says what each means. The weightier, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Open,
    Reserved,
    Gated,
    Full,
    CountersLost,
    Frozen,
    Closed,
}

/// An explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) state: State,
    /// In ms since 1970.
    pub(crate) until_ms: Option<i64>,
    pub(crate) headline: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) next_step: String,
}

/// What holds calls back in one bucket, and until when.
#[derive(Debug, Clone, Copy)]
struct Holds<'a> {
    state: State,
    until_ms: i64,
    bucket: &'a BucketState,
}

impl Facts {
    /// Puts what is known into words.
    pub(crate) fn words(&self) -> Words {
        if self.past {
            return self.words_of_the_past();
        }
        if self.buckets.is_empty() {
            return self.words_without_buckets();
        }
        let held = self.buckets.iter().filter_map(|bucket| self.holds(bucket));
        let Some(worst) = held.max_by_key(|holds| (holds.state, holds.until_ms)) else {
            let headline = format!("{}: nothing holds calls back{}.", self.name, self.left());
            let next_step =
                "Nothing to do here. If a call fails all the same, look at what it was answered.".to_owned();
            return Words { state: State::Open, until_ms: None, headline, reasons: self.reasons(None), next_step };
        };
        Words {
            state: worst.state,
            until_ms: Some(worst.until_ms),
            headline: self.headline(&worst),
            reasons: self.reasons(Some(&worst)),
            next_step: self.next_step(&worst),
        }
    }

    /// Redis is away, or has lost all and nobody has called since.
    fn words_without_buckets(&self) -> Words {
        let (state, said, next_step) = if self.without_redis {
            let said = "Redis does not answer, so how much is left is not known; what was written down before as allowed \
                        still goes, safety calls first";
            let next_step = "See that Redis comes back; calls go on by themselves within seconds then.";
            (State::CountersLost, said, next_step)
        } else {
            let said = "its buckets are not known: no call was counted since Redis last began with nothing";
            (State::Open, said, "Ask again after the next call.")
        };
        let headline = format!("{}: {said}.", self.name);
        Words { state, until_ms: None, headline, reasons: self.reasons(None), next_step: next_step.to_owned() }
    }

    fn holds<'a>(&self, bucket: &'a BucketState) -> Option<Holds<'a>> {
        let wait = |class: &ClassState| class.wait.map(|(wait, reason)| (class.priority, wait, reason));
        let waits: Vec<_> = bucket.classes.iter().filter_map(wait).collect();
        let holds = |state, wait: std::time::Duration| {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            Some(Holds { state, until_ms: self.at_ms.saturating_add(wait_ms), bucket })
        };
        let of =
            |priority| waits.iter().find(|(class, ..)| *class == priority).map(|(_, wait, reason)| (*wait, *reason));
        if let Some(until_ms) = bucket.standing.closed_until_ms {
            return Some(Holds { state: State::Closed, until_ms, bucket });
        }
        if let Some(until_ms) = bucket.standing.lost_until_ms {
            return Some(Holds { state: State::CountersLost, until_ms, bucket });
        }
        if let Some(until_ms) = bucket.standing.frozen_until_ms {
            return Some(Holds { state: State::Frozen, until_ms, bucket });
        }
        match of(Priority::Interactive) {
            Some((wait, Reason::Closed)) => return holds(State::Closed, wait),
            Some((wait, Reason::Gate)) => return holds(State::Gated, wait),
            Some((wait, _)) => return holds(State::Full, wait),
            None => {}
        }
        // Who waits for a minute to be over because of its own pace has nothing to be explained.
        let held = waits.iter().filter(|(.., reason)| *reason != Reason::Pace);
        let (_, wait, reason) = held.max_by_key(|(_, wait, _)| *wait)?;
        holds(if *reason == Reason::Gate { State::Gated } else { State::Reserved }, *wait)
    }

    fn headline(&self, worst: &Holds<'_>) -> String {
        let until = self.until(worst.until_ms);
        let what = calls_of(&worst.bucket.bucket.scope);
        let waiting = waiting(worst.bucket);
        let said = match worst.state {
            State::Closed if worst.bucket.standing.closed_until_ms.is_none() => {
                format!("Meta's closing for {what} is over, and one call tries it out; the others wait until {until}")
            }
            State::Closed => format!("Meta lets no {what} through until {until}"),
            State::Frozen => format!("{what} are frozen until {until}; only safety calls go"),
            State::CountersLost => format!("the counters of {what} were lost; only safety calls go until {until}"),
            State::Full => format!("{} of {what} spent; the next call goes at {until}", used(worst.bucket)),
            State::Gated => {
                let percent = worst.bucket.standing.gate_percent.unwrap_or_default();
                format!("Meta reports {percent} % of CPU or wall time used by {what}; {waiting} wait until {until}")
            }
            State::Reserved | State::Open => {
                format!("{} of {what} spent; {waiting} wait until {until}, more urgent ones go", used(worst.bucket))
            }
        };
        format!("{}: {said}.", self.name)
    }

    fn until(&self, until_ms: i64) -> String {
        format!("{} ({})", clock(until_ms, self.at_ms), span(until_ms - self.at_ms))
    }

    /// What is left of the bucket that has least left.
    fn left(&self) -> String {
        let limited = self.buckets.iter().filter_map(|state| {
            let limit = i64::from(state.bucket.ceiling.limit?);
            let left = (limit - state.standing.own - state.standing.others - state.standing.held).max(0);
            Some((left.saturating_mul(1_000) / limit.max(1), left, limit, state))
        });
        let Some((_, left, limit, state)) = limited.min_by_key(|(share, ..)| *share) else { return String::new() };
        format!("; {left} of {limit} {} are left", calls_of(&state.bucket.scope))
    }

    fn reasons(&self, worst: Option<&Holds<'_>>) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(worst) = worst {
            reasons.extend(self.closing(worst));
            if worst.state == State::Reserved {
                reasons.push(caps(worst.bucket));
            }
        }
        reasons.extend(self.losses.iter().map(|loss| {
            format!(
                "At {} the counters of metaApps/{} were rebuilt: {}.",
                clock(loss.at_ms, self.at_ms),
                loss.app,
                loss.why
            )
        }));
        reasons.extend(self.spending());
        reasons.extend(self.buckets.iter().filter(|state| state.standing.others > 0).map(|state| {
            let what = calls_of(&state.bucket.scope);
            format!("Others use it beside us: Meta counts {} {what} more than we sent.", state.standing.others)
        }));
        reasons.extend(self.buckets.iter().filter(|state| state.standing.held > 0).map(|state| {
            let what = calls_of(&state.bucket.scope);
            format!("{} {what} are held for plans under way; they are used, given back or lapse.", state.standing.held)
        }));
        reasons.extend(self.waits());
        if self.forgetful {
            reasons.push("PostgreSQL does not answer, so who spent the quota is not known now.".to_owned());
        }
        reasons.truncate(REASONS_MAX);
        reasons
    }

    /// What closed a bucket.
    fn closing(&self, worst: &Holds<'_>) -> Option<String> {
        let standing = &worst.bucket.standing;
        let kind = match worst.state {
            State::Closed => EventKind::Closed,
            State::Frozen => EventKind::Frozen,
            _ => return None,
        };
        let key = &worst.bucket.bucket.key;
        let mut closings = self.events.iter().map(|told| &told.event);
        let event = closings.find(|event| event.kind == kind && event.bucket == *key);
        match event {
            Some(event) => Some(format!("At {} {}.", clock(event.at_ms, self.at_ms), event_words(event, self.at_ms))),
            None if standing.closed_code > 0 => Some(format!("Meta answered with code {}.", standing.closed_code)),
            None => None,
        }
    }

    fn spending(&self) -> Option<String> {
        let total: i64 = self.spent.iter().map(|spent| spent.usage.calls).sum();
        if total == 0 {
            return (!self.forgetful).then(|| "In the hour before, no call of yours was let through.".to_owned());
        }
        let mut text = format!("In the hour before, {} let through", calls(total));
        if let Some(most) = self.spent.iter().find(|spent| !spent.caller.is_empty()) {
            let percent = most.usage.calls.saturating_mul(100) / total;
            _ = write!(text, ", most of them ({percent} %) by {}", who(most)); // into a String: never fails
        }
        text.push('.');
        Some(text)
    }

    fn waits(&self) -> Option<String> {
        let newest = self.refused.first()?;
        let count: i64 = self.refused.iter().map(|refused| refused.count).sum();
        let was = if count == 1 { "1 call was".to_owned() } else { format!("{count} calls were") };
        let (at, why) = (clock(newest.last_ms, self.at_ms), why(newest));
        Some(format!("{was} told to wait, the last at {at} for {}: {why}.", span(newest.delay_ms)))
    }

    fn next_step(&self, worst: &Holds<'_>) -> String {
        let until = clock(worst.until_ms, self.at_ms);
        match worst.state {
            State::Closed => format!(
                "Wait until {until}: no call goes before, also no pause, since Meta would refuse it. What must stop now can be \
                 paused in Meta's Ads Manager. Then one call tries, and the rest follows by itself."
            ),
            State::Frozen => format!(
                "Pauses still go. End the freeze with `adplane quota unfreeze {}`, or wait until {until}.",
                self.name
            ),
            State::CountersLost => format!(
                "Pauses still go. The rest follows by itself at {until}; look at Redis: it should keep its data \
                 (appendonly yes, maxmemory-policy noeviction)."
            ),
            State::Full => match self.spent.iter().find(|spent| !spent.caller.is_empty()) {
                Some(most) => format!(
                    "Pauses still go as long as there is a rest. Slow down {}, or ask Meta for a higher access tier.",
                    who(most)
                ),
                None => {
                    "Pauses still go as long as there is a rest. Wait, or ask Meta for a higher access tier.".to_owned()
                }
            },
            State::Gated => format!(
                "Nothing is lost: less urgent calls go on by themselves, at the latest at {until}. Fewer \
                                     and smaller reports cost less CPU time at Meta."
            ),
            State::Reserved | State::Open => {
                format!("Nothing is lost: less urgent calls go on by themselves, the first at the latest at {until}.")
            }
        }
    }

    fn words_of_the_past(&self) -> Words {
        let closings = self.events.iter().map(|told| &told.event);
        let stood = |event: &&Event| event.kind == EventKind::Closed && event.until_ms > self.at_ms;
        let at = clock(self.at_ms, self.at_ms);
        let (state, until_ms, said) = match closings.clone().find(stood) {
            Some(event) => {
                let until = clock(event.until_ms, self.at_ms);
                let what = Scope::from_key(&event.bucket).map(|scope| calls_of(&scope)).unwrap_or_default();
                (State::Closed, Some(event.until_ms), format!("at {at} Meta let no {what} through, until {until}"))
            }
            None if self.refused.is_empty() => {
                (State::Open, None, format!("nothing is known to have held calls back at {at}"))
            }
            None => (State::Reserved, None, format!("calls had to wait in the hour before {at}")),
        };
        let mut reasons: Vec<String> = closings
            .filter(|event| event.kind == EventKind::Closed)
            .map(|event| format!("At {} {}.", clock(event.at_ms, self.at_ms), event_words(event, self.at_ms)))
            .collect();
        reasons.extend(self.reasons(None));
        reasons.truncate(REASONS_MAX);
        let next_step = "That is over. Ask without a time for what is so now.".to_owned();
        Words { state, until_ms, headline: format!("{}: {said}.", self.name), reasons, next_step }
    }
}

/// What happened to a bucket, as the end of a sentence.
pub(crate) fn event_words(event: &Event, now_ms: i64) -> String {
    let what = Scope::from_key(&event.bucket).map(|scope| calls_of(&scope)).unwrap_or_default();
    let until = || clock(event.until_ms, now_ms);
    match event.kind {
        EventKind::Closed => {
            let by = match (event.code, event.blame.subcode) {
                (0, _) => "a header of Meta's".to_owned(),
                (code, 0) => format!("Meta's error code {code}"),
                (code, subcode) => format!("Meta's error code {code}, subcode {subcode},"),
            };
            let trace = match event.blame.trace_id.as_str() {
                "" => String::new(),
                trace => format!(" (x-fb-trace-id {trace})"),
            };
            format!("{by} closed {what} until {}{trace}", until())
        }
        EventKind::Reopened => format!("a call got through, and {what} opened again"),
        EventKind::Gate => format!("Meta reported {} % of CPU or wall time used by {what}", event.percent),
        EventKind::Drift => format!("others had used {} {what} beside us", event.others),
        EventKind::CountersLost => format!("the counters of {what} were lost and rebuilt"),
        EventKind::Frozen => format!("{what} were frozen until {}: {}", until(), event.words),
        EventKind::Unfrozen => format!("the freeze of {what} was ended: {}", event.words),
    }
}

/// What a bucket counts, in the plural.
pub(crate) fn calls_of(scope: &Scope) -> String {
    let app = scope.app;
    match scope.kind {
        Kind::AdAccount if scope.use_case.is_empty() => "points of the account's score".to_owned(),
        Kind::AdAccount => format!("{} calls", scope.use_case),
        Kind::App if scope.use_case.is_empty() => format!("platform calls of metaApps/{app}"),
        Kind::App => format!("{} calls of the whole app metaApps/{app}", scope.use_case),
        Kind::User => format!("calls of users/{}", scope.id),
        Kind::Page => format!("calls for pages/{}", scope.id),
        Kind::TenantShare => scope.shared().map_or_else(String::new, |(tenant, shared)| {
            format!("{} within the share of tenants/{tenant}", calls_of(&shared))
        }),
        Kind::Mutation => "writes a second".to_owned(),
        Kind::BudgetChange if scope.use_case == SPEND_CAP => "spend cap changes".to_owned(),
        Kind::BudgetChange => format!("budget changes of ad set {}", scope.id),
    }
}

fn used(state: &BucketState) -> String {
    let used = state.standing.own + state.standing.others;
    let of = state.bucket.ceiling.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    match state.standing.held {
        0 => format!("{used}{of}"),
        held => format!("{used} and {held} held{of}"),
    }
}

/// The classes that wait, as in `bulk and backfill calls`.
fn waiting(state: &BucketState) -> String {
    let waiting = state.classes.iter().filter(|class| class.wait.is_some_and(|(_, reason)| reason != Reason::Pace));
    let words: Vec<&str> = waiting.map(|class| class.priority.word()).collect();
    match words.split_last() {
        Some((last, [])) => format!("{last} calls"),
        Some((last, rest)) => format!("{} and {last} calls", rest.join(", ")),
        None => "calls".to_owned(),
    }
}

fn caps(state: &BucketState) -> String {
    let Some(limit) = state.bucket.ceiling.limit else { return "Each class goes at once.".to_owned() };
    let cap = |class: Priority| state.bucket.ceiling.caps.cap(class, limit);
    let caps = state.classes.iter().map(|class| format!("{} {}", class.priority.word(), cap(class.priority)));
    format!("Of {limit} each class may fill only its share: {}.", caps.collect::<Vec<_>>().join(", "))
}

fn calls(count: i64) -> String {
    if count == 1 { "1 call was".to_owned() } else { format!("{count} calls were") }
}

fn who(spent: &Spent) -> String {
    let mut words = spent.caller.clone();
    for (before, part) in [(" for ", &spent.purpose), (" with ", &spent.call)] {
        if !part.is_empty() {
            words.push_str(before);
            words.push_str(part);
        }
    }
    if spent.tenant.is_empty() { words } else { format!("{words} of tenants/{}", spent.tenant) }
}

fn why(refused: &RefusedRow) -> String {
    let what = Scope::from_key(&refused.bucket).map(|scope| calls_of(&scope)).unwrap_or_default();
    match refused.reason {
        Reason::Ceiling => format!("{what} had no room left for its class"),
        Reason::Pace => format!("bulk work had its share of {what} for that minute"),
        Reason::Closed => format!("Meta had closed {what}"),
        Reason::Gate => format!("Meta reported too much CPU or wall time used by {what}"),
        Reason::CountersLost => format!("the counters of {what} were lost"),
        Reason::Frozen => format!("somebody had frozen {what}"),
        Reason::CostAboveCeiling => {
            format!("it alone was more {what} than its class may ever have, so make it smaller")
        }
    }
}
