//! Telemetry of commands that are no service: plain lines on stderr where something is wrong.

use runtime::telemetry::{Guard, TelemetrySettings, init};

/// Warnings and worse of this command.
pub(crate) fn quiet(command: &'static str) -> Guard {
    init(command, &TelemetrySettings { log: "warn".to_owned(), ..TelemetrySettings::default() })
}
