//! A world per test: a sandbox, a database, an auth, and who calls it.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use auth::{SCHEMA, Settings, lifecycle::LifecycleSettings, now::Now};
use devstack::shared;
use proto::auth::v1::{
    self as pb, connection_service_client::ConnectionServiceClient, credential_service_client::CredentialServiceClient,
    identity_service_client::IdentityServiceClient, meta_app_service_client::MetaAppServiceClient,
    tenant_service_client::TenantServiceClient,
};
use rpc::{Channel, Peer, Pool, ServiceIdentity};
use runtime::{Process, settings::Secret};
use storage::{Postgres, PostgresSettings};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Code, Request, Status};
use uuid::Uuid;
use vocabulary::{SystemClock, clock::Clock};

use crate::waiting::PATIENCE;

pub(crate) const APP: &str = "1000000000000001";
pub(crate) const APP_SECRET: &str = "sandbox-app-secret";
pub(crate) const TOKEN: &str = "sandbox-system-user-token";
pub(crate) const ACCOUNT: &str = "adAccounts/act_1000000000001";
pub(crate) const DATASET: &str = "datasets/2000000000000001";
const BOOTSTRAP_CODE: &str = "once-and-never-again";
const SERVICES: [&str; 4] = ["campaigns", "insights", "audiences", "conversions"];

/// Everything that runs. It stops when it is dropped.
pub(crate) struct World {
    pub(crate) endpoint: String,
    pub(crate) settings: Settings,
    /// How far auth's clock is ahead of the machine's, in seconds.
    ahead: Arc<AtomicU64>,
    /// Holds the settings' files as long as they are needed.
    folder: TempDir,
    process: Process,
    /// The first auth alone, so that it can be stopped and started again.
    auth: Process,
}

/// The first operator, the first tenant `acme` and its caller, with their tokens.
pub(crate) struct First {
    pub(crate) operator: String,
    pub(crate) caller: String,
    pub(crate) answer: pb::BootstrapResponse,
}

impl Drop for World {
    fn drop(&mut self) {
        self.process.stop.cancel();
        self.auth.stop.cancel();
    }
}

