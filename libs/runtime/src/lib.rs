//! What every process of ours needs before it does anything of its own.
//!
//! [`run()`] starts the async runtime, [`settings`] reads the settings file and the environment (and is the one place that
//! reads the environment), [`telemetry`] makes logs, metrics and traces, [`process`] knows when to stop and in which order,
//! and [`admin`] serves health and metrics on a port of its own.
//!
//! The order of a shutdown is the same everywhere: not ready, no new requests, requests done, workers done, telemetry
//! flushed.

pub mod admin;
pub mod process;
mod run;
pub mod settings;
pub mod telemetry;

pub use process::Process;
pub use run::run;
