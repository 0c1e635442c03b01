//! Every setting, with its unit, its default and its meaning.

use std::{net::SocketAddr, time::Duration};

use rpc::PeerSettings;
use runtime::settings::{Check, Environment, Faults, Secret, environment};
use serde::Deserialize;
use storage::PostgresSettings;

/// By what a lost create is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Marker {
    /// An ad label on everything: exact, and it leaves one label per plan and per week in the account.
    #[default]
    Label,
    /// The object's name and its parent alone.
    Name,
    /// As `name`; for accounts whose owners want no trace of ours, now or later.
    None,
}

/// The settings of this service.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where gRPC is served. Default 127.0.0.1:7430.
    pub listen: SocketAddr,
    /// Where health and metrics are served. Default 127.0.0.1:7439.
    pub admin_listen: SocketAddr,
    /// The database.
    pub postgres: PostgresSettings,
    /// The service that knows callers and lends tokens.
    pub auth: PeerSettings,
    /// The service that counts calls to Meta.
    pub ratelimit: PeerSettings,
    /// How Meta is reached.
    pub graph: graph::Settings,
    /// A file with the key that seals page tokens; all replicas have the same.
    pub page_key_file: Secret,
    /// Whether the service describes its methods (gRPC reflection). Default off.
    pub reflection: bool,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::TelemetrySettings,
    /// By what a lost create is found again. Default `label`.
    pub marker: Marker,
    /// How long after its answer was lost a create may still appear at Meta, in seconds. Only then is one that three looks
    /// did not find taken for absent. In production at least `graph.call_timeout_seconds` and 120; elsewhere (`ADPLANE_ENV`)
    /// any value above 0, so that tests need not wait. Default 180.
    pub settle_seconds: u64,
    /// How long a late twin is looked for, in seconds. Default one day.
    pub sweep_seconds: u64,
    /// How long a plan waits for quota or for Meta before its operation gives up, in seconds. Default one hour.
    pub patience_seconds: u64,
    /// How old the mirror may be before a list reads Meta again, in seconds. Default 900.
    pub mirror_seconds: u64,
    /// How long a worker holds an operation without a sign of life, in seconds: what a restart after a crash waits.
    /// Default 15.
    pub lease_seconds: u64,
    /// Operations that one replica works on at once. Default 4.
    pub workers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7430)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7439)),
            postgres: PostgresSettings::default(),
            auth: PeerSettings::default(),
            ratelimit: PeerSettings { endpoint: "http://127.0.0.1:7420".to_owned(), ..PeerSettings::default() },
            graph: graph::Settings::default(),
            page_key_file: Secret::default(),
            telemetry: runtime::telemetry::TelemetrySettings::default(),
            reflection: false,
            marker: Marker::Label,
            settle_seconds: 180,
            sweep_seconds: 24 * 3600,
            patience_seconds: 3600,
            mirror_seconds: 900,
            lease_seconds: 15,
            workers: 4,
        }
    }
}

impl Settings {
    pub(crate) fn settle(&self) -> Duration {
        Duration::from_secs(self.settle_seconds)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// Too short a time would take for absent what Meta is still making, and it would be made twice.
    fn check_settle(&self, environment: Environment, faults: &mut Faults) {
        let least = match environment {
            Environment::Production => self.graph.call_timeout_seconds.saturating_add(120),
            Environment::Development => 1,
        };
        let wanted = format!("must be at least {least}");
        faults.check(self.settle_seconds >= least, "settle_seconds", &wanted);
    }

    /// The longest that a create may be on its way, with the time for its permit.
    pub(crate) fn call(&self) -> Duration {
        Duration::from_secs(self.graph.call_timeout_seconds + 30)
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.nested("postgres", self.postgres.in_schema(crate::SCHEMA).faults());
        faults.nested("graph", self.graph.faults());
        faults.section("telemetry", &self.telemetry);
        self.page_key_file.check("page_key_file", faults);
        self.check_settle(environment(), faults);
        faults.check(self.sweep_seconds >= self.settle_seconds, "sweep_seconds", "must be at least settle_seconds");
        faults.check((5..=300).contains(&self.lease_seconds), "lease_seconds", "must be 5 to 300");
        faults.check((1..=64).contains(&self.workers), "workers", "must be 1 to 64");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_production_a_create_has_the_time_of_its_call_and_two_minutes_to_settle() {
        let is_good = |settle_seconds, environment| {
            let mut faults = Faults::default();
            Settings { settle_seconds, ..Settings::default() }.check_settle(environment, &mut faults);
            faults.is_empty()
        };
        assert!(is_good(180, Environment::Production));
        assert!(!is_good(179, Environment::Production));
        assert!(is_good(1, Environment::Development));
        assert!(!is_good(0, Environment::Development));
    }
}
