//! Numbers that look like chance and are not.

use jiff::civil::Date;

/// `SplitMix64`, begun by a seed, an ad and a day.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, ad: u64, day: Date) -> Self {
        let day = u64::from(day.year().unsigned_abs()) * 400 + u64::try_from(day.day_of_year()).unwrap_or_default();
        let mut dice = Self(seed ^ ad.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ day.wrapping_mul(0xd1b5_4a32_d192_ed03));
        dice.next();
        dice
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `width`, or 0 where that is not positive. A product's upper half, since division is slow.
    pub(super) fn below(&mut self, width: i64) -> i64 {
        let width = u128::try_from(width).unwrap_or_default();
        i64::try_from((u128::from(self.next()) * width) >> 64).unwrap_or_default()
    }

    /// A number of the range, its ends included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below(most - least + 1)
    }

    /// Between so many and so many per mille of a value; what is no whole number is rounded by the dice, since always
    /// rounding down would leave nothing of small numbers.
    pub(super) fn part(&mut self, value: i64, least: i64, most: i64) -> i64 {
        if value == 0 {
            return 0;
        }
        let rate = self.between(least, most);
        (value.saturating_mul(rate) + self.below(1_000)) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn what_is_thrown_stays_in_its_range_and_reaches_both_ends() {
        let mut dice = Dice::new(1, 2, date(2026, 1, 1));
        let thrown: Vec<i64> = (0..500).map(|_| dice.between(3, 7)).collect();
        assert_eq!((thrown.iter().min(), thrown.iter().max()), (Some(&3), Some(&7)));
        assert_eq!(dice.below(0), 0);
    }

    #[test]
    fn parts_of_small_numbers_are_sometimes_something() {
        let mut dice = Dice::new(1, 2, date(2026, 1, 1));
        let sum: i64 = (0..1_000).map(|_| dice.part(1, 100, 100)).sum();
        assert!((50..150).contains(&sum), "{sum}");
    }
}
