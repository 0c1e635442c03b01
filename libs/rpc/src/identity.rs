//! Who calls and may they: the two questions that every request passes before its method sees it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;
use vocabulary::ids::TenantId;

use crate::caller::{CallerError, Principal, Tenants};
use crate::fault::{self, FieldError};
use crate::methods::Scope;
use crate::token::{TokenError, Verified, Verifier};

pub(crate) const AUTHORIZATION: HeaderName = http::header::AUTHORIZATION;
pub(crate) const SERVICE_AUTHORIZATION: HeaderName = HeaderName::from_static("x-adplane-service-authorization");
pub(crate) const TENANT: HeaderName = HeaderName::from_static("x-adplane-tenant");

/// Who calls, by the tokens in the request. `None` where it has none at all.
pub(crate) async fn authenticate(verifier: &Verifier, headers: &HeaderMap) -> Result<Option<Principal>, Status> {
    let caller = verified(verifier, headers.get(AUTHORIZATION)).await?;
    if caller.as_ref().is_some_and(|token| token.service.is_some()) {
        // It is for every tenant and every scope, so it counts only in the header that the gateway takes off at the door.
        return Err(TokenError::Refused("a_service_token_is_no_callers").into());
    }
    let service = verified(verifier, headers.get(SERVICE_AUTHORIZATION)).await?;
    let service_name = match &service {
        Some(token) => Some(token.service.clone().ok_or(TokenError::Refused("not_a_service"))?),
        None => None,
    };
    let Some(bearer) = caller.as_ref().or(service.as_ref()) else { return Ok(None) };
    let tenant = select(&bearer.tenants, headers.get(TENANT))?;
    let mut suspended = false;
    if let Some(tenant) = &tenant {
        verifier.require_alive(bearer, tenant)?;
        suspended = verifier.is_suspended(tenant);
        if suspended && bearer.tenants != Tenants::All {
            return Err(fault::status(&CallerError::Suspended(tenant.clone())));
        }
    }
    Ok(Some(Principal {
        tenants: bearer.tenants_like(tenant.as_ref()),
        subject: Arc::clone(&bearer.subject),
        scopes: bearer.scopes_for(tenant.as_ref()).clone(),
        service: service_name,
        suspended,
        tenant,
        token: caller.map(|token| Arc::clone(&token.token)),
    }))
}

/// Whether the caller may call a method of this scope.
pub(crate) fn authorize(scope: &Scope, principal: Option<&Principal>) -> Result<(), Status> {
    match (scope, principal) {
        (Scope::Open, _) => Ok(()),
        (_, None) => Err(TokenError::Missing.into()),
        (Scope::Internal, Some(principal)) => principal.require_service().map(drop),
        // A service's token opens internal methods only: what callers may do needs a caller, whoever stole a secret.
        (Scope::Named(_), Some(principal)) if principal.token.is_none() => Err(TokenError::Missing.into()),
        (Scope::Named(scope), Some(principal)) if principal.scopes.contains(scope) => Ok(()),
        (Scope::Named(scope), Some(_)) => Err(fault::status(&CallerError::NoScope(scope.clone()))),
    }
}

async fn verified(verifier: &Verifier, header: Option<&HeaderValue>) -> Result<Option<Arc<Verified>>, TokenError> {
    let Some(header) = header else { return Ok(None) };
    let text = header.to_str().map_err(|_| TokenError::Refused("malformed"))?;
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or(TokenError::Refused("not_a_bearer"))?;
    verifier.verify(token.trim()).await.map(Some)
}

