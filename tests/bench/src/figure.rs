//! One line of the result: what was measured, against what, and whether that is good enough.

use serde::{Serialize, Serializer};

use crate::spread::Spread;

/// A figure and its goal. What could not be measured has no spread, and neither reaches nor misses its goal.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// What figure and baseline count, such as `ns CPU per request`.
    pub(crate) unit: &'static str,
    #[serde(rename = "figure")]
    pub(crate) measured: Option<Spread>,
    /// Of what the figure is a multiple; none where the goal is an amount.
    pub(crate) baseline: Option<Spread>,
    pub(crate) goal: Goal,
}

/// The most that a figure may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// So many times the baseline.
    Times(u64),
    /// So many hundredths of the baseline.
    Hundredths(u64),
    /// So many of the unit.
    Amount(u64),
}

impl Figure {
    /// How many times the baseline it is, in hundredths.
    pub(crate) fn ratio(&self) -> Option<u64> {
        Some(self.measured?.hundredths_of(self.baseline?))
    }

    /// Whether the goal is reached, where that is known.
    pub(crate) fn reached(&self) -> Option<bool> {
        match self.goal {
            Goal::Times(times) => Some(self.ratio()? <= times.saturating_mul(100)),
            Goal::Hundredths(hundredths) => Some(self.ratio()? <= hundredths),
            Goal::Amount(amount) => Some(self.measured?.median <= amount),
        }
    }
}

impl Goal {
    pub(crate) fn words(self) -> String {
        match self {
            Self::Times(times) => format!("<= {times} x"),
            Self::Hundredths(hundredths) => format!("<= {}.{:02} x", hundredths / 100, hundredths % 100),
            Self::Amount(amount) => format!("<= {amount}"),
        }
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(median: Option<u64>, baseline: Option<u64>, goal: Goal) -> Figure {
        let spread = |median| Spread { median, min: median, max: median };
        Figure { name: "it", unit: "ns", measured: median.map(spread), baseline: baseline.map(spread), goal }
    }

    #[test]
    fn a_goal_is_reached_up_to_and_with_its_edge() {
        assert_eq!(figure(Some(50), Some(10), Goal::Times(5)).reached(), Some(true));
        assert_eq!(figure(Some(51), Some(10), Goal::Times(5)).reached(), Some(false));
        assert_eq!(figure(Some(20), None, Goal::Amount(20)).reached(), Some(true));
        assert_eq!(figure(Some(21), None, Goal::Amount(20)).reached(), Some(false));
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        assert_eq!(figure(None, None, Goal::Amount(20)).reached(), None);
        assert_eq!(figure(Some(1), None, Goal::Times(5)).reached(), None);
    }
}
