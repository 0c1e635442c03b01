//! Callers, bootstrap, apps.

use jiff::Timestamp;
use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use secrecy::SecretString;
use uuid::Uuid;
use vocabulary::names;

use super::{display_name_is_short, new_tenant_id, request_id, secret, tenant, timestamp, version_serves};
use crate::{
    bootstrap::Wanted,
    callers::Caller,
    grants::{self, Grant},
    meta_apps::MetaApp,
    tenants::Tenant,
};

/// What a caller is to be called and given.
pub struct Granted {
    /// For people.
    pub display_name: String,
    /// The tenants it may act for, as ids.
    pub tenants: Grant,
    /// What it may do.
    pub scopes: Grant,
}

/// The fields of a caller that may be set. `tenants` is set where it is not asked for.
pub fn caller(fields: &mut Fields, caller: Option<pb::Caller>, tenants: Option<Grant>) -> Option<Granted> {
    let Some(caller) = caller else {
        fields.add(FieldError::required("caller"));
        return None;
    };
    display_name_is_short(fields, "caller.display_name", &caller.display_name);
    let ids: Result<Vec<String>, _> = caller
        .tenants
        .iter()
        .map(|name| if name == "*" { Ok(name.clone()) } else { names::tenant(name).map(|id| id.to_string()) })
        .collect();
    let tenants = match tenants {
        Some(tenants) => Some(tenants),
        None => fields
            .parse("caller.tenants", ids, "RESOURCE_NAME")
            .and_then(|ids| fields.parse("caller.tenants", Grant::parse(&ids, |_| true), "GRANT")),
    };
    let scopes = fields.parse("caller.scopes", Grant::parse(&caller.scopes, grants::is_scope), "GRANT");
    Some(Granted { display_name: caller.display_name, tenants: tenants?, scopes: scopes? })
}

/// Who is to come first, with the code that proves it.
pub fn bootstrap(request: pb::BootstrapRequest, now: Timestamp) -> Result<(SecretString, Wanted, bool), FieldError> {
    let mut fields = Fields::new();
    let code = secret(&mut fields, "code", request.code);
    let id = new_tenant_id(&mut fields, &request.tenant_id);
    let (display_name, meta_version) = tenant(&mut fields, request.tenant);
    request_id(&mut fields, &request.request_id, false);
    let of_tenant = Grant::from_stored(vec![request.tenant_id]);
    let granted = caller(&mut fields, request.caller, Some(of_tenant));
    fields.finish()?;
    let (Some(id), Some(granted)) = (id, granted) else { return Err(FieldError::required("caller")) };
    let tenant = Tenant::new(id, display_name, meta_version, now);
    let wanted = Wanted { tenant, caller_name: granted.display_name, scopes: granted.scopes };
    Ok((code, wanted, request.validate_only))
}

/// Whose token, with which secret and scopes.
pub fn issue(request: pb::IssueTokenRequest) -> Result<(Uuid, SecretString, Option<Grant>), FieldError> {
    let mut fields = Fields::new();
    let id = fields.take(caller_id("caller", &request.caller));
    let secret = secret(&mut fields, "secret", request.secret);
    let wanted = match request.scopes.as_slice() {
        [] => None,
        scopes => fields.parse("scopes", Grant::parse(scopes, grants::is_scope), "GRANT"),
    };
    fields.finish()?;
    Ok((id.unwrap_or_default(), secret, wanted))
}

/// A caller's id out of its resource name.
pub fn caller_id(field: &str, name: &str) -> Result<Uuid, FieldError> {
    let id = name.strip_prefix("callers/").and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(|| FieldError::new(field, "must be callers/{uuid}", "RESOURCE_NAME"))
}

/// An app to be registered.
pub struct NewMetaApp {
    /// The app.
    pub app: MetaApp,
    /// Its secret.
    pub secret: SecretString,
}

/// The fields of an app that may be set.
pub fn meta_app(fields: &mut Fields, app: Option<pb::MetaApp>, app_secret: String) -> Option<NewMetaApp> {
    let secret = secret(fields, "app_secret", app_secret);
    let Some(app) = app else {
        fields.add(FieldError::required("meta_app"));
        return None;
    };
    display_name_is_short(fields, "meta_app.display_name", &app.display_name);
    version_serves(fields, "meta_app.api_version", &app.api_version);
    let id = fields.parse("meta_app.app_id", app.app_id.parse(), "META_ID")?;
    Some(NewMetaApp { app: MetaApp::new(id, app.display_name, app.api_version), secret })
}

impl From<&Caller> for pb::Caller {
    fn from(caller: &Caller) -> Self {
        let named = |tenant: String| if tenant == "*" { tenant } else { format!("tenants/{tenant}") };
        Self {
            name: caller.name(),
            etag: caller.etag(),
            display_name: caller.display_name.clone(),
            tenants: caller.tenants.names().into_iter().map(named).collect(),
            scopes: caller.scopes.names(),
            create_time: Some(timestamp(caller.created)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_tenants_are_named_outside_and_bare_inside() {
        let mut fields = Fields::new();
        let sent = pb::Caller {
            tenants: vec!["tenants/acme".to_owned()],
            scopes: vec!["campaigns.read".to_owned()],
            ..pb::Caller::default()
        };
        let granted = caller(&mut fields, Some(sent), None).unwrap();
        assert_eq!(granted.tenants.names(), ["acme"]);
        let back = Caller::new(String::new(), granted.tenants, granted.scopes, Timestamp::UNIX_EPOCH);
        assert_eq!(pb::Caller::from(&back).tenants, ["tenants/acme"]);
    }

    #[test]
    fn everything_wrong_with_a_caller_is_told_at_once() {
        let mut fields = Fields::new();
        let sent = pb::Caller {
            display_name: "x".repeat(201),
            tenants: vec!["acme".to_owned()],
            scopes: vec!["internal".to_owned()],
            ..pb::Caller::default()
        };
        assert!(caller(&mut fields, Some(sent), None).is_none());
        let text = fields.finish().unwrap_err().to_string();
        for field in ["caller.display_name", "caller.tenants", "caller.scopes"] {
            assert!(text.contains(field), "{text}");
        }
    }

    #[test]
    fn a_caller_is_named_by_its_uuid() {
        assert!(caller_id("caller", "callers/00000000-0000-0000-0000-000000000002").is_ok());
        assert!(caller_id("caller", "callers/2").is_err());
        assert!(caller_id("caller", "00000000-0000-0000-0000-000000000002").is_err());
    }
}
