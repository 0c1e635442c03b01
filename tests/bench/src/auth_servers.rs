//! Auth with a tenant that is connected to the sandbox, and what it is compared with.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use anyhow::Context as _;
use auth::{SCHEMA, Settings};
use futures::Stream;
use proto::auth::v1 as pb;
use proto::auth::v1::credential_service_server::{CredentialService, CredentialServiceServer};
use proto::auth::v1::exchange_service_token_request::Proof;
use runtime::Process;
use runtime::settings::Secret;
use storage::{Postgres, PostgresSettings};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::server::{FREE, said};
use crate::{storm_store, storm_suite};

/// The tenant that leases.
pub(crate) const TENANT: &str = "acme";
/// What it leases for.
pub(crate) const ACCOUNT: &str = "adAccounts/act_1000000000001";

const CODE: &str = "only-for-the-benchmark";
pub(crate) const SECRET: &str = "of-the-benchmark";
const SERVICES: [&str; 2] = ["campaigns", "ratelimit"];

/// The least that a gRPC server does to answer a lease: tonic alone, with a lease that is as long as auth's.
pub(crate) async fn echo() -> anyhow::Result<()> {
    let listener = TcpListener::bind(FREE).await?;
    said(&format!("{{\"sandbox\":\"http://{}\"}}", listener.local_addr()?))?;
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder().add_service(CredentialServiceServer::new(Echo));
    Ok(server.serve_with_incoming(incoming).await?)
}

struct Echo;

#[tonic::async_trait]
impl CredentialService for Echo {
    async fn lease_credential(
        &self,
        request: Request<pb::LeaseCredentialRequest>,
    ) -> Result<Response<pb::LeaseCredentialResponse>, Status> {
        let lease = pb::Lease {
            lease_id: "x".repeat(75),
            token: "sandbox-system-user-token".to_owned(),
            appsecret_proof: "x".repeat(64),
            meta_app: "metaApps/1000000000000001".to_owned(),
            api_version: "v26.0".to_owned(),
            connection: request.into_inner().resource + &"x".repeat(20),
            expire_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 123_456_789 }),
            version: 1,
            user_id: "100000000000001".to_owned(),
        };
        Ok(Response::new(pb::LeaseCredentialResponse { lease: Some(lease), generation: 0 }))
    }

    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

    async fn watch_revocations(
        &self,
        _: Request<pb::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }

    async fn report_credential_failure(
        &self,
        _: Request<pb::ReportCredentialFailureRequest>,
    ) -> Result<Response<pb::ReportCredentialFailureResponse>, Status> {
        Ok(Response::new(pb::ReportCredentialFailureResponse::default()))
    }

    async fn verify_webhook(
        &self,
        _: Request<pb::VerifyWebhookRequest>,
    ) -> Result<Response<pb::VerifyWebhookResponse>, Status> {
        Ok(Response::new(pb::VerifyWebhookResponse::default()))
    }
}

/// Auth on a database of its own; says where it is, and a token of the service that leases.
pub(crate) async fn auth() -> anyhow::Result<()> {
    serve(false).await
}

/// The same with ten thousand connections whose tokens end in one hour; says where the database is, too.
pub(crate) async fn storm() -> anyhow::Result<()> {
    serve(true).await
}

async fn serve(is_storm: bool) -> anyhow::Result<()> {
    let (folder, process) = (tempfile::tempdir()?, Process::detached());
    let auth = start(folder.path(), &process, is_storm).await?;
    let Auth { address, token, database, .. } = &auth;
    said(&serde_json::json!({ "sandbox": address, "token": token, "database": database }).to_string())?;
    auth.served.await?
}

/// Auth, ready.
pub(crate) struct Auth {
    pub(crate) address: String,
    /// Of the service `campaigns`.
    pub(crate) token: String,
    database: String,
    pub(crate) served: JoinHandle<anyhow::Result<()>>,
}

