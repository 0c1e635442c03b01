//! Refuses what is too much at once, so that what was taken is done in time.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt};

use crate::error::Error;

/// Of all places those without a token have a twentieth, beside the others: whoever they are, they take no place from a
/// caller.
const STRANGERS_PART: usize = 20;

/// How many calls without a token there may be at once, where there may be so many with one.
pub(crate) fn strangers_max(in_flight_max: usize) -> usize {
    (in_flight_max / STRANGERS_PART).max(1)
}

/// Lets at most so many calls through at once; a call is over when its answer's body is.
#[derive(Clone)]
pub(crate) struct Shed<S> {
    inner: S,
    places: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl<S> Shed<S> {
    /// Before `inner`.
    pub(crate) fn new(inner: S, in_flight_max: usize) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { inner, places: places(in_flight_max), strangers: places(strangers_max(in_flight_max)) }
    }
}

impl<S> Service<Request<Body>> for Shed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.inner.clone();
        let is_known = request.extensions().get::<rpc::Principal>().is_some();
        let place = Arc::clone(if is_known { &self.places } else { &self.strangers }).try_acquire_owned();
        Box::pin(async move {
            let Ok(place) = place else { return Ok(rpc::status(&Error::Overloaded).into_http()) };
            let response = inner.oneshot(request).await?;
            Ok(response.map(|body| Body::new(Held { body, _place: place })))
        })
    }
}

/// A body that keeps its call's place until it is read or dropped.
struct Held {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_place_is_free_again_when_the_answer_was_dropped() {
        let inner = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"answer")))))
        });
        let shed = Shed::new(inner, 1);
        let call = async || shed.clone().oneshot(Request::new(Body::empty())).await.unwrap();
        let first = call().await;
        assert_eq!(Status::from_header_map(first.headers()).map(|status| status.code()), None);
        let second = call().await;
        let refused = Status::from_header_map(second.headers()).unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        drop(first);
        assert!(Status::from_header_map(call().await.headers()).is_none());
    }

    #[tokio::test]
    async fn whoever_has_no_token_takes_no_place_from_who_has_one() {
        let inner = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"answer")))))
        });
        let shed = Shed::new(inner, STRANGERS_PART);
        let call = async |known: bool| {
            let mut request = Request::new(Body::empty());
            let principal = rpc::Principal {
                tenant: None,
                tenants: rpc::Tenants::All,
                subject: "callers/1".into(),
                scopes: rpc::Scopes::All,
                service: None,
                token: None,
                suspended: false,
            };
            known.then(|| request.extensions_mut().insert(principal));
            shed.clone().oneshot(request).await.unwrap()
        };
        let is_refused = |response: &Response<Body>| Status::from_header_map(response.headers()).is_some();
        let stranger = call(false).await;
        assert!(!is_refused(&stranger) && is_refused(&call(false).await));
        let mut held = Vec::new();
        for _ in 0..STRANGERS_PART {
            held.push(call(true).await);
        }
        assert!(!held.iter().any(is_refused) && is_refused(&call(true).await));
        drop(stranger);
        assert!(!is_refused(&call(false).await));
    }
}
