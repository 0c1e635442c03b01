//! Why Meta refused our app, our secret, a code or a token: the code's name for what callers are told.

use crate::error::Error;

/// A short word for what Meta refused, where the error says so: `code_used`, `code_expired`, `redirect_mismatch`,
/// `app_unknown` or `app_secret_wrong`.
pub fn refusal(error: &Error) -> Option<&'static str> {
    let meta = error.meta()?;
    match (meta.code, meta.subcode) {
        (100, Some(36_009)) => Some("code_used"),
        (100, Some(36_007)) => Some("code_expired"),
        (100, Some(36_008)) => Some("redirect_mismatch"),
        _ if meta.is_about_our_secret() => Some("app_secret_wrong"),
        (101 | 900, _) => Some("app_unknown"),
        // Of the app's own token, which is made of the secret. Where another token is dead, the error says so.
        (190, None) if matches!(error, Error::Rejected { .. }) => Some("app_secret_wrong"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        meta_error::{MetaError, Verdict},
        oauth::{Remedy, remedy_of},
    };

    #[test]
    fn each_refusal_has_its_word() {
        for (code, subcode, word) in [
            (100, Some(36_009), Some("code_used")),
            (100, Some(36_007), Some("code_expired")),
            (100, Some(36_008), Some("redirect_mismatch")),
            (101, None, Some("app_unknown")),
            (1, None, None),
            (190, None, Some("app_secret_wrong")),
            (190, Some(463), None),
            (100, None, None),
        ] {
            let meta = Box::new(MetaError { code, subcode, status: 400, ..MetaError::default() });
            assert_eq!(refusal(&Error::Rejected { call: String::new(), meta }), word, "{code}/{subcode:?}");
        }
    }

    #[test]
    fn a_wrong_secret_is_told_from_a_hiccup_and_from_a_dead_token() {
        let said =
            |code, message: &str| Box::new(MetaError { code, message: message.to_owned(), ..Default::default() });
        for code in [1, 101] {
            let meta = said(code, "Error validating client secret.");
            assert_eq!(meta.verdict(), Verdict::Rejected, "{code}");
            let error = Error::Rejected { call: String::new(), meta };
            assert_eq!((refusal(&error), remedy_of(&error)), (Some("app_secret_wrong"), Remedy::Elsewhere), "{code}");
        }
        let hiccup = said(1, "An unknown error occurred");
        assert_eq!(hiccup.verdict(), Verdict::Transient);
        let hiccup = Error::Unavailable { call: String::new(), cause: String::new(), meta: Some(hiccup) };
        assert_eq!((refusal(&hiccup), remedy_of(&hiccup)), (None, Remedy::Wait));
        assert_eq!(refusal(&Error::NeedsConsent { meta: said(190, "Invalid OAuth access token.") }), None);
    }
}
