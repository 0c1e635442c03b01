//! Meta's errors: the envelope, and what each code means for us.

use std::time::Duration;

use serde::Deserialize;

use crate::codes;

/// Meta's error envelope, with what matters of it. Matched by code and subcode only: Meta's texts are not stable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetaError {
    /// Meta's code, such as 100. Zero where the answer was no envelope at all.
    pub code: i64,
    /// Meta's subcode, such as 1885272.
    pub subcode: Option<i64>,
    /// For developers.
    pub message: String,
    /// For people, in Meta's words: title and text.
    pub user_message: Option<String>,
    /// Meta's own word that it is temporary.
    pub is_transient: bool,
    /// Which parameters Meta blames, each as a dotted path.
    pub blame: Vec<String>,
    /// What Meta's support asks for.
    pub trace_id: Option<String>,
    /// How long until the quota has room again, as Meta's usage headers say beside the error.
    pub regain: Option<Duration>,
    /// The HTTP status; clients decide by code, and by this only where there is no envelope.
    pub status: u16,
}

/// What an error asks of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A quota is used: wait as the headers say. The call was not executed.
    Throttled,
    /// Temporary: the call may or may not have been executed.
    Transient,
    /// The request is wrong.
    Rejected,
    /// No such object, or hidden from this token.
    Missing,
    /// A permission or a task is missing.
    Permission,
    /// The token is dead.
    Token,
    /// Meta does not take the proof that we made with our app's secret: nothing in the request is wrong.
    Proof,
    /// Meta restricted the account, the page or the app.
    Restricted,
    /// The version of the API is gone.
    VersionEnded,
    /// More data than one answer holds: split the question.
    TooMuchData,
}

/// Meta says so in a few places, with status 200, instead of an error.
#[derive(Deserialize)]
struct Ack {
    success: bool,
}

/// What only says that it failed is short; longer answers are not looked through for it.
const FAILURE_BYTES_MAX: usize = 1_000;

#[derive(Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: i64,
    error_subcode: Option<i64>,
    #[serde(default)]
    is_transient: Option<bool>,
    error_user_title: Option<String>,
    error_user_msg: Option<String>,
    error_data: Option<serde_json::Value>,
    fbtrace_id: Option<String>,
}

