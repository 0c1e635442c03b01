//! Calls to another service of ours: to each is added who we are, how long it may take, and which trace it belongs to.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use secrecy::ExposeSecret;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};
use tower::{Service, ServiceExt};
use vocabulary::ids::TenantId;

use crate::caller::Caller;
use crate::deadline::{self, DeadlinePassed};
use crate::fault;
use crate::identity::SERVICE_AUTHORIZATION;
use crate::methods;
use crate::pool::Pool;
use crate::trace;

mod service_identity;

pub use service_identity::{PeerSettings, ServiceIdentity};

/// The other service has the whole timeout; we wait this much longer for its own word that it passed.
const GRACE: Duration = Duration::from_millis(50);

/// An address that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} must be http://host:port")]
pub struct AddressError(String);

/// Another service of ours and who we are to it. Clones share their connections.
#[derive(Clone)]
pub struct Peer {
    /// The connections.
    pub pool: Pool,
    /// Who we are.
    pub identity: ServiceIdentity,
}

impl Peer {
    /// Over connections that are there already.
    pub fn new(pool: Pool, identity: ServiceIdentity) -> Self {
        Self { pool, identity }
    }

    /// To `http://host:port`; nothing is connected yet. Fails for what is no such address.
    pub fn connect(endpoint: &str, identity: ServiceIdentity) -> Result<Self, AddressError> {
        Ok(Self::new(pool_of(endpoint)?, identity))
    }

    /// What a generated client is made with: `FooServiceClient::new(peer.channel())`.
    pub fn channel(&self) -> Channel {
        Channel(Arc::new(self.clone()))
    }
}

/// Fails for what is not `http://host:port`.
pub(crate) fn pool_of(endpoint: &str) -> Result<Pool, AddressError> {
    let uri: Option<Uri> = endpoint.parse().ok();
    let plain = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some());
    plain.map(|uri| Pool::new(&uri)).ok_or_else(|| AddressError(endpoint.to_owned()))
}

/// Passes the caller's own token and tenant on, for work in the caller's name.
pub fn on_behalf<T>(request: impl tonic::IntoRequest<T>, caller: &Caller) -> Request<T> {
    let mut request = for_tenant(request, &caller.tenant);
    if let Some(token) = &caller.token
        && let Ok(mut value) = MetadataValue::try_from(format!("Bearer {}", token.expose_secret()))
    {
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// Names the tenant, for work by our own identity.
pub fn for_tenant<T>(request: impl tonic::IntoRequest<T>, tenant: &TenantId) -> Request<T> {
    let mut request = request.into_request();
    // A tenant's id is letters, digits and hyphens, so it always fits a header.
    if let Ok(value) = MetadataValue::<Ascii>::try_from(tenant.as_str()) {
        request.metadata_mut().insert("x-adplane-tenant", value);
    }
    request
}

/// The way of a call to a [`Peer`], under a generated client.
#[derive(Clone)]
pub struct Channel(Arc<Peer>);

impl Channel {
    async fn send(self, mut request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let method = methods::find(request.uri().path());
        let headers = request.headers_mut();
        let timeout = match (deadline::asked(headers), deadline::for_call(method)) {
            (Some(asked), Some(left)) if deadline::current().is_some() => Some(asked.min(left)),
            (asked, default) => asked.or(default),
        };
        if let Some(timeout) = timeout
            && let Ok(value) = HeaderValue::try_from(deadline::write(timeout))
        {
            headers.insert(deadline::HEADER, value);
        }
        trace::pass_on(headers);
        let identity = self.0.identity.header().await?;
        if let Some(identity) = &identity {
            request.headers_mut().insert(SERVICE_AUTHORIZATION, identity.clone());
        }
        let answer = self.0.pool.clone().oneshot(request);
        let answer = match timeout {
            None => answer.await,
            Some(timeout) => {
                let timed = tokio::time::timeout(timeout + GRACE, answer).await;
                timed.unwrap_or_else(|_| Err(fault::status(&DeadlinePassed)))
            }
        };
        if let (Some(identity), true) = (&identity, is_unauthenticated(&answer)) {
            self.0.identity.refused(identity);
        }
        answer
    }
}

/// A token is refused before anything is done, so the answer is its status and nothing else.
fn is_unauthenticated(answer: &Result<http::Response<Body>, Status>) -> bool {
    match answer {
        Ok(answer) => Status::from_header_map(answer.headers()).is_some_and(|it| it.code() == Code::Unauthenticated),
        Err(status) => status.code() == Code::Unauthenticated,
    }
}

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Scopes;

    #[test]
    fn an_address_is_plain_http_with_a_host() {
        assert!(pool_of("http://127.0.0.1:7410").is_ok());
        for endpoint in ["", "127.0.0.1:7410", "https://auth:1", "http://"] {
            assert!(pool_of(endpoint).is_err(), "{endpoint:?}");
        }
    }

    #[test]
    fn a_call_in_the_callers_name_carries_the_callers_token() {
        let mut caller = Caller::resumed("acme".parse().unwrap(), "callers/1", Scopes::All);
        caller.token = Some(Arc::new("abc".into()));
        let request = on_behalf((), &caller);
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer abc");
        assert_eq!(request.metadata().get("x-adplane-tenant").unwrap(), "acme");
        assert!(!format!("{:?}", request.metadata()).contains("abc"));
    }

    #[test]
    fn a_call_by_our_own_identity_names_the_tenant_only() {
        let request = for_tenant((), &"acme".parse().unwrap());
        assert!(request.metadata().get("authorization").is_none());
        assert_eq!(request.metadata().get("x-adplane-tenant").unwrap(), "acme");
    }
}
