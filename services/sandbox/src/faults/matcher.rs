//! Which calls a rule is about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::paging;
use crate::params::Params;
use crate::route::Verb;
use crate::state::{Holder, Kind};
use crate::version::Version;

/// Shorter ends of a token would meet others by accident.
const TOKEN_END_MIN: usize = 4;

/// All parts that are given must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Matcher {
    /// `GET`, `POST` or `DELETE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// A part of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The ad account that the call is about: of its node, not of its parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// True: only items of batches. False: only calls of their own, among them the calls that carry a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<bool>,
    /// Whose token: `user`, `system_user`, `page` or `app`; or how the token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// From this moment of the sandbox's clock on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Timestamp>,
    /// Before this moment of the sandbox's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
    /// Only the n-th matching call, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nth: Option<u64>,
    /// Every n-th matching call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<u64>,
    /// How likely a matching call is struck, from 0 to 1. The dice are the seed's: a run repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
}

/// A call as rules look at it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// As it was sent; `verb` is what was meant.
    pub(crate) method: &'a str,
    pub(crate) verb: Verb,
    pub(crate) path: &'a str,
    pub(crate) version: Version,
    /// The path without its version.
    pub(crate) parts: Vec<String>,
    pub(crate) params: &'a Params,
    pub(crate) token: Option<String>,
    pub(crate) holder: Option<Holder>,
    /// The ad account of the node in the path.
    pub(crate) account: Option<u64>,
    /// The kind of the node in the path.
    pub(crate) kind: Option<Kind>,
    /// Whether it is an item of a batch.
    pub(crate) is_item: bool,
    /// Whether it carries a batch.
    pub(crate) is_batch: bool,
    pub(crate) now: Timestamp,
}

impl Asked<'_> {
    /// How many rows are asked for.
    pub(super) fn limit(&self) -> i64 {
        paging::limit(self.params).ok().and_then(|limit| i64::try_from(limit).ok()).unwrap_or_default()
    }
}

impl Matcher {
    /// Whether the call is one of those that are counted.
    pub(super) fn fits(&self, asked: &Asked<'_>) -> bool {
        let is = |wanted: &str, word: &str| wanted.eq_ignore_ascii_case(word);
        self.method.as_ref().is_none_or(|method| is(method, asked.method) || is(method, asked.verb.word()))
            && self.path.as_ref().is_none_or(|part| asked.path.contains(part.as_str()))
            && self.account.as_ref().is_none_or(|wanted| asked.account.is_some() && account(wanted) == asked.account)
            && self.item.is_none_or(|item| item == asked.is_item)
            && self.token.as_ref().is_none_or(|wanted| is_token(wanted, asked))
            && self.after.is_none_or(|after| asked.now >= after)
            && self.until.is_none_or(|until| asked.now < until)
    }

    /// Whether the call that was the `matched`-th to fit is struck. The roll is from 0 to below 1.
    pub(super) fn turn(&self, matched: u64, roll: f64) -> bool {
        self.nth.is_none_or(|nth| matched == nth)
            && self.every.is_none_or(|every| every != 0 && matched.is_multiple_of(every))
            && self.probability.is_none_or(|probability| roll < probability)
    }

    /// What is wrong with it, in a sentence.
    pub(super) fn fault(&self) -> Option<String> {
        const METHODS: &[&str] = &["GET", "POST", "DELETE"];
        if let Some(method) = &self.method
            && !METHODS.iter().any(|known| known.eq_ignore_ascii_case(method))
        {
            return Some(super::nearest::unknown("method", method, METHODS));
        }
        if let Some(given) = &self.account
            && account(given).is_none()
        {
            return Some(format!("account {given:?} is no ad account: write act_ and digits, or digits alone"));
        }
        if self.nth == Some(0) || self.every == Some(0) {
            return Some("nth and every count from 1".to_owned());
        }
        if self.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Some("probability goes from 0 to 1".to_owned());
        }
        if let Some(token) = &self.token
            && holder(token).is_none()
            && token.len() < TOKEN_END_MIN
        {
            return Some(format!(
                "token is user, system_user, page, app, or at least the last {TOKEN_END_MIN} letters of a token"
            ));
        }
        if let (Some(after), Some(until)) = (self.after, self.until)
            && after >= until
        {
            return Some("after lies before until, or no call ever matches".to_owned());
        }
        None
    }
}

fn account(text: &str) -> Option<u64> {
    text.strip_prefix("act_").unwrap_or(text).parse().ok()
}

fn is_token(wanted: &str, asked: &Asked<'_>) -> bool {
    match holder(wanted) {
        Some(holder) => asked.holder == Some(holder),
        None => asked.token.as_ref().is_some_and(|token| token.ends_with(wanted)),
    }
}

fn holder(word: &str) -> Option<Holder> {
    [Holder::User, Holder::SystemUser, Holder::Page, Holder::App]
        .into_iter()
        .find(|holder| holder.word().eq_ignore_ascii_case(word))
}
