//! The listeners. Written over hyper instead of axum's own loop, because a fault may end a connection without an answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::door::{self, Sandbox};
use crate::options::Options;
use crate::proxy::Proxy;
use crate::ready::Ready;
use crate::request_line::Encoded;

/// How long calls in flight may take after the stop.
const DRAIN: Duration = Duration::from_secs(3);
/// How long to wait after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves at `options.listen` until `stop`. Fails where an address is taken or the data folder cannot be read.
pub async fn serve(options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&options).await?;
    serve_on(listeners, options, stop).await
}

/// Serves on listeners that are bound already; the addresses of `options` are not looked at.
pub async fn serve_on(
    listeners: impl Into<Listeners>,
    options: Options,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    Server::open(listeners.into(), options, stop).await?.serve().await
}

/// The sockets of a sandbox.
#[derive(Debug)]
pub struct Listeners {
    /// For clients that take a base URL.
    pub graph: TcpListener,
    /// For clients that call Meta's own hosts through a proxy.
    pub proxy: Option<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of `options`. Fails where one is taken.
    pub async fn bind(options: &Options) -> std::io::Result<Self> {
        let graph = TcpListener::bind(options.listen).await?;
        let proxy = match options.proxy {
            Some(address) => Some(TcpListener::bind(address).await?),
            None => None,
        };
        Ok(Self { graph, proxy })
    }
}

impl From<TcpListener> for Listeners {
    fn from(graph: TcpListener) -> Self {
        Self { graph, proxy: None }
    }
}

/// How a client reached us, as links name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A sandbox whose world stands and whose sockets are bound, before it answers.
pub struct Server {
    listeners: Listeners,
    sandbox: Arc<Sandbox>,
    proxy: Option<Arc<Proxy>>,
    stop: CancellationToken,
}

impl Server {
    /// Makes the world, or reads it back. Fails where the data folder or the proxy's files cannot be used.
    pub async fn open(listeners: Listeners, options: Options, stop: CancellationToken) -> anyhow::Result<Self> {
        let (opening, with_proxy) = (stop.clone(), listeners.proxy.is_some());
        let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let (data, certificate) = (options.data.clone(), options.proxy_ca.clone());
            let sandbox = Arc::new(Sandbox::open(options, opening)?);
            sandbox.begin_sets(sandbox.open_sets());
            let proxy = with_proxy
                .then(|| Proxy::open(Arc::clone(&sandbox), data.as_deref(), certificate.as_deref()))
                .transpose()?;
            Ok((sandbox, proxy.map(Arc::new)))
        });
        let (sandbox, proxy) = opened.await??;
        Ok(Self { listeners, sandbox, proxy, stop })
    }

    /// What a client needs to know.
    pub fn ready(&self) -> std::io::Result<Ready> {
        let certificate = self.proxy.as_ref().map(|proxy| proxy.certificate());
        Ready::of(&self.listeners, certificate)
    }

    /// Answers until the stop, and a little longer for calls in flight.
    pub async fn serve(self) -> anyhow::Result<()> {
        let Self { listeners, sandbox, proxy, stop } = &self;
        let graph = accept(&listeners.graph, stop, |stream| {
            serve_stream(stream, Scheme::Http, Arc::clone(sandbox), stop.clone())
        });
        let proxied = async {
            if let (Some(listener), Some(proxy)) = (&listeners.proxy, proxy) {
                accept(listener, stop, |stream| Arc::clone(proxy).serve(stream, stop.clone())).await;
            }
        };
        tokio::join!(graph, proxied);
        Ok(())
    }
}

/// Takes connections until the stop, then waits for those that are left.
async fn accept<F>(listener: &TcpListener, stop: &CancellationToken, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no TCP_NODELAY");
                }
                connections.spawn(serve(stream));
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!("connections cut at the end");
    }
}

/// Serves one connection, HTTP/1 or 2.
pub(crate) async fn serve_stream<S>(stream: S, scheme: Scheme, sandbox: Arc<Sandbox>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        door::answer(Arc::clone(&sandbox), request.map(Body::new), scheme)
    });
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(Encoded::new(stream)), service);
    if let Err(error) = until_stopped(connection, &stop).await {
        // A dropped connection is a fault on demand or a client that left.
        tracing::debug!(error, "connection ended");
    }
}

/// Drives a connection to its end; after the stop it takes no new requests.
pub(crate) async fn until_stopped<C: GracefulConnection>(
    connection: C,
    stop: &CancellationToken,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}