impl MetaError {
    /// Reads the envelope out of a body; `None` where the body is a success.
    pub fn parse(status: u16, body: &[u8]) -> Option<Self> {
        // Serde reads a struct from a list too, and the answer to a batch of one is a list of one object with a `code`.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if is_object && let Ok(Envelope { error }) = serde_json::from_slice::<Envelope>(body) {
            return Some(Self::from_body(status, error));
        }
        if is_object && body.len() <= FAILURE_BYTES_MAX && serde_json::from_slice(body).is_ok_and(|it: Ack| !it.success)
        {
            return Some(Self {
                status,
                message: "Meta did not do it and does not say why".to_owned(),
                ..Self::default()
            });
        }
        let success = (200..300).contains(&status) || status == 304;
        (!success).then(|| Self {
            status,
            message: format!("HTTP {status} without an error envelope"),
            // Nobody at Meta refused: a proxy, a portal or a broken machine spoke. 413 alone is about what we sent.
            is_transient: status != 413,
            ..Self::default()
        })
    }

    fn from_body(status: u16, body: Body) -> Self {
        let user_message = match (body.error_user_title, body.error_user_msg) {
            (Some(title), Some(text)) => Some(format!("{title}: {text}")),
            (title, text) => title.or(text),
        };
        Self {
            code: body.code,
            subcode: body.error_subcode,
            message: without_tokens(&body.message),
            user_message: user_message.map(|text| without_tokens(&text)),
            is_transient: body.is_transient.unwrap_or(false),
            blame: body.error_data.map(|data| blame(&data)).unwrap_or_default(),
            trace_id: body.fbtrace_id,
            regain: None,
            status,
        }
    }

    /// What to do about it: the table's word, where it has one; else Meta's own, that it is temporary.
    pub fn verdict(&self) -> Verdict {
        if self.is_about_our_secret() {
            return Verdict::Rejected;
        }
        if self.is_about_our_proof() {
            return Verdict::Proof;
        }
        match codes::known(self.code, self.subcode) {
            // One code for a hiccup and for a question that is too large; only the text tells them apart.
            _ if self.code == 1 && self.message.contains("reduce the amount of data") => Verdict::TooMuchData,
            Some(line) => line.verdict,
            // Whoever says it, Meta or what stands before it, did not let the call through.
            None if self.status == 429 => Verdict::Throttled,
            None if self.is_transient || self.status >= 500 => Verdict::Transient,
            None => Verdict::Rejected,
        }
    }

    /// Meta's words, those for people where there are any.
    pub fn words(&self) -> &str {
        self.user_message.as_deref().unwrap_or(&self.message)
    }

    /// What the caller does next, as the end of a sentence.
    pub fn advice(&self) -> &'static str {
        if self.is_about_our_secret() || self.is_about_our_proof() {
            return "the operator must set the app's secret (`UpdateMetaApp`)";
        }
        match (self.verdict(), codes::known(self.code, self.subcode)) {
            (Verdict::TooMuchData, Some(line)) if line.verdict != Verdict::TooMuchData => "ask for less at once",
            (_, Some(line)) => line.advice,
            (Verdict::Throttled, None) => "wait, then repeat",
            (Verdict::Transient, None) => "it may pass by itself: try again later",
            (_, None) => "Meta does not say more: look the code up in Meta's documentation",
        }
    }

    /// Says whether Meta refuses the secret of our app. It has no code of its own for that: 1 is its commonest hiccup, and
    /// only the text tells them apart (Meta, "Manually build a login flow").
    pub fn is_about_our_secret(&self) -> bool {
        matches!(self.code, 1 | 101) && self.message.contains("client secret")
    }

    /// A wrong or missing `appsecret_proof` has the code of a wrong parameter (Meta, "Securing Graph API calls").
    fn is_about_our_proof(&self) -> bool {
        self.code == 100 && self.subcode.is_none() && self.message.contains("appsecret_proof")
    }

    /// How long to wait before a repeat makes sense, where Meta says so: in its usage headers, or by what the limit is.
    pub fn throttled_for(&self) -> Option<Duration> {
        self.regain.or(match (self.code, self.subcode) {
            (613, Some(5_044_001)) => Some(Duration::from_secs(1)), // mutations per second
            (613, Some(1_487_632)) => Some(Duration::from_hours(1)), // four budget changes an hour
            _ => None,
        })
    }
}

/// Meta repeats a token that it cannot read, and what it says is stored and shown: `EAA` and letters, or an app's id and
/// secret with a line between.
pub(crate) fn without_tokens(text: &str) -> String {
    let is_of_token = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '|' | '_' | '-');
    let mut clean = String::with_capacity(text.len());
    for part in text.split_inclusive(|letter| !is_of_token(letter)) {
        let word = part.trim_end_matches(|letter| !is_of_token(letter));
        let is_app_token = word.split_once('|').is_some_and(|(app, secret)| {
            app.len() > 4 && app.bytes().all(|byte| byte.is_ascii_digit()) && !secret.is_empty()
        });
        if is_app_token || (word.starts_with("EAA") && word.len() >= 20) {
            clean.push_str("[token]");
            clean.push_str(part.get(word.len()..).unwrap_or_default());
        } else {
            clean.push_str(part);
        }
    }
    clean
}

