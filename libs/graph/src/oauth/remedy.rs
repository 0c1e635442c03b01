//! What helps a token that Meta refused: Meta's codes and subcodes, sorted by what has to happen next.

use crate::{
    error::Error,
    meta_error::{MetaError, Verdict},
};

/// What has to happen before a refused token's owner can be worked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The token's time is over; consent still stands, so a newer token of the same owner works.
    Renew,
    /// The owner or Meta took the consent back: somebody must consent again.
    Consent,
    /// The owner must do something at Facebook first. Then the same token works again, with no new consent.
    Checkpoint,
    /// Nothing but time.
    Wait,
    /// The token is not to blame: our app, its secret, a permission or the request is.
    Elsewhere,
}

/// Sorts a code and subcode (Meta, "Access tokens: errors" and "Error handling").
///
/// 190 and 102 speak of the token; their subcode says what became of it. One that we do not know is taken for lost
/// consent, since all that heal by themselves are known.
pub fn remedy(code: i64, subcode: Option<i64>) -> Remedy {
    match (code, subcode) {
        (190 | 102, Some(463)) | (104, _) => Remedy::Renew,
        (190 | 102, Some(459 | 464 | 490)) => Remedy::Checkpoint,
        (190 | 102, _) => Remedy::Consent,
        _ => match (MetaError { code, subcode, ..MetaError::default() }).verdict() {
            Verdict::Throttled | Verdict::Transient => Remedy::Wait,
            _ => Remedy::Elsewhere,
        },
    }
}

/// The same of a call that failed. Where Meta did not speak at all, time helps.
pub fn remedy_of(error: &Error) -> Remedy {
    match error.meta() {
        Some(meta) if matches!(meta.verdict(), Verdict::Throttled | Verdict::Transient) => Remedy::Wait,
        Some(meta) if meta.is_about_our_secret() => Remedy::Elsewhere,
        Some(meta) => remedy(meta.code, meta.subcode),
        None if error.is_temporary() || error.is_outcome_unknown() => Remedy::Wait,
        None => Remedy::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_remedy() {
        for (code, subcode, expected) in [
            (190, Some(463), Remedy::Renew),
            (102, Some(463), Remedy::Renew),
            (104, None, Remedy::Renew),
            (190, None, Remedy::Consent),
            (190, Some(458), Remedy::Consent),
            (190, Some(460), Remedy::Consent),
            (190, Some(467), Remedy::Consent),
            (190, Some(492), Remedy::Consent),
            (190, Some(9_999), Remedy::Consent),
            (102, None, Remedy::Consent),
            (190, Some(459), Remedy::Checkpoint),
            (190, Some(464), Remedy::Checkpoint),
            (190, Some(490), Remedy::Checkpoint),
            (102, Some(459), Remedy::Checkpoint),
            (1, None, Remedy::Wait),
            (2, None, Remedy::Wait),
            (4, None, Remedy::Wait),
            (17, Some(2_446_079), Remedy::Wait),
            (32, None, Remedy::Wait),
            (341, None, Remedy::Wait),
            (613, None, Remedy::Wait),
            (80_004, Some(2_446_079), Remedy::Wait),
            (10, None, Remedy::Elsewhere),
            (100, None, Remedy::Elsewhere),
            (101, None, Remedy::Elsewhere),
            (200, None, Remedy::Elsewhere),
            (294, None, Remedy::Elsewhere),
            (368, None, Remedy::Elsewhere),
            (900, None, Remedy::Elsewhere),
            (2635, None, Remedy::Elsewhere),
        ] {
            assert_eq!(remedy(code, subcode), expected, "{code}/{subcode:?}");
        }
    }

    #[test]
    fn an_answer_that_never_came_asks_for_patience_and_not_for_consent() {
        let away = Error::Unavailable { call: String::new(), cause: "reset".to_owned(), meta: None };
        assert_eq!(remedy_of(&away), Remedy::Wait);
        let lost = Error::OutcomeUnknown { call: String::new(), cause: "reset".to_owned() };
        assert_eq!(remedy_of(&lost), Remedy::Wait);
        let meta = Box::new(MetaError { status: 502, is_transient: true, ..MetaError::default() });
        let portal = Error::Unavailable { call: String::new(), cause: String::new(), meta: Some(meta) };
        assert_eq!(remedy_of(&portal), Remedy::Wait);
        let meta = Box::new(MetaError { code: 190, subcode: Some(460), ..MetaError::default() });
        assert_eq!(remedy_of(&Error::NeedsConsent { meta }), Remedy::Consent);
        assert_eq!(remedy_of(&Error::Setup(String::new())), Remedy::Elsewhere);
    }
}
