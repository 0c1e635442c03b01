//! One connection to one address: made when first needed, made again when it closed, with a count of its streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tracing::debug;

use super::replay::ReplayBody;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A place for one connection.
pub(super) struct Connection {
    address: SocketAddr,
    /// Held while connecting, so that one connects and the others wait.
    live: Mutex<Option<Sender>>,
    in_flight: Arc<AtomicUsize>,
}

/// The sending half of a live connection.
#[derive(Clone)]
pub(super) struct Sender(http2::SendRequest<ReplayBody>);

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("connecting took more than two seconds")]
    TooSlow,
    #[error("connecting failed")]
    Connect(#[from] std::io::Error),
    #[error("it does not speak HTTP/2")]
    Handshake(#[from] hyper::Error),
}

/// Counts one stream until it is dropped.
pub(super) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, live: Mutex::new(None), in_flight: Arc::default() }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn count(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// How many streams are open on it.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The live connection, made now where there is none.
    pub(super) async fn sender(&self) -> Result<Sender, Failure> {
        let mut live = self.live.lock().await;
        if let Some(sender) = live.as_ref().filter(|sender| !sender.0.is_closed()) {
            return Ok(sender.clone());
        }
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(self.address)).await;
        let sender = connected.map_err(|_| Failure::TooSlow)??;
        Ok(live.insert(sender).clone())
    }

    /// After a failure: the next call connects anew, unless the connection is still good for others.
    pub(super) fn forget(&self, sender: &Sender) {
        if sender.0.is_closed()
            && let Ok(mut live) = self.live.try_lock()
        {
            live.take_if(|sender| sender.0.is_closed());
        }
    }
}

impl Sender {
    pub(super) async fn send(&self, request: Request<ReplayBody>) -> Result<Response<Incoming>, hyper::Error> {
        self.0.clone().send_request(request).await
    }
}

#[expect(clippy::disallowed_methods, reason = "the task is the connection: it ends when its last sender is dropped")]
async fn connect(address: SocketAddr) -> Result<Sender, Failure> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .handshake(TokioIo::new(socket))
        .await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(error = &error as &dyn std::error::Error, "a connection broke");
        }
    });
    Ok(Sender(sender))
}

/// The one with fewer streams in flight of two picked at random.
pub(super) fn less_busy(connections: &[Arc<Connection>]) -> Option<Arc<Connection>> {
    let pick = || connections.get(fastrand::usize(..connections.len()));
    if connections.is_empty() {
        return None;
    }
    [pick(), pick()].into_iter().flatten().min_by_key(|connection| connection.in_flight()).cloned()
}
