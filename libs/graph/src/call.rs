//! A call to Meta as a value: described here, sent in one place (`client`), printed by golden tests.

use std::{borrow::Cow, fmt, marker::PhantomData};

use bytes::Bytes;
use serde::Serialize;

use crate::expand::Fields;

/// May a call whose answer was lost be sent again?
///
/// Meta's Marketing API has no idempotency key, so a create whose outcome is unknown must be looked for, not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Repeating changes nothing more: reads, absolute updates, deletes, content-addressed uploads.
    Safe,
    /// Repeating may create a second object.
    Never,
}

/// Which of Meta's business-use-case counters a call falls under (Meta, "Rate limits: business use case").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UseCase {
    /// Reads and writes of campaigns, ad sets, ads, creatives and media.
    AdsManagement,
    /// Everything under `/insights`, polls and pages of a report included.
    AdsInsights,
    /// Custom audiences and their members.
    CustomAudience,
    /// No account counter: conversion events, tokens.
    None,
}

impl UseCase {
    /// Meta's word, as in the header `x-business-use-case-usage`; empty where there is no counter.
    pub fn word(self) -> &'static str {
        match self {
            Self::AdsManagement => "ads_management",
            Self::AdsInsights => "ads_insights",
            Self::CustomAudience => "custom_audience",
            Self::None => "",
        }
    }
}

/// The three verbs of the Graph API: read, create or update, delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Creates on an edge, updates on a node.
    Post,
    /// Deletes.
    Delete,
}

impl Verb {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A file that travels with a call, as one part of a multipart body.
#[derive(Debug, Clone)]
pub struct File {
    /// The part's name.
    pub part: Cow<'static, str>,
    /// The file's name; Meta answers image uploads under it.
    pub name: String,
    /// The content.
    pub content: Bytes,
}

/// One call and the type of its answer. Built by the noun modules, sent by [`crate::Client`].
#[derive(Debug)]
#[must_use = "a call does nothing until a client sends it"]
pub struct Call<T> {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) fields: Vec<(Cow<'static, str>, String)>,
    pub(crate) file: Option<File>,
    pub(crate) replay: Replay,
    pub(crate) use_case: UseCase,
    /// Answer only if it is no longer what had this etag.
    pub(crate) etag: Option<String>,
    answer: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// A read. `path` has no version, such as `/act_1/campaigns`.
    pub fn get(path: impl fmt::Display) -> Self {
        Self::new(Verb::Get, path, Replay::Safe)
    }

    /// A create or an update.
    pub fn post(path: impl fmt::Display, replay: Replay) -> Self {
        Self::new(Verb::Post, path, replay)
    }

    /// A delete. Deleting what is gone answers with an error, which callers take as done.
    pub fn delete(path: impl fmt::Display) -> Self {
        Self::new(Verb::Delete, path, Replay::Safe)
    }

    fn new(verb: Verb, path: impl fmt::Display, replay: Replay) -> Self {
        let path = path.to_string();
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        Self {
            verb,
            path,
            fields: Vec::new(),
            file: None,
            replay,
            use_case: UseCase::AdsManagement,
            etag: None,
            answer: PhantomData,
        }
    }

    /// Adds one parameter as text.
    pub fn field(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.fields.push((name.into(), value.to_string()));
        self
    }

    /// Adds parameters that the codec made.
    pub fn form(mut self, fields: Vec<(String, String)>) -> Self {
        self.fields.extend(fields.into_iter().map(|(name, value)| (Cow::Owned(name), value)));
        self
    }

    /// Adds one parameter as JSON text. A value that has no JSON form is left out; ours all have one.
    pub fn json(self, name: impl Into<Cow<'static, str>>, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => self.field(name, text),
            Err(_) => self,
        }
    }

    /// Asks for these fields; on a write Meta then answers with them, which saves the read-back.
    pub fn fields(self, names: &[&str]) -> Self {
        self.field("fields", names.join(","))
    }

    /// Asks for these fields, and for fields of what they lead to.
    pub fn expanded(self, fields: &Fields) -> Self {
        self.field("fields", fields)
    }

    /// Attaches a file; the call then travels as multipart.
    pub fn file(mut self, part: impl Into<Cow<'static, str>>, name: impl Into<String>, content: Bytes) -> Self {
        self.file = Some(File { part: part.into(), name: name.into(), content });
        self
    }

    /// Says which counter pays; the default is `ads_management`.
    pub fn use_case(mut self, use_case: UseCase) -> Self {
        self.use_case = use_case;
        self
    }

    /// The verb.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// Does it change something at Meta?
    pub fn is_write(&self) -> bool {
        self.verb != Verb::Get
    }

    /// May it be sent again while its outcome is unknown?
    pub fn replay(&self) -> Replay {
        self.replay
    }

    /// What metrics, spans and errors call it: the verb and the path with its numbers left out, so that it is bounded.
    pub fn label(&self) -> String {
        let path: Vec<&str> = self
            .path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| match part.strip_prefix("act_").unwrap_or(part) {
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    if part.starts_with("act_") {
                        "act"
                    } else {
                        "id"
                    }
                }
                _ => part,
            })
            .collect();
        format!("{} {}", self.verb.as_str(), path.join("/"))
    }

    /// The parameter of that name, for tests and for matching a look-up with its create.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// By hand, because a call can be repeated whatever its answer is.
impl<T> Clone for Call<T> {
    fn clone(&self) -> Self {
        Self {
            verb: self.verb,
            path: self.path.clone(),
            fields: self.fields.clone(),
            file: self.file.clone(),
            replay: self.replay,
            use_case: self.use_case,
            etag: self.etag.clone(),
            answer: PhantomData,
        }
    }
}

/// The verb and path, then a line per parameter: what golden tests compare.
impl<T> fmt::Display for Call<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.verb.as_str(), self.path)?;
        for (name, value) in &self.fields {
            write!(out, "\n{name}={value}")?;
        }
        if let Some(file) = &self.file {
            write!(out, "\n{}=@{} ({} bytes)", file.part, file.name, file.content.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_prints_as_it_is_sent() {
        let call: Call<()> = Call::post("act_1/campaigns", Replay::Never)
            .field("name", "Summer")
            .json("special_ad_categories", &Vec::<String>::new())
            .fields(&["id", "name"]);
        assert_eq!(call.to_string(), "POST /act_1/campaigns\nname=Summer\nspecial_ad_categories=[]\nfields=id,name");
    }

    #[test]
    fn a_label_has_no_ids() {
        assert_eq!(Call::<()>::get("/act_12/campaigns").label(), "GET act/campaigns");
        assert_eq!(Call::<()>::get("/120210000000000").label(), "GET id");
    }
}
