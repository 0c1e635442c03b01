//! Who calls: what the token says, verified by this server, and the tenant that the call is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tonic::{Code, Request, Status};
use vocabulary::ids::TenantId;

use crate::fault::{self, ErrorReason, Fault};

/// What a bearer may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Words<String>", into = "Words<String>")]
pub enum Scopes {
    /// `*`: everything.
    All,
    /// Just these. `campaigns.write` does not imply `campaigns.read`.
    Only(BTreeSet<String>),
}

/// For whom a bearer may act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Words<TenantId>", into = "Words<TenantId>")]
pub enum Tenants {
    /// `*`: every tenant. Operators and our own services.
    All,
    /// Just these.
    Only(Vec<TenantId>),
}

/// As the claims write it: `"*"` or a list.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Words<T> {
    Star(Star),
    List(Vec<T>),
}

#[derive(Serialize, Deserialize)]
enum Star {
    #[serde(rename = "*")]
    Star,
}

impl Scopes {
    /// `*` contains every scope.
    pub fn contains(&self, scope: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(scopes) => scopes.contains(scope),
        }
    }
}

impl Tenants {
    /// `*` contains every tenant.
    pub fn contains(&self, tenant: &TenantId) -> bool {
        match self {
            Self::All => true,
            Self::Only(tenants) => tenants.contains(tenant),
        }
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(words: I) -> Self {
        let words: BTreeSet<String> = words.into_iter().map(Into::into).collect();
        if words.contains("*") { Self::All } else { Self::Only(words) }
    }
}

impl From<Words<String>> for Scopes {
    fn from(words: Words<String>) -> Self {
        match words {
            Words::Star(_) => Self::All,
            Words::List(words) => words.into_iter().collect(),
        }
    }
}

impl From<Scopes> for Words<String> {
    fn from(scopes: Scopes) -> Self {
        match scopes {
            Scopes::All => Self::Star(Star::Star),
            Scopes::Only(words) => Self::List(words.into_iter().collect()),
        }
    }
}

impl From<Words<TenantId>> for Tenants {
    fn from(words: Words<TenantId>) -> Self {
        match words {
            Words::Star(_) => Self::All,
            Words::List(tenants) => Self::Only(tenants),
        }
    }
}

impl From<Tenants> for Words<TenantId> {
    fn from(tenants: Tenants) -> Self {
        match tenants {
            Tenants::All => Self::Star(Star::Star),
            Tenants::Only(tenants) => Self::List(tenants),
        }
    }
}

/// Who calls, perhaps for no tenant: an operator, or a service of ours on its own account.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The tenant that the call is about, where it is about one.
    pub tenant: Option<TenantId>,
    /// All tenants that the bearer may act for.
    pub tenants: Tenants,
    /// Who: `callers/{uuid}`, `services/{name}`, or what another issuer calls them.
    pub subject: Arc<str>,
    /// What they may do.
    pub scopes: Scopes,
    /// The service of ours that calls, verified by its own token.
    pub service: Option<Arc<str>>,
    /// The caller's token, to be passed on. `None` where a service works by its own identity.
    pub token: Option<Arc<SecretString>>,
    /// An operator has stopped the tenant. Only operators and services of ours come this far then.
    pub suspended: bool,
}

/// Who calls, for which tenant.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant that the call is about.
    pub tenant: TenantId,
    /// Who: `callers/{uuid}`, `services/{name}`, or what another issuer calls them.
    pub subject: Arc<str>,
    /// What they may do.
    pub scopes: Scopes,
    /// The service of ours that calls, verified by its own token.
    pub service: Option<Arc<str>>,
    /// The caller's token, to be passed on. `None` where a service works by its own identity.
    pub token: Option<Arc<SecretString>>,
    /// An operator has stopped the tenant. Only operators and services of ours come this far then.
    pub suspended: bool,
}

impl Caller {
    /// The name of the service of ours that calls. Fails where it is none.
    pub fn require_service(&self) -> Result<&str, Status> {
        self.service.as_deref().ok_or_else(|| fault::status(&CallerError::NoService))
    }

