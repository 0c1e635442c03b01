//! One item of a batch: as it was written, and the call that it comes to.

use std::collections::HashMap;

use serde_json::Value;

use super::Ready;
use crate::error::Refusal;
use crate::params::{Params, as_boolean, as_list, as_text};
use crate::reference;
use crate::route::{File, Verb};

/// One item, still with its references.
#[derive(Debug)]
pub(crate) struct Item {
    verb: Verb,
    path: String,
    /// Parameters of the body, then of the address, which win.
    pairs: Vec<(String, String)>,
    pub(super) name: Option<String>,
    depends_on: Option<String>,
    attached: Vec<String>,
    pub(super) omit: Option<bool>,
    credentials: Params,
    if_none_match: Option<String>,
}

/// Reads one item.
pub(crate) fn item(value: &Value) -> Result<Item, Refusal> {
    let text = |name: &str| value.get(name).filter(|value| !value.is_null()).map(as_text);
    let verb = match text("method").unwrap_or_default().to_ascii_uppercase().as_str() {
        "GET" => Verb::Get,
        "POST" => Verb::Post,
        "DELETE" => Verb::Delete,
        _ => return Err(Refusal::invalid("Each batch item must have a method of GET, POST or DELETE")),
    };
    let Some(address) = text("relative_url") else { return Err(Refusal::required("relative_url")) };
    let mut credentials = Params::default();
    for name in ["access_token", "appsecret_proof"] {
        if let Some(given) = text(name) {
            credentials.put(name, Value::String(given));
        }
    }
    let (path, query) = address.split_once('?').unwrap_or((&address, ""));
    let mut pairs = parsed(&text("body").unwrap_or_default());
    pairs.extend(parsed(query));
    let attached = value.get("attached_files").and_then(as_list).unwrap_or_default();
    Ok(Item {
        verb,
        path: relative(path),
        pairs,
        name: text("name").filter(|name| !name.is_empty()),
        depends_on: text("depends_on").filter(|name| !name.is_empty()),
        attached: attached.iter().map(|part| as_text(part).trim().to_owned()).collect(),
        omit: value.get("omit_response_on_success").and_then(as_boolean),
        credentials,
        if_none_match: header(value.get("headers"), "if-none-match"),
    })
}

impl Item {
    /// The names of the items that this one waits for.
    pub(super) fn needs(&self) -> Vec<String> {
        let mut names = reference::names(&self.path);
        names.extend(self.pairs.iter().flat_map(|(_, value)| reference::names(value)));
        names.extend(self.depends_on.clone());
        names
    }

    /// The token that the item brings itself.
    pub(super) fn token(&self) -> Option<String> {
        let own = self.credentials.text("access_token");
        own.or_else(|| self.pairs.iter().rev().find(|(key, _)| key == "access_token").map(|(_, value)| value.clone()))
    }

    /// The call that the item comes to, with what it refers to filled in; `None` where that is not there.
    pub(crate) fn ready(&self, answers: &HashMap<String, Value>, outer: &Params, files: &[File]) -> Option<Ready> {
        let path = reference::fill(&self.path, answers)?;
        let mut params = Params::default();
        for name in ["access_token", "appsecret_proof"] {
            if let Some(value) = outer.raw(name) {
                params.put(name, value.clone());
            }
        }
        for (key, value) in &self.pairs {
            params.put(key, Value::String(reference::fill(value, answers)?));
        }
        params.merge(self.credentials.clone());
        let files = files.iter().filter(|file| self.attached.contains(&file.part)).cloned().collect();
        let if_none_match = self.if_none_match.clone();
        Some(Ready { at: 0, verb: self.verb, path, params, files, if_none_match })
    }
}

