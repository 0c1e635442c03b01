//! Batches: up to 50 calls in one request, answered in its order, each counted for itself.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::body::Body;
use crate::error::Refusal;
use crate::faults::known_refusal;
use crate::params::{Params, as_boolean, as_text};
use crate::reference;
use crate::route::{File, Verb};

/// The most items of a batch.
const ITEMS_MAX: usize = 50;

/// One item, still with its references.
#[derive(Debug)]
pub(crate) struct Item {
    verb: Verb,
    address: String,
    body: String,
    name: Option<String>,
    depends_on: Option<String>,
    attached: Vec<String>,
    omit: Option<bool>,
    credentials: Params,
    if_none_match: Option<String>,
}

/// A call that an item came to, and where it stands.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) params: Params,
    pub(crate) files: Vec<File>,
    pub(crate) if_none_match: Option<String>,
}

/// What an item was answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Given {
        status: u16,
        headers: Vec<(String, String)>,
        body: Body,
    },
    /// A page where JSON should be.
    Page {
        status: u16,
        text: String,
    },
    /// Not finished; the client asks again.
    Null,
}

/// Reads the `batch` parameter.
pub(crate) fn items(params: &Params) -> Result<Vec<Item>, Refusal> {
    let Some(list) = params.list("batch")? else { return Err(Refusal::required("batch")) };
    if list.len() > ITEMS_MAX {
        return Err(too_many());
    }
    list.iter().map(item).collect()
}

/// The items of a batch that is to be worked off behind the call; `None` where it is not.
pub(crate) fn background(params: &Params) -> Result<Option<Vec<Value>>, Refusal> {
    let name = if params.has("asyncbatch") { "asyncbatch" } else { "batch" };
    if name == "batch" && !params.boolean("is_async")? {
        return Ok(None);
    }
    let list = params.list(name)?.ok_or_else(|| Refusal::required(name))?;
    if list.len() > ITEMS_MAX {
        return Err(too_many());
    }
    Ok(Some(list))
}

fn too_many() -> Refusal {
    Refusal::invalid(format!("Too many requests in batch message. Maximum batch size is {ITEMS_MAX}"))
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
    Ok(Item {
        verb,
        address,
        body: text("body").unwrap_or_default(),
        name: text("name").filter(|name| !name.is_empty()),
        depends_on: text("depends_on").filter(|name| !name.is_empty()),
        attached: text("attached_files").unwrap_or_default().split(',').map(|part| part.trim().to_owned()).collect(),
        omit: value.get("omit_response_on_success").and_then(as_boolean),
        credentials,
        if_none_match: header(value.get("headers"), "if-none-match"),
    })
}

/// Runs all items in order and gives the body of the answer.
///
/// Items that others refer to must stand before them, which is how all clients write them.
pub(crate) fn run(
    items: &[Item],
    outer: &Params,
    files: &[File],
    include_headers: bool,
    mut call: impl FnMut(Ready) -> Answer,
) -> Value {
    let mut answers: HashMap<String, Value> = HashMap::new();
    let mut failed: HashSet<String> = HashSet::new();
    let referenced: HashSet<String> = items.iter().flat_map(Item::needs).collect();
    let mut shown = Vec::with_capacity(items.len());
    for item in items {
        let ready = if item.needs().iter().any(|name| failed.contains(name)) {
            None
        } else {
            item.ready(&answers, outer, files)
        };
        let answer = ready.map_or_else(aborted, &mut call);
        let (status, headers, mut body) = match answer {
            Answer::Given { status, headers, body } => (status, headers, body),
            Answer::Page { status, text } => {
                failed.extend(item.name.clone());
                shown.push(envelope(status, &[], text, include_headers));
                continue;
            }
            Answer::Null => {
                failed.extend(item.name.clone());
                shown.push(Value::Null);
                continue;
            }
        };
        let good = status == 200;
        let is_referenced = item.name.as_ref().is_some_and(|name| referenced.contains(name));
        if let Some(name) = &item.name {
            if good {
                if is_referenced {
                    answers.insert(name.clone(), body.tree().clone());
                }
            } else {
                failed.insert(name.clone());
            }
        }
        if good && item.omit.unwrap_or(is_referenced) {
            shown.push(Value::Null);
        } else {
            shown.push(envelope(status, &headers, body.into_text(), include_headers));
        }
    }
    Value::Array(shown)
}

