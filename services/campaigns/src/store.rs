//! All SQL of this service, one method per question.

pub(crate) mod accounts;
pub(crate) mod intents;
pub(crate) mod objects;
pub(crate) mod plans;
pub(crate) mod uploads;

use storage::{Postgres, operations::Operations, requests::Requests};
use vocabulary::ids::AdAccountId;

/// The tables of this service. Clones share the pool.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) postgres: Postgres,
    pub(crate) operations: Operations,
    pub(crate) requests: Requests,
}

impl Store {
    /// The tables in the schema of `postgres`.
    pub(crate) fn new(postgres: Postgres) -> Self {
        let requests = Requests::new(postgres.clone()).keeping(std::time::Duration::from_hours(30 * 24));
        Self { operations: Operations::new(postgres.clone()), requests, postgres }
    }
}

/// An id as the column has it. Meta's ids have at most 18 digits, so all fit.
fn column(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// An id as Meta has it.
fn id(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

fn account(account: AdAccountId) -> i64 {
    column(account.get())
}
