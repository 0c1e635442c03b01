//! Tenants, and which ad account is whose.

mod shares;
mod standing;

use jiff::Timestamp;
use serde_json::json;
use vocabulary::{
    ids::{AdAccountId, TenantId},
    names,
};

use crate::{
    by::{By, Repeat},
    error::Error,
    now::Now,
    store::{Store, Told, owners, owners::Owner, revocations, tenants},
    vault::Vault,
};

pub use self::{
    shares::Share,
    standing::{Change, require_one_active},
};

/// A customer of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Which one.
    pub id: TenantId,
    /// For people.
    pub display_name: String,
    /// The version of Meta's API for it; empty for that of the Meta app.
    pub meta_version: String,
    /// How it stands.
    pub state: TenantState,
    /// Grows with every change.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// How a tenant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantState {
    /// Works.
    Active,
    /// Stopped by an operator.
    Suspended,
}

impl TenantState {
    /// As it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// From what was stored.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|state| state.word() == word)
    }
}

impl Tenant {
    /// A new tenant that works.
    pub fn new(id: TenantId, display_name: String, meta_version: String, now: Timestamp) -> Self {
        let state = TenantState::Active;
        Self { id, display_name, meta_version, state, version: 1, created: now, updated: now }
    }

    /// Changes with every change.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// Fails where an operator has stopped it.
    pub fn require_active(&self) -> Result<(), Error> {
        match self.state {
            TenantState::Active => Ok(()),
            TenantState::Suspended => {
                Err(Error::WrongState { resource: names::of_tenant(&self.id), state: "SUSPENDED" })
            }
        }
    }
}

/// The use cases.
#[derive(Clone)]
pub struct Tenants {
    store: Store,
    vault: Vault,
    now: Now,
}

impl Tenants {
    /// Over the store and the vault.
    pub fn new(store: Store, vault: Vault, now: Now) -> Self {
        Self { store, vault, now }
    }

    /// Makes a tenant and its key. `by` is for the tenant to be made, so that its chain begins with this.
    pub async fn create(
        &self,
        by: &By,
        (display_name, meta_version): (String, String),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&Tenant) -> Vec<u8>),
    ) -> Result<Tenant, Error> {
        by.require_operator()?;
        let tenant = Tenant::new(by.tenant.clone(), display_name, meta_version, (self.now)());
        let exists = || Error::Exists { resource: names::of_tenant(&tenant.id) };
        let mut client = self.store.client().await?;
        if validate_only {
            return match tenants::get(&client, tenant.id.as_str()).await? {
                Some(_) => Err(exists()),
                None => Ok(tenant),
            };
        }
        // Before the tenant, because a key without a tenant harms nothing and a tenant without a key cannot work.
        self.vault.ensure_tenant(tenant.id.as_str()).await?;
        let transaction = client.transaction().await?;
        if !tenants::insert(&transaction, &tenant).await? {
            return Err(exists());
        }
        let resource = names::of_tenant(&tenant.id);
        let detail = json!({"display_name": tenant.display_name, "meta_version": tenant.meta_version});
        let told = Told { action: "tenants.create", resource: &resource, detail };
        self.store.commit(transaction, by, told, Some((repeat, answer(&tenant)))).await?;
        Ok(tenant)
    }

    /// One tenant; those that `by` may not act for do not exist.
    pub async fn get(&self, by: &By) -> Result<Tenant, Error> {
        let client = self.store.client().await?;
        tenants::get(&client, by.tenant.as_str())
            .await?
            .ok_or_else(|| Error::NotFound { resource: names::of_tenant(&by.tenant) })
    }

    /// Tenants by id, after one; all of them for operators, else only those in `among`.
    pub async fn list(&self, among: Option<&[String]>, after: &str, limit: i64) -> Result<Vec<Tenant>, Error> {
        let client = self.store.client().await?;
        Ok(tenants::list(&client, among, after, limit).await?)
    }

    /// Gives an ad account to the tenant of `by`, unless another owns it.
    pub async fn assign(
        &self,
        by: &By,
        account: AdAccountId,
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&Owner) -> Vec<u8>),
    ) -> Result<Owner, Error> {
        by.require_operator()?;
        let tenant = self.get(by).await?;
        let now = (self.now)();
        let mut client = self.store.client().await?;
        if validate_only {
            let owner = owners::get(&client, account).await?;
            let owner = owner.unwrap_or(Owner { tenant: tenant.id.to_string(), assigned: now, shares: Vec::new() });
            return owned_by(&tenant.id, account, owner);
        }
        let transaction = client.transaction().await?;
        let before = owners::get(&transaction, account).await?;
        let owner = owners::claim(&transaction, account, tenant.id.as_str(), now).await?;
        let owner = owned_by(&tenant.id, account, owner)?;
        if before.is_none() {
            // Until now whoever reached it could use it.
            revocations::append_losing(&transaction, &[account], std::slice::from_ref(&owner.tenant), now).await?;
        }
        let resource = names::of_ad_account(account);
        let told = Told { action: "ad_accounts.assign", resource: &resource, detail: json!({"owner": owner.tenant}) };
        self.store.commit(transaction, by, told, Some((repeat, answer(&owner)))).await?;
        Ok(owner)
    }
}

fn owned_by(tenant: &TenantId, account: AdAccountId, owner: Owner) -> Result<Owner, Error> {
    if owner.tenant == tenant.as_str() { Ok(owner) } else { Err(Error::Taken { account }) }
}
