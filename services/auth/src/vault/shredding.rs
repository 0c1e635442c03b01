//! Destroying a tenant's keys, and with them everything that lies beneath.
//!
//! What this reaches is the database as it stands. A backup made before still holds the wrapped keys, and who has the
//! key-encryption key can open it; so the receipt names the day on which the last such backup ends, and the
//! key-encryption keys that would have to be destroyed for it to be sooner.

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::json;
use vocabulary::names;

use crate::{
    by::{By, Repeat},
    error::Error,
    now::Now,
    revocations::Subject,
    settings::Settings,
    store::{Store, Told, revocations, shreddings, tenants as stored_tenants, vault_state},
    tenants::{TenantState, Tenants},
    vault::Vault,
};

/// An import at the same moment holds the key that is to go; then all of it is done again.
const TRIES_MAX: usize = 5;

/// What was destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// When.
    pub shredded: Timestamp,
    /// How many connections lost their token.
    pub connections: i64,
    /// After this day no backup holds the wrapped keys.
    pub closed_on: Date,
    /// What wrapped them.
    pub keks: Vec<String>,
}

/// The use cases.
#[derive(Clone)]
pub struct Shredding {
    store: Store,
    vault: Vault,
    tenants: Tenants,
    backups_kept: Duration,
    now: Now,
}

impl Shredding {
    /// Over the store and the vault.
    pub fn new(settings: &Settings, (store, now): (Store, Now), vault: Vault, tenants: Tenants) -> Self {
        let backups_kept = Duration::from_hours(24 * u64::from(settings.backup_retention_days));
        Self { store, vault, tenants, backups_kept, now }
    }

    /// Destroys the keys of the tenant of `by`.
    pub async fn shred(
        &self,
        by: &By,
        validate_only: bool,
        (repeat, answer): (&Repeat, impl Fn(&Receipt) -> Vec<u8>),
    ) -> Result<Receipt, Error> {
        by.require_operator()?;
        self.tenants.get(by).await?;
        if validate_only {
            return self.preview(by).await;
        }
        let mut tries = 1;
        loop {
            match self.try_shred(by, (repeat, &answer)).await {
                Err(Error::Store(error)) if tries < TRIES_MAX && is_lost_race(&error) => tries += 1,
                done => {
                    let receipt = done?;
                    self.vault.look().await?;
                    return Ok(receipt);
                }
            }
        }
    }

    async fn preview(&self, by: &By) -> Result<Receipt, Error> {
        let client = self.store.client().await?;
        let keks = shreddings::keks(&client, by.tenant.as_str()).await?;
        let connections = shreddings::connections(&client, by.tenant.as_str()).await?;
        self.receipt(by, connections, keks)
    }

    fn receipt(&self, by: &By, connections: i64, keks: Vec<String>) -> Result<Receipt, Error> {
        if keks.is_empty() {
            let resource = format!("{}/keys/wrapping", names::of_tenant(&by.tenant));
            return Err(Error::WrongState { resource, state: "SHREDDED" });
        }
        let shredded = (self.now)();
        let closed_on = (shredded + self.backups_kept).to_zoned(TimeZone::UTC).date();
        Ok(Receipt { shredded, connections, closed_on, keks })
    }

    async fn try_shred(
        &self,
        by: &By,
        (repeat, answer): (&Repeat, impl Fn(&Receipt) -> Vec<u8>),
    ) -> Result<Receipt, Error> {
        let (tenant, now) = (by.tenant.as_str(), (self.now)());
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        // First the rows and then the keys, as those who store a row do.
        let reason = "its tenant's keys were destroyed";
        let connections = shreddings::end_connections(&transaction, tenant, reason, now).await?;
        let keks = shreddings::keks(&transaction, tenant).await?;
        let receipt = self.receipt(by, connections, keks)?;
        shreddings::record(&transaction, tenant, &receipt, &by.actor).await?;
        shreddings::destroy_keys(&transaction, tenant).await?;
        vault_state::forget(&transaction).await?;
        revocations::append(&transaction, tenant, &Subject::Tenant, now).await?;
        let tenant_stands = stored_tenants::get(&transaction, tenant).await?;
        if tenant_stands.is_some_and(|tenant| tenant.state == TenantState::Active) {
            // All that it had has ended, and it may begin anew: nobody has stopped it.
            revocations::append(&transaction, tenant, &Subject::TenantResumed, now).await?;
        }
        let resource = names::of_tenant(&by.tenant);
        let detail = json!({
            "connections": receipt.connections,
            "closed_on": receipt.closed_on.to_string(),
            "key_encryption_keys": receipt.keks,
        });
        let told = Told { action: "keys.shred", resource: &resource, detail };
        self.store.commit(transaction, by, told, Some((repeat, answer(&receipt)))).await?;
        Ok(receipt)
    }
}

/// Did somebody store something under a key of the tenant at this moment?
fn is_lost_race(error: &storage::Error) -> bool {
    error.is_conflict() || matches!(error, storage::Error::Raced)
}
