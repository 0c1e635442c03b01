//! What an operator can set, with every fault told at once.

use std::net::SocketAddr;

use runtime::settings::{Check, Faults, Secret};
use serde::Deserialize;

/// Settings of the insights service.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where gRPC is served. Default 127.0.0.1:7440.
    pub listen: SocketAddr,
    /// Where health and metrics are served. Default 127.0.0.1:7449.
    pub admin_listen: SocketAddr,
    /// The database; the schema is `insights` unless it says otherwise.
    pub postgres: storage::PostgresSettings,
    /// Where auth is, and who we are.
    pub auth: rpc::PeerSettings,
    /// Where ratelimit is; who we are stands in `auth`.
    pub ratelimit: rpc::PeerSettings,
    /// Where Meta is.
    pub graph: graph::Settings,
    /// The key of page tokens, the same for all replicas.
    pub page_key_file: Secret,
    /// The workers that make reports.
    pub poller: PollerSettings,
    /// Metrics that Meta has and our tables do not have yet: let in as they are. Default: none.
    pub fields_also: Vec<String>,
    /// Whether the service describes its methods (gRPC reflection). Default off.
    pub reflection: bool,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::TelemetrySettings,
}

/// The workers that make reports.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PollerSettings {
    /// Reports that one replica works on at once. Default 4.
    pub workers: usize,
    /// How long a worker holds a report without a sign of life, in seconds: what a restart after a crash waits.
    /// Default 15.
    pub lease_seconds: u64,
    /// How long a worker sleeps that found nothing to do, in milliseconds. Default 500.
    pub idle_milliseconds: u64,
    /// The shortest time between two questions about a run, in milliseconds. Default 1,000.
    pub poll_milliseconds_min: u64,
    /// The longest time between two questions about a run, in seconds. Default 30.
    pub poll_seconds_max: u64,
    /// Runs that Meta works on for one report at once. Default 10.
    pub runs_max: usize,
    /// How often a slice is begun before it is cut. Default 3.
    pub tries_max: u32,
    /// How long one run may take, in minutes. Default 60.
    pub run_minutes_max: u64,
    /// How often days are read again whose sums differ from the account's. Default 2.
    pub rereads_max: u32,
    /// How long a report may take with all its waiting, in hours. Default 24.
    pub report_hours_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7440)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7449)),
            postgres: storage::PostgresSettings::default(),
            auth: rpc::PeerSettings::default(),
            ratelimit: rpc::PeerSettings { endpoint: "http://127.0.0.1:7420".to_owned(), ..Default::default() },
            graph: graph::Settings::default(),
            page_key_file: Secret::default(),
            poller: PollerSettings::default(),
            fields_also: Vec::new(),
            reflection: false,
            telemetry: runtime::telemetry::TelemetrySettings::default(),
        }
    }
}

impl Default for PollerSettings {
    fn default() -> Self {
        Self {
            workers: 4,
            lease_seconds: 15,
            idle_milliseconds: 500,
            poll_milliseconds_min: 1_000,
            poll_seconds_max: 30,
            runs_max: 10,
            tries_max: 3,
            run_minutes_max: 60,
            rereads_max: 2,
            report_hours_max: 24,
        }
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.nested("postgres", self.postgres.in_schema(crate::SCHEMA).faults());
        for (key, peer) in [("auth.endpoint", &self.auth), ("ratelimit.endpoint", &self.ratelimit)] {
            let reachable = rpc::Peer::connect(&peer.endpoint, rpc::ServiceIdentity::nobody()).is_ok();
            faults.check(reachable, key, "must be an address such as http://127.0.0.1:7410");
        }
        faults.nested("graph", self.graph.faults());
        self.page_key_file.check("page_key_file", faults);
        faults.section("poller", &self.poller);
        faults.section("telemetry", &self.telemetry);
    }
}

impl Check for PollerSettings {
    fn check(&self, faults: &mut Faults) {
        faults.check((1..=64).contains(&self.workers), "workers", "must be 1 to 64");
        faults.check((5..=300).contains(&self.lease_seconds), "lease_seconds", "must be 5 to 300");
        faults.check((10..=60_000).contains(&self.idle_milliseconds), "idle_milliseconds", "must be 10 to 60,000");
        faults.check(
            (10..=60_000).contains(&self.poll_milliseconds_min),
            "poll_milliseconds_min",
            "must be 10 to 60,000",
        );
        faults.check((1..=600).contains(&self.poll_seconds_max), "poll_seconds_max", "must be 1 to 600");
        faults.check(
            self.poll_milliseconds_min <= self.poll_seconds_max * 1_000,
            "poll_milliseconds_min",
            "must not be longer than poll_seconds_max",
        );
        faults.check((1..=100).contains(&self.runs_max), "runs_max", "must be 1 to 100");
        faults.check((1..=10).contains(&self.tries_max), "tries_max", "must be 1 to 10");
        faults.check((1..=1_440).contains(&self.run_minutes_max), "run_minutes_max", "must be 1 to 1,440");
        faults.check(self.rereads_max <= 10, "rereads_max", "must be at most 10");
        faults.check((1..=168).contains(&self.report_hours_max), "report_hours_max", "must be 1 to 168");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_defaults_are_good() {
        let mut faults = Faults::default();
        PollerSettings::default().check(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let mut faults = Faults::default();
        let wrong = PollerSettings { workers: 0, runs_max: 0, poll_milliseconds_min: 31_000, ..Default::default() };
        wrong.check(&mut faults);
        assert_eq!(faults.len(), 3);
    }
}
