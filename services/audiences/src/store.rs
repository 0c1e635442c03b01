//! All SQL of this service: [`mirror`] keeps what was read of audiences, [`creations`] what was begun, [`jobs`] and
//! [`parts`] the uploads of people, [`sessions`] what of them was sent.

mod creations;
mod jobs;
mod mirror;
mod parts;
mod sessions;

use storage::{Postgres, operations::Operations};

pub(crate) use creations::{Begun, Creation, CreationState, NewCreation};
pub(crate) use jobs::{Job, JobState, Mode, NewJob, Rows};
pub(crate) use mirror::{Listed, Mirrored};
pub(crate) use parts::{NewError, NewPart, Stored, StoredError};
pub(crate) use sessions::Session;

/// The audiences and uploads of all tenants. Clones share the pool.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    postgres: Postgres,
    operations: Operations,
}

impl Store {
    /// What is in the schema of `postgres`.
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self { operations: Operations::new(postgres.clone()), postgres }
    }

    /// Long work of this service.
    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }
}

/// Meta's ids have at most 18 digits, so they fit; what does not fit is found nowhere.
fn key(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// Back from a column.
fn id(key: i64) -> u64 {
    u64::try_from(key).unwrap_or_default()
}

/// An entry of the audit without a detail that could tell of a person.
fn entry<'a>(
    tenant: &'a str,
    actor: &'a str,
    action: &'a str,
    resource: &'a str,
    request_id: Option<uuid::Uuid>,
    detail: serde_json::Value,
) -> storage::audit::Entry<'a> {
    storage::audit::Entry { tenant, actor, action, resource, request_id, detail }
}

#[cfg(test)]
pub(crate) mod tests;
