//! A server of ours: what every request passes, and how it stops.
//!
//! Outside in: the trace, the deadline, who calls, may they, the method; and on the way out an ErrorInfo on every failure.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;
use tower::util::BoxCloneSyncService;

use crate::context;
use crate::methods::{self, Scope};
use crate::token::Verifier;
use crate::trace::Sampling;

mod listen;
mod outgoing;
mod stack;

use stack::Stack;

const REFLECTION: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A method has no scope, so nobody knows who may call it.
    #[error("{0} has no scope in its proto, so it stays closed; add one")]
    NoScope(String),
    /// A service that no proto of ours describes was added as if it were ours.
    #[error("{0} is in no proto of ours; add it with `add_foreign` and a scope")]
    NotOurs(&'static str),
    /// The descriptors that reflection serves cannot be read.
    #[error("reflection cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What hands on calls of methods that this server does not have itself: the gateway's way to the services.
pub type Forward = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A server in the making.
pub struct Server {
    name: &'static str,
    verifier: Arc<Verifier>,
    routes: Routes,
    ours: Vec<&'static str>,
    foreign: Vec<(&'static str, Scope)>,
    http: Router,
    forward: Option<Forward>,
    public: bool,
    hidden: Vec<&'static str>,
    reflection: bool,
    sampling: Sampling,
}

impl Server {
    /// `name` is the service's, such as `campaigns`: it stands in every ErrorInfo.
    pub fn new(name: &'static str, verifier: Arc<Verifier>) -> Self {
        Self {
            name,
            verifier,
            routes: Routes::default(),
            ours: Vec::new(),
            foreign: Vec::new(),
            http: Router::new(),
            forward: None,
            public: false,
            hidden: Vec::new(),
            reflection: false,
            sampling: Sampling::default(),
        }
    }

    /// A service of our protos; each of its methods must have a scope.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "it adds a service, not a number")]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.ours.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// A service of somebody else's proto, all of whose methods ask for this scope.
    #[must_use]
    pub fn add_foreign<S>(mut self, service: S, scope: Scope) -> Self
    where
        S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.foreign.push((S::NAME, scope));
        self.routes = self.routes.add_service(service);
        self
    }

    /// Plain HTTP on the same port: whatever is no gRPC goes here, unverified.
    #[must_use]
    pub fn http(mut self, routes: Router) -> Self {
        self.http = self.http.merge(routes);
        self
    }

    /// Methods of our protos that this server does not have go here, verified and authorized like its own.
    #[must_use]
    pub fn forward<S>(mut self, to: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.forward = Some(BoxCloneSyncService::new(to));
        self
    }

    /// Open to callers from outside: internal methods do not exist here, and nobody can come as a service.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// A method, by its path, that is not forwarded although its scope would let it.
    #[must_use]
    pub fn hide(mut self, path: &'static str) -> Self {
        self.hidden.push(path);
        self
    }

    /// Whether the server describes itself (`grpc.reflection.v1` and `v1alpha`). Off by default.
    #[must_use]
    pub fn reflection(mut self, on: bool) -> Self {
        self.reflection = on;
        self
    }

    /// How many calls without a decision of their caller are traced. None by default.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Serves until `stop` fires, then lets requests in flight finish for up to ten seconds. Fails where a method has
    /// no scope.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
        self.check()?;
        let (reporter, health) = tonic_health::server::health_reporter();
        let services: Vec<_> = self.ours.iter().copied().chain([""]).collect();
        for service in &services {
            reporter.set_service_status(service, tonic_health::ServingStatus::Serving).await;
        }
        let not_ready = async {
            stop.cancelled().await;
            for service in &services {
                reporter.set_service_status(service, tonic_health::ServingStatus::NotServing).await;
            }
        };
        let stack = self.add_foreign(health, Scope::Open).into_stack(stop.clone())?;
        tokio::join!(listen::accept(listener, stack, &stop), not_ready);
        Ok(())
    }

    /// Every method of ours that is served says who may call it.
    fn check(&self) -> Result<(), Error> {
        for service in &self.ours {
            let mut methods = methods::of_service(service).peekable();
            if methods.peek().is_none() {
                return Err(Error::NotOurs(service));
            }
            if let Some(closed) = methods.find(|method| method.scope.is_none()) {
                return Err(Error::NoScope(closed.path.clone()));
            }
        }
        Ok(())
    }

    fn into_stack(mut self, stop: CancellationToken) -> Result<Stack, Error> {
        if self.reflection {
            self = self.with_reflection()?;
        }
        Ok(Stack::new(stack::Parts {
            name: self.name,
            verifier: self.verifier,
            routes: self.routes.prepare().into_axum_router(),
            ours: self.ours,
            foreign: self.foreign,
            http: self.http,
            forward: self.forward,
            public: self.public,
            hidden: self.hidden,
            sampling: self.sampling,
            stop,
        }))
    }

    fn with_reflection(mut self) -> Result<Self, Error> {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let [v1, v1alpha] = REFLECTION;
        self.foreign.extend([(v1, Scope::Open), (v1alpha, Scope::Open)]);
        let routes = self.routes.add_service(builder().build_v1()?);
        self.routes = routes.add_service(builder().build_v1alpha()?);
        Ok(self)
    }
}

/// Fires when the server that runs the current call stops: a long stream then ends well, so that its caller resumes
/// elsewhere. Outside of a call it never fires.
pub fn stopping() -> CancellationToken {
    context::of_call(|call| call.stop.clone()).unwrap_or_default()
}

/// The same work as a part of the current call, wherever it runs: its failures name the service, and it hears of
/// [`stopping`]. Outside of a call it is just the work.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let call = context::of_call(Clone::clone);
    async move {
        match call {
            Some(call) => context::CALL.scope(call, work).await,
            None => work.await,
        }
    }
}

#[cfg(test)]
mod tests;