/// The header selects one of the tenants that the token grants; it never grants one.
fn select(tenants: &Tenants, header: Option<&HeaderValue>) -> Result<Option<TenantId>, Status> {
    let Some(header) = header else {
        return Ok(match tenants {
            Tenants::Only(tenants) if tenants.len() == 1 => tenants.first().cloned(),
            _ => None,
        });
    };
    let named = header.to_str().ok().and_then(|text| text.parse::<TenantId>().ok());
    let named = named.ok_or_else(|| FieldError::new("x-adplane-tenant", "must be a tenant's id", "TENANT"))?;
    if tenants.contains(&named) { Ok(Some(named)) } else { Err(fault::status(&CallerError::NoTenant(tenants.clone()))) }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::testing::Issuer;

    fn headers(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).clone(), value.parse().unwrap())).collect()
    }

    fn bearer(token: &str) -> String {
        format!("Bearer {token}")
    }

    #[tokio::test]
    async fn the_tenant_header_selects_and_never_grants() {
        let issuer = Issuer::new();
        let mut claims = issuer.claims("acme", &["*"]);
        claims.tenants = Tenants::Only(vec!["acme".parse().unwrap(), "brands".parse().unwrap()]);
        let token = bearer(&issuer.sign(&claims));
        let call = async |tenant: Option<&str>| {
            let mut headers = headers(&[(&AUTHORIZATION, &token)]);
            tenant.map(|tenant| headers.insert(TENANT, tenant.parse().unwrap()));
            authenticate(&issuer.verifier(), &headers).await
        };
        assert_eq!(call(None).await.unwrap().unwrap().tenant, None);
        assert_eq!(call(Some("brands")).await.unwrap().unwrap().tenant, Some("brands".parse().unwrap()));
        assert_eq!(call(Some("other")).await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(call(Some("Not A Tenant")).await.unwrap_err().code(), Code::InvalidArgument);
    }

    #[tokio::test]
    async fn a_service_works_for_the_tenant_it_names() {
        let issuer = Issuer::new();
        let token = bearer(&issuer.service_token("campaigns"));
        let headers = headers(&[(&SERVICE_AUTHORIZATION, &token), (&TENANT, "acme")]);
        let principal = authenticate(&issuer.verifier(), &headers).await.unwrap().unwrap();
        assert_eq!(principal.tenant, Some("acme".parse().unwrap()));
        assert_eq!(principal.require_service().unwrap(), "campaigns");
        assert!(authorize(&Scope::Internal, Some(&principal)).is_ok());
        let refused = authorize(&Scope::Named("tenants.write".to_owned()), Some(&principal)).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }

    #[tokio::test]
    async fn a_callers_token_is_no_service_token() {
        let issuer = Issuer::new();
        let token = bearer(&issuer.token("acme", &["*"]));
        let as_service = authenticate(&issuer.verifier(), &headers(&[(&SERVICE_AUTHORIZATION, &token)])).await;
        assert_eq!(as_service.unwrap_err().code(), Code::Unauthenticated);
        let principal = authenticate(&issuer.verifier(), &headers(&[(&AUTHORIZATION, &token)])).await.unwrap();
        let refused = authorize(&Scope::Internal, principal.as_ref()).unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }

    #[tokio::test]
    async fn a_services_token_is_no_callers_token() {
        let issuer = Issuer::new();
        let token = bearer(&issuer.service_token("campaigns"));
        let refused = authenticate(&issuer.verifier(), &headers(&[(&AUTHORIZATION, &token), (&TENANT, "acme")])).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    }

    #[tokio::test]
    async fn what_is_no_bearer_token_is_refused() {
        let issuer = Issuer::new();
        for text in ["", "Bearer", "Basic abc", "Bearer abc"] {
            let refused = authenticate(&issuer.verifier(), &headers(&[(&AUTHORIZATION, text)])).await;
            assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated, "{text:?}");
        }
    }

    #[test]
    fn a_method_without_a_token_is_open_or_closed() {
        assert!(authorize(&Scope::Open, None).is_ok());
        for scope in [Scope::Internal, Scope::Named("campaigns.read".to_owned())] {
            assert_eq!(authorize(&scope, None).unwrap_err().code(), Code::Unauthenticated);
        }
    }
}