    /// Fails where an operator has stopped the tenant.
    pub fn require_working_tenant(&self) -> Result<(), Status> {
        if self.suspended { Err(fault::status(&CallerError::Suspended(self.tenant.clone()))) } else { Ok(()) }
    }

    /// A caller that is not in a request: a worker that goes on with what `subject` began, or a test.
    pub fn resumed(tenant: TenantId, subject: impl Into<Arc<str>>, scopes: Scopes) -> Self {
        Self { tenant, subject: subject.into(), scopes, service: None, token: None, suspended: false }
    }
}

impl Principal {
    /// The name of the service of ours that calls. Fails where it is none.
    pub fn require_service(&self) -> Result<&str, Status> {
        self.service.as_deref().ok_or_else(|| fault::status(&CallerError::NoService))
    }
}

/// Takes a request apart: who calls, and the message. Fails where the call is about no tenant, or about none that the
/// caller may act for.
pub fn open<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    let (principal, message) = open_untenanted(request)?;
    let Some(tenant) = principal.tenant else {
        return Err(fault::status(&CallerError::NoTenant(principal.tenants)));
    };
    let Principal { subject, scopes, service, token, suspended, .. } = principal;
    Ok((Caller { tenant, subject, scopes, service, token, suspended }, message))
}

/// Like [`open`], for methods that are about no tenant, such as listing all tenants.
pub fn open_untenanted<T>(mut request: Request<T>) -> Result<(Principal, T), Status> {
    let principal = request.extensions_mut().remove::<Principal>();
    let principal = principal.ok_or_else(|| fault::status(&CallerError::NotVerified))?;
    Ok((principal, request.into_inner()))
}

/// Why a caller cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallerError {
    #[error("x-adplane-tenant must name one of the tenants that the token is for")]
    NoTenant(Tenants),
    #[error("only services of ours may call this")]
    NoService,
    #[error("a method without a caller asked who calls")]
    NotVerified,
    #[error("the token lacks the scope {0}")]
    NoScope(String),
    #[error("tenants/{0} is suspended: an operator has to resume it")]
    Suspended(TenantId),
}

impl Fault for CallerError {
    fn code(&self) -> Code {
        match self {
            Self::NoTenant(_) => Code::InvalidArgument,
            Self::NoService | Self::NoScope(_) => Code::PermissionDenied,
            Self::NotVerified => Code::Internal,
            Self::Suspended(_) => Code::FailedPrecondition,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::NoTenant(_) => ErrorReason::TenantNotSelected,
            Self::NoService | Self::NoScope(_) => ErrorReason::ScopeMissing,
            Self::NotVerified => ErrorReason::Internal,
            Self::Suspended(_) => ErrorReason::WrongState,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NoTenant(Tenants::All) => vec![("tenants", "*".to_owned())],
            Self::NoTenant(Tenants::Only(tenants)) => {
                let names: Vec<_> = tenants.iter().take(20).map(TenantId::as_str).collect();
                vec![("tenants", names.join(","))]
            }
            Self::NoService => vec![("scope", "internal".to_owned())],
            Self::NoScope(scope) => vec![("scope", scope.clone())],
            Self::Suspended(tenant) => {
                vec![("resource", format!("tenants/{tenant}")), ("state", "SUSPENDED".to_owned())]
            }
            Self::NotVerified => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_does_not_imply_reading_and_star_is_all() {
        let scopes: Scopes = serde_json::from_str(r#"["campaigns.write"]"#).unwrap();
        assert!(scopes.contains("campaigns.write") && !scopes.contains("campaigns.read"));
        for all in [r#""*""#, r#"["*"]"#] {
            assert_eq!(serde_json::from_str::<Scopes>(all).unwrap(), Scopes::All);
        }
        assert!(serde_json::from_str::<Scopes>(r#""campaigns.write""#).is_err());
    }

    #[test]
    fn tenants_read_back_as_they_are_written() {
        for text in [r#""*""#, r#"["acme","brands"]"#, "[]"] {
            let tenants: Tenants = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&tenants).unwrap(), text);
        }
    }

    #[test]
    fn a_request_that_no_server_verified_is_our_fault() {
        let status = open(Request::new(())).unwrap_err();
        assert_eq!(status.code(), Code::Internal);
    }
}
