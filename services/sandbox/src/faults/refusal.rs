//! Errors on demand, with the texts that Meta gives to the codes that clients know.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::state::APP;
use crate::token;
use crate::version::Version;

/// A Graph error as a rule describes it. What is not given is what Meta sends with that code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphError {
    pub(crate) code: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subcode: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) is_transient: Option<bool>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_message: Option<String>,
    /// The fields to blame; dots lead into one: `targeting.geo_locations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) blame: Vec<String>,
    /// `error_data` as it is to be sent; it wins over `blame`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error_data: Option<Value>,
}

impl GraphError {
    pub(super) fn refusal(&self) -> Refusal {
        let mut refusal = known(self.code, self.subcode);
        if let Some(message) = &self.message {
            refusal = refusal.message(message);
        }
        if let Some(kind) = &self.kind {
            refusal = refusal.kind(kind);
        }
        if self.user_title.is_some() || self.user_message.is_some() {
            let title = self.user_title.as_deref().unwrap_or("Something went wrong");
            refusal = refusal.shown(title, self.user_message.clone().unwrap_or_else(|| "Please try again.".to_owned()));
        }
        if let Some(transient) = self.is_transient {
            refusal = refusal.transient(transient);
        }
        if !self.blame.is_empty() {
            let paths: Vec<Vec<&str>> = self.blame.iter().map(|path| path.split('.').collect()).collect();
            refusal = refusal.data(Value::String(json!({ "blame_field_specs": paths }).to_string()));
        }
        if let Some(data) = &self.error_data {
            refusal = refusal.data(data.clone());
        }
        match self.status {
            Some(status) => refusal.http(status),
            None => refusal,
        }
    }
}

/// The refusal that Meta gives with a code: text, type, HTTP status and whether it passes (Meta, "Handle errors").
pub(crate) fn known(code: i64, subcode: Option<i64>) -> Refusal {
    let refusal = match (code, subcode) {
        (1, _) => Refusal::new(1, "An unknown error occurred").http(500),
        (2, _) => Refusal::new(2, "(#2) Service temporarily unavailable").http(500).transient(true),
        (4, _) => Refusal::new(4, "(#4) Application request limit reached").http(403).transient(true),
        (10, _) => Refusal::new(10, "(#10) Application does not have permission for this action"),
        (17, _) => Refusal::new(17, "User request limit reached"),
        (32, _) => Refusal::new(32, "Page request limit reached"),
        (100, Some(33)) => Refusal::missing("get", "0"),
        (102 | 190, _) => token::dead(code, subcode.unwrap_or_default(), APP),
        (104, _) => Refusal::new(104, "An access token is required to request this resource."),
        (200, _) => Refusal::new(200, "(#200) Missing permissions").http(403),
        (341, _) => Refusal::new(341, "(#341) Temporary application limit reached").transient(true),
        (368, _) => {
            let message = "(#368) The action attempted has been deemed abusive or is otherwise disallowed";
            Refusal::new(368, message).http(403)
        }
        (613, _) => Refusal::new(613, "Calls to this api have exceeded the rate limit."),
        (960, _) => {
            let message =
                "Request aborted. This could happen if a dependent request failed or the entire request timed out.";
            Refusal::new(960, message).kind("GraphBatchException")
        }
        (2635, _) => crate::version::ended(Version(26)),
        (2642, _) => Refusal::new(2642, "(#2642) Invalid cursors values"),
        (80_000..=80_014, _) => {
            let message = format!(
                "(#{code}) There have been too many calls to this ad-account. Wait a bit and try again. For more info, \
                 please refer to https://developers.facebook.com/docs/graph-api/overview/rate-limiting."
            );
            Refusal::new(code, message)
        }
        _ => Refusal::new(code, format!("(#{code}) A fault on demand")),
    };
    let refusal = match subcode {
        Some(subcode) if subcode != 0 => refusal.subcode(subcode),
        _ => refusal,
    };
    match subcode {
        Some(2_446_079) => {
            refusal.shown("Ad Account Has Too Many API Calls", "There have been too many calls to this ad account.")
        }
        _ => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: Value) -> Value {
        let error: GraphError = serde_json::from_value(error).unwrap();
        error.refusal().envelope("A1")["error"].take()
    }

    #[test]
    fn a_bare_code_comes_with_the_text_of_meta() {
        let error = body(json!({ "code": 960 }));
        assert_eq!(error["type"], "GraphBatchException");
        assert!(error["message"].as_str().unwrap().starts_with("Request aborted."));
        assert_eq!(body(json!({ "code": 2 }))["is_transient"], true);
        assert_eq!(body(json!({ "code": 12345 }))["message"], "(#12345) A fault on demand");
    }

    #[test]
    fn blame_is_a_list_of_paths_in_a_json_text() {
        let error = body(json!({
            "code": 100, "subcode": 1_885_272, "blame": ["bid_amount", "targeting.geo_locations"],
            "user_title": "T", "user_message": "M", "is_transient": true,
        }));
        let data = r#"{"blame_field_specs":[["bid_amount"],["targeting","geo_locations"]]}"#;
        assert_eq!(error["error_data"], data);
        assert_eq!((&error["error_user_title"], &error["error_user_msg"]), (&json!("T"), &json!("M")));
        assert_eq!((&error["error_subcode"], &error["is_transient"]), (&json!(1_885_272), &json!(true)));
    }
}
