//! One connection to one address: made when first needed, made again when it closed, with a count of its streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tracing::debug;

use super::rendezvous;
use super::replay::ReplayBody;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Where a replica listens.
pub(super) struct Address {
    pub(super) socket: SocketAddr,
    /// Of its text, for [`super::Rendezvous`].
    pub(super) hash: u64,
    /// It did not take the last connection: others are asked first, until it is looked up again or takes one.
    is_resting: AtomicBool,
}

/// A place for one connection.
pub(super) struct Connection {
    pub(super) address: Arc<Address>,
    live: ArcSwapOption<Sender>,
    /// Held while connecting, so that one connects and the others wait.
    connecting: Mutex<()>,
    in_flight: Arc<AtomicUsize>,
}

/// The sending half of a live connection.
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

impl Address {
    pub(super) fn new(socket: SocketAddr) -> Self {
        Self { socket, hash: rendezvous::hash(socket.to_string().as_bytes()), is_resting: AtomicBool::new(false) }
    }

    pub(super) fn rest(&self, is_resting: bool) {
        self.is_resting.store(is_resting, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn new(address: Arc<Address>) -> Self {
        Self { address, live: ArcSwapOption::empty(), connecting: Mutex::new(()), in_flight: Arc::default() }
    }

    pub(super) fn count(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// How many streams are open on it.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn is_resting(&self) -> bool {
        self.address.is_resting.load(Ordering::Relaxed)
    }

    /// The live connection, made now where there is none.
    pub(super) async fn sender(&self) -> Result<Arc<Sender>, Failure> {
        if let Some(sender) = self.live() {
            return Ok(sender);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(sender) = self.live() {
            return Ok(sender);
        }
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(self.address.socket)).await;
        let connected = connected.unwrap_or(Err(Failure::TooSlow));
        self.address.rest(connected.is_err());
        let sender = Arc::new(connected?);
        self.live.store(Some(Arc::clone(&sender)));
        Ok(sender)
    }

    pub(super) fn live(&self) -> Option<Arc<Sender>> {
        self.live.load_full().filter(|sender| !sender.0.is_closed())
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

/// The one with fewer streams in flight of two picked at random; only where those rest, any that does not.
pub(super) fn less_busy(connections: &[Arc<Connection>]) -> Option<Arc<Connection>> {
    if connections.is_empty() {
        return None;
    }
    let pick = || connections.get(fastrand::usize(..connections.len()));
    let picks = [pick(), pick()].into_iter().flatten();
    let picked = picks.min_by_key(|connection| (connection.is_resting(), connection.in_flight()));
    let awake = || connections.iter().find(|connection| !connection.is_resting());
    picked.filter(|picked| !picked.is_resting()).or_else(awake).or_else(pick).cloned()
}
