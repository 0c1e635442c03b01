//! Auth: who may call, whose consent at Meta we hold, and tokens for the services that call Meta.
//!
//! A caller proves itself with its secret and gets a JWT ([`tokens`]), which every service verifies by the keys at
//! `/.well-known/jwks.json`. A tenant connects to Meta ([`connections`], [`logins`]); the token is sealed in the
//! [`vault`] and never leaves it but as a lease of two minutes at most ([`leases`]), for a service that [`lease_rules`]
//! names, and every lease is counted ([`usage`]). What ends is told to every holder within two seconds
//! ([`revocations`]). The audit of all services is read here as one ([`chains`]), its heads are kept ([`anchors`]) and
//! compared with what is there ([`verification`]).
//! Every key of the vault can be rotated while all of this goes on ([`vault::rotation`]), and how an operator does it stands
//! in `deploy/runbooks/keys.md`.
//!
//! Tokens end too: each is refreshed long before, by one replica, and inspected daily ([`lifecycle`]). What happens to a
//! connection is an event that its tenant can watch ([`connection_events`]).
//!
//! Invariants: no token, secret or key is stored, logged or returned in clear, save in the one answer that is for it; a
//! change, its audit entry, its revocation and the answer to its request are one transaction; no call to Meta is made
//! while one is open; every statement on tenant data says whose.

pub mod anchors;
pub mod assets;
pub mod bootstrap;
pub mod by;
pub mod callers;
pub mod chains;
pub mod connection_events;
pub mod connections;
pub mod discovery;
mod error;
pub mod grants;
pub mod issuers;
pub mod lease_rules;
pub mod leases;
pub mod lifecycle;
pub mod logins;
pub mod meta_apps;
pub mod meters;
pub mod now;
pub mod once;
pub mod published;
pub mod revocations;
pub mod secret;
pub mod sensitive;
pub mod service;
mod settings;
pub mod signing;
pub mod store;
pub mod streams;
pub mod subjects;
pub mod sweeper;
pub mod tenants;
pub mod token;
pub mod tokens;
pub mod usage;
pub mod vault;
pub mod verification;
pub mod wire;
pub mod workloads;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use proto::{
    auth::v1::{
        audit_service_server::AuditServiceServer, chain_service_server::ChainServiceServer,
        connection_service_server::ConnectionServiceServer, credential_service_server::CredentialServiceServer,
        identity_service_server::IdentityServiceServer, key_service_server::KeyServiceServer,
        meta_app_service_server::MetaAppServiceServer, tenant_service_server::TenantServiceServer,
    },
    operations::v1::operation_service_server::OperationServiceServer,
};
use rpc::{ChainApi, OperationApi, ROW_MESSAGE_BYTES_MAX, ServiceIdentity, Verifier};
use runtime::{
    Process,
    admin::{self, Readiness},
};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use vocabulary::{SystemClock, page::PageTokens};

use self::{
    anchors::Anchors,
    bootstrap::Bootstrap,
    callers::Callers,
    chains::Chains,
    connection_events::ConnectionEvents,
    connections::Connections,
    discovery::{Discovery, Rows},
    issuers::Issuers,
    leases::Leases,
    lifecycle::Lifecycle,
    logins::Logins,
    meta_apps::MetaApps,
    now::Now,
    published::Published,
    revocations::Revocations,
    service::{AuditApi, Common, ConnectionApi, CredentialApi, IdentityApi, KeyApi, MetaAppApi, OwnChains, TenantApi},
    signing::SigningKeys,
    store::Store,
    streams::Streams,
    subjects::Subjects,
    sweeper::Sweeper,
    tenants::Tenants,
    tokens::Tokens,
    usage::Usage,
    vault::{Vault, provider::Providers, rotation::Rotations, sealing::Seals, shredding::Shredding},
    verification::Verification,
    workloads::Workloads,
};
pub use self::{error::Error, settings::Settings};

/// The service's name: in errors, and in the names of its operations.
pub const NAME: &str = "auth";

/// The schema of its tables.
pub const SCHEMA: &str = "auth";

/// How many connections the vault has, beside `postgres.pool_size`. It reads one row at a time, and remembers most.
const VAULTS_CONNECTIONS: usize = 2;

