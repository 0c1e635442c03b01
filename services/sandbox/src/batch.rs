//! Batches: up to 50 calls in one request, answered in its order, each counted for itself.

mod item;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::body::Body;
use crate::error::Refusal;
use crate::faults::known_refusal;
use crate::params::Params;
use crate::route::{File, Verb};

pub(crate) use item::{Item, item};

/// The most items of a batch.
const ITEMS_MAX: usize = 50;

/// A call that an item came to, and where it stands.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Its place in the batch, from 0.
    pub(crate) at: usize,
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

/// Runs all items, each after those that it waits for, and gives the body of the answer in the order of the request.
pub(crate) fn run(
    items: &[Item],
    outer: &Params,
    files: &[File],
    include_headers: bool,
    trace: impl Fn() -> String,
    mut call: impl FnMut(Ready) -> Answer,
) -> Value {
    let mut answers: HashMap<String, Value> = HashMap::new();
    let mut failed: HashSet<String> = HashSet::new();
    let referenced: HashSet<String> = items.iter().flat_map(Item::needs).collect();
    let outer = with_token(outer, items);
    let mut shown: Vec<(usize, Value)> = Vec::with_capacity(items.len());
    for (at, item) in in_turn(items) {
        let waits_in_vain = item.needs().iter().any(|name| failed.contains(name));
        let ready = if waits_in_vain { None } else { item.ready(&answers, &outer, files) };
        let answer = ready.map_or_else(|| aborted(&trace()), |ready| call(Ready { at, ..ready }));
        let (status, headers, mut body) = match answer {
            Answer::Given { status, headers, body } => (status, headers, body),
            Answer::Page { status, text } => {
                failed.extend(item.name.clone());
                shown.push((at, envelope(status, &[], text, include_headers)));
                continue;
            }
            Answer::Null => {
                failed.extend(item.name.clone());
                shown.push((at, Value::Null));
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
            shown.push((at, Value::Null));
        } else {
            shown.push((at, envelope(status, &headers, body.into_text(), include_headers)));
        }
    }
    shown.sort_by_key(|(at, _)| *at);
    shown.into_iter().map(|(_, value)| value).collect()
}

/// The items with their places, each after those whose names it needs. What waits in a circle stands last, and fails.
fn in_turn(items: &[Item]) -> Vec<(usize, &Item)> {
    let mut left: Vec<(usize, &Item)> = items.iter().enumerate().collect();
    let mut turns = Vec::with_capacity(items.len());
    while !left.is_empty() {
        let free = left.iter().position(|(at, item)| {
            let needs = item.needs();
            !left.iter().any(|(other, it)| other != at && it.name.as_ref().is_some_and(|name| needs.contains(name)))
        });
        turns.push(left.remove(free.unwrap_or_default()));
    }
    turns
}

/// What the items take over from the request. Where that has no token, it is the one of the first item.
fn with_token(outer: &Params, items: &[Item]) -> Params {
    let mut outer = outer.clone();
    if let Some(token) = items.first().and_then(Item::token).filter(|_| !outer.has("access_token")) {
        outer.put("access_token", Value::String(token));
    }
    outer
}

fn aborted(trace: &str) -> Answer {
    let body = known_refusal(960, None).envelope(trace);
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
        run(
            &items,
            &Params::default(),
            &[],
            true,
            || "A1".to_owned(),
            |ready| {
                let (status, body) = call(&ready);
                Answer::Given { status, headers: Vec::new(), body: body.into() }
            },
        )
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
    fn an_item_runs_after_the_later_one_that_it_waits_for() {
        let batch = json!([
            { "method": "GET", "relative_url": "{result=b:$.id}" },
            { "method": "GET", "relative_url": "2", "name": "b", "depends_on": "c", "omit_response_on_success": false },
            { "method": "GET", "relative_url": "3", "name": "c" },
        ]);
        let mut seen = Vec::new();
        let answer = ran(&batch, |ready| {
            seen.push((ready.at, ready.path.clone()));
            (200, json!({ "id": format!("of {}", ready.path) }))
        });
        assert_eq!(seen, [(2, "3".to_owned()), (1, "2".to_owned()), (0, "of 2".to_owned())]);
        assert_eq!((answer[0]["code"].as_i64(), answer[1]["code"].as_i64()), (Some(200), Some(200)));
        assert_eq!(answer[2], Value::Null);
    }

    #[test]
    fn what_waits_in_a_circle_or_for_nobody_is_aborted() {
        let batch = json!([
            { "method": "GET", "relative_url": "{result=b:$.id}", "name": "a" },
            { "method": "GET", "relative_url": "{result=a:$.id}", "name": "b" },
            { "method": "GET", "relative_url": "{result=nobody:$.id}" },
        ]);
        let answer = ran(&batch, |_| (200, json!({ "id": "1" })));
        assert!(
            answer.as_array().unwrap().iter().all(|item| item["body"].as_str().unwrap().contains("960")),
            "{answer}"
        );
    }

    #[test]
    fn a_name_that_nobody_waits_for_changes_nothing() {
        let batch = json!([
            { "method": "POST", "relative_url": "act_1/campaigns", "name": "x y", "body": "name=x y" },
            { "method": "POST", "relative_url": "act_1/campaigns", "name": "x y", "body": "name=x y" },
        ]);
        let answer = ran(&batch, |ready| (200, json!({ "id": ready.params.text("name") })));
        assert_eq!((&answer[0]["body"], &answer[1]["body"]), (&json!("{\"id\":\"x y\"}"), &json!("{\"id\":\"x y\"}")));
    }

    #[test]
    fn the_token_of_the_first_item_serves_those_without() {
        let batch = json!([
            { "method": "GET", "relative_url": "me?access_token=one" },
            { "method": "GET", "relative_url": "me" },
            { "method": "GET", "relative_url": "me", "access_token": "two" },
        ]);
        let mut tokens = Vec::new();
        ran(&batch, |ready| {
            tokens.push(ready.params.text("access_token").unwrap());
            (200, json!({}))
        });
        assert_eq!(tokens, ["one", "one", "two"]);
    }

    #[test]
    fn more_than_fifty_items_are_refused_as_a_whole() {
        let mut params = Params::default();
        params.put("batch", json!(vec![json!({ "method": "GET", "relative_url": "me" }); 51]));
        assert_eq!(items(&params).unwrap_err().code(), 100);
    }
}
