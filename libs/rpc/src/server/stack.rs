//! What a request passes on its way to its method.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::Forward;
use super::outgoing::{self, Outgoing};
use crate::context::{CALL, Call};
use crate::deadline::{self, Deadline, DeadlinePassed};
use crate::fault::{self, Code, ErrorReason, Fault};
use crate::identity::{self, SERVICE_AUTHORIZATION};
use crate::methods::{self, Method, Scope};
use crate::token::Verifier;
use crate::trace::{Sampling, Trace};

/// What a stack is made of.
pub(super) struct Parts {
    pub(super) name: &'static str,
    pub(super) verifier: Arc<Verifier>,
    pub(super) routes: Router,
    pub(super) ours: Vec<&'static str>,
    pub(super) foreign: Vec<(&'static str, Scope)>,
    pub(super) http: Router,
    pub(super) forward: Option<Forward>,
    pub(super) public: bool,
    pub(super) hidden: Vec<&'static str>,
    pub(super) sampling: Sampling,
    pub(super) stop: CancellationToken,
}

/// All layers in one service, so that a call costs one allocation for them.
#[derive(Clone)]
pub(super) struct Stack(Arc<Parts>);

/// Where an admitted request goes.
enum Target {
    Here,
    Forward(Forward),
}

impl Stack {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let parts = &self.0;
        let trace = Trace::of(request.headers(), parts.sampling);
        let path = request.uri().path().to_owned();
        let is_grpc = is_grpc(&request);
        let method = methods::find(&path);
        let deadline = if is_grpc { deadline::of(request.headers(), method) } else { None };
        let call = Call { service: parts.name, deadline, trace, stop: parts.stop.clone() };
        let span = trace.span(&path);
        let started = Instant::now();
        let answered = async {
            if is_grpc {
                let answer = self.in_time(deadline, self.admitted(method, request));
                answer.await.unwrap_or_else(Status::into_http)
            } else {
                let Ok(response) = parts.http.clone().oneshot(request.map(axum::body::Body::new)).await;
                response.map(Body::new)
            }
        };
        let response = CALL.scope(call.clone(), answered.instrument(span.clone())).await;
        if !is_grpc {
            return response;
        }
        let is_stream = method.is_none_or(|method| method.streams);
        Outgoing::wrap(response, outgoing::Watch { call, path, span, started, is_stream })
    }

    /// The deadline of the call as far as its headers; that of a streamed answer goes on in its body.
    async fn in_time(
        &self,
        deadline: Option<Instant>,
        answer: impl Future<Output = Result<Response<Body>, Status>>,
    ) -> Result<Response<Body>, Status> {
        let Some(deadline) = deadline else { return answer.await };
        let timed = tokio::time::timeout_at(deadline.into(), answer).await;
        timed.unwrap_or_else(|_| Err(fault::status(&DeadlinePassed)))
    }

    async fn admitted(&self, method: Option<&Method>, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let parts = &self.0;
        let (scope, target) = self.route(request.uri().path(), method)?;
        if parts.public {
            request.headers_mut().remove(SERVICE_AUTHORIZATION);
        }
        let known = identity::authenticate(&parts.verifier, request.headers()).await;
        // An open method is called by those who have no token yet, and by those whose token just ended.
        let principal = if scope == &Scope::Open { known.ok().flatten() } else { known? };
        identity::authorize(scope, principal.as_ref())?;
        principal.map(|principal| request.extensions_mut().insert(principal));
        deadline::current().map(|deadline| request.extensions_mut().insert(Deadline(deadline)));
        let Ok(response) = match target {
            Target::Here => {
                let routed = parts.routes.clone().oneshot(request.map(axum::body::Body::new)).await;
                routed.map(|response| response.map(Body::new))
            }
            Target::Forward(forward) => forward.oneshot(request).await,
        };
        Ok(response)
    }

    /// Where the request goes and what that asks of its caller. Fails for a method that is not here.
    fn route<'a>(&'a self, path: &str, method: Option<&'a Method>) -> Result<(&'a Scope, Target), Status> {
        let parts = &self.0;
        let unknown = || fault::status(&UnknownMethod(path.to_owned()));
        let service = path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default();
        if let Some((_, scope)) = parts.foreign.iter().find(|(name, _)| *name == service) {
            return Ok((scope, Target::Here));
        }
        let scope = method.and_then(|method| method.scope.as_ref()).ok_or_else(unknown)?;
        if parts.public && (*scope == Scope::Internal || parts.hidden.contains(&path)) {
            return Err(unknown());
        }
        match &parts.forward {
            _ if parts.ours.contains(&service) => Ok((scope, Target::Here)),
            Some(forward) => Ok((scope, Target::Forward(forward.clone()))),
            None => Err(unknown()),
        }
    }
}

impl Service<Request<Incoming>> for Stack {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let stack = self.clone();
        Box::pin(async move { Ok(stack.answer(request.map(Body::new)).await) })
    }
}

fn is_grpc(request: &Request<Body>) -> bool {
    let kind = request.headers().get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    // gRPC-Web has its own envelope and is not spoken here.
    kind.is_some_and(|kind| kind == b"application/grpc" || kind.starts_with(b"application/grpc+"))
}

#[derive(Debug, thiserror::Error)]
#[error("this server has no method {0}")]
struct UnknownMethod(String);

impl Fault for UnknownMethod {
    fn code(&self) -> Code {
        Code::Unimplemented
    }

    fn reason(&self) -> ErrorReason {
        ErrorReason::UnknownMethod
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        vec![("method", self.0.clone())]
    }
}