impl Item {
    fn needs(&self) -> Vec<String> {
        let mut names = reference::names(&self.address);
        names.extend(reference::names(&decoded(&self.body)));
        names.extend(self.depends_on.clone());
        names
    }

    /// The call that the item comes to, with what it refers to filled in; `None` where that is not there.
    pub(crate) fn ready(&self, answers: &HashMap<String, Value>, outer: &Params, files: &[File]) -> Option<Ready> {
        let address = reference::fill(&self.address, answers)?;
        let mut params = Params::default();
        for name in ["access_token", "appsecret_proof"] {
            if let Some(value) = outer.raw(name) {
                params.put(name, value.clone());
            }
        }
        let (path, query) = address.split_once('?').unwrap_or((&address, ""));
        for text in [self.body.as_str(), query] {
            for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
                params.put(&key, Value::String(reference::fill(&value, answers)?));
            }
        }
        params.merge(self.credentials.clone());
        let files = files.iter().filter(|file| self.attached.contains(&file.part)).cloned().collect();
        let if_none_match = self.if_none_match.clone();
        Some(Ready { verb: self.verb, path: path.to_owned(), params, files, if_none_match })
    }
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

/// A form body without its escapes, in which references are looked for.
fn decoded(body: &str) -> String {
    url::form_urlencoded::parse(body.as_bytes()).map(|(_, value)| value).collect::<Vec<_>>().join("&")
}

fn aborted() -> Answer {
    let body = known_refusal(960, None).envelope("A0");
    Answer::Given { status: 400, headers: Vec::new(), body: body.into() }
}

fn envelope(status: u16, headers: &[(String, String)], body: String, include_headers: bool) -> Value {
    let mut map = Map::new();
    map.insert("code".to_owned(), json!(status));
    if include_headers {
        let headers: Vec<Value> = headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        map.insert("headers".to_owned(), Value::Array(headers));
    }
    let body = if status == 304 { Value::Null } else { Value::String(body) };
    map.insert("body".to_owned(), body);
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(batch: &Value, mut call: impl FnMut(&Ready) -> (u16, Value)) -> Value {
        let mut params = Params::default();
        params.put("batch", batch.clone());
        let items = items(&params).unwrap();
        run(&items, &Params::default(), &[], true, |ready| {
            let (status, body) = call(&ready);
            Answer::Given { status, headers: Vec::new(), body: body.into() }
        })
    }

    #[test]
    fn an_item_sees_the_answer_of_another_whose_success_is_left_out() {
        let batch = json!([
            { "method": "POST", "relative_url": "act_1/campaigns", "name": "c", "body": "name=x" },
            { "method": "POST", "relative_url": "act_1/adsets", "body": "campaign_id=%7Bresult%3Dc%3A%24.id%7D" },
        ]);
        let mut seen = Vec::new();
        let answer = ran(&batch, |ready| {
            seen.push(ready.params.text("campaign_id"));
            (200, json!({ "id": "7" }))
        });
        assert_eq!(seen, [None, Some("7".to_owned())]);
        assert_eq!(answer[0], Value::Null);
        assert_eq!(answer[1]["body"], "{\"id\":\"7\"}");
    }

    #[test]
    fn what_depends_on_a_failure_is_aborted() {
        let batch = json!([
            { "method": "GET", "relative_url": "1", "name": "a" },
            { "method": "GET", "relative_url": "2", "depends_on": "a" },
        ]);
        let answer = ran(&batch, |_| (400, json!({ "error": { "code": 100 } })));
        assert_eq!(answer[0]["code"], 400);
        assert!(answer[1]["body"].as_str().unwrap().contains("960"));
    }

    #[test]
    fn more_than_fifty_items_are_refused_as_a_whole() {
        let mut params = Params::default();
        params.put("batch", json!(vec![json!({ "method": "GET", "relative_url": "me" }); 51]));
        assert_eq!(items(&params).unwrap_err().code(), 100);
    }
}
