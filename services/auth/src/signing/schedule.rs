//! Rules of overlap: which key signs at a moment, and which are published.

use jiff::Timestamp;

/// When a key is good for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Grows with every rotation.
    pub(super) version: i32,
    /// `None` is since ever.
    pub(super) signs_from: Option<Timestamp>,
    /// `None` is without an end.
    pub(super) published_until: Option<Timestamp>,
}

/// The place of the key that signs: the newest of those that may. Where none may yet, because this clock is behind, the
/// oldest one does: everybody knows it longest.
pub(super) fn signs(spans: &[Span], now: Timestamp) -> Option<usize> {
    let may = |span: &Span| span.signs_from.is_none_or(|from| from <= now);
    let indexed = || spans.iter().enumerate().filter(|(_, span)| is_published(span, now));
    let newest = indexed().filter(|(_, span)| may(span)).max_by_key(|(_, span)| span.version);
    newest.or_else(|| indexed().min_by_key(|(_, span)| span.version)).map(|(at, _)| at)
}

/// Does it still verify?
pub(super) fn is_published(span: &Span, now: Timestamp) -> bool {
    span.published_until.is_none_or(|until| until > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn span(version: i32, signs_from: Option<i64>, published_until: Option<i64>) -> Span {
        Span { version, signs_from: signs_from.map(at), published_until: published_until.map(at) }
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_an_old_one_after() {
        let (old, new) = (span(1, None, Some(2_000)), span(2, Some(1_000), None));
        let spans = [new, old];
        let signer = |now| signs(&spans, at(now)).map(|at| spans[at].version);
        assert_eq!((signer(999), signer(1_000), signer(2_000)), (Some(1), Some(2), Some(2)));
        assert!(is_published(&new, at(0)) && is_published(&old, at(1_999)) && !is_published(&old, at(2_000)));
    }

    #[test]
    fn a_replica_whose_clock_is_behind_still_signs() {
        assert_eq!(signs(&[span(2, Some(50), None), span(1, Some(40), None)], at(10)), Some(1));
        assert_eq!(signs(&[], at(10)), None);
    }
}
