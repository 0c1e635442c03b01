//! The gRPC surface: open, decode, do, encode.

mod audit;
mod chain;
mod connection;
mod credential;
mod export;
mod identity;
mod key;
mod meta_app;
mod tenant;
mod watch;

use rpc::{Principal, Scopes, Tenants};
use tonic::{Request, Status};
use vocabulary::page::PageTokens;

pub use self::{
    audit::AuditApi, chain::OwnChains, connection::ConnectionApi, credential::CredentialApi, identity::IdentityApi,
    key::KeyApi, meta_app::MetaAppApi, tenant::TenantApi,
};
use crate::{
    by::{self, By},
    error::Error,
    grants::Grant,
};

/// What every part of the surface has at hand.
#[derive(Clone)]
pub struct Common {
    /// The store, for what was answered before.
    pub store: crate::store::Store,
    /// Seals the keys of pages.
    pub pages: PageTokens,
}

/// Takes a request apart: on whose behalf, and the message. Fails where no tenant is selected.
fn open<T>(request: Request<T>) -> Result<(By, T), Status> {
    let principal = request.extensions().get::<Principal>().cloned();
    let (caller, message) = rpc::open(request)?;
    let tenants = principal.map_or_else(|| Grant::from_stored(Vec::new()), |principal| tenants_of(&principal.tenants));
    Ok((By { tenant: caller.tenant, actor: caller.subject, tenants, scopes: scopes_of(&caller.scopes) }, message))
}

/// Like [`open`], for what belongs to the installation: without a selected tenant it is done for the installation itself.
fn open_for_installation<T>(request: Request<T>) -> Result<(By, T), Status> {
    let (principal, message) = rpc::open_untenanted(request)?;
    Ok((by(principal)?, message))
}

/// Who calls an open method, where somebody shows a token.
fn known_caller<T>(request: &Request<T>) -> Option<Principal> {
    request.extensions().get::<Principal>().filter(|principal| principal.token.is_some()).cloned()
}

fn by(principal: Principal) -> Result<By, Error> {
    let tenant = principal.tenant.map_or_else(by::installation, Ok)?;
    let (tenants, scopes) = (tenants_of(&principal.tenants), scopes_of(&principal.scopes));
    Ok(By { tenant, actor: principal.subject, tenants, scopes })
}

fn tenants_of(tenants: &Tenants) -> Grant {
    match tenants {
        Tenants::All => Grant::Everything,
        Tenants::Only(tenants) => Grant::from_stored(tenants.iter().map(ToString::to_string).collect()),
    }
}

fn scopes_of(scopes: &Scopes) -> Grant {
    match scopes {
        Scopes::All => Grant::Everything,
        Scopes::Only(scopes) => Grant::Only(scopes.clone()),
    }
}
