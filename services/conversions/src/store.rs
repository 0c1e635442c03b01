//! All SQL of this service: events come in by [`ingest`], go out by [`outbox`], and are read by [`ledger`].
//!
//! Leases and pauses are measured by the database's clock, as everywhere, so that skewed replicas do not send twice.

mod ingest;
mod ledger;
mod outbox;

use storage::Postgres;

pub(crate) use ingest::{Batch, Ingested};
pub(crate) use ledger::{Entry, EventState, Letter, Stats};
pub(crate) use outbox::{Claim, Waiting};

/// The events of all tenants. Clones share the pool.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    postgres: Postgres,
}

impl Store {
    /// The events in the schema of `postgres`.
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self { postgres }
    }
}

/// Meta's ids have at most 18 digits, so they fit; what does not fit is found nowhere.
fn dataset_key(dataset: vocabulary::ids::DatasetId) -> i64 {
    i64::try_from(dataset.get()).unwrap_or(i64::MAX)
}

/// Whole milliseconds, which the statements multiply an interval by.
fn milliseconds(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
