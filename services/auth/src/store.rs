//! All SQL of auth. Functions of a noun take a client or a transaction, so that a use case decides what belongs together.

pub mod anchors;
pub mod assets;
pub mod bootstrap;
pub mod callers;
pub mod connection_events;
pub mod connections;
pub mod keys;
pub mod login_states;
pub mod meta_apps;
pub mod owners;
pub mod revocations;
pub mod shreddings;
pub mod subjects;
pub mod tenants;
pub mod upkeep;
pub mod usage;
pub mod vault_state;

use storage::{
    Client, Error, Postgres, Transaction,
    audit::{self, Entry},
    operations::Operations,
    requests::{Begin, Requests},
};
use uuid::Uuid;

pub use self::keys::Keys;
use crate::by::{By, Repeat};

/// The database of auth.
#[derive(Clone, Debug)]
pub struct Store {
    postgres: Postgres,
    requests: Requests,
    operations: Operations,
}

/// What is told about a change, in the same transaction.
#[derive(Debug)]
pub struct Told<'a> {
    /// What was done, such as `connections.import`.
    pub action: &'a str,
    /// To what.
    pub resource: &'a str,
    /// What else an auditor needs. No secret, no person: those as keyed hashes.
    pub detail: serde_json::Value,
}

impl Store {
    /// Over a pool of connections.
    pub fn new(postgres: Postgres) -> Self {
        Self { requests: Requests::new(postgres.clone()), operations: Operations::new(postgres.clone()), postgres }
    }

    /// A connection.
    pub async fn client(&self) -> Result<Client, Error> {
        self.postgres.client().await
    }

    /// Long work.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// What was answered under request ids.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The keys of the vault.
    pub fn keys(&self) -> Keys {
        Keys::new(self.postgres.clone())
    }

    /// Was this request answered before?
    pub async fn begin(&self, by: &By, repeat: &Repeat) -> Result<Begin, Error> {
        match repeat.request_id {
            Some(id) => self.requests.begin(by.tenant.as_str(), id.0, repeat.method, repeat.fingerprint).await,
            None => Ok(Begin::New),
        }
    }

    /// Frees the id of a request that was refused.
    pub async fn abandon(&self, by: &By, repeat: &Repeat) -> Result<(), Error> {
        match repeat.request_id {
            Some(id) => self.requests.abandon(by.tenant.as_str(), id.0).await,
            None => Ok(()),
        }
    }

    /// Stores the answer of a request whose change was more than one transaction.
    pub async fn answer(&self, by: &By, repeat: &Repeat, answer: &[u8]) -> Result<(), Error> {
        match repeat.request_id {
            Some(id) => self.requests.answer(by.tenant.as_str(), id.0, answer).await,
            None => Ok(()),
        }
    }

    /// Stores the answer of a request within its change, where the change is told to another tenant than the one that asked.
    pub async fn answer_in(
        &self,
        transaction: &Transaction<'_>,
        by: &By,
        repeat: &Repeat,
        answer: &[u8],
    ) -> Result<(), Error> {
        match repeat.request_id {
            Some(id) => self.requests.answer_in(transaction, by.tenant.as_str(), id.0, answer).await,
            None => Ok(()),
        }
    }

    /// Ends a change: its answer for repeats, its entry in the tenant's chain, the commit.
    pub async fn commit(
        &self,
        transaction: Transaction<'_>,
        by: &By,
        told: Told<'_>,
        answer: Option<(&Repeat, Vec<u8>)>,
    ) -> Result<(), Error> {
        let request_id = answer.as_ref().and_then(|(repeat, _)| repeat.request_id).map(|id| id.0);
        if let (Some(id), Some((_, bytes))) = (request_id, &answer) {
            self.requests.answer_in(&transaction, by.tenant.as_str(), id, bytes).await?;
        }
        self.append(&transaction, by, told, request_id).await?;
        Ok(transaction.commit().await?)
    }

    async fn append(
        &self,
        transaction: &Transaction<'_>,
        by: &By,
        told: Told<'_>,
        request_id: Option<Uuid>,
    ) -> Result<(), Error> {
        let Told { action, resource, detail } = told;
        let entry = Entry { tenant: by.tenant.as_str(), actor: &by.actor, action, resource, request_id, detail };
        audit::append(transaction, entry).await.map(drop)
    }
}
