//! Partial pages: fewer rows than were asked for, even none, while `next` leads on.
//!
//! Nothing is lost over all pages, and a walk always ends: the page after an empty one is whole.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::paging::{self, Link};
use crate::params::Params;

/// How the cursor of an empty page begins; what follows is the cursor that led to it.
const EMPTY: &str = "QVFIempty:";

/// How a page is cut short.
#[derive(Debug)]
pub(super) struct Short {
    /// The parameters as they were asked.
    asked: Params,
    link: Link,
    is_empty: bool,
}

/// Takes the mark of an empty page from the cursor, and says whether there was one.
pub(super) fn open(params: &mut Params) -> bool {
    let mut was_empty = false;
    for name in ["after", "before"] {
        let led_here = params.text(name).and_then(|cursor| {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
            text.strip_prefix(EMPTY).map(str::to_owned)
        });
        let Some(cursor) = led_here else { continue };
        was_empty = true;
        params.remove(name);
        if !cursor.is_empty() {
            params.put("after", Value::String(cursor));
        }
    }
    was_empty
}

/// Changes the parameters so that a page has `rows` at most; `None` where it has no more anyway.
pub(super) fn shorten(params: &mut Params, rows: u64, link: Link) -> Option<Short> {
    let limit = paging::limit(params).ok().and_then(|limit| u64::try_from(limit).ok())?;
    if rows >= limit {
        return None;
    }
    let mut asked = params.clone();
    for secret in ["access_token", "appsecret_proof", "appsecret_time"] {
        asked.remove(secret);
    }
    params.put("limit", json!(rows.max(1)));
    Some(Short { asked, link, is_empty: rows == 0 })
}

impl Short {
    /// Makes the answer one to the call as it was asked.
    pub(super) fn finish(&self, body: &mut Value) {
        let has_rows = body.get("data").and_then(Value::as_array).is_some_and(|rows| !rows.is_empty());
        let Some(map) = body.as_object_mut().filter(|_| has_rows) else { return };
        if self.is_empty {
            let here = self.asked.text("after").unwrap_or_default();
            let cursor = URL_SAFE_NO_PAD.encode(format!("{EMPTY}{here}"));
            let next = paging::href(&self.asked, &self.link, "after", &cursor);
            map.insert("data".to_owned(), json!([]));
            map.insert("paging".to_owned(), json!({ "cursors": { "before": cursor, "after": cursor }, "next": next }));
            return;
        }
        for name in ["next", "previous"] {
            if let Some(Value::String(link)) = map.get_mut("paging").and_then(|paging| paging.get_mut(name)) {
                *link = self.with_limit(link);
            }
        }
    }

    /// The link with the limit that was asked for, or none.
    fn with_limit(&self, link: &str) -> String {
        let Ok(mut address) = url::Url::parse(link) else { return link.to_owned() };
        let mut pairs: Vec<(String, String)> = address.query_pairs().into_owned().collect();
        pairs.retain(|(name, _)| name != "limit");
        if let Some(limit) = self.asked.text("limit") {
            pairs.push(("limit".to_owned(), limit));
        }
        address.query_pairs_mut().clear().extend_pairs(pairs);
        address.into()
    }
}
