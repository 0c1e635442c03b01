//! Requests that change what people set: each is done once, and a repeat is answered by what holds then.

use storage::requests::{Begin, Requests};
use storage::{Postgres, Transaction};
use uuid::Uuid;
use vocabulary::ids::TenantId;

use crate::error::Error;

/// How a repeat of a request is known, and what it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Repeat {
    pub(crate) request_id: Uuid,
    pub(crate) method: &'static str,
    pub(crate) fingerprint: [u8; 32],
}

/// The requests of a day. Clones share a pool.
#[derive(Clone)]
pub(crate) struct Repeats(Requests);

impl Repeats {
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self(Requests::new(postgres))
    }

    /// Whether a request was done before.
    pub(crate) async fn begin(&self, tenant: &TenantId, repeat: &Repeat) -> Result<bool, Error> {
        let Repeat { request_id, method, fingerprint } = repeat;
        let begun = self.0.begin(tenant.as_str(), *request_id, method, *fingerprint).await;
        match begun.map_err(Error::Postgres)? {
            Begin::New => Ok(false),
            Begin::Answered(_) => Ok(true),
            Begin::InFlight => Err(Error::InFlight(*request_id)),
            Begin::Reused => Err(Error::RequestIdReused(*request_id)),
        }
    }

    /// It is done, together with what it changed.
    pub(super) async fn done(&self, change: &Transaction<'_>, tenant: &str, repeat: &Repeat) -> Result<(), Error> {
        self.0.answer_in(change, tenant, repeat.request_id, b"done").await.map_err(Error::Postgres)
    }

    /// Nothing came of the request.
    pub(crate) async fn abandon(&self, tenant: &TenantId, repeat: &Repeat) {
        if let Err(error) = self.0.abandon(tenant.as_str(), repeat.request_id).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a refused request keeps its id for two minutes");
        }
    }
}
