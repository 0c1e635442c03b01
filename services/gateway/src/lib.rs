//! The one public door: gRPC on one port.
//!
//! A call passes the stack (`stack.rs`: one layer per line, each with its reason) and goes on to the service that owns its
//! package (`routes.rs`), over HTTP/2 connections of our own. Bodies are frames and trailers that nobody here decodes; the
//! one exception is `OperationService` (`operations.rs`), whose requests name the service that does the work. Only the
//! headers of `headers.rs` go through, so nobody outside can speak as a service of ours.
//!
//! The gateway holds auth's stream of what ended, so that a revoked caller and a stopped tenant are refused at the door
//! within two seconds.
//!
//! What must hold: a method without a scope in its proto has no route, and neither has an internal one; what another
//! service answers is passed on as it is; an answer that fails has an ErrorInfo, whoever it comes from.
//!
//! The HTTP doors (`doors.rs`) are the few addresses that people's browsers come to.
//!
//! Not here yet: gRPC-Web, the Connect protocol, webhooks, limits per caller.

mod doors;
mod error;
mod forward;
mod headers;
mod operations;
mod routes;
mod settings;
mod shed;
mod stack;
mod system;
#[cfg(test)]
mod tests;

pub use settings::{Limits, Settings};

use tokio::net::TcpListener;

/// Binds the ports of the settings and serves until the process stops.
///
/// # Errors
/// Fails when a port cannot be bound or the stack cannot be built.
pub async fn serve(settings: Settings, process: runtime::Process) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    serve_on(listener, settings, process).await
}

/// As [`serve`], on a listener that is bound already.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(listener: TcpListener, settings: Settings, process: runtime::Process) -> anyhow::Result<()> {
    let readiness = runtime::admin::Readiness::new();
    let admin = TcpListener::bind(settings.admin_listen).await?;
    let registry = runtime::telemetry::metrics();
    let stop = process.stop.clone();
    process.tasks.spawn(runtime::admin::serve(admin, readiness.clone(), registry, stop));
    let (server, verifier) = stack::server(&settings)?;
    match stack::revocations(&settings)? {
        Some(auth) => {
            process.tasks.spawn(verifier.watch(auth, process.stop.clone()));
        }
        None => tracing::warn!(
            "nothing proves to auth who this gateway is (auth.service_secret_file), so it does not hear which tokens ended"
        ),
    }
    readiness.ready();
    let served = server.serve(listener, process.stop.clone()).await;
    readiness.drain();
    Ok(served?)
}
