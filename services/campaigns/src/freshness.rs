//! How fresh an answer must be, and how fresh it is.

use std::time::Duration;

use jiff::Timestamp;
use proto::common::v1::{Freshness, ReadInfo, freshness::Kind};

use crate::{error::Error, wire};

/// How fresh an answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What is stored, which is kept within some minutes.
    Stored,
    /// At most this old.
    AtMost(Duration),
    /// At least as new as this.
    AtLeast(Timestamp),
}

impl Wanted {
    /// Reads the field `freshness` of a request.
    pub(crate) fn of(freshness: Option<&Freshness>) -> Result<Self, Error> {
        Ok(match freshness.and_then(|freshness| freshness.kind.as_ref()) {
            None | Some(Kind::Stored(_)) => Self::Stored,
            Some(Kind::AtMost(age)) => {
                let age = Duration::try_from(*age);
                let refuse = |_| Error::field("freshness.at_most", "must not be negative", "NEGATIVE");
                Self::AtMost(age.map_err(refuse)?)
            }
            Some(Kind::AtLeast(token)) => {
                let time = token.parse().ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
                let refuse = || Error::field("freshness.at_least", "must be a freshness_token of ours", "NO_TOKEN");
                Self::AtLeast(time.ok_or_else(refuse)?)
            }
        })
    }

    /// Does what was read at `fetched` do? `kept` is how old the store may be where nothing is asked for.
    pub(crate) fn is_met(&self, fetched: Timestamp, now: Timestamp, kept: Duration) -> bool {
        let age = Duration::try_from(now.duration_since(fetched)).unwrap_or_default();
        match self {
            Self::Stored => age <= kept,
            Self::AtMost(most) => age <= *most,
            Self::AtLeast(least) => fetched.as_millisecond() >= least.as_millisecond(),
        }
    }

    /// May an older copy answer where Meta cannot be asked now?
    pub(crate) fn takes_stale(&self) -> bool {
        !matches!(self, Self::AtLeast(_))
    }
}

/// Something and when it was read.
#[derive(Debug, Clone)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    pub(crate) info: ReadInfo,
}

impl<T> Read<T> {
    pub(crate) fn fresh(value: T, fetched: Timestamp) -> Self {
        Self { value, info: info(fetched, false) }
    }

    pub(crate) fn stale(value: T, fetched: Timestamp) -> Self {
        Self { value, info: info(fetched, true) }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> Result<U, Error>) -> Result<Read<U>, Error> {
        Ok(Read { value: change(self.value)?, info: self.info })
    }
}

fn info(fetched: Timestamp, stale: bool) -> ReadInfo {
    ReadInfo {
        data_time: Some(wire::time(fetched)),
        fetch_time: Some(wire::time(fetched)),
        stale,
        freshness_token: fetched.as_millisecond().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_answers_until_it_is_older_than_asked_for() {
        let fetched = Timestamp::from_second(1000).unwrap();
        let now = Timestamp::from_second(1060).unwrap();
        let kept = Duration::from_secs(900);
        assert!(Wanted::Stored.is_met(fetched, now, kept));
        assert!(Wanted::AtMost(Duration::from_secs(60)).is_met(fetched, now, kept));
        assert!(!Wanted::AtMost(Duration::from_secs(59)).is_met(fetched, now, kept));
        assert!(Wanted::AtLeast(fetched).is_met(fetched, now, kept));
        assert!(!Wanted::AtLeast(now).is_met(fetched, now, kept));
    }

    #[test]
    fn the_token_of_an_answer_asks_for_at_least_that_answer() {
        let fetched = Timestamp::from_millisecond(1_234_567).unwrap();
        let token = Read::fresh((), fetched).info.freshness_token;
        let wanted = Wanted::of(Some(&Freshness { kind: Some(Kind::AtLeast(token)) })).unwrap();
        assert_eq!(wanted, Wanted::AtLeast(fetched));
    }
}
