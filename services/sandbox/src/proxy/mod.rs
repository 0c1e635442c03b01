//! The second way in: an HTTPS proxy that answers for Meta's own hosts, so that a program whose hosts are fixed runs
//! unchanged with `HTTPS_PROXY` set and our authority trusted.
//!
//! `CONNECT graph.facebook.com:443` opens a tunnel whose other end is this sandbox, with a certificate of its own
//! authority. Plain `GET http://graph.facebook.com/...` is answered as well. Nothing is ever passed on to anybody.

mod authority;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::door::{self, Dropped, Sandbox};
use crate::server::{Scheme, serve_stream, until_stopped};
use authority::Authority;

/// The hosts of Meta that are answered for (Meta, "Graph API: overview": "Host URL"; the login dialog is on `www`).
pub(crate) const HOSTS: [&str; 3] = ["graph.facebook.com", "graph-video.facebook.com", "www.facebook.com"];
/// The one port of those hosts.
const PORT: u16 = 443;
/// How long a client may take to say what it wants.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What serves the connections to the proxy.
pub(crate) struct Proxy {
    sandbox: Arc<Sandbox>,
    authority: Authority,
    acceptor: TlsAcceptor,
}

/// A tunnel that was asked for and whose stream is yet to come.
type Tunnel = Arc<Mutex<Option<OnUpgrade>>>;

impl Proxy {
    /// Makes the authority or reads it back, and writes its certificate. Fails where the files cannot be used.
    pub(crate) fn open(
        sandbox: Arc<Sandbox>,
        folder: Option<&Path>,
        certificate: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let authority = Authority::open(folder, certificate)?;
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config(&HOSTS)?));
        Ok(Self { sandbox, authority, acceptor })
    }

    /// The file with the authority's certificate, which clients must trust.
    pub(crate) fn certificate(&self) -> &Path {
        self.authority.certificate()
    }

    /// Serves one connection: plain requests, or one tunnel.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, stop: CancellationToken) {
        let tunnel = Tunnel::default();
        let service = service_fn(|request| answer(Arc::clone(&self.sandbox), Arc::clone(&tunnel), request));
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        if let Err(error) = until_stopped(connection, &stop).await {
            tracing::debug!(error, "proxy connection ended");
        }
        let opened = tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(upgrade) = opened {
            self.serve_tunnel(upgrade, stop).await;
        }
    }

    async fn serve_tunnel(&self, upgrade: OnUpgrade, stop: CancellationToken) {
        let handshake = async { self.acceptor.accept(TokioIo::new(upgrade.await?)).await.map_err(anyhow::Error::from) };
        match stop.run_until_cancelled(timeout(HANDSHAKE_TIMEOUT, handshake)).await {
            Some(Ok(Ok(stream))) => serve_stream(stream, Scheme::Https, Arc::clone(&self.sandbox), stop).await,
            Some(Ok(Err(error))) => {
                // The usual cause is a client that was not told of the authority.
                let words = format!("{error:#}");
                tracing::warn!(error = words, "TLS failed; does the client trust the proxy's certificate?");
            }
            Some(Err(_)) => tracing::debug!("TLS handshake not done in time"),
            None => {}
        }
    }
}

async fn answer(sandbox: Arc<Sandbox>, tunnel: Tunnel, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let uri = request.uri();
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let known = HOSTS.contains(&host.as_str());
    if request.method() == Method::CONNECT {
        if !known || uri.port_u16() != Some(PORT) {
            return Ok(refused(&format!("{host}:{}", uri.port_u16().unwrap_or(PORT))));
        }
        *tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(hyper::upgrade::on(request));
        return Ok(Response::new(Body::empty()));
    }
    if known {
        return door::answer(sandbox, request.map(Body::new), Scheme::Http).await;
    }
    Ok(refused(if host.is_empty() { "a request without a host" } else { &host }))
}

fn refused(what: &str) -> Response<Body> {
    let text = format!(
        "This proxy is a stand-in for Meta and answers for {} on port {PORT} only, not for {what}. Send other calls \
         past it, for example with NO_PROXY.\n",
        HOSTS.join(", ")
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