/// Its schema, step by step.
pub fn migrations() -> Vec<storage::migrations::Source> {
    vec![
        ("V1__operations", storage::operations::SQL),
        ("V2__requests", storage::requests::SQL),
        ("V3__audit", storage::audit::SQL),
        ("V4__identity", include_str!("../migrations/V4__identity.sql")),
        ("V5__vault", include_str!("../migrations/V5__vault.sql")),
        ("V6__connections", include_str!("../migrations/V6__connections.sql")),
        ("V7__lifecycle", include_str!("../migrations/V7__lifecycle.sql")),
        ("V8__key_rotation", include_str!("../migrations/V8__key_rotation.sql")),
        ("V9__identity_more", include_str!("../migrations/V9__identity_more.sql")),
        ("V10__anchors", include_str!("../migrations/V10__anchors.sql")),
        ("V11__kept", include_str!("../migrations/V11__kept.sql")),
        ("V12__refresh_order", include_str!("../migrations/V12__refresh_order.sql")),
    ]
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// When a port is taken, the database stays away or is of an older schema, or the vault cannot be opened.
pub async fn serve(settings: Settings, process: Process) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen).await.with_context(|| format!("port {}", settings.listen))?;
    let admin_listener =
        TcpListener::bind(settings.admin_listen).await.with_context(|| format!("port {}", settings.admin_listen))?;
    let readiness = Readiness::new();
    let (registry, stop) = (runtime::telemetry::metrics(), process.stop.clone());
    process.tasks.spawn(admin::serve(admin_listener, readiness.clone(), registry, stop));
    let open = readiness.clone();
    let serving = serve_when_open(listener, settings, process.clone(), (now::of(SystemClock), move || open.ready()));
    let served = Box::pin(serving).await;
    readiness.drain();
    process.finish(Duration::from_secs(10)).await;
    served
}

/// Like [`serve`], on a listener that is there already, without health and metrics, and leaving the process to its owner.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(listener: TcpListener, settings: Settings, process: Process) -> anyhow::Result<()> {
    serve_at(listener, settings, process, now::of(SystemClock)).await
}

/// Like [`serve_on`], by a clock that can be turned. The tokens that it issues and checks go by the machine's all the same.
///
/// # Errors
/// As [`serve`].
pub async fn serve_at(listener: TcpListener, settings: Settings, process: Process, now: Now) -> anyhow::Result<()> {
    // On the heap: all that auth is made of is too much for the stacks of its callers.
    Box::pin(serve_when_open(listener, settings, process, (now, || {}))).await
}