/// Starts auth with a tenant that is connected to a sandbox. `folder` has to outlive it.
pub(crate) async fn start(folder: &Path, process: &Process, is_storm: bool) -> anyhow::Result<Auth> {
    let sandbox = TcpListener::bind(FREE).await?;
    let meta = format!("http://{}", sandbox.local_addr()?);
    process.tasks.spawn(sandbox::serve_on(sandbox, sandbox::Options::default(), process.stop.clone()));
    let database = devstack::shared().create_database().await?;
    let mut settings = settings(folder, &database, &meta)?;
    if is_storm {
        settings.lifecycle.refreshes_per_minute = storm_suite::PACE;
        settings.lifecycle.look_milliseconds = 1_000;
    }
    let postgres = Postgres::connect(&settings.postgres.in_schema(SCHEMA)).await?;
    storage::migrations::run(&postgres, SCHEMA, &auth::migrations()).await?;
    let listener = TcpListener::bind(FREE).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let served = process.tasks.spawn(auth::serve_on(listener, settings.clone(), process.clone()));
    let token = first_day(&address).await?;
    if is_storm {
        storm_store::seed(&settings, &database, &expiring_token(&meta).await?).await?;
    }
    Ok(Auth { address, token, database, served })
}

fn settings(folder: &Path, database: &str, meta: &str) -> anyhow::Result<Settings> {
    let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().context("a folder")?)?;
        fs::write(&file, text)?;
        Ok(file)
    };
    for service in SERVICES {
        write(&format!("services/{service}"), SECRET)?;
    }
    Ok(Settings {
        postgres: PostgresSettings::at(database),
        graph: graph::Settings { base_url: meta.to_owned(), ..graph::Settings::default() },
        dialog_url: meta.to_owned(),
        kek_file: write("kek", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")?,
        service_secrets_dir: folder.join("services"),
        bootstrap_code_file: Some(write("code", CODE)?),
        page_key_file: Secret::in_file(write("page_key", "a key for pages")?),
        ..Settings::default()
    })
}

/// A system user's token that ends in sixty days, made at the sandbox.
async fn expiring_token(meta: &str) -> anyhow::Result<String> {
    let url = format!("{meta}/v26.0/5000000000000002/access_tokens");
    let form = [
        ("business_app", "1000000000000001"),
        ("scope", "ads_management,ads_read,business_management"),
        ("set_token_expires_in_60_days", "true"),
    ];
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.post(url).bearer_auth("sandbox-system-user-token").form(&form).send().await?.bytes().await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    answer.get("access_token").and_then(serde_json::Value::as_str).map(str::to_owned).context("a token of the sandbox")
}

/// A tenant, connected; and a token of the service `campaigns`.
async fn first_day(address: &str) -> anyhow::Result<String> {
    let pool = rpc::Pool::new(&address.parse()?);
    let mut identity = pb::identity_service_client::IdentityServiceClient::new(pool.clone());
    let request = pb::BootstrapRequest {
        code: CODE.to_owned(),
        tenant_id: TENANT.to_owned(),
        tenant: Some(pb::Tenant::default()),
        caller: Some(pb::Caller { scopes: vec!["*".to_owned()], ..pb::Caller::default() }),
        ..pb::BootstrapRequest::default()
    };
    let first = identity.bootstrap(request).await?.into_inner();
    let request = pb::IssueTokenRequest {
        caller: first.operator.context("an operator")?.name,
        secret: first.operator_secret,
        scopes: Vec::new(),
    };
    let operator = identity.issue_token(request).await?.into_inner().token;
    let bear = |metadata: &mut MetadataMap| -> anyhow::Result<()> {
        metadata.insert("authorization", format!("Bearer {operator}").parse()?);
        metadata.insert("x-adplane-tenant", TENANT.parse()?);
        Ok(())
    };
    let mut request = Request::new(pb::CreateMetaAppRequest {
        meta_app: Some(pb::MetaApp {
            app_id: "1000000000000001".to_owned(),
            api_version: "v26.0".to_owned(),
            ..pb::MetaApp::default()
        }),
        app_secret: "sandbox-app-secret".to_owned(),
        request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
        validate_only: false,
    });
    bear(request.metadata_mut())?;
    pb::meta_app_service_client::MetaAppServiceClient::new(pool.clone()).create_meta_app(request).await?;
    let mut request = Request::new(pb::ImportSystemUserTokenRequest {
        token: "sandbox-system-user-token".to_owned(),
        meta_app: "metaApps/1000000000000001".to_owned(),
        request_id: "00000000-0000-4000-8000-000000000002".to_owned(),
        ..pb::ImportSystemUserTokenRequest::default()
    });
    bear(request.metadata_mut())?;
    pb::connection_service_client::ConnectionServiceClient::new(pool).import_system_user_token(request).await?;
    let (service, secret) = ("campaigns".to_owned(), SECRET.to_owned());
    let proof = Some(Proof::Secret(pb::ServiceSecret { service, secret }));
    Ok(identity.exchange_service_token(pb::ExchangeServiceTokenRequest { proof }).await?.into_inner().token)
}
