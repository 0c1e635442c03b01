//! Reading rules: what a person wrote, or what is wrong with it and what was perhaps meant.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::action::Action;
use super::lag;
use super::matcher::Matcher;
use super::nearest::explained;
use super::storm;

/// One rule as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    pub(crate) matcher: Matcher,
    pub(crate) action: Action,
    /// After so many hits the rule is spent. What lasts from one call on (storms, dead tokens, removed versions)
    /// strikes once where no count is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

/// One rule, or a list of them. Fails with a sentence that names the word that is wrong.
pub(crate) fn read(value: Value) -> Result<Vec<Rule>, String> {
    match value {
        Value::Array(rules) => rules
            .into_iter()
            .enumerate()
            .map(|(at, rule)| one(rule).map_err(|fault| format!("rule {at}: {fault}")))
            .collect(),
        rule => one(rule).map(|rule| vec![rule]),
    }
}

fn one(value: Value) -> Result<Rule, String> {
    let Value::Object(mut map) = value else {
        return Err(r#"a rule is an object: {"matcher": {..}, "action": .., "count": ..}"#.to_owned());
    };
    // What `GET /__sandbox/faults` shows can be posted again.
    for told in ["id", "matched", "hits", "under_way"] {
        map.remove(told);
    }
    if let Some(action) = map.remove("action") {
        map.insert("action".to_owned(), spelt_out(action));
    }
    let rule: Rule = serde_json::from_value(Value::Object(map)).map_err(|error| explained(&error.to_string()))?;
    match rule.matcher.fault().or_else(|| rule.fault()) {
        Some(fault) => Err(fault),
        None => Ok(rule),
    }
}

/// `"drop"` is short for `{"drop": {}}`, and so is `{"drop": null}`.
fn spelt_out(action: Value) -> Value {
    match action {
        Value::String(name) => Value::Object(Map::from_iter([(name, Value::Object(Map::new()))])),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| (name, if value.is_null() { Value::Object(Map::new()) } else { value }))
                .collect(),
        ),
        other => other,
    }
}

impl Rule {
    fn fault(&self) -> Option<String> {
        if self.count == Some(0) {
            return Some("a count of 0 means that the rule never strikes: leave it out or count from 1".to_owned());
        }
        match &self.action {
            Action::Http { status, .. } => status_fault(*status),
            Action::Error(error) => error.status.and_then(status_fault),
            Action::ThrottleStorm { code, seconds, calls, .. } => storm::fault(*code, *seconds, *calls),
            Action::StuckReport { percent } if *percent > 99 => {
                Some("percent goes from 0 to 99; for a false 100 there is false_report".to_owned())
            }
            Action::LaggingReads { seconds } if !(1..=lag::SECONDS_MAX).contains(seconds) => {
                Some(format!("seconds of lagging_reads go from 1 to {}", lag::SECONDS_MAX))
            }
            Action::FalseReport { seconds } | Action::LateRows { seconds } if *seconds < 1 => {
                Some("seconds count from 1".to_owned())
            }
            Action::TooMuchData { limit_max } if *limit_max < 0 => Some("limit_max counts from 0".to_owned()),
            Action::TimeoutThenCommit { commit_seconds, .. } if *commit_seconds < 0 => {
                Some("commit_seconds counts from 0".to_owned())
            }
            Action::DeadToken { code, .. } if !matches!(code, 190 | 102) => {
                Some("a dead token is told so by code 190 or 102".to_owned())
            }
            Action::ExpiredCursors { code } if !matches!(code, 100 | 2642) => {
                Some("an expired cursor is refused by code 100 or 2642".to_owned())
            }
            _ => None,
        }
    }
}

fn status_fault(status: u16) -> Option<String> {
    (!(200..=599).contains(&status)).then(|| format!("status {status} is no HTTP status: write 200 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_mistyped_is_named_with_what_was_perhaps_meant() {
        for (rule, given, meant) in [
            (json!({ "acton": "drop" }), "acton", "action"),
            (json!({ "action": "dorp" }), "dorp", "drop"),
            (json!({ "action": { "timeout_aftercommit": {} } }), "timeout_aftercommit", "timeout_after_commit"),
            (json!({ "matcher": { "pth": "x" }, "action": "drop" }), "pth", "path"),
            (json!({ "matcher": { "method": "PSOT" }, "action": "drop" }), "PSOT", "POST"),
            (json!({ "action": { "error": { "code": 2, "sub_code": 1 } } }), "sub_code", "subcode"),
            (json!({ "action": { "http": { "stauts": 500 } } }), "stauts", "status"),
            (json!({ "action": { "throttle_storm": { "code": 17, "second": 9 } } }), "second", "seconds"),
        ] {
            let fault = read(rule.clone()).unwrap_err();
            assert!(fault.contains(&format!("`{given}`")), "{rule}: {fault}");
            assert!(fault.ends_with(&format!("did you mean `{meant}`?")), "{rule}: {fault}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (rule, hint) in [
            (json!({ "action": { "http": { "status": 42 } } }), "200 to 599"),
            (json!({ "action": { "throttle_storm": { "code": 17 } } }), "seconds or calls"),
            (json!({ "action": { "throttle_storm": { "code": 100, "calls": 1 } } }), "80000"),
            (json!({ "action": { "removed_version": { "version": "new" } } }), "v26.0"),
            (json!({ "action": { "stuck_report": { "percent": 100 } } }), "false_report"),
            (json!({ "action": { "lagging_reads": { "seconds": 0 } } }), "from 1"),
            (json!({ "action": { "dead_token": { "code": 100 } } }), "190 or 102"),
            (json!({ "matcher": { "probability": 1.5 }, "action": "drop" }), "0 to 1"),
            (json!({ "matcher": { "nth": 0 }, "action": "drop" }), "from 1"),
            (json!({ "matcher": { "account": "act_x" }, "action": "drop" }), "act_"),
            (json!({ "action": "drop", "count": 0 }), "never strikes"),
            (json!([{ "action": "drop" }, { "action": "explode" }]), "rule 1"),
            (json!("drop"), "a rule is an object"),
        ] {
            let fault = read(rule.clone()).unwrap_err();
            assert!(fault.contains(hint), "{rule}: {fault}");
        }
    }

    /// The page that people copy from.
    const PAGE: &str = include_str!("../../README.md");

    #[test]
    fn every_action_that_the_page_shows_is_read() {
        let rows = PAGE.lines().skip_while(|line| !line.starts_with("| action |")).skip(2);
        let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1));
        let mut names = std::collections::BTreeSet::new();
        for shown in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
            let action = serde_json::from_str(shown).unwrap_or_else(|_| Value::String(shown.to_owned()));
            let bare = !action.is_object();
            match read(json!({ "action": action })) {
                Ok(rules) => names.extend(json!(rules[0].action).as_object().unwrap().keys().cloned()),
                // A name alone stands for the parameters of its neighbour.
                Err(fault) => assert!(bare && fault.contains("missing field"), "{shown}: {fault}"),
            }
        }
        assert!(names.len() >= 20, "{names:?}");
    }

    #[test]
    fn an_action_without_parameters_may_be_a_word() {
        for action in [json!("drop"), json!({ "drop": null }), json!({ "drop": {} })] {
            assert_eq!(read(json!({ "action": action })).unwrap()[0].action, Action::Drop {});
        }
        let rules = read(json!({ "action": "timeout_after_commit" })).unwrap();
        assert_eq!(rules[0].action, Action::TimeoutAfterCommit { seconds: 60 });
    }
}
