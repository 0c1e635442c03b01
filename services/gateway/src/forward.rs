//! Hands a call on to its service and the answer back: frames and trailers as they are.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response};
use rpc::{Pool, methods};
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt};

use crate::{error::Error, headers, operations, routes};

/// The way to every service. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Forward(Arc<BTreeMap<String, Pool>>);

impl Forward {
    /// Over these pools, by the service's name.
    pub(crate) fn new(pools: BTreeMap<String, Pool>) -> Self {
        Self(Arc::new(pools))
    }

    async fn forward(self, request: Request<Body>) -> Response<Body> {
        match self.answered(request).await {
            Ok(mut response) => {
                headers::clean_answer(response.headers_mut());
                response
            }
            Err(status) => status.into_http(),
        }
    }

    async fn answered(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let path = request.uri().path().to_owned();
        let (service, request) = if routes::service_of(&path) == routes::OPERATIONS {
            operations::owner(request).await?
        } else {
            let owner = routes::owner(&path).ok_or_else(|| rpc::status(&Error::NoRoute(path.clone())))?;
            (owner.to_owned(), request)
        };
        let pool = self.0.get(&service).ok_or_else(|| rpc::status(&Error::NoRoute(path.clone())))?;
        // A caller that goes away drops this future or the answer's body, and with it the stream behind.
        pool.clone().oneshot(outgoing(request, timeout(&path))).await
    }
}

/// What is left of the caller's time, but no more than the method may take.
fn timeout(path: &str) -> Option<Duration> {
    let left = rpc::deadline::current().map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let most = methods::find(path).and_then(methods::Method::timeout);
    match (left, most) {
        (Some(left), Some(most)) => Some(left.min(most)),
        (left, most) => left.or(most),
    }
}

/// The request as the service gets it: the same path and body, the headers that may pass.
fn outgoing(request: Request<Body>, timeout: Option<Duration>) -> Request<Body> {
    let (parts, body) = request.into_parts();
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    // A query or an authority of the caller's is not the service's business.
    if let Ok(path) = parts.uri.path().parse() {
        *outgoing.uri_mut() = path;
    }
    *outgoing.headers_mut() = headers::forwarded(&parts.headers, timeout);
    outgoing
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let forward = self.clone();
        Box::pin(async move { Ok(forward.forward(request).await) })
    }
}