/// Like [`serve_at`]; calls `ready` when the database and the vault are open and all is there that answers, and not before.
async fn serve_when_open(
    listener: TcpListener,
    settings: Settings,
    process: Process,
    (now, ready): (Now, impl FnOnce()),
) -> anyhow::Result<()> {
    let postgres = storage::Postgres::connect(&settings.postgres.in_schema(SCHEMA)).await?;
    storage::migrations::require(&postgres, &migrations()).await?;
    let store = Store::new(postgres);
    let vault = Vault::start(Providers::of(&settings.vault())?, vaults_store(&settings).await?).await?;
    let keys = SigningKeys::load(&store, &vault, settings.signing_algorithm, now.clone());
    let keys = keys.await.context("the keys that sign tokens")?;
    let oauth = graph::oauth::Oauth::new(&settings.graph)?;
    let page_key = settings.page_key_file.read()?;
    let common = Common { store: store.clone(), pages: PageTokens::new(page_key.expose_secret().as_bytes()) };
    let (published, workloads) = trust(&settings, &keys, &now, &process)?;
    let verifier = Arc::new(Verifier::new(keys.verifies()));

    let tenants = Tenants::new(store.clone(), vault.clone(), now.clone());
    let apps = MetaApps::new(store.clone(), vault.clone(), oauth.clone(), now.clone());
    apps.tell_of_dead_versions().await?;
    let base = (store.clone(), vault.clone(), now.clone());
    let plan = settings.lifecycle.plan();
    let connections = Connections::new(base, (apps.clone(), tenants.clone()), (oauth.clone(), plan));
    let (to_meta, tasks, stop) = ((connections.clone(), oauth), &process.tasks, &process.stop);
    let lifecycle = Lifecycle::new(&settings.lifecycle, (store.clone(), now.clone()), to_meta.clone(), tasks.clone());
    let events = ConnectionEvents::new(store.clone(), settings.lifecycle.events_kept(), now.clone());
    let discovery = Discovery::new(store.clone(), connections.clone(), now.clone());
    let logins = Logins::new(&settings, (store.clone(), now.clone()), to_meta, tasks.clone());
    let revocations = Revocations::start(store.clone()).await?;
    let base = (store.clone(), now.clone());
    let rotations = Rotations::new(&settings, base.clone(), vault.clone(), keys.clone());
    let shredding = Shredding::new(&settings, base, vault.clone(), tenants.clone());
    let seals = Seals::new(store.clone(), vault.clone(), now.clone());
    tasks.spawn(rotations.clone().run(stop.clone()));
    tasks.spawn(revocations.clone().run(stop.clone()));
    tasks.spawn(revocations.clone().refuse(Arc::clone(&verifier), stop.clone()));
    tasks.spawn(vault.clone().watch(stop.clone()));
    tasks.spawn(vault.clone().measure(stop.clone()));
    tasks.spawn(keys.clone().run(stop.clone()));
    tasks.spawn(discovery.clone().run(stop.clone()));
    let tokens = Tokens::new(&settings, (store.clone(), now.clone()), keys.clone(), workloads);
    let usage = Usage::new(store.clone(), now.clone());
    tasks.spawn(usage.clone().run(stop.clone()));
    let ourselves = tokens.clone();
    let identity = ServiceIdentity::issued(move || ourselves.for_ourselves());
    let chains = Chains::connect(store.clone(), &settings.services, &identity)?;
    let base = (store.clone(), vault.clone(), now.clone());
    tasks.spawn(Anchors::new(base, chains.clone(), settings.anchoring()).run(stop.clone()));
    let audit = AuditApi {
        common: common.clone(),
        chains: chains.clone(),
        verification: Verification::new(store.clone(), vault.clone(), chains),
        usage: usage.clone(),
    };
    tasks.spawn(lifecycle.clone().run(stop.clone()));
    let sweeper = Sweeper {
        store: store.clone(),
        connections: connections.clone(),
        apps: apps.clone(),
        logins: logins.clone(),
        events: events.clone(),
        revocations: revocations.clone(),
        usage: usage.clone(),
        now: now.clone(),
    };
    tasks.spawn(sweeper.run(stop.clone()));

    let streams = Streams::new(settings.streams, process.tasks.clone());
    let leases = Leases::new(&settings, (store.clone(), now.clone()), connections.clone(), revocations.clone());
    tasks.spawn(leases.clone().watch(stop.clone()));
    let identity = IdentityApi {
        common: common.clone(),
        bootstrap: Bootstrap::new(&settings, (store.clone(), now.clone()), vault.clone()),
        tokens,
        callers: Callers::new(store.clone(), now.clone()),
        subjects: Subjects::new((store.clone(), vault.clone(), now.clone()), &settings.issuers),
        now: now.clone(),
    };
    let chain = ChainApi::new(OwnChains(store.clone()), common.pages.clone());
    let operations = OperationApi::new(NAME, Rows(store), common.pages.clone());
    let server = rpc::Server::new(NAME, verifier)
        .reflection(settings.reflection)
        .sampling(rpc::trace::Sampling::ratio(settings.telemetry.sample_ratio))
        .http(published.routes())
        .add(TenantServiceServer::new(TenantApi { common: common.clone(), tenants }))
        .add(IdentityServiceServer::new(identity))
        .add(MetaAppServiceServer::new(MetaAppApi { common: common.clone(), apps: apps.clone() }))
        .add(ConnectionServiceServer::new(ConnectionApi {
            common: common.clone(),
            connections,
            logins,
            discovery,
            lifecycle,
            events,
            streams: streams.clone(),
            now,
        }))
        .add(CredentialServiceServer::new(CredentialApi { leases, revocations, streams, usage, apps }))
        .add(KeyServiceServer::new(KeyApi { common, vault, rotations, seals, shredding }))
        .add(AuditServiceServer::new(audit).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(ChainServiceServer::new(chain).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(OperationServiceServer::new(operations));
    ready();
    Ok(server.serve(listener, process.stop.clone()).await?)
}

/// The vault's connections are its own: a value is sealed while its row is locked, so whoever holds a connection waits here
/// for one of another pool, where nobody waits for a second. From one pool, as many changes at once as it has connections
/// would wait for each other.
async fn vaults_store(settings: &Settings) -> Result<store::Keys, storage::Error> {
    let pool = storage::PostgresSettings { pool_size: VAULTS_CONNECTIONS, ..settings.postgres.in_schema(SCHEMA) };
    Ok(store::Keys::new(storage::Postgres::connect(&pool).await?))
}

/// Whose tokens are believed: ours, those of issuers outside, and of service accounts those of the cluster.
fn trust(
    settings: &Settings,
    keys: &SigningKeys,
    now: &Now,
    process: &Process,
) -> anyhow::Result<(Published, Workloads)> {
    let issuers = Issuers::new(&settings.issuers, now).context("the issuers of tokens outside")?;
    let workloads = Workloads::new(settings.service_accounts.as_ref(), now).context("service_accounts")?;
    let ours = keys.clone();
    let published = Published::new(&settings.issuer, Arc::new(move || ours.jwks()), issuers.clone());
    let verifies = keys.verifies();
    verifies.ask(published.reader());
    verifies.put(&published.current());
    issuers.start(&process.tasks, &process.stop);
    workloads.start(&process.tasks, &process.stop);
    Ok((published, workloads))
}
