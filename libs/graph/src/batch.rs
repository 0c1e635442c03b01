//! Meta's batch: up to 50 independent calls in one HTTP request, each counted, each answered for itself
//! (Meta, "Graph API: batch requests").

use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

use crate::{call::Verb, client::Outgoing, meta_error::MetaError, usage::ItemHeader};

/// Meta's own limit of items.
pub(crate) const ITEMS_MAX: usize = 50;

#[derive(Serialize)]
struct Item {
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

/// The parameter `batch` for these calls.
pub(crate) fn encode(calls: &[&Outgoing]) -> String {
    let items: Vec<Item> = calls.iter().map(|call| item(call)).collect();
    serde_json::to_string(&items).unwrap_or_default()
}

fn item(call: &Outgoing) -> Item {
    let path = call.path.trim_start_matches('/');
    let fields = Serializer::new(String::new()).extend_pairs(&call.fields).finish();
    let (relative_url, body) = match call.verb {
        Verb::Post => (path.to_owned(), fields),
        _ if fields.is_empty() => (path.to_owned(), String::new()),
        _ => (format!("{path}?{fields}"), String::new()),
    };
    Item { method: call.verb.as_str(), relative_url, body, omit_response_on_success: false }
}
