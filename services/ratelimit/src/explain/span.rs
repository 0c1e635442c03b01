//! Moments and spans as a tired person reads them.

use jiff::Timestamp;

/// `02:13:05 UTC`, or with its day where it is another day than that of `now_ms`.
pub(crate) fn clock(ms: i64, now_ms: i64) -> String {
    let (Ok(at), Ok(now)) = (Timestamp::from_millisecond(ms), Timestamp::from_millisecond(now_ms)) else {
        return "a moment that no calendar has".to_owned();
    };
    // A moment to wait for is rounded up: who comes then is not too early.
    let at = if at.subsec_nanosecond() > 0 { Timestamp::from_second(at.as_second() + 1).unwrap_or(at) } else { at };
    let same_day = at.strftime("%F").to_string() == now.strftime("%F").to_string();
    at.strftime(if same_day { "%H:%M:%S UTC" } else { "%F %H:%M:%S UTC" }).to_string()
}

/// `45 s`, `14 min`, `3 h 5 min`.
pub(crate) fn span(ms: i64) -> String {
    let seconds = (ms.max(0) + 999) / 1_000;
    let minutes = (seconds + 30) / 60;
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_fine_as_they_matter() {
        for (ms, expected) in [
            (0, "0 s"),
            (1, "1 s"),
            (89_000, "89 s"),
            (90_000, "2 min"),
            (840_000, "14 min"),
            (11_100_000, "3 h 5 min"),
        ] {
            assert_eq!(span(ms), expected, "{ms}");
        }
    }

    #[test]
    fn another_day_is_named() {
        let now = 1_780_045_200_000; // 2026-05-29, nine in the morning
        assert_eq!(clock(now + 65_001, now), "09:01:06 UTC");
        assert_eq!(clock(now + 86_400_000, now), "2026-05-30 09:00:00 UTC");
    }
}
