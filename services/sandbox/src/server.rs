//! The listener. Written over hyper instead of axum's own loop, because a fault may end a connection without an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::door::{Sandbox, answer};
use crate::options::Options;

/// How long calls in flight may take after the stop.
const DRAIN: Duration = Duration::from_secs(3);
/// How long to wait after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves at `options.listen` until `stop`. Fails where the address is taken or the journal cannot be read.
pub async fn serve(options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen).await?;
    serve_on(listener, options, stop).await
}

/// Serves on a listener that is bound already; `options.listen` is not looked at.
pub async fn serve_on(listener: TcpListener, options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let opening = stop.clone();
    let sandbox = tokio::task::spawn_blocking(move || Sandbox::open(options, opening)).await??;
    let sandbox = Arc::new(sandbox);
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, Arc::clone(&sandbox), stop.clone()));
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
    Ok(())
}

async fn serve_connection(stream: TcpStream, sandbox: Arc<Sandbox>, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        answer(Arc::clone(&sandbox), request.map(Body::new))
    });
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = served {
        // A dropped connection is a fault on demand or a client that left.
        tracing::debug!(error = %error, "connection ended");
    }
}
