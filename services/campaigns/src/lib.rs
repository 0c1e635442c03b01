//! Campaigns, ad sets, ads, creatives and media at Meta, one by one and as plans.
//!
//! A request comes in at `service`, is read by `wire`, checked by `rules` and done by a use case: `objects` and `accounts`
//! read and change what exists, `creates` and `mutation` make one thing, `plans` and `plan` make a tree of them. What
//! Meta answered is kept as Meta's own JSON (`mirror`), so reads answer from the store.
//!
//! What must hold:
//! - Nothing is sent again while its outcome is unknown. A create is a row before it is sent (`mutation`); what was lost
//!   is looked for until it is sure (`looking`), and a twin that comes later still is deleted (`sweep`).
//! - Everything is made PAUSED. Letting it deliver is an RPC of its own, with a scope of its own.
//! - A bad request never reaches Meta: all that is wrong with it is said at once, by the request's own paths.
//! - A kill at any moment loses nothing: work is a row that another worker claims (`worker`), and goes on from the rows.
//! - Another tenant's things do not exist.
//!
//! Deliberately absent: rolling a plan back, budgets under guardrails, videos, and keeping mirrors fresh in the
//! background; lists read Meta again when what is stored is too old.

mod accounts;
mod announce;
mod chains;
mod context;
mod crawl;
mod creates;
mod error;
mod execute;
mod freshness;
mod looking;
mod media;
mod migrations;
mod mirror;
mod mutation;
mod objects;
mod once;
mod operations;
mod plan;
mod plans;
mod rules;
mod service;
mod settings;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

use std::sync::Arc;

use proto::{
    auth::v1::chain_service_server::ChainServiceServer,
    campaigns::v1::{
        ad_account_service_server::AdAccountServiceServer, ad_service_server::AdServiceServer,
        ad_set_service_server::AdSetServiceServer, campaign_service_server::CampaignServiceServer,
        creative_service_server::CreativeServiceServer, media_service_server::MediaServiceServer,
    },
    graph::v1::graph_service_server::GraphServiceServer,
    operations::v1::operation_service_server::OperationServiceServer,
    plans::v1::plan_service_server::PlanServiceServer,
};
use rpc::{ChainApi, Keys, MESSAGE_BYTES_MAX, OperationApi, Peer, ROW_MESSAGE_BYTES_MAX, ServiceIdentity, Verifier};
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, sync::Notify};
use vocabulary::{SystemClock, page::PageTokens};

pub use migrations::migrations;
pub use settings::{Marker, Settings};

use crate::{chains::Chains, context::Context, crawl::Crawls, operations::Rows, service::Api, store::Store};

/// The PostgreSQL schema of this service.
pub const SCHEMA: &str = "campaigns";

/// Binds the ports of the settings and serves until the process stops.
///
/// # Errors
/// When a port cannot be bound, or the database is away or behind.
pub async fn serve(settings: Settings, process: runtime::Process) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    serve_on(listener, settings, process).await
}

/// As [`serve`], on a listener that is bound already.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(listener: TcpListener, settings: Settings, process: runtime::Process) -> anyhow::Result<()> {
    rpc::fault::set_service(operations::SERVICE);
    let readiness = runtime::admin::Readiness::new();
    let admin = TcpListener::bind(settings.admin_listen).await?;
    let registry = runtime::telemetry::metrics();
    process.tasks.spawn(runtime::admin::serve(admin, readiness.clone(), registry, process.stop.clone()));

    let identity = ServiceIdentity::of_service(operations::SERVICE, &settings.auth)?;
    let auth = Peer::connect(&settings.auth.endpoint, identity)?;
    let context = context(settings, auth.clone(), &process).await?;
    process.tasks.spawn(context.graph.clone().watch_revocations(process.stop.clone()));
    worker::spawn(&context, &process);
    sweep::spawn(&context, &process);

    let verifier = Arc::new(Verifier::new(Keys::of_auth(auth.pool.clone())));
    process.tasks.spawn(Arc::clone(&verifier).watch(auth, process.stop.clone()));
    let server = server(&context, verifier);
    readiness.ready();
    let served = server.serve(listener, process.stop.clone()).await;
    readiness.drain();
    Ok(served?)
}

async fn context(settings: Settings, auth: Peer, process: &runtime::Process) -> anyhow::Result<Context> {
    let postgres = storage::Postgres::connect(&settings.postgres.in_schema(SCHEMA)).await?;
    storage::migrations::require(&postgres, &migrations()).await?;
    let ratelimit = Peer::connect(&settings.ratelimit.endpoint, auth.identity.clone())?;
    let graph = graph::Client::connect(&settings.graph, auth, ratelimit)?;
    let tokens = PageTokens::new(settings.page_key_file.read()?.expose_secret().as_bytes());
    Ok(Context {
        store: Store::new(postgres),
        graph,
        tokens,
        clock: SystemClock,
        settings: Arc::new(settings),
        tasks: process.tasks.clone(),
        stop: process.stop.clone(),
        crawls: Crawls::default(),
        wake: Arc::new(Notify::new()),
    })
}

fn server(context: &Context, verifier: Arc<Verifier>) -> rpc::Server {
    let api = Api::new(context.clone());
    let rows = Rows(context.store.operations.clone());
    let chains = ChainApi::new(Chains(context.store.postgres.clone()), context.tokens.clone());
    rpc::Server::new(operations::SERVICE, verifier)
        .reflection(context.settings.reflection)
        .sampling(rpc::trace::Sampling::ratio(context.settings.telemetry.sample_ratio))
        .add(AdAccountServiceServer::new(api.clone()))
        .add(CampaignServiceServer::new(api.clone()).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(AdSetServiceServer::new(api.clone()).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(AdServiceServer::new(api.clone()).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(CreativeServiceServer::new(api.clone()).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(MediaServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(GraphServiceServer::new(api.clone()))
        .add(PlanServiceServer::new(api).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(ChainServiceServer::new(chains).max_encoding_message_size(ROW_MESSAGE_BYTES_MAX))
        .add(OperationServiceServer::new(OperationApi::new(operations::SERVICE, rows, context.tokens.clone())))
}
