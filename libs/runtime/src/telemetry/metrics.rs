use std::sync::OnceLock;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;

static METRICS: OnceLock<Metrics> = OnceLock::new();

pub(super) struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

/// The one registry of this process, as `/metrics` shows it.
pub fn metrics() -> Registry {
    install("adplane").registry.clone()
}

/// A meter; what is recorded with it shows on `/metrics`. `name` is the crate that records.
pub fn meter(name: &'static str) -> Meter {
    install("adplane").provider.meter(name)
}

/// The first call names the service; later ones find it in place.
pub(super) fn install(service: &'static str) -> &'static Metrics {
    METRICS.get_or_init(|| {
        let registry = Registry::new();
        let resource = Resource::builder_empty().with_service_name(service).build();
        let builder = SdkMeterProvider::builder().with_resource(resource);
        let exporter =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build();
        let provider = match exporter {
            Ok(exporter) => builder.with_reader(exporter).build(),
            Err(error) => {
                tracing::error!(error = error.to_string(), "metrics cannot be exported");
                builder.build()
            }
        };
        opentelemetry::global::set_meter_provider(provider.clone());
        Metrics { registry, provider }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, TextEncoder};

    #[test]
    fn what_a_meter_counts_stands_in_the_registry() {
        meter("test").u64_counter("adplane_things").build().add(3, &[]);
        let mut text = Vec::new();
        TextEncoder::new().encode(&metrics().gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("adplane_things_total 3"), "{text}");
    }
}
