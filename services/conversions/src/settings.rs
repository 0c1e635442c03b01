//! What an operator can set, with every fault told at once.

use std::net::SocketAddr;

use runtime::settings::{Check, Faults, Secret};
use serde::Deserialize;

/// Settings of the conversions service.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where gRPC is served. Default 127.0.0.1:7460.
    pub listen: SocketAddr,
    /// Where health and metrics are served. Default 127.0.0.1:7469.
    pub admin_listen: SocketAddr,
    /// The database; the schema is `conversions` unless it says otherwise.
    pub postgres: storage::PostgresSettings,
    /// Where auth is, and who we are.
    pub auth: rpc::PeerSettings,
    /// Where ratelimit is; who we are stands in `auth`.
    pub ratelimit: rpc::PeerSettings,
    /// Where Meta is.
    pub graph: graph::Settings,
    /// The key of page tokens, the same for all replicas.
    pub page_key_file: Secret,
    /// The workers that deliver events.
    pub dispatcher: DispatcherSettings,
    /// How long the ledger remembers events that ended, in days: repeats are recognised for as long. Default 90.
    pub ledger_days: u64,
    /// Whether the service describes its methods (gRPC reflection). Default off.
    pub reflection: bool,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::TelemetrySettings,
}

/// The workers that deliver events.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DispatcherSettings {
    /// Calls to Meta that one replica has under way at once. Default 4.
    pub workers: usize,
    /// Events in one call at most. Meta's limit and the default are 1,000.
    pub batch_events: usize,
    /// How long events are held without a sign of life, in seconds: what they wait after a crash. Renewed at each third
    /// while a call waits or is under way; more than `graph.call_timeout_seconds`. Default 90.
    pub lease_seconds: u64,
    /// How often a worker looks for due events when nobody wakes it, in milliseconds. Default 1,000.
    pub poll_milliseconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7460)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7469)),
            postgres: storage::PostgresSettings::default(),
            auth: rpc::PeerSettings::default(),
            ratelimit: rpc::PeerSettings { endpoint: "http://127.0.0.1:7420".to_owned(), ..Default::default() },
            graph: graph::Settings::default(),
            page_key_file: Secret::default(),
            dispatcher: DispatcherSettings::default(),
            ledger_days: 90,
            reflection: false,
            telemetry: runtime::telemetry::TelemetrySettings::default(),
        }
    }
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self { workers: 4, batch_events: graph::events::EVENTS_MAX, lease_seconds: 90, poll_milliseconds: 1_000 }
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.nested("postgres", self.postgres.in_schema(crate::SCHEMA).faults());
        faults.check(self.auth.names_a_proof(), "auth.service_secret_file", "must name a file");
        faults.nested("graph", self.graph.faults());
        self.page_key_file.check("page_key_file", faults);
        faults.section("dispatcher", &self.dispatcher);
        faults.check(
            self.dispatcher.lease_seconds > self.graph.call_timeout_seconds,
            "dispatcher.lease_seconds",
            "must be more than graph.call_timeout_seconds, so that a renewal that fails does not let another send the same call",
        );
        faults.check((62..=3_650).contains(&self.ledger_days), "ledger_days", "must be 62 to 3650");
        faults.section("telemetry", &self.telemetry);
    }
}

impl Check for DispatcherSettings {
    fn check(&self, faults: &mut Faults) {
        faults.check((1..=64).contains(&self.workers), "workers", "must be 1 to 64");
        let events = 1..=graph::events::EVENTS_MAX;
        faults.check(events.contains(&self.batch_events), "batch_events", "must be 1 to 1000");
        faults.check((1..=900).contains(&self.lease_seconds), "lease_seconds", "must be 1 to 900");
        faults.check((10..=60_000).contains(&self.poll_milliseconds), "poll_milliseconds", "must be 10 to 60000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_defaults_are_good_and_outlast_a_call() {
        let mut faults = Faults::default();
        DispatcherSettings::default().check(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let settings = Settings::default();
        assert!(settings.dispatcher.lease_seconds > settings.graph.call_timeout_seconds);
    }

    #[test]
    fn every_fault_of_the_workers_is_told_at_once() {
        let mut faults = Faults::default();
        let wrong = DispatcherSettings { workers: 0, batch_events: 1_001, lease_seconds: 0, poll_milliseconds: 0 };
        wrong.check(&mut faults);
        assert_eq!(faults.len(), 4);
    }
}
