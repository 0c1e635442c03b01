//! What keeps a connection alive, as it stands: when what is due, what failed, what was told.

use std::time::Duration;

use jiff::Timestamp;

use super::{Connection, ConnectionState};
use crate::lifecycle::plan::{self, Jitter, Plan};

/// How far our clock and Meta's, and an answer's way, may set two accounts of one end apart.
const CLOCKS: Duration = Duration::from_hours(1);

/// The plan of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// When the token is exchanged for a newer one; `None` is never.
    pub next_refresh: Option<Timestamp>,
    /// When Meta is asked how the token stands; `None` is at once.
    pub next_inspection: Option<Timestamp>,
    /// When an end is told; `None` is never.
    pub next_notice: Option<Timestamp>,
    /// When the token was last exchanged.
    pub refreshed: Option<Timestamp>,
    /// How many refreshes in a row failed.
    pub failures: i32,
    /// Why the last of them failed, for a person.
    pub problem: String,
    /// How many days before the token's end its end was last told.
    pub told: Option<i16>,
    /// The same of the end of data access.
    pub told_data: Option<i16>,
}

impl Connection {
    /// The plan of a token that came in just now.
    #[must_use]
    pub fn begun(mut self, plan: &Plan, now: Timestamp) -> Self {
        let jitter = self.jitter();
        self.upkeep = Upkeep {
            next_refresh: plan.refresh(self.expires, jitter, now),
            next_inspection: Some(plan.first_inspection(jitter, now)),
            ..Upkeep::default()
        };
        self.watched()
    }

    /// The plan after an inspection; `before` is how the connection stood.
    #[must_use]
    pub fn inspected(mut self, before: &Self, plan: &Plan, now: Timestamp) -> Self {
        let jitter = Jitter::of(self.id, now.as_second());
        let is_checkpoint = self.state == ConnectionState::Checkpoint;
        let heals = self.state == ConnectionState::Active && before.state != self.state;
        let upkeep = &mut self.upkeep;
        upkeep.next_inspection = Some(plan.inspection(is_checkpoint, jitter, now));
        if heals || !is_same_end(before.expires, self.expires) || upkeep.next_refresh.is_none() {
            let is_young = upkeep.refreshed.is_some_and(|refreshed| refreshed + plan::YOUNG > now);
            let due = if is_young { Plan::refresh_again } else { Plan::refresh };
            upkeep.next_refresh = due(plan, self.expires, jitter, now);
        }
        if ends_later(before.expires, self.expires) {
            upkeep.told = None;
        }
        if ends_later(before.data_access_expires, self.data_access_expires) {
            upkeep.told_data = None;
        }
        self.watched()
    }

    /// With a newer token that lives until `expires`. Where Meta did not say, it is taken to end as the one before, until
    /// the inspection that follows at once.
    #[must_use]
    pub fn refreshed(mut self, expires: Option<Timestamp>, plan: &Plan, now: Timestamp) -> Self {
        let before = self.expires;
        self.expires = expires.or(before);
        self.token_version += 1;
        let jitter = self.jitter();
        let told = if ends_later(before, self.expires) { None } else { self.upkeep.told };
        self.upkeep = Upkeep {
            next_refresh: plan.refresh_again(self.expires, jitter, now),
            next_inspection: Some(now),
            refreshed: Some(now),
            failures: 0,
            problem: String::new(),
            told,
            ..self.upkeep
        };
        self.watched()
    }

    /// After a refresh that failed because of `problem`: tried again, or given up near the end.
    #[must_use]
    pub fn failed(mut self, problem: &str, now: Timestamp) -> Self {
        let failures = self.upkeep.failures.saturating_add(1);
        problem.clone_into(&mut self.upkeep.problem);
        self.upkeep.failures = failures;
        let Some(expires) = self.expires else { return self };
        let give_up = expires - plan::GIVE_UP;
        if now >= give_up {
            self.state = ConnectionState::NeedsConsent;
            self.state_reason = format!("its token ends and could not be refreshed: {problem}");
            self.upkeep.next_refresh = None;
            return self.watched();
        }
        let left = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
        let pause = plan::pause(failures, left, Jitter::of(self.id, failures.into()));
        self.upkeep.next_refresh = Some((now + pause).min(give_up));
        self
    }

    /// With the moment at which there is more to tell of its ends.
    #[must_use]
    pub fn watched(mut self) -> Self {
        let upkeep = &mut self.upkeep;
        let token = plan::next_notice(self.expires, upkeep.told);
        let data = plan::next_notice(self.data_access_expires, upkeep.told_data);
        upkeep.next_notice = match self.state {
            ConnectionState::Active | ConnectionState::Checkpoint => token.into_iter().chain(data).min(),
            ConnectionState::NeedsConsent | ConnectionState::Revoked => None,
        };
        self
    }

