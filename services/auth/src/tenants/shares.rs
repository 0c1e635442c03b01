//! Ad accounts that several tenants use, by leave of an operator.

use serde_json::json;
use vocabulary::{
    ids::{AdAccountId, TenantId},
    names,
};

use super::Tenants;
use crate::{
    by::{By, Repeat},
    error::Error,
    store::{Told, owners, owners::Owner, revocations, tenants},
};

/// Another tenant's part in an ad account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The tenant.
    pub tenant: TenantId,
    /// Its part of the account's quota, beside those of the others and the owner's 100.
    pub weight: i32,
}

impl Tenants {
    /// Says who may use an ad account beside its owner; whoever no longer may loses its leases. Told in the owner's chain.
    pub async fn share(
        &self,
        by: &By,
        (account, shares): (AdAccountId, &[Share]),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&Owner) -> Vec<u8>),
    ) -> Result<Owner, Error> {
        by.require_operator()?;
        let (resource, now) = (names::of_ad_account(account), (self.now)());
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let owner = owners::lock(&transaction, account).await?;
        let mut owner = owner.ok_or_else(|| Error::NotFound { resource: resource.clone() })?;
        let among: Vec<String> = shares.iter().map(|share| share.tenant.to_string()).collect();
        if among.contains(&owner.tenant) {
            return Err(Error::field("shares", "must not name the owner, whose account it is anyway", "OWNER"));
        }
        let known = tenants::list(&transaction, Some(&among), "", 100).await?;
        if let Some(share) = shares.iter().find(|share| !known.iter().any(|tenant| tenant.id == share.tenant)) {
            return Err(Error::NotFound { resource: names::of_tenant(&share.tenant) });
        }
        owner.shares = shares.to_vec();
        if validate_only {
            return Ok(owner);
        }
        owners::share(&transaction, account, shares, now).await?;
        let keep: Vec<String> = among.iter().cloned().chain([owner.tenant.clone()]).collect();
        revocations::append_losing(&transaction, &[account], &keep, now).await?;
        let told: Vec<_> = shares.iter().map(|s| json!({"tenant": s.tenant.as_str(), "weight": s.weight})).collect();
        let told = Told { action: "ad_accounts.share", resource: &resource, detail: json!({"shares": told}) };
        let home = By { tenant: owner.tenant.parse().map_err(|_| Error::Corrupt("owner"))?, ..by.clone() };
        self.store.answer_in(&transaction, by, repeat, &answer(&owner)).await?;
        self.store.commit(transaction, &home, told, None).await?;
        Ok(owner)
    }
}
