//! What an operator can set, with every fault told at once.

use std::net::SocketAddr;

use runtime::settings::{Check, Environment, Faults, Secret, environment};
use serde::Deserialize;

/// Settings of the audiences service.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where gRPC is served. Default 127.0.0.1:7450.
    pub listen: SocketAddr,
    /// Where health and metrics are served. Default 127.0.0.1:7459.
    pub admin_listen: SocketAddr,
    /// The database; the schema is `audiences` unless it says otherwise.
    pub postgres: storage::PostgresSettings,
    /// Where auth is, and who we are.
    pub auth: rpc::PeerSettings,
    /// Where ratelimit is; who we are stands in `auth`.
    pub ratelimit: rpc::PeerSettings,
    /// Where Meta is.
    pub graph: graph::Settings,
    /// The key of page tokens, the same for all replicas.
    pub page_key_file: Secret,
    /// The key under which people's hashed rows wait: 32 random bytes in base64, the same for all replicas. Whoever
    /// replaces it loses the rows that wait, at most seven days of them.
    pub member_key_file: Secret,
    /// The workers that send people to Meta.
    pub uploader: UploaderSettings,
    /// The most rows of one upload. Default 10,000,000.
    pub job_rows_max: i64,
    /// How long after its answer was lost a create may still appear at Meta, in seconds. Only then is one that three looks
    /// did not find taken for absent. In production at least `graph.call_timeout_seconds` and 120; elsewhere (`ADPLANE_ENV`)
    /// any value above 0, so that tests need not wait. Default 180.
    pub settle_seconds: u32,
    /// Whether the service describes its methods (gRPC reflection). Default off.
    pub reflection: bool,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::TelemetrySettings,
}

/// The workers that send people to Meta.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploaderSettings {
    /// Uploads that one replica sends at once. Default 2.
    pub workers: usize,
    /// Rows of one session, and so of one call, at most: 1,000 to Meta's 10,000, which is the default.
    pub session_rows: usize,
    /// How long a worker holds an upload without a sign of life, in seconds: what it waits after a crash. More than a
    /// call may take with its waiting for quota. Default 180.
    pub lease_seconds: u64,
    /// How often a worker looks for uploads when nobody wakes it, in milliseconds. Default 1,000.
    pub poll_milliseconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7450)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7459)),
            postgres: storage::PostgresSettings::default(),
            auth: rpc::PeerSettings::default(),
            ratelimit: rpc::PeerSettings { endpoint: "http://127.0.0.1:7420".to_owned(), ..Default::default() },
            graph: graph::Settings::default(),
            page_key_file: Secret::default(),
            member_key_file: Secret::default(),
            uploader: UploaderSettings::default(),
            job_rows_max: 10_000_000,
            settle_seconds: 180,
            reflection: false,
            telemetry: runtime::telemetry::TelemetrySettings::default(),
        }
    }
}

impl Default for UploaderSettings {
    fn default() -> Self {
        Self { workers: 2, session_rows: graph::audiences::ROWS_MAX, lease_seconds: 180, poll_milliseconds: 1_000 }
    }
}

impl Settings {
    /// Too short a time would take for absent what Meta is still making, and its caller would make it twice.
    fn check_settle(&self, environment: Environment, faults: &mut Faults) {
        let least = match environment {
            Environment::Production => self.graph.call_timeout_seconds.saturating_add(120),
            Environment::Development => 1,
        };
        let fits = (least..=3_600).contains(&u64::from(self.settle_seconds));
        faults.check(fits, "settle_seconds", &format!("must be {least} to 3600"));
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.nested("postgres", self.postgres.in_schema(crate::SCHEMA).faults());
        faults.check(self.auth.names_a_proof(), "auth.service_secret_file", "must name a file");
        faults.nested("graph", self.graph.faults());
        self.page_key_file.check("page_key_file", faults);
        self.member_key_file.check("member_key_file", faults);
        faults.section("uploader", &self.uploader);
        faults.check((1..=1_000_000_000).contains(&self.job_rows_max), "job_rows_max", "must be 1 to 1000000000");
        self.check_settle(environment(), faults);
        faults.section("telemetry", &self.telemetry);
    }
}

impl Check for UploaderSettings {
    fn check(&self, faults: &mut Faults) {
        faults.check((1..=64).contains(&self.workers), "workers", "must be 1 to 64");
        let rows = crate::members::PART_ROWS_MAX..=graph::audiences::ROWS_MAX;
        faults.check(rows.contains(&self.session_rows), "session_rows", "must be 1000 to 10000");
        faults.check((10..=900).contains(&self.lease_seconds), "lease_seconds", "must be 10 to 900");
        faults.check((10..=60_000).contains(&self.poll_milliseconds), "poll_milliseconds", "must be 10 to 60000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_defaults_are_good() {
        let mut faults = Faults::default();
        UploaderSettings::default().check(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn in_production_a_create_has_its_call_and_two_minutes_to_appear() {
        let faults_of = |settle_seconds, environment| {
            let mut faults = Faults::default();
            Settings { settle_seconds, ..Settings::default() }.check_settle(environment, &mut faults);
            faults.len()
        };
        for (settle_seconds, in_production, in_development) in [(0, 1, 1), (1, 1, 0), (179, 1, 0), (180, 0, 0)] {
            assert_eq!(faults_of(settle_seconds, Environment::Production), in_production, "{settle_seconds}");
            assert_eq!(faults_of(settle_seconds, Environment::Development), in_development, "{settle_seconds}");
        }
    }

    #[test]
    fn every_fault_of_the_workers_is_told_at_once() {
        let mut faults = Faults::default();
        let wrong = UploaderSettings { workers: 0, session_rows: 10_001, lease_seconds: 0, poll_milliseconds: 0 };
        wrong.check(&mut faults);
        assert_eq!(faults.len(), 4);
    }
}
