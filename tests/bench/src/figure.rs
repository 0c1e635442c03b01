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

/// The most that a figure may be, or the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// So many times the baseline.
    Times(u64),
    /// So many hundredths of the baseline.
    Hundredths(u64),
    /// At least so many hundredths of the baseline.
    AtLeast(u64),
    /// So many of the unit.
    Amount(u64),
    /// None: it is only told.
    Told,
}

impl Figure {
    /// How many times the baseline it is, in hundredths; rounded to the worse.
    pub(crate) fn ratio(&self) -> Option<u64> {
        let (measured, baseline) = (self.measured?, self.baseline?);
        Some(match self.goal {
            Goal::AtLeast(_) => measured.whole_hundredths_of(baseline),
            _ => measured.hundredths_of(baseline),
        })
    }

    /// Whether the goal is reached, where there is one and that is known.
    pub(crate) fn reached(&self) -> Option<bool> {
        match self.goal {
            Goal::Times(times) => Some(self.ratio()? <= times.saturating_mul(100)),
            Goal::Hundredths(hundredths) => Some(self.ratio()? <= hundredths),
            Goal::AtLeast(hundredths) => Some(self.ratio()? >= hundredths),
            Goal::Amount(amount) => Some(self.measured?.median <= amount),
            Goal::Told => None,
        }
    }

    /// What a person is told of the goal.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.measured, self.reached()) {
            (Some(_), None) if self.goal == Goal::Told => "told",
            (_, Some(true)) => "reached",
            (_, Some(false)) => "NOT REACHED",
            (_, None) => "not measured",
        }
    }
}

impl Goal {
    pub(crate) fn words(self) -> String {
        match self {
            Self::Times(times) => format!("<= {times} x"),
            Self::Hundredths(hundredths) => format!("<= {}.{:02} x", hundredths / 100, hundredths % 100),
            Self::AtLeast(hundredths) => format!(">= {}.{:02} x", hundredths / 100, hundredths % 100),
            Self::Amount(amount) => format!("<= {amount}"),
            Self::Told => String::new(),
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
    fn what_is_to_be_much_misses_its_goal_by_a_hair() {
        assert_eq!(figure(Some(20), Some(10), Goal::AtLeast(200)).reached(), Some(true));
        assert_eq!(figure(Some(19_999), Some(10_000), Goal::AtLeast(200)).reached(), Some(false));
    }

    #[test]
    fn without_a_goal_a_figure_is_told_and_nothing_else() {
        let told = figure(Some(13), Some(10), Goal::Told);
        assert_eq!((told.ratio(), told.reached(), told.verdict()), (Some(130), None, "told"));
        assert_eq!(figure(None, None, Goal::Told).verdict(), "not measured");
        assert_eq!(figure(Some(21), None, Goal::Amount(20)).verdict(), "NOT REACHED");
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        assert_eq!(figure(None, None, Goal::Amount(20)).reached(), None);
        assert_eq!(figure(Some(1), None, Goal::Times(5)).reached(), None);
    }
}