    fn jitter(&self) -> Jitter {
        Jitter::of(self.id, self.token_version)
    }
}

/// Is it one end, told by two clocks and in different units?
pub(super) fn is_same_end(before: Option<Timestamp>, after: Option<Timestamp>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.duration_since(after).unsigned_abs() <= CLOCKS,
        (before, after) => before == after,
    }
}

fn ends_later(before: Option<Timestamp>, after: Option<Timestamp>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => after > before + CLOCKS,
        (before, after) => before.is_some() && after.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connections::testing::connection, lifecycle::LifecycleSettings};

    const DAY: Duration = Duration::from_hours(24);

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn living(days: u32) -> Connection {
        let plan = LifecycleSettings::default().plan();
        Connection { expires: Some(now() + DAY * days), ..connection() }.begun(&plan, now())
    }

    #[test]
    fn a_token_that_never_ends_is_inspected_and_not_refreshed() {
        let begun = connection().begun(&LifecycleSettings::default().plan(), now());
        assert_eq!((begun.upkeep.next_refresh, begun.upkeep.next_notice), (None, None));
        assert!(begun.upkeep.next_inspection.is_some_and(|due| due <= now() + DAY));
    }

    #[test]
    fn a_newer_token_begins_anew_and_is_inspected_at_once() {
        let plan = LifecycleSettings::default().plan();
        let mut old = living(10).failed("away", now());
        old.upkeep.told = Some(14);
        let newer = old.refreshed(Some(now() + DAY * 60), &plan, now());
        assert_eq!((newer.token_version, newer.upkeep.failures, newer.upkeep.problem.as_str()), (2, 0, ""));
        assert_eq!((newer.upkeep.told, newer.upkeep.next_inspection), (None, Some(now())));
        assert_eq!(newer.upkeep.next_notice, Some(now() + DAY * 46));
        let silent = living(10).refreshed(None, &plan, now());
        assert_eq!(silent.expires, Some(now() + DAY * 10), "not taken for one that never ends");
    }

    #[test]
    fn a_failing_refresh_is_given_up_only_when_the_token_ends() {
        let mut tried = living(3);
        let (mut at, mut tries) = (now(), 0);
        while tried.state == ConnectionState::Active {
            tried = tried.failed("Meta is away", at);
            at = tried.upkeep.next_refresh.unwrap_or(at);
            tries += 1;
        }
        assert_eq!(at, now() + DAY * 3 - plan::GIVE_UP);
        assert!((15..60).contains(&tries), "{tries}");
        assert!(tried.state_reason.ends_with("could not be refreshed: Meta is away"));
        assert_eq!((tried.upkeep.next_refresh, tried.upkeep.next_notice), (None, None));
    }

    #[test]
    fn a_token_that_meta_does_not_lengthen_is_left_alone_for_a_day_and_its_end_told_once() {
        let plan = LifecycleSettings::default().plan();
        let mut old = living(10);
        old.upkeep.told = Some(14);
        for apart in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(1), Duration::from_mins(5)] {
            for (before, after) in [(apart, Duration::ZERO), (Duration::ZERO, apart)] {
                let refreshed = old.clone().refreshed(Some(now() + DAY * 10 + before), &plan, now());
                let seen = Connection { expires: Some(now() + DAY * 10 + after), ..refreshed.clone() };
                let seen = seen.inspected(&refreshed, &plan, now() + Duration::from_secs(1));
                assert!(seen.upkeep.next_refresh.is_some_and(|due| due >= now() + DAY), "{apart:?}");
                assert_eq!(seen.upkeep.told, Some(14), "{apart:?}");
            }
        }
        let shorter = old.clone().refreshed(Some(now() + DAY * 12), &plan, now());
        let seen = Connection { expires: Some(now() + DAY * 11), ..shorter.clone() };
        let seen = seen.inspected(&shorter, &plan, now() + Duration::from_secs(1));
        assert!(
            seen.upkeep.next_refresh.is_some_and(|due| due >= now() + DAY),
            "Meta gives nothing younger within a day"
        );
    }

    #[test]
    fn what_heals_is_refreshed_again() {
        let plan = LifecycleSettings::default().plan();
        let dead = living(20).failed("x", now() + DAY * 20);
        assert_eq!(dead.upkeep.next_refresh, None);
        let healed = Connection { state: ConnectionState::Active, ..dead.clone() }.inspected(&dead, &plan, now());
        assert!(healed.upkeep.next_refresh.is_some());
    }
}
