//! On whose behalf something is done, and whether it was done before.

use std::sync::Arc;

use aws_lc_rs::digest;
use prost::Message;
use vocabulary::ids::{RequestId, TenantId};

use crate::{error::Error, grants::Grant, vault};

/// Who does something, for which tenant.
#[derive(Debug, Clone)]
pub struct By {
    /// The tenant that was selected.
    pub tenant: TenantId,
    /// Who, as the audit names them: `callers/{uuid}` or `services/{name}`.
    pub actor: Arc<str>,
    /// The tenants they may act for.
    pub tenants: Grant,
    /// What they may do.
    pub scopes: Grant,
}

impl By {
    /// Auth itself, for a tenant.
    pub fn ourselves(tenant: TenantId) -> Self {
        Self { tenant, actor: "services/auth".into(), tenants: Grant::Everything, scopes: Grant::Everything }
    }

    /// May they act for every tenant?
    pub fn is_operator(&self) -> bool {
        self.tenants.is_everything()
    }

    /// Fails for everybody but operators.
    pub fn require_operator(&self) -> Result<(), Error> {
        if self.is_operator() { Ok(()) } else { Err(Error::Lacking { lacks: vec!["tenants/*".to_owned()] }) }
    }

    /// The same for another tenant, which must be one of theirs; another's does not exist for them.
    pub fn for_tenant(&self, tenant: &TenantId) -> Result<Self, Error> {
        let wanted = Grant::from_stored(vec![tenant.to_string()]);
        if self.tenants.lacks(&wanted).is_empty() {
            Ok(Self { tenant: tenant.clone(), ..self.clone() })
        } else {
            Err(Error::NotFound { resource: vocabulary::names::of_tenant(tenant) })
        }
    }
}

/// The tenant of what belongs to the installation itself, such as our apps at Meta.
pub fn installation() -> Result<TenantId, Error> {
    vault::SYSTEM.parse().map_err(|_| Error::Corrupt("tenant"))
}

/// How a repeat of a request is known.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// The caller's id of it; without one there are no repeats.
    pub request_id: Option<RequestId>,
    /// The RPC.
    pub method: &'static str,
    /// SHA-256 of the message.
    pub fingerprint: [u8; 32],
}

impl Repeat {
    /// Of a request. The message still holds its `request_id`: it is part of the key anyway, so it changes nothing.
    pub fn of(method: &'static str, request_id: Option<RequestId>, message: &impl Message) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, &message.encode_to_vec()).as_ref());
        Self { request_id, method, fingerprint }
    }
}
