//! HTTP/2 connections to one service, which generated clients and the gateway call through.
//!
//! tonic's own channel puts a queue and a task before every call and balances by chance. Here a call picks the less busy
//! of two connections and goes out on it at once. Addresses are looked up again every few seconds, so new replicas get
//! their share without a restart. Calls that should meet in one replica say so ([`Rendezvous`]).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use crate::fault::{self, ErrorReason, Fault};

mod body;
mod connection;
mod endpoints;
mod rendezvous;
mod replay;

use connection::{Connection, Failure};
use endpoints::Endpoints;
pub use rendezvous::Rendezvous;
use replay::Replay;

/// For how long a refused connection is tried again: a replica that restarts, or a service that starts with its peers.
const REFUSED_FOR: Duration = Duration::from_secs(1);
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// An address that does not even refuse takes longer than that second; another one is tried all the same.
const REFUSALS_MIN: u32 = 2;

/// Connections to one service. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    authority: Authority,
    endpoints: Endpoints,
}

/// Why a call did not reach its service, or lost it on the way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{endpoint} is no address of a service: it must be http://host:port")]
    Address { endpoint: String },
    #[error("{endpoint} is not known to the name service")]
    Unknown { endpoint: String },
    #[error("{endpoint} does not take connections")]
    Refused {
        endpoint: String,
        #[source]
        cause: Failure,
    },
    #[error("the connection to {endpoint} broke")]
    Broken {
        endpoint: String,
        #[source]
        cause: hyper::Error,
    },
}

impl Fault for Error {
    fn code(&self) -> Code {
        Code::Unavailable
    }

    fn reason(&self) -> ErrorReason {
        ErrorReason::ServiceUnavailable
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        let (Self::Address { endpoint }
        | Self::Unknown { endpoint }
        | Self::Refused { endpoint, .. }
        | Self::Broken { endpoint, .. }) = self;
        vec![("upstream", endpoint.clone())]
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

impl Pool {
    /// Connections to `http://host:port`, made when first needed. An address without a host fails each call.
    pub fn new(endpoint: &Uri) -> Self {
        let authority = endpoint.authority().cloned().unwrap_or_else(|| Authority::from_static("invalid"));
        let port = endpoint.port_u16().unwrap_or(80);
        let endpoints = Endpoints::new(authority.host().trim_matches(['[', ']']).to_owned(), port);
        Self(Arc::new(Inner { authority, endpoints }))
    }

    /// The address as it was given: `host:port`.
    pub fn authority(&self) -> &str {
        self.0.authority.as_str()
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (parts, body) = self.addressed(request)?.into_parts();
        let rendezvous = parts.extensions.get::<Rendezvous>().copied();
        let mut replay = Replay::new(parts, body);
        let refused_until = Instant::now() + REFUSED_FOR;
        let mut refusals = 0;
        loop {
            let connection = self.pick(rendezvous).await?;
            let sender = match connection.sender().await {
                Ok(sender) => sender,
                Err(cause) => {
                    refusals += 1;
                    if refusals >= REFUSALS_MIN && Instant::now() >= refused_until {
                        return Err(fault::status(&Error::Refused { endpoint: self.endpoint(), cause }));
                    }
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    continue;
                }
            };
            let in_flight = connection.count();
            match sender.send(replay.request()).await {
                Ok(response) => {
                    let endpoint = self.endpoint();
                    return Ok(response.map(|body| Body::new(body::Answer::new(body, in_flight, endpoint))));
                }
                Err(cause) => {
                    if !replay.may_repeat(&cause) {
                        return Err(fault::status(&Error::Broken { endpoint: self.endpoint(), cause }));
                    }
                }
            }
        }
    }

    async fn pick(&self, rendezvous: Option<Rendezvous>) -> Result<Arc<Connection>, Status> {
        let unknown = || fault::status(&Error::Unknown { endpoint: self.endpoint() });
        let known = self.0.endpoints.known().await;
        let picked = match rendezvous {
            Some(rendezvous) => rendezvous.pick(&known.connections),
            None => connection::less_busy(&known.connections),
        };
        picked.ok_or_else(unknown)
    }

    /// HTTP/2 needs the scheme and the authority, of which a generated client knows nothing.
    fn addressed(&self, mut request: Request<Body>) -> Result<Request<Body>, Status> {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.0.authority.clone());
        uri.path_and_query.get_or_insert_with(|| http::uri::PathAndQuery::from_static("/"));
        let address = |_| fault::status(&Error::Address { endpoint: self.endpoint() });
        *request.uri_mut() = Uri::from_parts(uri).map_err(address)?;
        *request.version_mut() = http::Version::HTTP_2;
        Ok(request)
    }

    fn endpoint(&self) -> String {
        self.0.authority.to_string()
    }
}

impl Service<Request<Body>> for Pool {
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

#[cfg(test)]
mod tests;
