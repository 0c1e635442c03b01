//! How much of a ceiling each class of calls may fill.

/// How urgent a call is; the lower, the sooner it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Pausing, and looking after a write whose outcome is unknown.
    Safety = 1,
    /// A person waits.
    Interactive = 2,
    /// Keeping stored data fresh.
    Sync = 3,
    /// Reports, uploads, large plans.
    Bulk = 4,
    /// Filling up history.
    Backfill = 5,
}

/// What bulk work may put into one cell, in thousandths: so an hour is not burnt in a minute.
const PACE_PERMILLE: u32 = 50;

/// Below this a twentieth is less than a call, so nothing is paced.
const PACED_FROM: u32 = 20;

impl Priority {
    /// The most urgent first.
    pub(crate) const ALL: [Self; 5] = [Self::Safety, Self::Interactive, Self::Sync, Self::Bulk, Self::Backfill];

    /// As people call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Interactive => "interactive",
            Self::Sync => "sync",
            Self::Bulk => "bulk",
            Self::Backfill => "backfill",
        }
    }

    /// As the scripts number it.
    pub(crate) fn class(self) -> i64 {
        match self {
            Self::Safety => 1,
            Self::Interactive => 2,
            Self::Sync => 3,
            Self::Bulk => 4,
            Self::Backfill => 5,
        }
    }

    /// The percent of CPU or wall time at which the class stops. Safety goes on: Meta itself will say when not.
    pub(crate) fn gate_percent(self) -> u32 {
        match self {
            Self::Safety => u32::from(u16::MAX),
            Self::Interactive => 97,
            Self::Sync => 92,
            Self::Bulk => 85,
            Self::Backfill => 75,
        }
    }

    /// What the class may put into one cell of a window of an hour or more; `None` where it is not paced.
    pub(crate) fn pace(self, ceiling: u32) -> Option<u32> {
        let paced = self >= Self::Bulk && ceiling >= PACED_FROM;
        paced.then(|| permille(ceiling, PACE_PERMILLE))
    }
}

/// How much of a ceiling each class may fill, in percent; safety all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClassCaps {
    pub(crate) interactive: u32,
    pub(crate) sync: u32,
    pub(crate) bulk: u32,
    pub(crate) backfill: u32,
}

impl Default for ClassCaps {
    fn default() -> Self {
        Self { interactive: 97, sync: 90, bulk: 75, backfill: 60 }
    }
}

impl ClassCaps {
    /// The share of a class, in percent.
    pub(crate) fn percent(self, class: Priority) -> u32 {
        match class {
            Priority::Safety => 100,
            Priority::Interactive => self.interactive,
            Priority::Sync => self.sync,
            Priority::Bulk => self.bulk,
            Priority::Backfill => self.backfill,
        }
    }

    /// What a class may fill of a ceiling. Every class may have one, and safety keeps one to itself where the ceiling is
    /// more than one.
    pub(crate) fn cap(self, class: Priority, ceiling: u32) -> u32 {
        if ceiling <= 1 { ceiling } else { permille(ceiling, 10 * self.percent(class)).max(1) }
    }

    /// What safety may fill within one window of a loss of the counters: the share that no other class can have filled
    /// before, also when these caps were those of the settings still.
    pub(crate) fn lost_cap(self, ceiling: u32) -> u32 {
        let filled = |caps: Self| caps.cap(Priority::Interactive, ceiling);
        ceiling - filled(self).max(filled(Self::default()))
    }

    /// No class has more than one that is more urgent, and safety one to itself.
    pub(crate) fn descending(self) -> Self {
        let interactive = self.interactive.clamp(1, 99);
        let sync = self.sync.clamp(1, interactive);
        let bulk = self.bulk.clamp(1, sync);
        Self { interactive, sync, bulk, backfill: self.backfill.clamp(1, bulk) }
    }
}

/// Thousandths of a number, rounded down.
fn permille(number: u32, thousandths: u32) -> u32 {
    let share = u64::from(number) * u64::from(thousandths) / 1_000;
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Priority; 5] = Priority::ALL;
    const CAPS: ClassCaps = ClassCaps { interactive: 97, sync: 90, bulk: 75, backfill: 60 };

    #[test]
    fn the_shares_of_a_large_ceiling_are_97_90_75_and_60_percent() {
        assert_eq!(ALL.map(|class| CAPS.cap(class, 1_000)), [1_000, 970, 900, 750, 600]);
    }

    #[test]
    fn safety_keeps_at_least_one_of_a_small_ceiling_and_every_class_has_one() {
        for ceiling in 2..40 {
            let caps = ALL.map(|class| CAPS.cap(class, ceiling));
            assert_eq!(caps[0], ceiling);
            assert!(caps[1] < ceiling, "{ceiling}");
            assert!(caps.is_sorted_by(|more, less| more >= less), "{caps:?}");
            assert!(caps.iter().all(|cap| *cap >= 1));
        }
        assert!(ALL.iter().all(|class| CAPS.cap(*class, 1) == 1));
        assert!(ALL.iter().all(|class| CAPS.cap(*class, 0) == 0));
    }

    #[test]
    fn only_bulk_and_backfill_are_paced_and_only_where_a_twentieth_is_a_call() {
        assert_eq!(ALL.map(|class| class.pace(300)), [None, None, None, Some(15), Some(15)]);
        assert_eq!(Priority::Bulk.pace(19), None);
    }

    #[test]
    fn after_a_loss_safety_has_what_nobody_else_can_have_used() {
        for ceiling in [2, 19, 20, 300, 4_800, 100_000] {
            assert_eq!(CAPS.lost_cap(ceiling) + CAPS.cap(Priority::Interactive, ceiling), ceiling);
        }
        assert_eq!(CAPS.lost_cap(300), 9);
        let lower = ClassCaps { interactive: 40, ..CAPS };
        assert_eq!(lower.lost_cap(300), 9, "others may have filled 97 % before it was lowered");
        let higher = ClassCaps { interactive: 99, ..CAPS };
        assert_eq!(higher.lost_cap(300), 3);
    }

    #[test]
    fn whatever_was_set_no_class_has_more_than_a_more_urgent_one_and_safety_keeps_a_point() {
        let odd = ClassCaps { interactive: 100, sync: 40, bulk: 75, backfill: 0 }.descending();
        assert_eq!(odd, ClassCaps { interactive: 99, sync: 40, bulk: 40, backfill: 1 });
        assert!((2..500).all(|ceiling| odd.cap(Priority::Interactive, ceiling) < ceiling));
    }
}
