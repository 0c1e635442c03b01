//! What stands under the generated clients: the token on each call, and repeats where they are safe.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response, request};
use http_body_util::{BodyExt, Full};
use rpc::methods::{self, Method};
use rpc::{Code, Pool};
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt};
use vocabulary::ids::TenantId;

use crate::error::{Error, retry_after};

const ATTEMPTS_MAX: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Who is told to wait longer than this decides for himself.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Where to and as whom.
#[derive(Clone)]
pub(crate) struct Way {
    pool: Pool,
    token: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
}

impl Way {
    pub(crate) fn new(address: &str, token: Option<&str>) -> Result<Self, Error> {
        let uri: Option<http::Uri> = address.parse().ok();
        let uri = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some());
        let uri = uri.ok_or_else(|| Error::Address(address.to_owned()))?;
        Ok(Self { pool: Pool::new(&uri), token: token.map(bearer).transpose()?, tenant: None })
    }

    pub(crate) fn for_tenant(&self, tenant: &TenantId) -> Self {
        Self { tenant: HeaderValue::try_from(tenant.as_str()).ok(), ..self.clone() }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| Error::Token)?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// Under each generated client.
#[derive(Clone)]
pub struct Channel(Arc<Way>);

impl Channel {
    pub(crate) fn new(way: Arc<Way>) -> Self {
        Self(way)
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let headers = request.headers_mut();
        if let Some(token) = &self.0.token {
            headers.entry(AUTHORIZATION).or_insert_with(|| token.clone());
        }
        if let Some(tenant) = &self.0.tenant {
            headers.entry("x-adplane-tenant").or_insert_with(|| tenant.clone());
        }
        match methods::find(request.uri().path()) {
            Some(method) if !method.streams => self.send_unary(method, request).await,
            _ => self.0.pool.clone().oneshot(request).await,
        }
    }

    async fn send_unary(&self, method: &Method, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (head, body) = request.into_parts();
        let message = body.collect().await?.to_bytes();
        let attempts = if is_repeatable(method, &message) { ATTEMPTS_MAX } else { 1 };
        for attempt in 1.. {
            let answer = self.0.pool.clone().oneshot(copy(&head, &message)).await;
            match pause(&answer, attempt) {
                Some(pause) if attempt < attempts => tokio::time::sleep(pause).await,
                _ => return answer,
            }
        }
        unreachable!("the last attempt returns")
    }
}

fn copy(head: &request::Parts, message: &Bytes) -> Request<Body> {
    Request::from_parts(head.clone(), Body::new(Full::new(message.clone())))
}

/// Reads change nothing; a write with a `request_id` is known again by it.
fn is_repeatable(method: &Method, message: &Bytes) -> bool {
    method.reads_only || method.request_id.is_some_and(|number| has_text(message, number))
}

/// Whether the one message in this frame has a text that is not empty in this field.
fn has_text(frame: &Bytes, number: u32) -> bool {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
    let mut rest = frame.slice(frame.len().min(5)..); // one flag byte and four bytes of length come before the message
    while !rest.is_empty() {
        let Ok((tag, wire_type)) = decode_key(&mut rest) else { return false };
        if tag == number && wire_type == WireType::LengthDelimited {
            return decode_varint(&mut rest).is_ok_and(|length| length > 0);
        }
        if skip_field(wire_type, tag, &mut rest, DecodeContext::default()).is_err() {
            return false;
        }
    }
    false
}

/// How long to wait before the next attempt; `None` where there should be none.
fn pause(answer: &Result<Response<Body>, Status>, attempt: u32) -> Option<Duration> {
    let status = match answer {
        Ok(response) => failed(response.headers())?,
        Err(status) => status.clone(),
    };
    if status.code() != Code::Unavailable {
        return None;
    }
    let jitter = fastrand::u32(80..=120);
    let pause = retry_after(&status).unwrap_or(FIRST_PAUSE * 2_u32.pow(attempt - 1));
    (pause <= PAUSE_MAX).then_some(pause * jitter / 100)
}

/// A call that failed before it had an answer says so in its headers.
fn failed(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}
