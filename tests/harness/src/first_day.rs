//! What people do on the first day: bootstrap, register the Meta app, make the tenants, connect each to Meta.

use anyhow::{Context, Result};
use client::Client;
use proto::auth::v1 as pb;

use crate::{request_id, settings::BOOTSTRAP_CODE};

/// The ad account of the first tenant: with campaigns, 90 days of delivery and a dataset.
pub const AD_ACCOUNT: &str = "adAccounts/act_1000000000001";
/// The ad account of the other tenant.
pub const OTHER_AD_ACCOUNT: &str = "adAccounts/act_1000000000002";
/// The dataset of the first tenant's ad account.
pub const DATASET: &str = "datasets/2000000000000001";
/// The page that the sandbox's system user may advertise for.
pub const PAGE: &str = "3000000000000001";
/// The sandbox's own token. It must never be seen outside of the vault.
pub const SYSTEM_USER_TOKEN: &str = "sandbox-system-user-token";
/// The secret of the sandbox's app. It must never be seen outside of the vault.
pub const APP_SECRET: &str = "sandbox-app-secret";
const APP: &str = "1000000000000001";

/// A customer with a caller that may do everything for it.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// The caller's token.
    pub token: String,
    /// The ad account that it owns; empty where it owns none.
    pub ad_account: String,
    gateway: String,
}

impl Tenant {
    /// A client with connections of its own, so that each test has them on its own runtime.
    ///
    /// # Errors
    /// When the token is none.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.gateway, &self.token)?)
    }
}

/// The operator's token and the two tenants.
pub(crate) async fn run(gateway: &str) -> Result<(String, Tenant, Tenant)> {
    let request = pb::BootstrapRequest {
        code: BOOTSTRAP_CODE.to_owned(),
        tenant_id: "acme".to_owned(),
        tenant: Some(pb::Tenant { display_name: "Acme".to_owned(), ..pb::Tenant::default() }),
        caller: Some(pb::Caller { scopes: vec!["*".to_owned()], ..pb::Caller::default() }),
        ..pb::BootstrapRequest::default()
    };
    let first = Client::anonymous(gateway)?.identity().bootstrap(request).await.context("bootstrap")?.into_inner();
    let operator = token(gateway, first.operator.as_ref(), &first.operator_secret).await?;
    let acme = token(gateway, first.caller.as_ref(), &first.caller_secret).await?;
    let acme =
        Tenant { id: "acme".to_owned(), token: acme, ad_account: AD_ACCOUNT.to_owned(), gateway: gateway.to_owned() };
    register_app(gateway, &operator).await.context("the Meta app")?;
    // Connecting claims what nobody owns, so the other tenant's account is given to it first.
    let other = tenant(gateway, &operator, "other", OTHER_AD_ACCOUNT).await?;
    connect(&acme).await.context("connecting acme")?;
    connect(&other).await.context("connecting other")?;
    Ok((operator, acme, other))
}

/// A further tenant. It owns the ad account unless that is empty, and is not connected to Meta yet.
pub(crate) async fn tenant(gateway: &str, operator: &str, id: &str, ad_account: &str) -> Result<Tenant> {
    let client = Client::connect(gateway, operator)?.for_tenant(&id.parse()?);
    let request = pb::CreateTenantRequest {
        tenant_id: id.to_owned(),
        tenant: Some(pb::Tenant::default()),
        request_id: request_id(),
        validate_only: false,
    };
    client.tenants().create_tenant(request).await.context("a tenant")?;
    let caller =
        pb::Caller { tenants: vec![format!("tenants/{id}")], scopes: vec!["*".to_owned()], ..pb::Caller::default() };
    let token = caller_token(gateway, operator, id, caller).await?;
    if !ad_account.is_empty() {
        let request = pb::AssignAdAccountRequest {
            tenant: format!("tenants/{id}"),
            ad_account: ad_account.to_owned(),
            request_id: request_id(),
            validate_only: false,
        };
        client.tenants().assign_ad_account(request).await.context("an ad account")?;
    }
    Ok(Tenant { id: id.to_owned(), token, ad_account: ad_account.to_owned(), gateway: gateway.to_owned() })
}

/// A further caller of a tenant; its token.
pub(crate) async fn caller_token(gateway: &str, operator: &str, tenant: &str, caller: pb::Caller) -> Result<String> {
    let client = Client::connect(gateway, operator)?.for_tenant(&tenant.parse()?);
    let request = pb::CreateCallerRequest { caller: Some(caller), request_id: request_id(), validate_only: false };
    let made = client.identity().create_caller(request).await.context("a caller")?.into_inner();
    token(gateway, made.caller.as_ref(), &made.secret).await
}

async fn token(gateway: &str, caller: Option<&pb::Caller>, secret: &str) -> Result<String> {
    let caller = caller.context("auth answered without a caller")?.name.clone();
    let request = pb::IssueTokenRequest { caller, secret: secret.to_owned(), scopes: Vec::new() };
    let answer = Client::anonymous(gateway)?.identity().issue_token(request).await.context("a token")?;
    Ok(answer.into_inner().token)
}

async fn register_app(gateway: &str, operator: &str) -> Result<()> {
    let app = pb::MetaApp { app_id: APP.to_owned(), api_version: "v26.0".to_owned(), ..pb::MetaApp::default() };
    let request = pb::CreateMetaAppRequest {
        meta_app: Some(app),
        app_secret: APP_SECRET.to_owned(),
        request_id: request_id(),
        validate_only: false,
    };
    Client::connect(gateway, operator)?.meta_apps().create_meta_app(request).await?;
    Ok(())
}

/// Imports the sandbox's system user for the tenant.
async fn connect(tenant: &Tenant) -> Result<()> {
    let request = pb::ImportSystemUserTokenRequest {
        token: SYSTEM_USER_TOKEN.to_owned(),
        meta_app: format!("metaApps/{APP}"),
        request_id: request_id(),
        ..pb::ImportSystemUserTokenRequest::default()
    };
    tenant.client()?.connections().import_system_user_token(request).await?;
    Ok(())
}
