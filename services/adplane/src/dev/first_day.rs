//! What a person would do on the first day: bootstrap, register the Meta app, connect. Done once per data folder; every
//! later start only takes a new token.

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};
use client::Client;
use proto::auth::v1::{
    AssetKind, BootstrapRequest, Caller, CreateMetaAppRequest, ImportSystemUserTokenRequest, IssueTokenRequest,
    ListAssetsRequest, MetaApp, Tenant,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::layout::Files;

/// The sandbox's world `small`, as the contract has it.
const META_APP: &str = "1000000000000001";
const META_APP_SECRET: &str = "sandbox-app-secret";
const SYSTEM_USER_TOKEN: &str = "sandbox-system-user-token";
const AD_ACCOUNT: &str = "1000000000001";
const DATASET: &str = "2000000000000001";
const API_VERSION: &str = "v26.0";
/// What the connection asks of Meta.
const META_SCOPES: [&str; 4] = ["ads_management", "ads_read", "business_management", "pages_show_list"];

/// Who may act in this stack, kept with the data.
#[derive(Serialize, Deserialize)]
struct Identity {
    connected: bool,
    /// Registers Meta apps, which belong to no tenant.
    operator: Login,
    /// The development tenant's caller.
    caller: Login,
}

/// A caller and its secret.
#[derive(Serialize, Deserialize)]
struct Login {
    name: String,
    secret: String,
}

impl Login {
    async fn token(&self, gateway: &str) -> Result<String> {
        let request = IssueTokenRequest { caller: self.name.clone(), secret: self.secret.clone(), scopes: Vec::new() };
        Ok(Client::anonymous(gateway)?.identity().issue_token(request).await.context("a token")?.into_inner().token)
    }
}

/// What a client needs.
pub(crate) struct Access {
    pub(crate) token: String,
    pub(crate) ad_account: String,
    pub(crate) dataset: String,
}

/// A token of the development tenant, which is connected to the sandbox.
pub(crate) async fn access(gateway: &str, files: &Files) -> Result<Access> {
    let mut identity = match fs::read_to_string(files.identity()) {
        Ok(text) => toml::from_str(&text).with_context(|| files.identity().display().to_string())?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bootstrap(gateway, files).await.context("the first caller")?
        }
        Err(error) => return Err(error).with_context(|| files.identity().display().to_string()),
    };
    let token = identity.caller.token(gateway).await?;
    if !identity.connected {
        let operator = Client::connect(gateway, &identity.operator.token(gateway).await?)?;
        register(&operator).await.context("registering the Meta app")?;
        connect(&Client::connect(gateway, &token)?).await.context("connecting to the sandbox")?;
        identity.connected = true;
        keep(&identity, files)?;
    }
    Ok(Access { token, ad_account: format!("act_{AD_ACCOUNT}"), dataset: DATASET.to_owned() })
}

async fn bootstrap(gateway: &str, files: &Files) -> Result<Identity> {
    let code = fs::read_to_string(files.secret("bootstrap_code"))?;
    let request = BootstrapRequest {
        code: code.trim().to_owned(),
        tenant_id: "development".to_owned(),
        tenant: Some(Tenant { display_name: "Development".to_owned(), ..Tenant::default() }),
        caller: Some(Caller {
            display_name: "Everything".to_owned(),
            scopes: vec!["*".to_owned()],
            ..Caller::default()
        }),
        ..BootstrapRequest::default()
    };
    let answer = Client::anonymous(gateway)?.identity().bootstrap(request).await?.into_inner();
    let login = |caller: Option<Caller>, secret| {
        let name = caller.context("auth answered without a caller")?.name;
        anyhow::Ok(Login { name, secret })
    };
    let identity = Identity {
        connected: false,
        operator: login(answer.operator, answer.operator_secret)?,
        caller: login(answer.caller, answer.caller_secret)?,
    };
    keep(&identity, files)?;
    Ok(identity)
}

fn keep(identity: &Identity, files: &Files) -> Result<()> {
    super::secrets::write(&files.identity(), &toml::to_string(identity)?)
}

/// May be repeated: after a kill the app exists, which is as good.
async fn register(operator: &Client) -> Result<()> {
    let app = CreateMetaAppRequest {
        meta_app: Some(MetaApp {
            app_id: META_APP.to_owned(),
            api_version: API_VERSION.to_owned(),
            ..MetaApp::default()
        }),
        app_secret: META_APP_SECRET.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    match operator.meta_apps().create_meta_app(app).await {
        Err(status) if status.code() != tonic::Code::AlreadyExists => Err(status.into()),
        _ => Ok(()),
    }
}

/// May be repeated: the same token imported again is the same connection.
async fn connect(client: &Client) -> Result<()> {
    let import = ImportSystemUserTokenRequest {
        token: SYSTEM_USER_TOKEN.to_owned(),
        meta_app: format!("metaApps/{META_APP}"),
        expected_scopes: META_SCOPES.map(str::to_owned).to_vec(),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    client.connections().import_system_user_token(import).await.context("the system user's token")?;
    let assets = ListAssetsRequest { kind: AssetKind::AdAccount.into(), ..ListAssetsRequest::default() };
    let assets = client.connections().list_assets(assets).await?.into_inner().assets;
    anyhow::ensure!(!assets.is_empty(), "the sandbox shows no ad account to this token");
    Ok(())
}
