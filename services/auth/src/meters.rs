//! What auth counts beside its calls. No label names a tenant or a person.

use std::sync::LazyLock;

use opentelemetry::{KeyValue, metrics::Counter};

/// Places in chains that do not fit what was anchored, each time they were seen. Anything but 0 is an incident.
pub static CHAINS_BROKEN: Tally = Tally::new(|| counter("adplane_audit_chain_breaks"));
/// Rounds in which the heads of a service's chains could not be anchored.
pub static ANCHORING_FAILED: Tally = Tally::new(|| counter("adplane_audit_anchoring_failures"));
/// Callers' hours in which tokens were leased unusually often.
pub static UNUSUAL_USE: Tally = Tally::new(|| counter("adplane_credential_use_unusual"));
/// Leases that were given but not counted, because too many kinds of use came at once or the store was away too long.
pub static USE_UNCOUNTED: Tally = Tally::new(|| counter("adplane_credential_use_uncounted"));
/// Streams that were cut because their reader did not read.
pub static SLOW_READERS: Tally = Tally::new(|| counter("adplane_streams_cut_slow_reader"));

/// A counter by service, or by method.
pub struct Tally(LazyLock<Counter<u64>>);

impl Tally {
    const fn new(make: fn() -> Counter<u64>) -> Self {
        Self(LazyLock::new(make))
    }

    /// Adds for a service.
    pub fn add(&self, count: u64, service: &str) {
        self.0.add(count, &[KeyValue::new("service", service.to_owned())]);
    }
}

fn counter(name: &'static str) -> Counter<u64> {
    runtime::telemetry::meter("auth").u64_counter(name).build()
}
