//! Meta's batch: up to 50 independent calls in one HTTP request, each counted, each answered for itself
//! (Meta, "Graph API: batch requests").

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

use crate::{
    call::{Replay, UseCase, Verb},
    client::Outgoing,
    meta_error::MetaError,
    usage::ItemHeader,
};

/// Meta's own limit of items.
pub(crate) const ITEMS_MAX: usize = 50;

/// What an item says where others build on it, or it on them.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Extra {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) depends_on: String,
}

#[derive(Serialize)]
struct Item<'a> {
    #[serde(flatten)]
    extra: Option<&'a Extra>,
    method: &'static str,
    relative_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    /// A referenced item's success is left out by default, and a create must never lose its answer.
    omit_response_on_success: bool,
}

/// One item's answer. `None` in the list means that Meta did not finish it, or did and does not say.
#[derive(Deserialize)]
pub(crate) struct ItemReply {
    code: u16,
    #[serde(default)]
    headers: Vec<ItemHeader>,
    #[serde(default)]
    body: Option<String>,
}

impl ItemReply {
    pub(crate) fn headers(&self) -> &Vec<ItemHeader> {
        &self.headers
    }

    pub(crate) fn status(&self) -> u16 {
        self.code
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default().as_bytes()
    }

    pub(crate) fn error(&self) -> Option<MetaError> {
        MetaError::parse(self.code, self.body())
    }
}

/// The batch as a call of its own; `extras` stand beside their items, and may be fewer.
pub(crate) fn outer(items: &[&Outgoing], extras: &[Extra]) -> Outgoing {
    // The items decide one by one; the batch as a whole is repeated only if each of them may be.
    let is_safe = items.iter().all(|item| item.replay == Replay::Safe);
    Outgoing {
        verb: Verb::Post,
        path: "/".to_owned(),
        fields: vec![(Cow::Borrowed("batch"), encode(items, extras))],
        file: None,
        replay: if is_safe { Replay::Safe } else { Replay::Never },
        use_case: items.first().map_or(UseCase::None, |item| item.use_case),
        prices: items.iter().flat_map(|item| item.prices.iter().copied()).collect(),
        only_reads: items.iter().all(|item| item.only_reads),
        etag: None,
        label: "POST batch".to_owned(),
    }
}

fn encode(calls: &[&Outgoing], extras: &[Extra]) -> String {
    let items: Vec<Item<'_>> = calls.iter().enumerate().map(|(place, call)| item(call, extras.get(place))).collect();
    serde_json::to_string(&items).unwrap_or_default()
}

fn item<'a>(call: &Outgoing, extra: Option<&'a Extra>) -> Item<'a> {
    let path = call.path.trim_start_matches('/');
    let fields = form(&call.fields, extra.is_some());
    let (relative_url, body) = match call.verb {
        Verb::Post => (path.to_owned(), fields),
        _ if fields.is_empty() => (path.to_owned(), String::new()),
        _ => (format!("{path}?{fields}"), String::new()),
    };
    Item { extra, method: call.verb.as_str(), relative_url, body, omit_response_on_success: false }
}

/// As a form, in which the braces of references stay as they are where there may be any: Meta looks for them before it
/// decodes.
fn form(fields: &[(Cow<'static, str>, String)], with_references: bool) -> String {
    let form = Serializer::new(String::new()).extend_pairs(fields).finish();
    if !with_references || !form.contains("%7Bresult%3D") {
        return form;
    }
    let mut rest = form.as_str();
    let mut plain = String::with_capacity(form.len());
    while let Some((before, after)) = rest.split_once("%7Bresult%3D") {
        let (reference, left) = after.split_once("%7D").unwrap_or((after, ""));
        let reference = reference.replace("%3A", ":").replace("%24", "$").replace("%5B", "[").replace("%5D", "]");
        plain.extend([before, "{result=", &reference, "}"]);
        rest = left;
    }
    plain.push_str(rest);
    plain
}
