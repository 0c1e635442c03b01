//! The one place that speaks HTTP with Meta: one attempt, no retry of its own.

use std::{fs, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::{Method, header, multipart, redirect, retry};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    call::{File, Verb},
    error::Error,
    settings::Settings,
};

/// What one attempt needs. The token goes into the `Authorization` header and nowhere else; the proof of the app's
/// secret goes where Meta takes it, into the query or the body (Meta, "Secure Graph API calls").
pub(crate) struct Attempt<'a> {
    pub(crate) verb: Verb,
    pub(crate) version: &'a str,
    pub(crate) path: &'a str,
    pub(crate) fields: &'a [(std::borrow::Cow<'static, str>, String)],
    pub(crate) file: Option<&'a File>,
    pub(crate) token: &'a SecretString,
    pub(crate) proof: &'a SecretString,
    /// Answer 304 where it still has this etag.
    pub(crate) etag: Option<&'a str>,
}

/// What came back, whole.
pub(crate) struct Reply {
    pub(crate) version: http::Version,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not one byte of the request left us.
    Unsent(String),
    /// Meta may have executed it.
    Lost(String),
}

/// Connections to Meta: HTTP/2 where Meta offers it, answers compressed.
#[derive(Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: String,
    body_bytes_max: usize,
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let mut builder = reqwest::Client::builder()
            .gzip(true)
            .retry(retry::never()) // one permit is one arrival at Meta, so nothing below us may send twice
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(settings.connect_timeout_seconds))
            .timeout(Duration::from_secs(settings.call_timeout_seconds))
            .pool_idle_timeout(Duration::from_secs(30))
            // Behind a proxy nothing else notices that the far side is gone: all calls share the connection.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .user_agent(concat!("adplane/", env!("CARGO_PKG_VERSION")));
        builder = match &settings.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::https(proxy).map_err(|error| setup(&error))?),
            None => builder.no_proxy(),
        };
        if let Some(file) = &settings.ca_file {
            let pem = fs::read(file).map_err(|error| setup(&format!("{}: {error}", file.display())))?;
            let certificate = reqwest::Certificate::from_pem(&pem).map_err(|error| setup(&error))?;
            builder = builder.add_root_certificate(certificate);
        }
        Ok(Self {
            http: builder.build().map_err(|error| setup(&error))?,
            base: settings.base_url.trim_end_matches('/').to_owned(),
            body_bytes_max: settings.answer_bytes_max,
        })
    }

    pub(crate) async fn send(&self, attempt: Attempt<'_>) -> Result<Reply, Failure> {
        self.answered(self.request(&attempt)).await
    }

    /// A POST without a token: what proves the call stands in its form. Nothing of the form reaches a URL.
    pub(crate) async fn send_form(&self, version: &str, path: &str, form: &[(&str, &str)]) -> Result<Reply, Failure> {
        let url = format!("{}/{version}{path}", self.base);
        self.answered(self.http.post(url).form(form)).await
    }

    async fn answered(&self, request: reqwest::RequestBuilder) -> Result<Reply, Failure> {
        let answer = request.send().await.map_err(failure)?;
        let (version, status) = (answer.version(), answer.status().as_u16());
        let headers = answer.headers().clone();
        let body = read(answer, self.body_bytes_max).await?;
        Ok(Reply { version, status, headers, body })
    }

    fn request(&self, attempt: &Attempt<'_>) -> reqwest::RequestBuilder {
        let method = match attempt.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Delete => Method::DELETE,
        };
        let url = format!("{}/{}{}", self.base, attempt.version, attempt.path);
        let mut bearer = header::HeaderValue::try_from(format!("Bearer {}", attempt.token.expose_secret()))
            .unwrap_or_else(|_| header::HeaderValue::from_static("Bearer unreadable"));
        bearer.set_sensitive(true);
        let request = self.http.request(method, url).header(header::AUTHORIZATION, bearer);
        let request = match attempt.etag {
            Some(etag) => request.header(header::IF_NONE_MATCH, etag),
            None => request,
        };
        let mut fields: Vec<(&str, &str)> = Vec::with_capacity(attempt.fields.len() + 1);
        fields.push(("appsecret_proof", attempt.proof.expose_secret()));
        fields.extend(attempt.fields.iter().map(|(name, value)| (name.as_ref(), value.as_str())));
        match (attempt.verb, attempt.file) {
            (Verb::Post, None) => request.form(&fields),
            // Meta takes the members to remove in the body too; a query would be cut.
            (Verb::Delete, None) if is_long(&fields) => request.form(&fields),
            (Verb::Post, Some(file)) => request.multipart(form(&fields, file)),
            _ => request.query(&fields),
        }
    }
}

/// Longer than a query may safely be.
fn is_long(fields: &[(&str, &str)]) -> bool {
    const QUERY_BYTES_MAX: usize = 2048;
    fields.iter().map(|(_, value)| value.len()).sum::<usize>() > QUERY_BYTES_MAX
}

fn form(fields: &[(&str, &str)], file: &File) -> multipart::Form {
    let form = fields
        .iter()
        .fold(multipart::Form::new(), |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()));
    let length = u64::try_from(file.content.len()).unwrap_or(u64::MAX);
    let part = multipart::Part::stream_with_length(file.content.clone(), length).file_name(file.name.clone());
    form.part(file.part.clone(), part)
}

/// Reads the body up to a bound, which is one of what it unpacks to; an answer that stops half-way is a lost one.
async fn read(mut answer: reqwest::Response, bytes_max: usize) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Failure::Lost(plain(&error)))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Failure::Lost(format!("the answer is longer than {bytes_max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// Only a connection that never stood proves that nothing was sent.
#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn failure(error: reqwest::Error) -> Failure {
    let text = plain(&error);
    if error.is_connect() || error.is_builder() { Failure::Unsent(text) } else { Failure::Lost(text) }
}

/// The innermost cause in words. The URL is left out: its query may hold what Meta takes only there.
fn plain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
