//! Faults on demand: rules that make a call fail in a chosen way.

use serde::{Deserialize, Serialize};

use crate::error::Refusal;

/// How long a call that times out is held, unless the rule says otherwise.
fn hold_default() -> u64 {
    60
}

/// One rule. All parts of the matcher that are given must fit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    pub(crate) matcher: Matcher,
    pub(crate) action: Action,
    /// After so many hits the rule is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// How often it matched so far.
    #[serde(default)]
    pub(crate) matched: u64,
    /// How often it struck so far.
    #[serde(default)]
    pub(crate) hits: u64,
}

/// Which calls a rule is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Matcher {
    /// `GET`, `POST` or `DELETE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// A part of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// Only the n-th matching call, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nth: Option<u64>,
    /// Every n-th matching call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<u64>,
}

/// What happens to the call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// A Graph error; nothing is done.
    Error {
        code: i64,
        #[serde(default)]
        subcode: Option<i64>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        is_transient: Option<bool>,
        #[serde(default)]
        status: Option<u16>,
    },
    /// A bare HTTP status with a page instead of JSON; nothing is done.
    Http { status: u16 },
    /// The connection ends without an answer; nothing is done.
    Drop,
    /// The call is held and then dropped; nothing is done.
    TimeoutBeforeCommit {
        #[serde(default = "hold_default")]
        seconds: u64,
    },
    /// The call is done, held and then dropped.
    TimeoutAfterCommit {
        #[serde(default = "hold_default")]
        seconds: u64,
    },
    /// The call is held and dropped, and done so much later by the sandbox's clock.
    TimeoutThenCommit {
        #[serde(default = "hold_default")]
        seconds: u64,
        commit_seconds: i64,
    },
}

impl Action {
    /// The refusal of an `Error` action.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let Self::Error { code, subcode, message, is_transient, status } = self else { return None };
        let text = message.clone().unwrap_or_else(|| format!("(#{code}) A fault on demand"));
        let mut refusal = Refusal::new(*code, text);
        if let Some(subcode) = subcode {
            refusal = refusal.subcode(*subcode);
        }
        if let Some(transient) = is_transient {
            refusal = refusal.transient(*transient);
        }
        Some(refusal.http(status.unwrap_or(if matches!(code, 1 | 2) { 500 } else { 400 })))
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Rule>);

impl Faults {
    pub(crate) fn set(&mut self, rules: Vec<Rule>) {
        self.0 = rules;
    }

    pub(crate) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// The action of the first rule that strikes this call.
    pub(crate) fn strike(&mut self, method: &str, path: &str) -> Option<Action> {
        for rule in &mut self.0 {
            let fits = rule.matcher.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && rule.matcher.path.as_ref().is_none_or(|part| path.contains(part.as_str()));
            if !fits || rule.count.is_some_and(|count| rule.hits >= count) {
                continue;
            }
            rule.matched += 1;
            let turn = rule.matcher.nth.is_none_or(|nth| rule.matched == nth)
                && rule.matcher.every.is_none_or(|every| every != 0 && rule.matched.is_multiple_of(every));
            if turn {
                rule.hits += 1;
                return Some(rule.action.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(rule: serde_json::Value) -> Faults {
        let mut faults = Faults::default();
        faults.add(serde_json::from_value(rule).unwrap());
        faults
    }

    #[test]
    fn the_nth_matching_call_is_struck_once() {
        let mut faults = faults(json!({
            "matcher": { "method": "POST", "path": "/campaigns", "nth": 2 }, "action": { "http": { "status": 500 } },
        }));
        let mut hits = |method: &str, path: &str| faults.strike(method, path).is_some();
        assert!(!hits("GET", "/v26.0/act_1/campaigns"));
        assert!(!hits("POST", "/v26.0/act_1/campaigns"));
        assert!(hits("POST", "/v26.0/act_1/campaigns"));
        assert!(!hits("POST", "/v26.0/act_1/campaigns"));
    }

    #[test]
    fn every_second_call_is_struck_until_the_count_is_spent() {
        let mut faults = faults(json!({ "matcher": { "every": 2 }, "action": "drop", "count": 2 }));
        let struck: Vec<bool> = (0..8).map(|_| faults.strike("GET", "/me").is_some()).collect();
        assert_eq!(struck, [false, true, false, true, false, false, false, false]);
    }

    #[test]
    fn an_unknown_action_is_no_rule() {
        assert!(serde_json::from_value::<Rule>(json!({ "action": "explode" })).is_err());
    }
}
