//! What is known of the call that is being served, without handing it through every function.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::trace::Trace;

/// The call that the current task serves.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The service that serves it. Here, because tests run several services in one process.
    pub(crate) service: &'static str,
    /// When its answer is too late.
    pub(crate) deadline: Option<Instant>,
    pub(crate) trace: Trace,
    /// Fires when the server stops.
    pub(crate) stop: CancellationToken,
}

tokio::task_local! {
    pub(crate) static CALL: Call;
}

/// A part of the current call; `None` outside of one.
pub(crate) fn of_call<T>(part: impl FnOnce(&Call) -> T) -> Option<T> {
    CALL.try_with(part).ok()
}
