//! Rotating a key while everything goes on, as long work that any replica takes up where a kill has left it.
//!
//! | what | new | then |
//! | --- | --- | --- |
//! | the key-encryption key | made at its provider, by an operator | every wrapped key that lies under another is wrapped anew |
//! | a tenant's key, or the installation's | made when the rotation is accepted, and used for all that is new from then on | the keys of the rows are wrapped anew, or the rows encrypted anew |
//! | the key that signs tokens | made when the rotation is accepted | it is published first and signs later |
//!
//! How far a rotation is, the rows themselves say: each names the key that it lies under. A step replaces what it has
//! read or nothing, so a kill between two steps costs nothing, and a refresh or an import that comes between is never
//! lost. A process that opens a row reads from it which key it needs, so replicas of two versions and with two settings
//! work on the same rows all the while.

mod pass;
mod worker;

use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use proto::operations::v1::{Operation, OperationMetadata, OperationPart, PartState};
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::{
    Transaction,
    operations::{Listing, New},
};
use uuid::Uuid;
use vocabulary::{ids::OperationId, names};

use super::{SYSTEM, Vault, VaultError};
use crate::{
    by::{By, Repeat},
    error::Error,
    now::Now,
    revocations::Subject,
    settings::Settings,
    signing::{self, SigningKeys},
    store::{
        Store, Told,
        keys::{self, kek, rows, signing::StoredSigningKey},
        revocations,
    },
    token::Algorithm,
    wire::timestamp,
};

/// Which worker does it.
const KIND: &str = "rotate_key";
/// How much longer than its tokens live an old signing key is published: for a replica that learnt late of the new one.
const SLACK: Duration = Duration::from_hours(1);

/// Which key is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// What wraps the tenants' keys.
    KeyEncryption,
    /// The key of a tenant, or of the installation.
    Wrapping(Mode),
    /// What signs tokens.
    Signing {
        /// What the old keys signed is refused from now on.
        revoke_old: bool,
    },
}

/// What is done with the rows under a wrapping key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Their keys are wrapped anew.
    Rewrap,
    /// They are encrypted anew.
    Reencrypt,
}

/// Where a rotation is to arrive: all that a worker needs to know, so that any worker arrives at the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    /// Everything lies under this key-encryption key, or a later version of it.
    KeyEncryption { id: String },
    /// Every row of the tenant lies under this version of its key, or a later one.
    Wrapping { version: i32, mode: Mode },
    /// This key signs.
    Signing { version: i32, id: String, from: Timestamp },
}

/// What is stored for the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    actor: String,
    goal: Goal,
}

/// A new key on its way into the store.
enum Made {
    Nothing,
    Wrapping(keys::WrappedKey),
    Signing(Box<StoredSigningKey>),
}

/// The use cases and the worker.
#[derive(Clone)]
pub struct Rotations {
    store: Store,
    vault: Vault,
    signing: SigningKeys,
    algorithm: Algorithm,
    publish: Duration,
    /// The longest that a token lives.
    life: Duration,
    now: Now,
}

impl Rotations {
    /// Over the store, the vault and the keys that sign.
    pub fn new(settings: &Settings, (store, now): (Store, Now), vault: Vault, signing: SigningKeys) -> Self {
        let life = settings.token_life().max(settings.service_token_life());
        let (algorithm, publish) = (settings.signing_algorithm, settings.signing_publish());
        Self { store, vault, signing, algorithm, publish, life, now }
    }

