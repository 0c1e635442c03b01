//! Parameters, however they came: query, form, JSON body or multipart, merged.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::loose;

/// A parameter's deepest nesting in the style `time_range[since]=..`; deeper keys are taken as plain names.
const NESTING_MAX: usize = 8;

/// The parameters of one call. Values are text, or JSON where the body was JSON; the accessors take both.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Params(BTreeMap<String, Value>);

impl Params {
    /// From a query string or a form body.
    pub(crate) fn from_form(text: &str) -> Self {
        let mut params = Self::default();
        for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
            params.put(&key, Value::String(value.into_owned()));
        }
        params
    }

    /// From a JSON body. `null` members mean nothing, as the Node SDK sends them freely.
    pub(crate) fn from_map(map: Map<String, Value>) -> Self {
        Self(map.into_iter().filter(|(_, value)| !value.is_null()).collect())
    }

    /// Adds one value; `a[b]` and `a[]` nest.
    pub(crate) fn put(&mut self, key: &str, value: Value) {
        if !key.contains('[') {
            self.0.insert(key.to_owned(), value);
            return;
        }
        let keys = split_key(key);
        let Some((first, rest)) = keys.split_first() else { return };
        if rest.is_empty() || rest.len() > NESTING_MAX {
            self.0.insert(key.to_owned(), value);
            return;
        }
        nest(self.0.entry((*first).to_owned()).or_insert(Value::Null), rest, value);
    }

    /// Takes over all of `other`, which wins.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// As text; JSON values as JSON text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(as_text)
    }

    /// As text that is there and not empty.
    pub(crate) fn required(&self, name: &str) -> Result<String, Refusal> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| Refusal::required(name))
    }

    /// As JSON; a text is parsed.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => {
                loose::parse(text).map(Some).ok_or_else(|| Refusal::invalid(format!("Param {name} must be valid JSON")))
            }
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// As a list: JSON, or words with commas between.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<Value>>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        as_list(value).map(Some).ok_or_else(|| Refusal::invalid(format!("Param {name} must be an array.")))
    }

    /// As a list of words.
    pub(crate) fn words(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        Ok(self.list(name)?.map(|values| values.iter().map(as_text).collect()))
    }

    /// As an integer, also from digits in text.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => {
                as_integer(value).map(Some).ok_or_else(|| Refusal::invalid(format!("Param {name} must be an integer")))
            }
        }
    }

    /// As a boolean; what is not there is `false`.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Refusal> {
        match self.0.get(name) {
            None => Ok(false),
            Some(value) => as_boolean(value).ok_or_else(|| Refusal::invalid(format!("Param {name} must be a boolean"))),
        }
    }
}

/// Any value as text; JSON values as JSON text.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(crate) fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(crate) fn as_boolean(value: &Value) -> Option<bool> {
    match as_text(value).as_str() {
        "true" | "1" | "True" => Some(true),
        "false" | "0" | "False" => Some(false),
        _ => None,
    }
}

/// A list from JSON, from JSON in text, or from words with commas between.
pub(crate) fn as_list(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.clone()),
        Value::String(text) => match loose::parse(text) {
            Some(Value::Array(items)) => Some(items),
            Some(Value::Object(_)) => None,
            _ if text.trim().is_empty() => Some(Vec::new()),
            _ => Some(text.split(',').map(|word| Value::String(word.trim().to_owned())).collect()),
        },
        Value::Number(_) => Some(vec![value.clone()]),
        // PHP style `a[0]=x&a[1]=y` arrives as an object of digits.
        Value::Object(map) if map.keys().all(|key| key.parse::<u32>().is_ok()) => {
            let mut items: Vec<(u32, &Value)> =
                map.iter().filter_map(|(key, value)| Some((key.parse().ok()?, value))).collect();
            items.sort_by_key(|(key, _)| *key);
            Some(items.into_iter().map(|(_, value)| value.clone()).collect())
        }
        _ => None,
    }
}

fn split_key(key: &str) -> Vec<&str> {
    match key.split_once('[') {
        Some((head, tail)) if key.ends_with(']') && !head.is_empty() => {
            std::iter::once(head).chain(tail.trim_end_matches(']').split("][")).collect()
        }
        _ => vec![key],
    }
}

fn nest(into: &mut Value, keys: &[&str], value: Value) {
    let Some((first, rest)) = keys.split_first() else {
        *into = value;
        return;
    };
    if first.is_empty() {
        if !into.is_array() {
            *into = Value::Array(Vec::new());
        }
        if let Value::Array(items) = into {
            let mut item = Value::Null;
            nest(&mut item, rest, value);
            items.push(item);
        }
        return;
    }
    // PHP counts the items of its lists: `ids[0]=1&ids[1]=2`.
    if let (Ok(at), Value::Null | Value::Array(_)) = (first.parse::<usize>(), &into) {
        let mut items = into.as_array_mut().map(std::mem::take).unwrap_or_default();
        if at <= items.len() {
            if at == items.len() {
                items.push(Value::Null);
            }
            if let Some(item) = items.get_mut(at) {
                nest(item, rest, value);
            }
            *into = Value::Array(items);
            return;
        }
        *into = Value::Array(items);
    }
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(map) = into {
        nest(map.entry((*first).to_owned()).or_insert(Value::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_come_as_json_or_with_commas() {
        let params = Params::from_form("a=%5B%22x%22%2C%22y%22%5D&b=x,y");
        assert_eq!(params.words("a").unwrap(), params.words("b").unwrap());
    }

    #[test]
    fn php_style_keys_nest() {
        let params = Params::from_form("time_range[since]=2026-01-01&time_range[until]=2026-01-02&ids[]=1&ids[]=2");
        assert_eq!(params.json("time_range").unwrap(), Some(json!({"since": "2026-01-01", "until": "2026-01-02"})));
        assert_eq!(params.words("ids").unwrap().unwrap(), ["1", "2"]);
    }

    #[test]
    fn php_style_lists_are_lists_however_deep() {
        let params = Params::from_form(
            "targeting[geo_locations][countries][0]=US&targeting[geo_locations][countries][1]=CA\
             &targeting[interests][0][id]=6&targeting[interests][0][name]=Tea&filtering[0][field]=name&odd[7]=x&odd[3]=y",
        );
        let targeting =
            json!({ "geo_locations": { "countries": ["US", "CA"] }, "interests": [{ "id": "6", "name": "Tea" }] });
        assert_eq!(params.json("targeting").unwrap(), Some(targeting));
        assert_eq!(params.list("filtering").unwrap(), Some(vec![json!({ "field": "name" })]));
        assert_eq!(params.words("odd").unwrap().unwrap(), ["y", "x"]);
    }

    #[test]
    fn integers_and_booleans_are_read_from_text_too() {
        let params = Params::from_form("n=12&yes=1&no=false&bad=x");
        assert_eq!(params.integer("n").unwrap(), Some(12));
        assert!(params.boolean("yes").unwrap());
        assert!(!params.boolean("no").unwrap());
        assert_eq!(params.integer("bad").unwrap_err().code(), 100);
    }

    #[test]
    fn null_members_of_a_json_body_mean_nothing() {
        let Value::Object(map) = json!({"a": null, "b": 1}) else { unreachable!() };
        let params = Params::from_map(map);
        assert!(!params.has("a"));
        assert_eq!(params.integer("b").unwrap(), Some(1));
    }
}
