//! A table of a world file, read member by member, with every fault told at its path.

use std::cell::RefCell;

use serde_json::{Map, Value};

/// All faults found so far, each with its path.
pub(super) type Faults = RefCell<Vec<String>>;

/// A table that is being read. What is left over at the end is a fault.
#[derive(Debug)]
pub(super) struct Table<'a> {
    path: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
    faults: &'a Faults,
}

impl<'a> Table<'a> {
    pub(super) fn new(path: String, value: Value, faults: &'a Faults) -> Self {
        let members = match value {
            Value::Object(members) => members,
            other => {
                faults.borrow_mut().push(format!("{}: must be a table, not {other}", shown(&path)));
                Map::new()
            }
        };
        Self { path, members, known: Vec::new(), faults }
    }

    pub(super) fn fault(&self, name: &str, text: impl AsRef<str>) {
        self.faults.borrow_mut().push(format!("{}: {}", self.path_of(name), text.as_ref()));
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if !text.is_empty() => Some(text),
            other => {
                self.fault(name, format!("must be a text, not {other}"));
                None
            }
        }
    }

    /// One of some words.
    pub(super) fn word(&mut self, name: &'static str, words: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        self.fault(name, format!("{text:?} is none of {}", words.join(", ")));
        None
    }

    pub(super) fn integer(&mut self, name: &'static str, least: i64, most: i64) -> Option<i64> {
        let value = self.take(name)?;
        match value.as_i64() {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.fault(name, format!("must be a whole number from {least} to {most}, not {value}"));
                None
            }
        }
    }

    /// How often something is to be there; once unless it is said.
    pub(super) fn count(&mut self, name: &'static str, most: i64) -> u64 {
        self.integer(name, 1, most).and_then(|count| u64::try_from(count).ok()).unwrap_or(1)
    }

    /// An id: digits, as text or as a number, or `act_` and digits.
    pub(super) fn id(&mut self, name: &'static str) -> Option<u64> {
        let value = self.take(name)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let id = text.strip_prefix("act_").unwrap_or(&text).parse().ok().filter(|&id| id > 0);
        if id.is_none() {
            self.fault(name, format!("must be an id, such as \"1000000000001\", not {value}"));
        }
        id
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let value = self.take(name)?;
        let texts = value.as_array().map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        match texts {
            Some(Some(texts)) => Some(texts),
            _ => {
                self.fault(name, format!("must be a list of texts, not {value}"));
                None
            }
        }
    }

    /// The tables of a list, each read by `read`.
    pub(super) fn rows<T>(&mut self, name: &'static str, mut read: impl FnMut(&mut Table<'a>) -> T) -> Vec<T> {
        let items = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.fault(name, format!("must be a list of tables, not {other}"));
                return Vec::new();
            }
        };
        let path = self.path_of(name);
        let mut rows = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let mut table = Table::new(format!("{path}[{at}]"), item, self.faults);
            rows.push(read(&mut table));
            table.finish();
        }
        rows
    }

    /// Tells of every member that nobody asked for.
    pub(super) fn finish(&self) {
        for name in self.members.keys() {
            self.fault(name, format!("is not known here; known are {}", self.known.join(", ")));
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
}
