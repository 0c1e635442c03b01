//! What Meta answers with, where the shape is the same for many calls.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use crate::{
    deliver::Delivered,
    transport::Reply,
    usage::{Headers, TRACE_ID},
};

/// A good answer, not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) bytes: Bytes,
    pub(crate) trace_id: Option<String>,
    pub(crate) etag: Option<String>,
}

impl From<Reply> for Got {
    fn from(reply: Reply) -> Self {
        let header = |name| reply.headers.value(name).map(str::to_owned);
        Self { status: reply.status, trace_id: header(TRACE_ID), etag: header("etag"), bytes: reply.body }
    }
}

impl From<Delivered> for Got {
    fn from(delivered: Delivered) -> Self {
        Self::from(delivered.reply)
    }
}

/// What a read gives that is only wanted if something has changed. Not modified saves bytes and our own work, and nothing
/// of the quota: Meta counts the call, and so do we. The token is part of Meta's etag, so a new token is a change
/// (Meta, "Marketing API: ETags").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unless<T> {
    /// It is as it was when it had that etag.
    NotModified,
    /// As it is now.
    Now {
        /// What was asked for.
        value: T,
        /// Its etag, where Meta gave one.
        etag: Option<String>,
    },
}

/// A value together with Meta's trace id, which the audit keeps and Meta's support asks for.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The header `x-fb-trace-id`, where Meta sent one.
    pub trace_id: Option<String>,
}

/// The answer to an update or a delete: `{"success":true}`. Where Meta says `false` it is an error before it is read.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Ack {}

/// The answer to a create that asked for no fields.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    /// Digits. Meta writes ids as strings, and in a few places as numbers: both are read.
    #[serde(deserialize_with = "digits")]
    pub id: String,
}

/// One page of an edge.
#[derive(Debug, Clone, Deserialize)]
pub struct Page<T> {
    /// The rows; may be empty while more pages follow.
    #[serde(default = "Vec::new")]
    pub data: Vec<T>,
    #[serde(default)]
    paging: Paging,
}

impl<T> Page<T> {
    /// The cursor of the next page; `None` where nothing follows. `used` is the one that led here. Meta's own rule is to go on
    /// while `next` exists; the link itself holds the token, so of it only the cursor is kept, for pages that name none.
    ///
    /// # Errors
    /// What is wrong where more follows and it cannot be said where: a list must not look whole that is not.
    pub fn next(&self, used: Option<&str>) -> Result<Option<&str>, &'static str> {
        let Some(next) = &self.paging.next else { return Ok(None) };
        match self.paging.cursors.after.as_deref().or(next.after.as_deref()) {
            None => Err("a page that is not the last one has no cursor"),
            after if after == used => Err("a page leads to itself"),
            after => Ok(after),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Cursors,
    #[serde(default, deserialize_with = "link")]
    next: Option<Link>,
}

/// What of a link to another page may be kept.
#[derive(Debug, Clone)]
struct Link {
    after: Option<String>,
}

fn link<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Link>, D::Error> {
    let link = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(link.map(|link| {
        let url = link.as_str().and_then(|link| url::Url::parse(link).ok());
        let after =
            url.and_then(|url| url.query_pairs().find(|(name, _)| name == "after").map(|(_, after)| after.into()));
        Link { after }
    }))
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Cursors {
    after: Option<String>,
}

/// Reads an id that Meta wrote as a string or as a number.
///
/// # Errors
/// When it is neither.
pub fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_text_and_from_a_number() {
        let text: Created = serde_json::from_str(r#"{"id":"120210000000000123"}"#).unwrap();
        let number: Created = serde_json::from_str(r#"{"id":120210000000000123}"#).unwrap();
        assert_eq!(text.id, number.id);
    }

    #[test]
    fn a_page_that_names_no_cursor_is_followed_by_its_link_or_is_an_error() {
        let linked = r#"{"data":[],"paging":{"next":"https://x/v1/edge?access_token=secret&after=c&limit=2"}}"#;
        let page: Page<u8> = serde_json::from_str(linked).unwrap();
        assert_eq!(page.next(None), Ok(Some("c")));
        assert!(!format!("{page:?}").contains("secret"));
        let page: Page<u8> = serde_json::from_str(r#"{"data":[1],"paging":{"next":"https://x"}}"#).unwrap();
        assert!(page.next(None).is_err(), "the list is not whole");
    }

    #[test]
    fn the_last_page_has_a_cursor_but_no_next() {
        let page: Page<u8> =
            serde_json::from_str(r#"{"data":[1],"paging":{"cursors":{"before":"a","after":"b"}}}"#).unwrap();
        assert_eq!(page.next(None), Ok(None));
        let page: Page<u8> =
            serde_json::from_str(r#"{"data":[],"paging":{"cursors":{"after":"b"},"next":"https://x"}}"#).unwrap();
        assert_eq!(page.next(None), Ok(Some("b")));
        assert!(page.next(Some("b")).is_err(), "it leads to itself");
    }
}
