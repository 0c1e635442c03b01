//! What becomes of a tenant: its name, its version of Meta's API, whether it works.

use serde_json::json;
use storage::GenericClient;
use vocabulary::names;

use super::{Tenant, TenantState, Tenants};
use crate::{
    by::{By, Repeat},
    error::Error,
    grants::Grant,
    revocations::Subject,
    store::{Told, revocations, tenants},
};

/// A change of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New values, where they are given.
    Fields {
        /// For people.
        display_name: Option<String>,
        /// The version of Meta's API.
        meta_version: Option<String>,
    },
    /// It is stopped.
    Suspend {
        /// For the audit.
        reason: String,
    },
    /// It works again.
    Resume {
        /// For the audit.
        reason: String,
    },
}

impl Change {
    fn apply(&self, tenant: &mut Tenant) {
        match self {
            Self::Fields { display_name, meta_version } => {
                if let Some(name) = display_name {
                    tenant.display_name.clone_from(name);
                }
                if let Some(version) = meta_version {
                    tenant.meta_version.clone_from(version);
                }
            }
            Self::Suspend { .. } => tenant.state = TenantState::Suspended,
            Self::Resume { .. } => tenant.state = TenantState::Active,
        }
    }

    /// What the stream of revocations tells of it.
    fn tells(&self) -> Option<Subject> {
        match self {
            Self::Fields { .. } => None,
            Self::Suspend { .. } => Some(Subject::Tenant),
            Self::Resume { .. } => Some(Subject::TenantResumed),
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Fields { .. } => "tenants.update",
            Self::Suspend { .. } => "tenants.suspend",
            Self::Resume { .. } => "tenants.resume",
        }
    }

    fn detail(&self, tenant: &Tenant) -> serde_json::Value {
        match self {
            Self::Fields { .. } => json!({"display_name": tenant.display_name, "meta_version": tenant.meta_version}),
            Self::Suspend { reason } | Self::Resume { reason } => json!({"reason": reason}),
        }
    }
}

impl Tenants {
    /// Changes the tenant of `by`, and tells those whom it stops. A change to what is already so changes nothing.
    pub async fn change(
        &self,
        by: &By,
        (change, etag): (&Change, &str),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&Tenant) -> Vec<u8>),
    ) -> Result<Tenant, Error> {
        by.require_operator()?;
        let resource = names::of_tenant(&by.tenant);
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let before = tenants::lock(&transaction, by.tenant.as_str()).await?;
        let before = before.ok_or_else(|| Error::NotFound { resource: resource.clone() })?;
        if !etag.is_empty() && etag != before.etag() {
            return Err(Error::Stale { resource, etag: before.etag() });
        }
        let mut after = before.clone();
        change.apply(&mut after);
        if after != before {
            (after.version, after.updated) = (before.version + 1, (self.now)());
        }
        if validate_only {
            return Ok(after);
        }
        if after == before {
            transaction.rollback().await?;
            drop(client); // Whoever waits for a second connection holds none.
            self.store.answer(by, repeat, &answer(&after)).await?;
            return Ok(after);
        }
        tenants::update(&transaction, &after).await?;
        if let Some(subject) = change.tells() {
            revocations::append(&transaction, by.tenant.as_str(), &subject, after.updated).await?;
        }
        let told = Told { action: change.action(), resource: &resource, detail: change.detail(&after) };
        self.store.commit(transaction, by, told, Some((repeat, answer(&after)))).await?;
        Ok(after)
    }
}

/// Fails where every tenant of the grant is stopped: then nothing could be done with a token for them.
pub async fn require_one_active(client: &impl GenericClient, grant: &Grant) -> Result<(), Error> {
    let Grant::Only(names) = grant else { return Ok(()) };
    let names: Vec<String> = names.iter().cloned().collect();
    let known = tenants::list(client, Some(&names), "", 100).await?;
    match known.first() {
        Some(first) if known.iter().all(|tenant| tenant.state == TenantState::Suspended) => first.require_active(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_change_touches_what_it_names() {
        let mut tenant =
            Tenant::new("acme".parse().unwrap(), "Acme".to_owned(), "v25.0".to_owned(), Timestamp::UNIX_EPOCH);
        Change::Fields { display_name: None, meta_version: Some("v26.0".to_owned()) }.apply(&mut tenant);
        assert_eq!((tenant.display_name.as_str(), tenant.meta_version.as_str()), ("Acme", "v26.0"));
        Change::Suspend { reason: String::new() }.apply(&mut tenant);
        assert!(tenant.require_active().is_err());
        Change::Resume { reason: String::new() }.apply(&mut tenant);
        assert!(tenant.require_active().is_ok());
    }
}
