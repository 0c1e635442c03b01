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
        (101 | 900, _) => Some("app_unknown"),
        // Meta writes "Error validating client secret." under 1 and a bad app token under 190, without a subcode.
        (1 | 190, None) => Some("app_secret_wrong"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta_error::MetaError;

    #[test]
    fn each_refusal_has_its_word() {
        for (code, subcode, word) in [
            (100, Some(36_009), Some("code_used")),
            (100, Some(36_007), Some("code_expired")),
            (100, Some(36_008), Some("redirect_mismatch")),
            (101, None, Some("app_unknown")),
            (1, None, Some("app_secret_wrong")),
            (190, None, Some("app_secret_wrong")),
            (190, Some(463), None),
            (100, None, None),
        ] {
            let meta = Box::new(MetaError { code, subcode, status: 400, ..MetaError::default() });
            assert_eq!(refusal(&Error::Rejected { call: String::new(), meta }), word, "{code}/{subcode:?}");
        }
    }
}