/// The path without scheme and host, which some clients write, and with its references readable.
fn relative(path: &str) -> String {
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => path,
    };
    if !path.contains("%7B") && !path.contains("%7b") {
        return path.to_owned();
    }
    let kept = path.replace('+', "%2B");
    url::form_urlencoded::parse(kept.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

/// Names and values of a form. The Node SDK escapes nothing, so a text that holds what escaping never leaves is split
/// at its signs alone, and a plus in it is a plus.
fn parsed(text: &str) -> Vec<(String, String)> {
    let is_plain = text.contains(['{', '}', '"', ' ', '<', '>', '|', '\\']) && !has_escapes(text);
    if !is_plain {
        return url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    }
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn has_escapes(text: &str) -> bool {
    let after = text.split('%').skip(1);
    after.into_iter().any(|rest| rest.chars().take(2).filter(char::is_ascii_hexdigit).count() == 2)
}

/// A header of an item, from a list of lines or of names and values.
fn header(headers: Option<&Value>, wanted: &str) -> Option<String> {
    headers?.as_array()?.iter().find_map(|header| {
        let (name, value) = match header {
            Value::String(line) => line.split_once(':')?,
            other => (other.get("name")?.as_str()?, other.get("value")?.as_str()?),
        };
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ready(value: &Value) -> Ready {
        item(value).unwrap().ready(&HashMap::new(), &Params::default(), &[]).unwrap()
    }

    #[test]
    fn a_body_is_read_with_and_without_escapes() {
        for (body, name, value) in [
            ("name=a%20b+c", "name", "a b c"),
            ("name=a+b&targeting={\"age_min\":18}", "name", "a+b"),
            ("name=a+b&targeting={\"age_min\":18}", "targeting", "{\"age_min\":18}"),
            ("link=https://x.example/?a=1 2", "link", "https://x.example/?a=1 2"),
            ("name=100%25", "name", "100%"),
            ("name=100% cotton", "name", "100% cotton"),
        ] {
            let item = json!({ "method": "POST", "relative_url": "act_1/ads", "body": body });
            assert_eq!(ready(&item).params.text(name).as_deref(), Some(value), "{body}");
        }
    }

    #[test]
    fn an_address_may_be_whole_and_its_references_escaped() {
        let whole = json!({ "method": "GET", "relative_url": "https://graph.facebook.com/v26.0/act_1?fields=id" });
        let call = ready(&whole);
        assert_eq!((call.path.as_str(), call.params.text("fields").as_deref()), ("v26.0/act_1", Some("id")));
        let escaped =
            json!({ "method": "GET", "relative_url": "%7Bresult%3Da%3A%24.id%7D?ids=%7Bresult%3Db%3A%24.id%7D" });
        assert_eq!(item(&escaped).unwrap().needs(), ["a", "b"]);
    }

    #[test]
    fn a_value_that_is_filled_in_does_not_split_the_call() {
        let answers = HashMap::from([("a".to_owned(), json!({ "link": "https://x.example/?a=1&b=2#c" }))]);
        let item = item(&json!({ "method": "GET", "relative_url": "me?link={result=a:$.link}&fields=id" })).unwrap();
        let call = item.ready(&answers, &Params::default(), &[]).unwrap();
        assert_eq!(call.params.text("link").as_deref(), Some("https://x.example/?a=1&b=2#c"));
        assert_eq!(call.params.text("fields").as_deref(), Some("id"));
    }

    #[test]
    fn files_and_headers_come_in_both_of_their_forms() {
        let file = |part: &str| File { part: part.to_owned(), name: "n".to_owned(), bytes: bytes::Bytes::new() };
        for attached in [json!("one, two"), json!(["one", "two"])] {
            let item = item(&json!({ "method": "POST", "relative_url": "me", "attached_files": attached })).unwrap();
            let call =
                item.ready(&HashMap::new(), &Params::default(), &[file("one"), file("two"), file("three")]).unwrap();
            assert_eq!(call.files.len(), 2);
        }
        for headers in [json!(["If-None-Match: \"x\""]), json!([{ "name": "if-none-match", "value": "\"x\"" }])] {
            let item = json!({ "method": "GET", "relative_url": "me", "headers": headers });
            assert_eq!(ready(&item).if_none_match.as_deref(), Some("\"x\""));
        }
    }
}
