//! Callers: who may call by client credentials.

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::{
    by::{By, Repeat},
    error::Error,
    grants::Grant,
    now::Now,
    revocations::Subject,
    secret::{self, Fingerprint},
    store::{Store, Told, callers, revocations, tenants},
};

/// A program or a person that may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Which one. Version 7, so that ids are in order of age.
    pub id: Uuid,
    /// For people.
    pub display_name: String,
    /// The tenants it may act for.
    pub tenants: Grant,
    /// What it may do.
    pub scopes: Grant,
    /// Grows with every change.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
}

impl Caller {
    /// A new caller.
    pub fn new(display_name: String, tenants: Grant, scopes: Grant, now: Timestamp) -> Self {
        Self { id: Uuid::now_v7(), display_name, tenants, scopes, version: 1, created: now }
    }

    /// Its resource name, which is also what its tokens and the audit call it.
    pub fn name(&self) -> String {
        name(self.id)
    }

    /// Changes with every change.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// What the resource names of callers begin with.
pub const COLLECTION: &str = "callers/";

/// The resource name of a caller.
pub fn name(id: Uuid) -> String {
    format!("{COLLECTION}{id}")
}

/// The use cases.
#[derive(Clone)]
pub struct Callers {
    store: Store,
    now: Now,
}

impl Callers {
    /// Over the store.
    pub fn new(store: Store, now: Now) -> Self {
        Self { store, now }
    }

    /// Makes a caller and its secret.
    pub async fn create(
        &self,
        by: &By,
        (display_name, tenants, scopes): (String, Grant, Grant),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&Caller) -> Vec<u8>),
    ) -> Result<(Caller, Option<SecretString>), Error> {
        may_grant(by, &tenants, &scopes)?;
        let caller = Caller::new(display_name, tenants, scopes, (self.now)());
        let mut client = self.store.client().await?;
        if let Grant::Only(names) = &caller.tenants {
            let known = tenants::list(&client, Some(&caller.tenants.names()), "", 100).await?;
            let unknown = names.iter().find(|name| !known.iter().any(|tenant| tenant.id.as_str() == name.as_str()));
            if let Some(name) = unknown {
                return Err(Error::NotFound { resource: format!("tenants/{name}") });
            }
        }
        if validate_only {
            return Ok((caller, None));
        }
        let secret = secret::random()?;
        let transaction = client.transaction().await?;
        callers::put(&transaction, &caller, &Fingerprint::of(&secret)).await?;
        let detail = json!({"tenants": caller.tenants.names(), "scopes": caller.scopes.names()});
        let name = caller.name();
        let told = Told { action: "callers.create", resource: &name, detail };
        self.store.commit(transaction, by, told, Some((repeat, answer(&caller)))).await?;
        Ok((caller, Some(secret)))
    }

    /// Callers of the tenant by age, after one.
    pub async fn list(&self, by: &By, after: Uuid, limit: i64) -> Result<Vec<Caller>, Error> {
        let client = self.store.client().await?;
        let callers = callers::list(&client, by.tenant.as_str(), by.is_operator(), after, limit).await?;
        // Which other tenants there are, and who works for them, is their own.
        let shown = |caller: Caller| Caller { tenants: by.tenants.common(&caller.tenants), ..caller };
        Ok(callers.into_iter().map(shown).collect())
    }

    /// Removes a caller; its tokens die by the stream of revocations.
    pub async fn delete(
        &self,
        by: &By,
        (id, etag): (Uuid, &str),
        validate_only: bool,
        (repeat, answer): (&Repeat, Vec<u8>),
    ) -> Result<(), Error> {
        let missing = || Error::NotFound { resource: name(id) };
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let (caller, _) = callers::get(&transaction, id).await?.ok_or_else(missing)?;
        let shown = by.is_operator() || caller.tenants.names().iter().any(|tenant| tenant == by.tenant.as_str());
        if !shown {
            return Err(missing());
        }
        if !by.tenants.lacks(&caller.tenants).is_empty() {
            // Which, is theirs to know.
            return Err(Error::Lacking { lacks: vec!["another tenant of this caller".to_owned()] });
        }
        if !etag.is_empty() && etag != caller.etag() {
            return Err(Error::Stale { resource: name(id), etag: caller.etag() });
        }
        if validate_only {
            return Ok(());
        }
        if !callers::delete(&transaction, id).await? {
            return Err(missing());
        }
        revocations::append(&transaction, by.tenant.as_str(), &Subject::Caller(id), (self.now)()).await?;
        let resource = name(id);
        let told = Told { action: "callers.delete", resource: &resource, detail: json!({}) };
        self.store.commit(transaction, by, told, Some((repeat, answer))).await?;
        Ok(())
    }
}

/// Nobody grants what they lack.
fn may_grant(by: &By, tenants: &Grant, scopes: &Grant) -> Result<(), Error> {
    let tenants = by.tenants.lacks(tenants).into_iter().map(|tenant| format!("tenants/{tenant}"));
    let lacks: Vec<_> = tenants.chain(by.scopes.lacks(scopes)).collect();
    if lacks.is_empty() { Ok(()) } else { Err(Error::Lacking { lacks }) }
}
