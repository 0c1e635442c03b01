//! Which creatives show which image: kept beside the objects, because every read of an image may ask.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{Object, Status};

/// How many hex digits an image's hash has.
const HASH_DIGITS: usize = 32;

/// Creatives by account and hash.
#[derive(Debug, Default)]
pub(super) struct Uses(HashMap<(u64, String), BTreeSet<u64>>);

impl Uses {
    /// Takes over what a creative shows now, after `old`.
    pub(super) fn note(&mut self, old: Option<&Object>, new: &Object) {
        for hash in old.map(hashes).into_iter().flatten() {
            if let Some(users) = self.0.get_mut(&(new.account, hash)) {
                users.remove(&new.id);
            }
        }
        if new.status != Status::Deleted {
            for hash in hashes(new) {
                self.0.entry((new.account, hash)).or_default().insert(new.id);
            }
        }
    }

    pub(super) fn of(&self, account: u64, hash: &str) -> impl Iterator<Item = u64> + '_ {
        self.0.get(&(account, hash.to_owned())).into_iter().flatten().copied()
    }
}

fn hashes(creative: &Object) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in creative.fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        collect(name, value, &mut found);
    }
    found
}

fn collect(name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if name.ends_with("hash") && text.len() == HASH_DIGITS => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, found)),
        Value::Object(map) => map.iter().for_each(|(name, value)| collect(name, value, found)),
        _ => {}
    }
}
