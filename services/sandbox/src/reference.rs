//! References of batch items to the answers of others: `{result=name:$.data.*.id}`.

use std::collections::HashMap;

use serde_json::Value;

use crate::params::as_text;

const OPEN: &str = "{result=";

/// The names that a text refers to.
pub(crate) fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(OPEN) {
        let (inside, next) = after.split_once('}').unwrap_or((after, ""));
        names.push(inside.split(':').next().unwrap_or_default().to_owned());
        rest = next;
    }
    names
}

/// The text with all references filled in; `None` where one of them leads nowhere.
pub(crate) fn fill(text: &str, answers: &HashMap<String, Value>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (inside, next) = after.split_once('}')?;
        let (name, path) = inside.split_once(':')?;
        let hits = select(answers.get(name)?, path)?;
        out.push_str(before);
        out.push_str(&hits.iter().map(|hit| as_text(hit)).collect::<Vec<_>>().join(","));
        rest = next;
    }
    out.push_str(rest);
    Some(out)
}

/// The small part of JSONPath that Meta takes: `$`, `.name`, `.*`, `[n]`, `[*]`, `['name']`.
fn select<'a>(root: &'a Value, path: &str) -> Option<Vec<&'a Value>> {
    let steps = path.trim().strip_prefix('$')?.replace('[', ".").replace([']', '\'', '"'], "");
    let mut hits = vec![root];
    for step in steps.split('.').filter(|step| !step.is_empty()) {
        hits = hits
            .into_iter()
            .flat_map(|value| match (step, value) {
                ("*", Value::Array(items)) => items.iter().collect(),
                ("*", Value::Object(map)) => map.values().collect(),
                (_, Value::Array(items)) => step.parse().ok().and_then(|at: usize| items.get(at)).into_iter().collect(),
                _ => value.get(step).into_iter().collect::<Vec<_>>(),
            })
            .collect();
    }
    (!hits.is_empty()).then_some(hits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_found_and_filled() {
        let text = "ids={result=list:$.data.*.id}&x={result=one:$.images[a].hash}";
        assert_eq!(names(text), ["list", "one"]);
        let answers = HashMap::from([
            ("list".to_owned(), json!({ "data": [{ "id": "1" }, { "id": "2" }] })),
            ("one".to_owned(), json!({ "images": { "a": { "hash": "h" } } })),
        ]);
        assert_eq!(fill(text, &answers).unwrap(), "ids=1,2&x=h");
        for path in ["$.data[*].id", "$['data'].*.id", "$.data.*['id']"] {
            assert_eq!(fill(&format!("{{result=list:{path}}}"), &answers).unwrap(), "1,2", "{path}");
        }
        assert_eq!(fill("{result=list:$.data[1].id}", &answers).unwrap(), "2");
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_told() {
        let answers = HashMap::from([("one".to_owned(), json!({ "id": "1" }))]);
        assert_eq!(fill("{result=two:$.id}", &answers), None);
        assert_eq!(fill("{result=one:$.name}", &answers), None);
    }
}
