//! What was done in an account, as `activities` tells it.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many activities an account keeps; the oldest go first.
const KEPT_MAX: usize = 100_000;

/// One thing that was done to one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) account: u64,
    pub(crate) at: Timestamp,
    /// Meta's word for it: `update_ad_set_budget`.
    pub(crate) event: String,
    pub(crate) object: u64,
    /// As the object was called then.
    pub(crate) object_name: String,
    #[serde(default)]
    pub(crate) actor: Actor,
    /// `old_value`, `new_value` and the like.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) extra: Value,
}

/// Who does something: a person by an app. Both 0: Meta itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Actor {
    pub(crate) person: u64,
    pub(crate) app: u64,
}

/// The activities of all accounts, oldest first, each with a number by which pages go on.
#[derive(Debug, Default)]
pub(super) struct Activities(HashMap<u64, VecDeque<(u64, Activity)>>);

impl Activities {
    pub(super) fn push(&mut self, number: u64, activity: Activity) {
        let all = self.0.entry(activity.account).or_default();
        if all.len() >= KEPT_MAX {
            all.pop_front();
        }
        all.push_back((number, activity));
    }

    /// Forgets those with a higher number.
    pub(super) fn forget_since(&mut self, number: u64) {
        for all in self.0.values_mut() {
            while all.back().is_some_and(|(own, _)| *own > number) {
                all.pop_back();
            }
        }
    }

    pub(super) fn of(&self, account: u64) -> impl DoubleEndedIterator<Item = &(u64, Activity)> {
        self.0.get(&account).into_iter().flatten()
    }
}
