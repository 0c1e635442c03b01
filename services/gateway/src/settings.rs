//! What an operator can set, with every fault told at once.

use std::{collections::BTreeMap, net::SocketAddr};

use http::Uri;
use runtime::settings::{Check, Faults};
use serde::Deserialize;

use crate::routes;

/// Settings of the gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The public port. Default 127.0.0.1:7400.
    pub listen: SocketAddr,
    /// Where health and metrics are served. Default 127.0.0.1:7409.
    pub admin_listen: SocketAddr,
    /// Where each service is: its name to `http://host:port`. A service that is left out has no routes. Default: the
    /// ports of `adplane dev`.
    pub services: BTreeMap<String, String>,
    /// How the gateway proves to auth that it is ours, so that it hears which tokens ended: `endpoint` of auth, and
    /// `service_secret_file` or `service_account_token_file`. Default: no proof; then a token that was ended early is refused
    /// by the services behind the gateway, and not here.
    pub auth: rpc::PeerSettings,
    /// Whether the gateway describes its methods (gRPC reflection). Default off.
    pub reflection: bool,
    /// What is refused beyond.
    pub limits: Limits,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::TelemetrySettings,
}

/// What is refused beyond.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Calls in flight, streams included; what comes more is answered OVERLOADED at once. Default 2,000.
    pub in_flight_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight_max: 2_000 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let at = |service: &str, port: u16| (service.to_owned(), format!("http://127.0.0.1:{port}"));
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7409)),
            services: BTreeMap::from([
                at("auth", 7410),
                at("ratelimit", 7420),
                at("campaigns", 7430),
                at("insights", 7440),
                at("audiences", 7450),
                at("conversions", 7460),
            ]),
            auth: rpc::PeerSettings::default(),
            reflection: false,
            limits: Limits::default(),
            telemetry: runtime::telemetry::TelemetrySettings::default(),
        }
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        for (service, endpoint) in &self.services {
            let key = format!("services.{service}");
            if !routes::SERVICES.contains(&service.as_str()) {
                faults.add(&key, format!("is no service; these are: {}", routes::SERVICES.join(", ")));
            }
            if endpoint_of(endpoint).is_none() {
                faults.add(&key, "must be an address such as http://campaigns:7430");
            }
        }
        faults.check(
            self.services.contains_key("auth"),
            "services.auth",
            "must be set: auth has the keys that verify tokens",
        );
        let auth = !self.auth.names_a_proof() || endpoint_of(&self.auth.endpoint).is_some();
        faults.check(auth, "auth.endpoint", "must be an address such as http://auth:7410");
        faults.check(
            (1..=1_000_000).contains(&self.limits.in_flight_max),
            "limits.in_flight_max",
            "must be 1 to 1,000,000",
        );
        faults.section("telemetry", &self.telemetry);
    }
}

/// The address of a service, where it is one.
pub(crate) fn endpoint_of(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    (uri.scheme_str() == Some("http") && uri.authority().is_some()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: &Settings) -> Faults {
        let mut faults = Faults::default();
        settings.check(&mut faults);
        faults
    }

    #[test]
    fn the_defaults_are_good() {
        assert!(faults(&Settings::default()).is_empty());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let mut settings = Settings::default();
        settings.services.remove("auth");
        settings.services.insert("campains".to_owned(), "7430".to_owned());
        settings.limits.in_flight_max = 0;
        settings.auth.endpoint = "auth".to_owned();
        settings.auth.service_secret_file = "secret".into();
        assert_eq!(faults(&settings).len(), 5);
    }
}
