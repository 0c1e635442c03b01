//! Refusals, in the envelope that every client of Meta parses.

use serde_json::{Map, Value, json};

const HELP: &str = "does not exist, cannot be loaded due to missing permissions, or does not support this operation. \
                    Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api";

/// Why Meta says no. Boxed, because it travels in every `Result` and is rarely there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal(Box<Detail>);

#[derive(Debug, Clone, PartialEq)]
struct Detail {
    http: u16,
    kind: String,
    code: i64,
    subcode: Option<i64>,
    message: String,
    transient: Option<bool>,
    title: Option<String>,
    advice: Option<String>,
    data: Option<Value>,
}

impl Refusal {
    /// A refusal as most are: HTTP 400, type `OAuthException`.
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            http: 400,
            kind: "OAuthException".to_owned(),
            code,
            subcode: None,
            message: message.into(),
            transient: None,
            title: None,
            advice: None,
            data: None,
        }))
    }

    /// Code 100 with a text of the form `(#100) text`.
    pub(crate) fn invalid(message: impl AsRef<str>) -> Self {
        Self::new(100, format!("(#100) {}", message.as_ref()))
    }

    /// A parameter that Meta requires and did not get.
    pub(crate) fn required(name: &str) -> Self {
        Self::invalid(format!("The parameter {name} is required"))
    }

    /// A rule of the ads product, with its subcode, texts for people, and the field to blame.
    pub(crate) fn rule(subcode: i64, title: &str, advice: impl Into<String>, blame: &[&str]) -> Self {
        Self::new(100, "Invalid parameter").subcode(subcode).shown(title, advice).blame(blame)
    }

    /// An object that is not there, or not for this token.
    pub(crate) fn missing(verb: &str, id: &str) -> Self {
        let message = format!("Unsupported {verb} request. Object with ID '{id}' {HELP}");
        Self::new(100, message).subcode(33).kind("GraphMethodException")
    }

    /// An edge that the node does not have.
    pub(crate) fn unknown_path(rest: &str) -> Self {
        Self::new(2500, format!("Unknown path components: /{rest}"))
    }

    /// A field that the node does not have.
    pub(crate) fn unknown_field(field: &str, node_type: &str) -> Self {
        Self::invalid(format!("Tried accessing nonexisting field ({field}) on node type ({node_type})"))
    }

    pub(crate) fn is_unknown_field(&self) -> bool {
        self.0.code == 100 && self.0.message.starts_with("(#100) Tried accessing nonexisting field")
    }

    pub(crate) fn is_unknown_path(&self) -> bool {
        self.0.code == 2500 && self.0.message.starts_with("Unknown path components")
    }

    pub(crate) fn subcode(mut self, subcode: i64) -> Self {
        self.0.subcode = Some(subcode);
        self
    }

    pub(crate) fn kind(mut self, kind: impl Into<String>) -> Self {
        self.0.kind = kind.into();
        self
    }

    pub(crate) fn message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    pub(crate) fn http(mut self, status: u16) -> Self {
        self.0.http = status;
        self
    }

    pub(crate) fn transient(mut self, transient: bool) -> Self {
        self.0.transient = Some(transient);
        self
    }

    /// Adds the texts that are meant for people.
    pub(crate) fn shown(mut self, title: &str, advice: impl Into<String>) -> Self {
        self.0.title = Some(title.to_owned());
        self.0.advice = Some(advice.into());
        self.0.transient.get_or_insert(false);
        self
    }

    /// Blames one field, given as its path. `error_data` is a JSON text, which is what the Python SDK parses.
    pub(crate) fn blame(mut self, path: &[&str]) -> Self {
        self.0.data = Some(Value::String(json!({ "blame_field_specs": [path] }).to_string()));
        self
    }

    pub(crate) fn data(mut self, data: Value) -> Self {
        self.0.data = Some(data);
        self
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> i64 {
        self.0.code
    }

    /// Whether the caller is to blame, and not a limit or Meta itself.
    pub(crate) fn is_callers(&self) -> bool {
        self.0.http < 500 && !matches!(self.0.code, 1 | 2 | 4 | 17 | 32 | 613 | 80_000..=80_014)
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.http
    }

    /// The body of the answer.
    pub(crate) fn envelope(&self, trace: &str) -> Value {
        let detail = &self.0;
        let mut error = Map::new();
        error.insert("message".to_owned(), json!(detail.message));
        error.insert("type".to_owned(), json!(detail.kind));
        error.insert("code".to_owned(), json!(detail.code));
        let optional = [
            ("error_subcode", detail.subcode.map(Value::from)),
            ("is_transient", detail.transient.map(Value::from)),
            ("error_user_title", detail.title.clone().map(Value::from)),
            ("error_user_msg", detail.advice.clone().map(Value::from)),
            ("error_data", detail.data.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                error.insert(name.to_owned(), value);
            }
        }
        error.insert("fbtrace_id".to_owned(), json!(trace));
        json!({ "error": error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_blames_its_field_in_a_json_text() {
        let refusal = Refusal::rule(1_885_272, "Budget too low", "More.", &["daily_budget"]);
        let body = refusal.envelope("A1");
        let error = &body["error"];
        assert_eq!(error["code"], 100);
        assert_eq!(error["error_subcode"], 1_885_272);
        assert_eq!(error["is_transient"], false);
        assert_eq!(error["error_data"], r#"{"blame_field_specs":[["daily_budget"]]}"#);
        assert_eq!(error["fbtrace_id"], "A1");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let body = Refusal::required("name").envelope("A1");
        let error = body["error"].as_object().unwrap();
        assert_eq!(error["message"], "(#100) The parameter name is required");
        assert!(!error.contains_key("error_subcode"));
        assert!(!error.contains_key("error_data"));
    }
}
