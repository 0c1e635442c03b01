//! A moment as people write it: `2026-11-22T10:00:00Z`, `2026-11-22`, or how long ago, such as `90m` or `7d`.

use std::str::FromStr;

use anyhow::{Context, Result};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

/// What was written; a span counts back from when the command runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Span),
}

impl Moment {
    pub(crate) fn before(self, now: Timestamp) -> Result<prost_types::Timestamp> {
        let moment = match self {
            Self::At(moment) => moment,
            Self::Ago(span) => {
                let now = now.to_zoned(TimeZone::UTC);
                now.checked_sub(span.abs()).context("that long ago there was no calendar")?.timestamp()
            }
        };
        Ok(prost_types::Timestamp { seconds: moment.as_second(), nanos: moment.subsec_nanosecond() })
    }
}

impl Moment {
    /// As [`Moment::before`], where a span counts on from when the command runs.
    pub(crate) fn after(self, now: Timestamp) -> Result<prost_types::Timestamp> {
        match self {
            Self::At(_) => self.before(now),
            Self::Ago(span) => {
                let now = now.to_zoned(TimeZone::UTC);
                let at = now.checked_add(span.abs()).context("that late there is no calendar")?.timestamp();
                Self::At(at).before(at)
            }
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let midnight = |date: Date| date.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        let at = text.parse::<Timestamp>().ok();
        let at = at.or_else(|| text.parse::<Date>().ok().and_then(|date| midnight(date).ok()));
        at.map(Self::At).or_else(|| text.parse::<Span>().ok().map(Self::Ago)).ok_or_else(|| {
            "must be like 2026-11-22T10:00:00Z, 2026-11-22 (in UTC), or 90m or 7d for that long ago".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_three_ways() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-21T09:00:00+01:00", "2026-11-21T08:00:00Z"),
            ("2026-11-21", "2026-11-21T00:00:00Z"),
            ("90m", "2026-11-22T08:30:00Z"),
            ("7d", "2026-11-15T10:00:00Z"),
            ("1h 30m", "2026-11-22T08:30:00Z"),
        ] {
            let moment = text.parse::<Moment>().unwrap().before(now).unwrap();
            assert_eq!(Timestamp::from_second(moment.seconds).unwrap().to_string(), expected, "{text}");
        }
        let later = "90m".parse::<Moment>().unwrap().after(now).unwrap();
        assert_eq!(Timestamp::from_second(later.seconds).unwrap().to_string(), "2026-11-22T11:30:00Z");
        for text in ["", "yesterday", "7", "2026-13-01"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
