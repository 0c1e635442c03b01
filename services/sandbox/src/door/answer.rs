//! The way out: an answer of the Graph API with the headers that clients look at, small where they take it so.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;

use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL,
    CONTENT_ENCODING, CONTENT_TYPE, ETAG, EXPIRES, PRAGMA, STRICT_TRANSPORT_SECURITY, VARY,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::dispatch::Done;
use crate::error::Refusal;
use crate::version::Served;

/// Shorter bodies gain nothing: they fit into one packet anyway.
const GZIP_BYTES_MIN: usize = 1_024;
/// What every answer carries, as seen on Meta's.
const ALWAYS: [(HeaderName, HeaderValue); 8] = [
    (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8")),
    (CACHE_CONTROL, HeaderValue::from_static("private, no-cache, no-store, must-revalidate")),
    (PRAGMA, HeaderValue::from_static("no-cache")),
    (EXPIRES, HeaderValue::from_static("Sat, 01 Jan 2000 00:00:00 GMT")),
    (VARY, HeaderValue::from_static("Origin, Accept-Encoding")),
    (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=15552000; preload")),
    (HeaderName::from_static("x-fb-rev"), HeaderValue::from_static("1000000001")),
];
/// Where `__debug__` sends people who are warned of a version.
const VERSIONS_PAGE: &str = "https://developers.facebook.com/docs/graph-api/guides/versioning";

/// What a client said about the answer that it wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    pub(super) gzip: bool,
    /// The tag of the answer that it has already.
    pub(super) if_none_match: Option<String>,
}

/// An answer of the Graph API.
pub(super) fn graph_response(done: Done, wishes: &Wishes) -> Response<Body> {
    let text = done.body.into_text();
    let tag = done.reader.map(|token| tag(&token, &text));
    let unchanged = tag.as_deref().is_some_and(|tag| is_known(wishes.if_none_match.as_deref(), tag));
    let status = if unchanged { Ok(StatusCode::NOT_MODIFIED) } else { StatusCode::from_u16(done.status) };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status.unwrap_or_default();
    let headers = response.headers_mut();
    headers.reserve(24);
    headers.extend(ALWAYS);
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if let Some(tag) = &tag {
        set(ETAG, tag);
    }
    for (name, value) in version_headers(done.served.as_ref()).chain(done.headers) {
        set(HeaderName::from_static(name), &value);
    }
    for name in ["x-fb-request-id", "x-fb-trace-id", "x-fb-debug"] {
        set(HeaderName::from_static(name), &done.trace);
    }
    if unchanged {
        return response;
    }
    if wishes.gzip && text.len() >= GZIP_BYTES_MIN {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *response.body_mut() = Body::from(compressed(text.as_bytes()));
    } else {
        *response.body_mut() = Body::from(text);
    }
    response
}

/// What is answered to a call that could not be handled at all.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    graph_response(Done::refused(refusal, "A0"), &Wishes::default())
}

/// The tag of a body for one reader. Meta's depends on the token too, and changes when it is renewed.
///
/// Every read has one, and nobody is kept out by it, so the hash is a quick one.
pub(super) fn tag(token: &str, text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (token, text).hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether a client that sent this `If-None-Match` has the answer already: one tag or a list of them, weak or not.
pub(super) fn is_known(if_none_match: Option<&str>, tag: &str) -> bool {
    let tags = if_none_match.unwrap_or_default().split(',').map(str::trim);
    tags.into_iter().any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// The version that answered, and what the caller should know about the one that it asked for.
pub(super) fn version_headers(served: Option<&Served>) -> impl Iterator<Item = (&'static str, String)> {
    let version = served.map(|served| ("facebook-api-version", served.version.word()));
    let warning = served.and_then(|served| Some(("x-ad-api-version-warning", served.warning.clone()?)));
    version.into_iter().chain(warning)
}

/// The member `__debug__` of an answer to `debug=all`, `info` or `warning`.
pub(super) fn debug_member(served: &Served) -> Value {
    let warning = served.warning.iter();
    let messages: Vec<Value> =
        warning.map(|text| json!({ "message": text, "type": "warning", "link": VERSIONS_PAGE })).collect();
    json!({ "messages": messages })
}

/// `OPTIONS`: what a browser asks before it calls.
pub(super) fn options() -> Response<Body> {
    let methods = HeaderValue::from_static("GET, HEAD, POST, DELETE, OPTIONS");
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(ALLOW, methods.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Authorization, Content-Type"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// A page, or nothing, as proxies and broken servers answer.
pub(super) fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// An answer of the sandbox's own.
pub(super) fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = plain(status, value.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // A vector takes all that it is given.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Whether a client that sent this `Accept-Encoding` takes gzip.
pub(super) fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|part| {
        let (coding, quality) = part.split_once(';').unwrap_or((part, ""));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.trim_end_matches(['0', '.']).is_empty());
        matches!(coding.trim(), "gzip" | "x-gzip" | "*") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_unless_it_is_refused() {
        for yes in ["gzip, deflate", "br;q=1.0, gzip;q=0.8", "*", "deflate,gzip"] {
            assert!(takes_gzip(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "br, gzip; q=0.000"] {
            assert!(!takes_gzip(no), "{no}");
        }
    }

    #[test]
    fn a_tag_is_known_alone_in_a_list_and_weak() {
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\"", "*"] {
            assert!(is_known(Some(known), "\"a\""), "{known}");
        }
        assert!(!is_known(Some("\"b\", W/\"c\""), "\"a\"") && !is_known(None, "\"a\""));
    }

    #[test]
    fn the_tag_is_of_the_text_and_of_its_reader() {
        assert_eq!(tag("a", "{}"), tag("a", "{}"));
        assert_ne!(tag("a", "{}"), tag("b", "{}"));
        assert_ne!(tag("a", "{}"), tag("a", "[]"));
        assert_eq!(tag("a", "{}").len(), 18);
    }
}