/// `error_data` is a JSON text inside the JSON, or an object; `blame_field_specs` is a list of paths.
fn blame(data: &serde_json::Value) -> Vec<String> {
    let parsed;
    let data = match data.as_str() {
        Some(text) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => {
                parsed = value;
                &parsed
            }
            Err(_) => return Vec::new(),
        },
        None => data,
    };
    let Some(specs) = data.get("blame_field_specs").and_then(serde_json::Value::as_array) else {
        return Vec::new();
    };
    specs
        .iter()
        .filter_map(serde_json::Value::as_array)
        .map(|path| path.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join("."))
        .filter(|path| !path.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, subcode: Option<i64>) -> MetaError {
        MetaError { code, subcode, status: 400, ..MetaError::default() }
    }

    #[test]
    fn the_answer_to_a_batch_of_one_is_no_error() {
        assert_eq!(MetaError::parse(200, br#"[{"code":200,"headers":[],"body":"{}"}]"#).map(|error| error.code), None);
    }

    #[test]
    fn a_code_that_is_not_in_the_table_goes_by_what_else_is_said() {
        let of = |error: MetaError| error.verdict();
        assert_eq!(of(error(12_345, None)), Verdict::Rejected);
        assert_eq!(of(MetaError { is_transient: true, ..error(12_345, None) }), Verdict::Transient);
        assert_eq!(of(MetaError { status: 500, ..error(12_345, None) }), Verdict::Transient);
        let text = "Please reduce the amount of data you're asking for, then retry your request";
        assert_eq!(of(MetaError { message: text.to_owned(), ..error(1, None) }), Verdict::TooMuchData);
        assert_eq!(of(MetaError { is_transient: true, ..error(100, None) }), Verdict::Rejected);
    }

    #[test]
    fn a_wrong_proof_is_our_fault_and_not_that_of_the_request() {
        let body = br#"{"error":{"message":"Invalid appsecret_proof provided in the API argument","type":"GraphMethodException","code":100}}"#;
        let error = MetaError::parse(400, body).unwrap();
        assert_eq!(error.verdict(), Verdict::Proof);
        assert!(error.advice().contains("the operator"), "{}", error.advice());
    }

    #[test]
    fn no_success_is_a_failure_though_the_status_says_otherwise() {
        let error = MetaError::parse(200, br#"{"success":false}"#).unwrap();
        assert_eq!((error.verdict(), error.code), (Verdict::Rejected, 0));
        for success in [r#"{"success":true}"#, r#"{"id":"1"}"#, r#"{"success":"false"}"#] {
            assert_eq!(MetaError::parse(200, success.as_bytes()), None, "{success}");
        }
    }

    #[test]
    fn a_token_that_meta_repeats_is_not_passed_on() {
        let token = format!("EAA{}", "b".repeat(40));
        let said = without_tokens(&format!(
            "Malformed access token {token}, of \"1234567|s3cret-x\" (EAA is short, a|b is none)"
        ));
        assert_eq!(said, "Malformed access token [token], of \"[token]\" (EAA is short, a|b is none)");
    }

    #[test]
    fn too_many_requests_of_whoever_stands_before_meta_is_a_throttle() {
        assert_eq!(MetaError::parse(429, b"slow down").unwrap().verdict(), Verdict::Throttled);
    }

    #[test]
    fn a_body_without_an_envelope_is_temporary_from_500_on() {
        let error = MetaError::parse(503, b"<html>Service Unavailable</html>").unwrap();
        assert_eq!(error.verdict(), Verdict::Transient);
        assert!(MetaError::parse(200, br#"{"id":"1"}"#).is_none());
        assert!(MetaError::parse(304, b"").is_none());
    }

    #[test]
    fn blame_is_read_from_a_text_and_from_an_object() {
        let text = br#"{"error":{"code":100,"error_subcode":1885272,"error_data":"{\"blame_field_specs\":[[\"daily_budget\"]]}"}}"#;
        assert_eq!(MetaError::parse(400, text).unwrap().blame, ["daily_budget"]);
        let object = br#"{"error":{"code":100,"error_data":{"blame_field_specs":[["targeting","geo_locations"],["bid_amount"]]}}}"#;
        assert_eq!(MetaError::parse(400, object).unwrap().blame, ["targeting.geo_locations", "bid_amount"]);
    }
}
