//! Deals numbers out over the values of a breakdown, so that the parts sum up to the whole.

use super::daily::Dice;
use super::metrics::Metrics;

/// The parts of `whole` by weight, in the order of the weights.
///
/// Each number is cut at the rounded running share, so that nothing is lost; where the cuts begin is turned by the dice,
/// else small numbers would always fall to the same part.
pub(super) fn deal(whole: &Metrics, weights: &[i64], dice: &mut Dice) -> Vec<Metrics> {
    let count = weights.len().max(1);
    let total: i64 = weights.iter().sum::<i64>().max(1);
    let mut parts = vec![Metrics::default(); weights.len()];
    for (at, value) in whole.0.iter().enumerate() {
        let turn = usize::try_from(dice.next() % u64::try_from(count).unwrap_or(1)).unwrap_or_default();
        let mut share = 0_i64;
        let mut given = 0_i64;
        for step in 0..weights.len() {
            let place = (step + turn) % count;
            share += weights.get(place).copied().unwrap_or_default();
            let until = i64::try_from(i128::from(*value) * i128::from(share) / i128::from(total)).unwrap_or(*value);
            if let Some(slot) = parts.get_mut(place).and_then(|part| part.0.get_mut(at)) {
                *slot = until - given;
            }
            given = until;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_parts_sum_up_to_the_whole() {
        for ad in 0..200 {
            let mut dice = Dice::new(1, ad, date(2026, 1, 1));
            let mut whole = Metrics::default();
            for slot in &mut whole.0 {
                *slot = dice.between(0, 5_000);
            }
            let parts = deal(&whole, &[13, 1, 55, 7], &mut dice);
            let mut sum = Metrics::default();
            for part in &parts {
                sum.add(part);
            }
            assert_eq!(sum, whole);
            assert!(parts.iter().all(|part| part.0.iter().all(|&value| value >= 0)));
        }
    }
}
