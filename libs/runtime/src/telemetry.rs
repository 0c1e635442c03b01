//! Logs, metrics and traces, set up once per process.
//!
//! Logs are one JSON object a line on standard error. Metrics stand in one registry that the admin port shows. Traces leave
//! by OTLP only where an endpoint is set, and only for calls that were sampled: the decision comes before any span is made.

mod lines;
mod metrics;
mod traces;

use std::path::Path;

use serde::Deserialize;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use metrics::{meter, metrics};

use crate::settings::{Check, Faults};

/// What is logged and traced.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// What is logged: a level, or levels per module such as `info,storage=debug`. Default `info`.
    pub log: String,
    /// Where traces go (OTLP over gRPC), such as `http://collector:4317`. Empty, the default: nowhere.
    pub otlp_endpoint: String,
    /// Which share of the traces that begin here is kept, 0 to 1. Default 0.01. A caller's own decision is honoured.
    pub sample_ratio: f64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { log: "info".to_owned(), otlp_endpoint: String::new(), sample_ratio: 0.01 }
    }
}

impl Check for TelemetrySettings {
    fn check(&self, faults: &mut Faults) {
        faults.check(EnvFilter::try_new(&self.log).is_ok(), "log", "must be a level or levels per module");
        faults.check((0.0..=1.0).contains(&self.sample_ratio), "sample_ratio", "must be 0 to 1");
        let endpoint = &self.otlp_endpoint;
        faults.check(
            endpoint.is_empty() || endpoint.starts_with("http://") || endpoint.starts_with("https://"),
            "otlp_endpoint",
            "must be an http or https URL",
        );
    }
}

/// Sets telemetry up for this process. Call it once, inside the async runtime; a second call changes nothing.
///
/// A collector that is away harms nothing: spans wait in a bounded buffer and are dropped.
pub fn init(service: &'static str, settings: &TelemetrySettings) -> Guard {
    metrics::install(service);
    // The exporter's own news are of interest only when they are bad; a setting of the same module wins.
    let filter = EnvFilter::try_new(format!("opentelemetry=warn,{}", settings.log));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let provider = traces::provider(service, settings);
    // Without the libraries beneath, and above all without the exporter's own calls.
    let ours = EnvFilter::new("info,h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off");
    let spans = provider.as_ref().map(|provider| traces::layer(provider).with_filter(ours));
    let lines = lines::Lines::new(service, std::io::stderr);
    let first = tracing_subscriber::registry().with(spans).with(lines.with_filter(filter)).try_init().is_ok();
    Guard { provider: provider.filter(|_| first) }
}

/// Flushes what has not been sent yet when it is dropped. Keep it until the very end of the process.
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped"]
pub struct Guard {
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // Nobody is left who could do something about a collector that does not take the last spans.
            drop(provider.shutdown());
        }
    }
}

/// Says in one line that the process has started, with what and how.
pub fn started(config: Option<&Path>) {
    tracing::info!(
        event = "process.started",
        config = config.map(|path| path.display().to_string()),
        pid = std::process::id(),
        "started"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_told_by_key() {
        let settings = TelemetrySettings {
            log: "info,=loud".to_owned(),
            otlp_endpoint: "collector:4317".to_owned(),
            sample_ratio: 1.5,
        };
        let mut faults = Faults::default();
        settings.check(&mut faults);
        assert_eq!(
            faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(),
            ["log", "sample_ratio", "otlp_endpoint"]
        );
        let mut faults = Faults::default();
        TelemetrySettings::default().check(&mut faults);
        assert!(faults.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_collector_that_is_away_harms_nothing() {
        let settings = TelemetrySettings {
            otlp_endpoint: "http://127.0.0.1:1".to_owned(),
            sample_ratio: 1.0,
            ..TelemetrySettings::default()
        };
        let guard = init("test", &settings);
        tracing::info_span!("lost").in_scope(|| tracing::info!("still logged"));
        let ended = tokio::task::spawn_blocking(move || drop(guard));
        tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.unwrap().unwrap();
        drop(init("test", &settings));
    }
}