    /// Accepts a rotation. What is new is sealed under the new key from then on.
    pub async fn create(
        &self,
        by: &By,
        rotated: Rotated,
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&Operation) -> Vec<u8>),
    ) -> Result<Operation, Error> {
        let is_own = by.tenant.as_str() != SYSTEM && matches!(rotated, Rotated::Wrapping(_));
        if !is_own {
            by.require_operator()?;
        }
        self.vault.require_open_for_leases()?;
        let resource = resource(by, rotated);
        // What was stolen does not wait for a rotation that is only published yet.
        let is_urgent = matches!(rotated, Rotated::Signing { revoke_old: true });
        let running = Listing { resource: &resource, done: Some(false), after: None, size: 1 };
        if !is_urgent && !self.store.operations().list(by.tenant.as_str(), running).await?.is_empty() {
            return Err(Error::WrongState { resource, state: "ROTATING" });
        }
        let now = (self.now)();
        if validate_only {
            self.require_key(by, rotated).await?;
            let metadata = Some(OperationMetadata { resource, ..OperationMetadata::default() });
            return Ok(Operation { name: String::new(), done: true, metadata, outcome: None });
        }
        // Before the transaction, because the provider may be another machine.
        let (goal, made) = self.make(by, rotated, now).await?;
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        self.insert(&transaction, by, &made, now)
            .await?
            .then_some(())
            .ok_or_else(|| Error::WrongState { resource: resource.clone(), state: "ROTATING" })?;
        let id = Uuid::now_v7();
        let operation = self.accepted(&transaction, by, (id, &resource, &goal), now).await?;
        let detail = json!({"operation": operation.name, "goal": goal});
        let input = serde_json::to_vec(&Plan { actor: by.actor.to_string(), goal });
        let new = New {
            tenant: by.tenant.as_str(),
            id,
            kind: KIND,
            resource: &resource,
            input: &input.map_err(|_| Error::Corrupt("rotation"))?,
            body: &operation.encode_to_vec(),
        };
        self.store.operations().create(&transaction, new).await?;
        let told = Told { action: "keys.rotate", resource: &resource, detail };
        if let (Rotated::Signing { revoke_old: true }, Made::Signing(new)) = (rotated, &made) {
            // Verifiers may know keys of which nothing is published any more.
            for old in keys::signing::all(&transaction).await?.into_iter().filter(|key| key.version < new.version) {
                revocations::append(&transaction, SYSTEM, &Subject::SigningKey(old.id), now).await?;
            }
        }
        self.store.commit(transaction, by, told, Some((repeat, answer(&operation)))).await?;
        Ok(operation)
    }

    /// Fails where there is nothing to rotate.
    async fn require_key(&self, by: &By, rotated: Rotated) -> Result<(), Error> {
        if matches!(rotated, Rotated::Wrapping(_)) && self.store.keys().current(by.tenant.as_str()).await?.is_none() {
            return Err(Error::WrongState { resource: resource(by, rotated), state: "SHREDDED" });
        }
        Ok(())
    }

    async fn make(&self, by: &By, rotated: Rotated, now: Timestamp) -> Result<(Goal, Made), Error> {
        self.require_key(by, rotated).await?;
        Ok(match rotated {
            Rotated::KeyEncryption => {
                (Goal::KeyEncryption { id: self.vault.key_encryption_key().await? }, Made::Nothing)
            }
            Rotated::Wrapping(mode) => {
                let key = self.vault.new_tenant_key(by.tenant.as_str()).await?;
                (Goal::Wrapping { version: key.version, mode }, Made::Wrapping(key))
            }
            Rotated::Signing { revoke_old } => {
                let newest = keys::signing::all(&self.store.client().await?).await?.into_iter().next();
                let version = newest.map_or(0, |key| key.version) + 1;
                // Where nothing else may sign, it does at once, whatever clock a replica has.
                let signs_from = (!revoke_old).then(|| now + self.publish);
                let key = signing::new_key(&self.vault, self.algorithm, version, signs_from).await?;
                let from = signs_from.unwrap_or(now);
                (Goal::Signing { version, id: key.id.clone(), from }, Made::Signing(Box::new(key)))
            }
        })
    }

    /// `false` where somebody else has just made a key of that version.
    async fn insert(&self, transaction: &Transaction<'_>, by: &By, made: &Made, now: Timestamp) -> Result<bool, Error> {
        Ok(match made {
            Made::Nothing => true,
            Made::Wrapping(key) => keys::insert(transaction, by.tenant.as_str(), key).await?,
            Made::Signing(key) => {
                let inserted = keys::signing::insert(transaction, key).await?;
                match key.signs_from {
                    Some(from) => keys::signing::outdate(transaction, key.version, from + self.life + SLACK).await?,
                    None => keys::signing::withdraw(transaction, key.version, now).await?,
                }
                inserted
            }
        })
    }

    async fn accepted(
        &self,
        transaction: &Transaction<'_>,
        by: &By,
        (id, resource, goal): (Uuid, &str, &Goal),
        now: Timestamp,
    ) -> Result<Operation, Error> {
        let (left, oldest) = match goal {
            Goal::KeyEncryption { id } => (kek::left(transaction, id).await?, None),
            Goal::Wrapping { version, .. } => rows::left(transaction, by.tenant.as_str(), *version).await?,
            Goal::Signing { .. } => (0, None),
        };
        let now = Some(timestamp(now));
        let metadata = OperationMetadata {
            resource: resource.to_owned(),
            phase: "waiting for a worker".to_owned(),
            steps_total: left,
            parts: oldest.map(part).into_iter().collect(),
            create_time: now,
            update_time: now,
            ..OperationMetadata::default()
        };
        Ok(Operation { name: name(id), metadata: Some(metadata), ..Operation::default() })
    }
}

/// What is worked on, as operations and the audit name it.
fn resource(by: &By, rotated: Rotated) -> String {
    match rotated {
        Rotated::KeyEncryption => "keys/encryption".to_owned(),
        Rotated::Signing { .. } => "keys/signing".to_owned(),
        Rotated::Wrapping(_) if by.tenant.as_str() == SYSTEM => "keys/wrapping".to_owned(),
        Rotated::Wrapping(_) => format!("{}/keys/wrapping", names::of_tenant(&by.tenant)),
    }
}

/// The oldest version that something still lies under.
fn part(oldest: i32) -> OperationPart {
    OperationPart { name: format!("version {oldest}"), state: PartState::Running.into(), ..OperationPart::default() }
}

fn name(id: Uuid) -> String {
    names::of_operation(&OperationId { service: crate::NAME.to_owned(), id })
}

/// A key that is there and does not open what it should.
fn is_unreadable(error: &VaultError) -> bool {
    use super::provider::ProviderError::Refused;
    matches!(error, VaultError::Seal(_) | VaultError::NoKey(_) | VaultError::Provider(Refused(_)))
}