impl World {
    /// Sandbox, database and auth, with nobody in it.
    pub(crate) async fn empty() -> Self {
        Self::set(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn set(change: impl FnOnce(&mut Settings)) -> Self {
        Self::at(sandbox::Options::default(), change).await
    }

    /// The same with another Meta.
    pub(crate) async fn at(meta: sandbox::Options, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::detached();
        let (listener, sandbox) = free_port().await;
        process.tasks.spawn(sandbox::serve_on(listener, meta, process.stop.clone()));
        let database = shared().create_database().await.unwrap();
        let mut settings = settings(folder.path(), &database, &sandbox);
        change(&mut settings);
        let postgres = Postgres::connect(&settings.postgres.in_schema(SCHEMA)).await.unwrap();
        storage::migrations::run(&postgres, SCHEMA, &auth::migrations()).await.unwrap();
        let mut world = Self {
            endpoint: String::new(),
            settings,
            ahead: Arc::default(),
            folder,
            process,
            auth: Process::detached(),
        };
        world.start().await;
        world
    }

    /// Starts the first auth with the settings as they are now.
    async fn start(&mut self) {
        self.auth = Process::detached();
        self.endpoint = self.serve(self.settings.clone(), self.auth.clone()).await;
    }

    /// Stops the first auth and waits until nothing of it runs.
    pub(crate) async fn stop(&self) {
        assert!(self.auth.finish(PATIENCE).await, "auth does not stop");
    }

    /// The first auth anew, with the settings as they are now.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// A file for the settings, which lives as long as the world.
    pub(crate) fn file(&self, name: &str, text: &str) -> std::path::PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// One more auth on the same database; its address.
    pub(crate) async fn replica(&self) -> String {
        self.serve(self.settings.clone(), self.process.clone()).await
    }

    /// One more auth with settings of its own; its address.
    pub(crate) async fn replica_with(&self, settings: Settings) -> String {
        self.serve(settings, self.process.clone()).await
    }

    async fn serve(&self, settings: Settings, process: Process) -> String {
        let (listener, endpoint) = free_port().await;
        let (tasks, now) = (process.tasks.clone(), self.now());
        tasks.spawn(async move { auth::serve_at(listener, settings, process, now).await.unwrap() });
        endpoint
    }

    /// The clock of every auth here. Tokens of callers go by the machine's: take them before it is turned.
    pub(crate) fn now(&self) -> Now {
        let ahead = Arc::clone(&self.ahead);
        Arc::new(move || SystemClock.now() + Duration::from_secs(ahead.load(Ordering::SeqCst)))
    }

    /// Turns the clock of every auth and of the sandbox ahead.
    pub(crate) async fn turn(&self, by: Duration) {
        let seconds = by.as_secs();
        self.control("clock", &serde_json::json!({ "advance_seconds": seconds })).await;
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Tells the sandbox what is to happen; what it answers.
    pub(crate) async fn control(&self, name: &str, body: &serde_json::Value) -> String {
        let url = format!("{}/__sandbox/{name}", self.settings.graph.base_url);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(url).body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{name}: {text}");
        text
    }

    /// With the first operator, tenant and caller, and the sandbox's app registered.
    pub(crate) async fn with_app() -> (Self, First) {
        Self::empty().await.registered().await
    }

    /// The same, in a world that is set up already.
    pub(crate) async fn registered(self) -> (Self, First) {
        let world = self;
        let first = world.bootstrap().await;
        let request = pb::CreateMetaAppRequest {
            meta_app: Some(meta_app()),
            app_secret: APP_SECRET.to_owned(),
            request_id: uuid(),
            validate_only: false,
        };
        world.apps().create_meta_app(bearing(&first.operator, request)).await.unwrap();
        (world, first)
    }

    /// And with the sandbox's system user imported for the first tenant.
    pub(crate) async fn connected() -> (Self, First, pb::ImportSystemUserTokenResponse) {
        Self::with_app().await.imported().await
    }
}

/// A world with the sandbox's app registered.
pub(crate) trait Registered {
    /// And with the sandbox's system user imported for the first tenant.
    fn imported(self) -> impl Future<Output = (World, First, pb::ImportSystemUserTokenResponse)>;
}

impl Registered for (World, First) {
    async fn imported(self) -> (World, First, pb::ImportSystemUserTokenResponse) {
        let (world, first) = self;
        let imported = world.connections().import_system_user_token(bearing(&first.caller, import())).await;
        let imported = imported.unwrap().into_inner();
        (world, first, imported)
    }
}

impl World {
    pub(crate) async fn bootstrap(&self) -> First {
        let answer = self.identity().bootstrap(bootstrap()).await.unwrap().into_inner();
        let operator = self.token_of(answer.operator.as_ref(), &answer.operator_secret).await;
        let caller = self.token_of(answer.caller.as_ref(), &answer.caller_secret).await;
        First { operator, caller, answer }
    }

    pub(crate) async fn token_of(&self, caller: Option<&pb::Caller>, secret: &str) -> String {
        let request = pb::IssueTokenRequest {
            caller: caller.unwrap().name.clone(),
            secret: secret.to_owned(),
            scopes: Vec::new(),
        };
        self.identity().issue_token(request).await.unwrap().into_inner().token
    }

    /// A further tenant with a caller of its own; the caller's token.
    pub(crate) async fn tenant(&self, first: &First, id: &str) -> String {
        let request = pb::CreateTenantRequest {
            tenant_id: id.to_owned(),
            tenant: Some(pb::Tenant::default()),
            request_id: uuid(),
            validate_only: false,
        };
        self.tenants().create_tenant(bearing(&first.operator, request)).await.unwrap();
        let caller = pb::Caller {
            tenants: vec![format!("tenants/{id}")],
            scopes: vec!["auth.read".to_owned(), "auth.write".to_owned()],
            ..pb::Caller::default()
        };
        let request = pb::CreateCallerRequest { caller: Some(caller), request_id: uuid(), validate_only: false };
        let made = self.identity().create_caller(for_tenant(bearing(&first.operator, request), id)).await;
        let made = made.unwrap().into_inner();
        self.token_of(made.caller.as_ref(), &made.secret).await
    }

    /// A client of our own services, as the service of this name.
    pub(crate) fn service(&self, name: &'static str) -> CredentialServiceClient<Channel> {
        CredentialServiceClient::new(self.peer(name).channel())
    }

    /// The way to auth as the service of this name, by its secret.
    pub(crate) fn peer(&self, name: &'static str) -> Peer {
        let settings = rpc::PeerSettings {
            endpoint: self.endpoint.clone(),
            service_secret_file: self.settings.service_secrets_dir.join(name),
            ..Default::default()
        };
        let identity = ServiceIdentity::of_service(name, &settings).unwrap();
        Peer::connect(&self.endpoint, identity).unwrap()
    }

    /// Runs beside the test until its world ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let stop = self.process.stop.clone();
        self.process.tasks.spawn(async move { stop.run_until_cancelled_owned(task).await.unwrap_or_default() })
    }

    pub(crate) fn identity(&self) -> IdentityServiceClient<Pool> {
        IdentityServiceClient::new(self.pool())
    }

    pub(crate) fn tenants(&self) -> TenantServiceClient<Pool> {
        TenantServiceClient::new(self.pool())
    }

    pub(crate) fn apps(&self) -> MetaAppServiceClient<Pool> {
        MetaAppServiceClient::new(self.pool())
    }

    pub(crate) fn connections(&self) -> ConnectionServiceClient<Pool> {
        ConnectionServiceClient::new(self.pool())
    }

    pub(crate) fn pool(&self) -> Pool {
        Pool::new(&self.endpoint.parse().unwrap())
    }

    /// The database, past auth.
    pub(crate) async fn postgres(&self) -> storage::Client {
        let settings = self.settings.postgres.in_schema(SCHEMA);
        Postgres::connect(&settings).await.unwrap().client().await.unwrap()
    }
}

pub(crate) fn bootstrap() -> pb::BootstrapRequest {
    pb::BootstrapRequest {
        code: BOOTSTRAP_CODE.to_owned(),
        tenant_id: "acme".to_owned(),
        tenant: Some(pb::Tenant { display_name: "Acme".to_owned(), ..pb::Tenant::default() }),
        caller: Some(pb::Caller { scopes: vec!["*".to_owned()], ..pb::Caller::default() }),
        ..pb::BootstrapRequest::default()
    }
}

pub(crate) fn meta_app() -> pb::MetaApp {
    pb::MetaApp { app_id: APP.to_owned(), api_version: "v26.0".to_owned(), ..pb::MetaApp::default() }
}

pub(crate) fn import() -> pb::ImportSystemUserTokenRequest {
    pb::ImportSystemUserTokenRequest {
        token: TOKEN.to_owned(),
        meta_app: format!("metaApps/{APP}"),
        request_id: uuid(),
        ..pb::ImportSystemUserTokenRequest::default()
    }
}

pub(crate) fn uuid() -> String {
    Uuid::new_v4().to_string()
}

pub(crate) fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

pub(crate) fn for_tenant<T>(mut request: Request<T>, tenant: &str) -> Request<T> {
    request.metadata_mut().insert("x-adplane-tenant", tenant.parse().unwrap());
    request
}

/// The code of a failure and the reason in its ErrorInfo.
pub(crate) fn why(status: &Status) -> (Code, String) {
    use rpc::Fault;
    let upstream = rpc::Upstream::from(status.clone());
    (status.code(), upstream.reason().as_str_name().trim_start_matches("ERROR_REASON_").to_owned())
}

pub(crate) async fn free_port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// A test holds locks for as long as a slow machine needs to run into them.
fn patient(database: &str) -> PostgresSettings {
    PostgresSettings {
        pool_wait_milliseconds: 60_000,
        statement_timeout_milliseconds: 120_000,
        lock_timeout_milliseconds: 120_000,
        idle_in_transaction_timeout_milliseconds: 120_000,
        ..PostgresSettings::at(database)
    }
}

fn settings(folder: &Path, database: &str, sandbox: &str) -> Settings {
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    };
    for service in SERVICES {
        write(&format!("services/{service}"), &format!("secret-of-{service}"));
    }
    Settings {
        postgres: patient(database),
        graph: graph::Settings { base_url: sandbox.to_owned(), ..graph::Settings::default() },
        dialog_url: sandbox.to_owned(),
        kek_file: write("kek", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        service_secrets_dir: folder.join("services"),
        bootstrap_code_file: Some(write("code", BOOTSTRAP_CODE)),
        page_key_file: Secret::in_file(write("page_key", "a key for pages")),
        // Tests that want what falls due to be done have replicas of their own for it.
        lifecycle: LifecycleSettings { look_milliseconds: 300_000, ..LifecycleSettings::default() },
        ..Settings::default()
    }
}
