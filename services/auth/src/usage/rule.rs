//! When a rise is unusual.

/// A use that is smaller than this in an hour is never unusual by itself; it also stands for the past of what has none.
const FLOOR: i64 = 100;
/// How many times the usual.
const FACTOR: i64 = 5;

/// An unusual rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rise {
    /// The mean of the same hours of the days before.
    pub usual: i64,
    /// What was still unremarkable.
    pub limit: i64,
}

/// Is this hour's count unusual, against those of the same hour of the last seven days? Days without any use do not count:
/// a job that runs on Mondays is compared with Mondays.
pub fn rise(this_hour: i64, same_hours: &[i64]) -> Option<Rise> {
    let sum = same_hours.iter().fold(0_i64, |sum, count| sum.saturating_add(*count));
    let days = i64::try_from(same_hours.len()).unwrap_or(i64::MAX).max(1);
    let usual = sum / days;
    let limit = usual.max(FLOOR).saturating_mul(FACTOR);
    (this_hour > limit).then_some(Rise { usual, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_is_unusual_beyond_five_times_the_usual_and_the_floor() {
        let week = [300; 7];
        let cases: [(i64, &[i64], Option<Rise>); 10] = [
            (0, &[], None),
            (500, &[], None),
            (501, &[], Some(Rise { usual: 0, limit: 500 })),
            (501, &[1, 2, 3], Some(Rise { usual: 2, limit: 500 })),
            (1_500, &week, None),
            (1_501, &week, Some(Rise { usual: 300, limit: 1_500 })),
            (5_000, &[1_000], None),
            (5_001, &[1_000], Some(Rise { usual: 1_000, limit: 5_000 })),
            (2_000, &[100, 700], None),
            (i64::MAX, &[i64::MAX, i64::MAX], None),
        ];
        for (this_hour, same_hours, expected) in cases {
            assert_eq!(rise(this_hour, same_hours), expected, "{this_hour} {same_hours:?}");
        }
    }

    #[test]
    fn what_is_unremarkable_without_a_past_is_so_with_every_past() {
        for past in [&[][..], &[0], &[10, 10_000]] {
            assert_eq!(rise(FLOOR * FACTOR, past), None);
        }
    }
}
