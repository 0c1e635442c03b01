//! The middle of some measurements, and how far they lie apart.

use serde::Serialize;

/// What one thing came to in several rounds, in the unit of its figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Spread {
    /// None where nothing was measured. Of two in the middle the greater is taken.
    pub(crate) fn of(mut measured: Vec<u64>) -> Option<Self> {
        measured.sort_unstable();
        let median = *measured.get(measured.len() / 2)?;
        Some(Self { median, min: *measured.first()?, max: *measured.last()? })
    }

    /// How many times as much as `other`, in hundredths, rounded up.
    pub(crate) fn hundredths_of(self, other: Self) -> u64 {
        self.median.saturating_mul(100).div_ceil(other.median.max(1))
    }

    /// The same, rounded down.
    pub(crate) fn whole_hundredths_of(self, other: Self) -> u64 {
        self.median.saturating_mul(100) / other.median.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_not_moved_by_one_bad_round() {
        let spread = Spread::of(vec![30, 10, 9_000, 20, 25]).unwrap();
        assert_eq!(spread, Spread { median: 25, min: 10, max: 9_000 });
        assert_eq!(Spread::of(vec![2, 1]).unwrap().median, 2);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn a_ratio_is_rounded_to_the_worse() {
        let of = |median| Spread { median, min: median, max: median };
        assert_eq!(of(10).hundredths_of(of(10)), 100);
        assert_eq!(of(50_001).hundredths_of(of(10_000)), 501);
        assert_eq!(of(7).hundredths_of(of(0)), 700);
        assert_eq!(of(19_999).whole_hundredths_of(of(10_000)), 199);
    }
}
