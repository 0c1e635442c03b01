//! What an operator sets. All that is wrong is reported at once, at start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use runtime::settings::{Check, Faults, Secret};
use runtime::telemetry::TelemetrySettings;
use serde::Deserialize;
use storage::{PostgresSettings, RedisSettings};
use vocabulary::ids::TenantId;

use crate::{ceilings::Ceilings, demand::Weights, envoy::EnvoySettings};

/// Settings of ratelimit.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where callers reach it. Default `127.0.0.1:7420`.
    pub listen: SocketAddr,
    /// Where health and metrics are. Default `127.0.0.1:7429`.
    pub admin_listen: SocketAddr,
    /// Where the counters are. Redis 7 or Valkey with `maxmemory-policy noeviction`.
    pub redis: RedisSettings,
    /// Where it is written what may have been spent, so that a loss of Redis lets nothing through.
    pub postgres: PostgresSettings,
    /// Where auth is, which tells the keys of tokens and which tokens ended; and who we are to it.
    pub auth: rpc::PeerSettings,
    /// What signs permits: 32 random bytes or more; the same file for all replicas. Required.
    pub permit_key_file: Secret,
    /// What authenticates page tokens; the same file for all replicas. Required.
    pub page_key_file: Secret,
    /// Which ceilings count.
    pub ceilings: Ceilings,
    /// How much more than others a tenant gets where calls have to wait, by its id: with 3 three calls go for one of a
    /// tenant with 1. 1 to 1,000; default 1.
    pub weights: BTreeMap<String, u32>,
    /// How long after its receipt a permit may be used, in seconds. 1 to 60; default 5.
    pub send_before_seconds: u64,
    /// The longest that a call to Meta may take, in seconds. All windows are widened by it, because a call counts at
    /// Meta when it arrives: so no service's `graph.call_timeout_seconds` may be longer. Nothing checks that, because
    /// each process knows its own settings only; raise this one first. 1 to 600; default 60.
    pub call_timeout_seconds: u64,
    /// For how many days it is kept who used how much of the quota, and what happened to buckets. 1 to 400; default 30.
    pub history_days: u32,
    /// What Envoys may ask of `envoy.service.ratelimit.v3.RateLimitService`. Off until a domain is named.
    pub envoy: EnvoySettings,
    /// Reflection on the gRPC port. Default off.
    pub reflection: bool,
    /// Logs, metrics and traces.
    pub telemetry: TelemetrySettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7420)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7429)),
            redis: RedisSettings::default(),
            postgres: PostgresSettings::default(),
            auth: rpc::PeerSettings::default(),
            permit_key_file: Secret::default(),
            page_key_file: Secret::default(),
            ceilings: Ceilings::default(),
            weights: BTreeMap::new(),
            send_before_seconds: 5,
            call_timeout_seconds: 60,
            history_days: 30,
            envoy: EnvoySettings::default(),
            reflection: false,
            telemetry: TelemetrySettings::default(),
        }
    }
}

/// How much faster the buckets' clock may go than Meta's over an hour: replicas follow the clock of Redis by a thousandth, and
/// let it be a second ahead of their own.
const CLOCKS: Duration = Duration::from_secs(5);

impl Settings {
    /// The weights of tenants.
    pub(crate) fn weights(&self) -> Weights {
        self.weights.iter().filter_map(|(tenant, weight)| Some((tenant.parse().ok()?, *weight))).collect()
    }

    /// How long the history is kept.
    pub fn history(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.history_days))
    }

    /// How long after its charge a permit may be used.
    pub fn send_before(&self) -> Duration {
        Duration::from_secs(self.send_before_seconds)
    }

    /// How long after its permit a call may still arrive at Meta, by whatever clock it was counted.
    pub fn travel(&self) -> Duration {
        Duration::from_secs(self.send_before_seconds.saturating_add(self.call_timeout_seconds)) + CLOCKS
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.nested("redis", self.redis.faults());
        faults.nested("postgres", self.postgres.faults());
        let plain = self.auth.endpoint.starts_with("http://");
        faults.check(plain, "auth.endpoint", "must be http://host:port");
        faults.check(self.auth.names_a_proof(), "auth.service_secret_file", "must name a file");
        self.permit_key_file.check("permit_key_file", faults);
        self.page_key_file.check("page_key_file", faults);
        faults.check((1..=60).contains(&self.send_before_seconds), "send_before_seconds", "must be 1 to 60");
        faults.check((1..=600).contains(&self.call_timeout_seconds), "call_timeout_seconds", "must be 1 to 600");
        faults.check((1..=400).contains(&self.history_days), "history_days", "must be 1 to 400");
        for (tenant, weight) in &self.weights {
            let holds = tenant.parse::<TenantId>().is_ok() && (1..=1_000).contains(weight);
            faults.check(holds, &format!("weights.{tenant}"), "must be a tenant's id with a weight of 1 to 1000");
        }
        for (key, problem) in self.ceilings.faults() {
            faults.add(key, problem);
        }
        faults.section("envoy", &self.envoy);
        faults.section("telemetry", &self.telemetry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let mut faults = Faults::default();
        let weights = [("acme".to_owned(), 0)].into();
        Settings { send_before_seconds: 0, call_timeout_seconds: 700, history_days: 0, weights, ..Settings::default() }
            .check(&mut faults);
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        for key in [
            "permit_key_file",
            "page_key_file",
            "send_before_seconds",
            "call_timeout_seconds",
            "history_days",
            "weights.acme",
        ] {
            assert!(keys.contains(&key), "{keys:?}");
        }
    }

    #[test]
    fn a_call_may_arrive_until_its_permit_and_then_its_timeout_are_over() {
        assert_eq!(Settings::default().travel(), Duration::from_secs(70));
    }
}
