//! One circuit: it opens when calls fail, and one probe finds out whether it may close. Pure; time is handed in.

use std::time::{Duration, Instant};

/// When a circuit opens and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// So many failures within the window open it, where they are at least half of the calls.
    pub(crate) failures: u32,
    pub(crate) window: Duration,
    /// It stays open so long at first; twice as long each time the probe fails.
    pub(crate) open: Duration,
    pub(crate) open_max: Duration,
}

/// How long a probe may take before another is let through in its place.
const PROBE_MAX: Duration = Duration::from_mins(2);
/// When to ask again while a probe is on its way.
const PROBE_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant, lasted: Duration },
    Probing { since: Instant, lasted: Duration },
}

/// Its state and what it has seen lately.
#[derive(Debug, Clone)]
pub(crate) struct Circuit {
    state: State,
    since: Instant,
    failed: u32,
    answered: u32,
}

/// May a call go?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Yes.
    Free,
    /// Yes, and what comes of it decides for the others.
    Probe,
    /// No: ask again after this time.
    Shut(Duration),
}

impl Circuit {
    pub(crate) fn new(now: Instant) -> Self {
        Self { state: State::Closed, since: now, failed: 0, answered: 0 }
    }

    /// What [`Circuit::admit`] would say, without letting anything through. `urgent` calls may probe before it is time.
    pub(crate) fn look(&self, now: Instant, urgent: bool) -> Passage {
        match self.state {
            State::Closed => Passage::Free,
            State::Open { until, .. } if now < until && !urgent => Passage::Shut(until - now),
            State::Probing { since, .. } if now < since + PROBE_MAX => Passage::Shut(PROBE_WAIT),
            State::Open { .. } | State::Probing { .. } => Passage::Probe,
        }
    }

    /// Lets a call through, or says how long not.
    pub(crate) fn admit(&mut self, now: Instant, urgent: bool) -> Passage {
        let passage = self.look(now, urgent);
        if let (Passage::Probe, State::Open { lasted, .. } | State::Probing { lasted, .. }) = (passage, self.state) {
            self.state = State::Probing { since: now, lasted };
        }
        passage
    }

    /// A call was answered, whatever the answer was.
    pub(crate) fn answered(&mut self, rules: Rules, now: Instant, was_probe: bool) {
        if was_probe {
            *self = Self::new(now);
            return;
        }
        self.turn(rules, now);
        self.answered = self.answered.saturating_add(1);
    }

    /// A call failed as calls fail in an outage. Says whether that opened it.
    pub(crate) fn failed(&mut self, rules: Rules, now: Instant, was_probe: bool) -> bool {
        let lasted = match self.state {
            State::Probing { lasted, .. } if was_probe => Some((lasted * 2).min(rules.open_max)),
            State::Closed => {
                self.turn(rules, now);
                self.failed = self.failed.saturating_add(1);
                (self.failed >= rules.failures && self.failed >= self.answered).then_some(rules.open)
            }
            _ => None, // of before it opened
        };
        let Some(lasted) = lasted else { return false };
        self.state = State::Open { until: now + lasted, lasted };
        (self.failed, self.answered) = (0, 0);
        true
    }

    /// The probe came to nothing: the next call may be one.
    pub(crate) fn unprobed(&mut self, now: Instant) {
        if let State::Probing { lasted, .. } = self.state {
            self.state = State::Open { until: now, lasted };
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// Nothing more can come of it.
    pub(crate) fn is_idle(&self, rules: Rules, now: Instant) -> bool {
        let quiet = match self.state {
            State::Closed => self.since,
            State::Open { until, .. } => until + rules.open_max,
            State::Probing { since, .. } => since + PROBE_MAX,
        };
        now >= quiet + rules.window
    }

    /// What is older than the window counts no more.
    fn turn(&mut self, rules: Rules, now: Instant) {
        if now >= self.since + rules.window {
            (self.since, self.failed, self.answered) = (now, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        failures: 3,
        window: Duration::from_secs(30),
        open: Duration::from_secs(5),
        open_max: Duration::from_secs(12),
    };

    fn broken(now: Instant) -> Circuit {
        let mut circuit = Circuit::new(now);
        for _ in 0..3 {
            circuit.failed(RULES, now, false);
        }
        circuit
    }

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn failures_open_it_and_one_probe_closes_it() {
        let now = Instant::now();
        let mut circuit = broken(now);
        assert_eq!(circuit.admit(now, false), Passage::Shut(RULES.open));
        let later = after(now, 5);
        assert_eq!(circuit.admit(later, false), Passage::Probe);
        assert_eq!(circuit.admit(later, false), Passage::Shut(PROBE_WAIT));
        circuit.answered(RULES, later, true);
        assert_eq!(circuit.admit(later, false), Passage::Free);
    }

    #[test]
    fn a_failed_probe_doubles_the_time_up_to_a_bound() {
        let mut now = Instant::now();
        let mut circuit = broken(now);
        for seconds in [5, 10, 12, 12] {
            assert_eq!(circuit.admit(now, false), Passage::Shut(Duration::from_secs(seconds)));
            now = after(now, seconds);
            assert_eq!(circuit.admit(now, false), Passage::Probe);
            assert!(circuit.failed(RULES, now, true));
        }
    }

    #[test]
    fn a_few_failures_among_many_answers_open_nothing() {
        let now = Instant::now();
        let mut circuit = Circuit::new(now);
        for _ in 0..10 {
            circuit.answered(RULES, now, false);
        }
        for _ in 0..9 {
            assert!(!circuit.failed(RULES, now, false));
        }
        assert!(circuit.failed(RULES, now, false), "as many failures as answers");
    }

    #[test]
    fn failures_far_apart_open_nothing() {
        let now = Instant::now();
        let mut circuit = Circuit::new(now);
        for turn in 0..20 {
            assert!(!circuit.failed(RULES, after(now, 20 * turn), false));
        }
    }

    #[test]
    fn what_is_urgent_may_probe_at_once_but_one_at_a_time() {
        let now = Instant::now();
        let mut circuit = broken(now);
        assert_eq!(circuit.admit(now, true), Passage::Probe);
        assert_eq!(circuit.admit(now, true), Passage::Shut(PROBE_WAIT));
        circuit.unprobed(now);
        assert_eq!(circuit.admit(now, false), Passage::Probe);
    }

    #[test]
    fn late_failures_of_calls_from_before_change_nothing() {
        let now = Instant::now();
        let mut circuit = broken(now);
        for _ in 0..10 {
            assert!(!circuit.failed(RULES, after(now, 1), false));
        }
        assert_eq!(circuit.admit(after(now, 5), false), Passage::Probe);
    }
}
