//! Connections: accepted, served by HTTP/1.1 or HTTP/2, and closed in order when the server stops.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::stack::Stack;

const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
const STREAMS_MAX: u32 = 1024;
const KEEPALIVE: Duration = Duration::from_secs(20);
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests in flight may go on after the stop.
const DRAIN: Duration = Duration::from_secs(10);
/// After a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop` fires, then waits until the last request is answered or the time for it is over.
pub(super) async fn accept(listener: TcpListener, stack: Stack, stop: &CancellationToken) {
    let builder = builder();
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((socket, _)) => {
                connections.spawn(serve(builder.clone(), socket, stack.clone(), stop.clone()));
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        warn!(connections = connections.len(), "cut connections that were not done in time");
        connections.shutdown().await;
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    builder
}

async fn serve(builder: Builder<TokioExecutor>, socket: TcpStream, stack: Stack, stop: CancellationToken) {
    if let Err(error) = socket.set_nodelay(true) {
        debug!(error = &error as &dyn std::error::Error, "a connection without nodelay");
    }
    let connection = builder.serve_connection(TokioIo::new(socket), TowerToHyperService::new(stack));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown(); // GOAWAY, or `connection: close` after the answer
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error = &*error, "a connection broke");
    }
}
