//! One HTTP request, read whole: parameters of all four kinds, merged, and files.

use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, IF_NONE_MATCH, USER_AGENT};
use http::uri::Authority;
use http::{HeaderName, Request, StatusCode};
use serde_json::Value;

use super::answer::{Wishes, takes_gzip};
use crate::params::Params;
use crate::route::{File, Verb};
use crate::server::Scheme;
use crate::version::Version;

/// The largest body. Videos are larger at Meta, but come in chunks.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a request says.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) verb: Verb,
    /// The method as it was sent.
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// The version in the path.
    pub(crate) asked: Option<Version>,
    /// The path behind its version.
    pub(crate) parts: Vec<String>,
    pub(crate) params: Params,
    pub(crate) files: Vec<File>,
    /// The body as it came, for the sandbox's own endpoints.
    pub(crate) body: Bytes,
    pub(crate) bearer: Option<String>,
    pub(super) wishes: Wishes,
    pub(crate) base: String,
    pub(crate) user_agent: Option<String>,
}

/// Reads a request; fails with the status to answer.
pub(crate) async fn read(request: Request<Body>, scheme: Scheme) -> Result<Incoming, StatusCode> {
    let (mut incoming, kind) = head(&request, scheme)?;
    let mut params = if kind.starts_with("multipart/form-data") {
        let (params, files) = multipart(request).await?;
        incoming.files = files;
        params
    } else {
        let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let is_call = !incoming.path.starts_with("/__sandbox/");
        let read = of_body(&kind, &body);
        incoming.body = body;
        read.or_else(|status| if is_call { Err(status) } else { Ok(Params::default()) })?
    };
    params.merge(std::mem::take(&mut incoming.params));
    incoming.verb = overridden(incoming.verb, &mut params);
    incoming.params = params;
    Ok(incoming)
}

/// What stands before the body, and of which kind that is.
fn head(request: &Request<Body>, scheme: Scheme) -> Result<(Incoming, String), StatusCode> {
    let uri = request.uri();
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if announced.is_some_and(|length: usize| length > BODY_BYTES_MAX) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let verb = match request.method().as_str() {
        "GET" | "HEAD" => Verb::Get,
        "POST" => Verb::Post,
        "DELETE" => Verb::Delete,
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    let host = header(HOST).or_else(|| uri.authority().map(Authority::as_str)).unwrap_or("localhost");
    let (asked, parts) = Version::split(uri.path());
    let incoming = Incoming {
        verb,
        method: request.method().as_str().to_owned(),
        path: uri.path().to_owned(),
        asked,
        parts,
        params: Params::from_form(uri.query().unwrap_or_default()),
        files: Vec::new(),
        body: Bytes::new(),
        bearer: header(AUTHORIZATION).and_then(token).map(str::to_owned),
        wishes: Wishes {
            gzip: header(ACCEPT_ENCODING).is_some_and(takes_gzip),
            if_none_match: header(IF_NONE_MATCH).map(str::to_owned),
        },
        base: base(scheme, host),
        user_agent: header(USER_AGENT).map(str::to_owned),
    };
    Ok((incoming, header(CONTENT_TYPE).unwrap_or_default().to_owned()))
}

/// Scheme and host under which the caller reached us; without the port that goes without saying.
fn base(scheme: Scheme, host: &str) -> String {
    match scheme {
        Scheme::Http => format!("http://{host}"),
        Scheme::Https => format!("https://{}", host.strip_suffix(":443").unwrap_or(host)),
    }
}

/// Old clients send POST and say in a parameter what they mean.
fn overridden(verb: Verb, params: &mut Params) -> Verb {
    let meant = params.text("method").map(|method| method.to_ascii_lowercase());
    match (verb, meant.as_deref()) {
        (Verb::Post, Some("delete")) => {
            params.remove("method");
            Verb::Delete
        }
        (Verb::Post, Some("get")) => {
            params.remove("method");
            Verb::Get
        }
        _ => verb,
    }
}

/// The token of a header `Authorization: Bearer ..`, or `OAuth ..` as older clients write it.
fn token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim_start().split_once(' ')?;
    let known = ["bearer", "oauth"].iter().any(|word| scheme.eq_ignore_ascii_case(word));
    known.then_some(token.trim())
}

/// Fails where a form or JSON cannot be read; bodies of other kinds have no parameters.
fn of_body(kind: &str, body: &Bytes) -> Result<Params, StatusCode> {
    let kind = kind.to_ascii_lowercase();
    let is_form = kind.is_empty() || kind.starts_with("application/x-www-form-urlencoded");
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(_) if is_form || kind.contains("json") => return Err(StatusCode::BAD_REQUEST),
        Err(_) => return Ok(Params::default()),
    };
    let looks_like_json = kind.contains("json") || (kind.is_empty() && text.trim_start().starts_with('{'));
    if text.trim().is_empty() {
        return Ok(Params::default());
    }
    if !looks_like_json {
        return Ok(Params::from_form(text));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(Params::from_map(map)),
        Ok(Value::Null) => Ok(Params::default()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

async fn multipart(mut request: Request<Body>) -> Result<(Params, Vec<File>), StatusCode> {
    DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
    let bad = StatusCode::BAD_REQUEST;
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|_| bad)?;
    let mut params = Params::default();
    let mut files = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(|_| bad)? {
        let part = field.name().unwrap_or_default().to_owned();
        if let Some(name) = field.file_name().map(str::to_owned) {
            let bytes = field.bytes().await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
            files.push(File { part, name, bytes });
        } else {
            let text = field.text().await.map_err(|_| bad)?;
            params.put(&part, Value::String(text));
        }
    }
    Ok((params, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_a_token_is_written_in_any_case() {
        for header in ["Bearer T", "bearer T", "BEARER  T ", "OAuth T", "oauth T"] {
            assert_eq!(token(header), Some("T"), "{header}");
        }
        assert_eq!((token("Basic T"), token("T")), (None, None));
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_what_is_empty_is_not() {
        let read = |kind: &str, body: &[u8]| of_body(kind, &Bytes::copy_from_slice(body));
        let json = "application/json; charset=utf-8";
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for body in [b"{broken".as_slice(), b"[1]", b"7", b"{\"a\":\"\xff\"}", deep.as_bytes()] {
            assert_eq!(read(json, body), Err(StatusCode::BAD_REQUEST));
        }
        assert_eq!(read("application/x-www-form-urlencoded", b"a=\xff"), Err(StatusCode::BAD_REQUEST));
        for body in [b"".as_slice(), b" ", b"{}", b"null"] {
            assert_eq!(read(json, body), Ok(Params::default()));
        }
        assert_eq!(read("video/mp4", b"\xff"), Ok(Params::default()));
        assert_eq!(read("", b"{\"a\":1}").unwrap().integer("a"), Ok(Some(1)));
    }
}
