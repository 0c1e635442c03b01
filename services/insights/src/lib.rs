//! What Meta measured: reports that are read once and kept, and small questions answered at once.
//!
//! A query (`query.rs`) is checked against Meta's words before anything else happens. A report is a row and an operation;
//! a worker (`poller.rs`) cuts its days into slices (`slices.rs`), asks Meta for each at once or by a report run
//! (`run.rs`: the states of one slice), keeps the rows, and at last compares their sums with the account's own totals
//! (`reconcile.rs`). Lists and exports read the store only, so they cost no quota and never wait for Meta.
//!
//! What must hold:
//! - A run's id is kept before it is polled, and a page with the cursor behind it: a kill at any moment loses nothing.
//! - `Job Completed` counts only with 100 percent; a report ends well only when its sums agree with the account's to the
//!   last unit, or provably cannot be compared.
//! - Rows of a cut report are the rows of the whole one; where they would not be, it is not cut.
//! - Money is parsed exactly, and a row that cannot be read fails its page instead of counting as nothing.
//!
//! Deliberately absent: ratios computed here, sums of reach, and cutting by campaign where one day is too large.

mod chains;
mod error;
mod export;
mod operations;
mod poller;
mod query;
mod reconcile;
mod report;
mod reports;
mod row;
mod run;
mod service;
mod settings;
mod slices;
mod store;
mod sweep;
mod wire;

use std::sync::Arc;

use proto::{
    auth::v1::chain_service_server::ChainServiceServer,
    insights::v1::{
        field_service_server::FieldServiceServer, insight_service_server::InsightServiceServer,
        report_service_server::ReportServiceServer,
    },
    operations::v1::operation_service_server::OperationServiceServer,
};
use rpc::{ChainApi, Keys, OperationApi, Peer, ServiceIdentity, Verifier};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use vocabulary::{SystemClock, page::PageTokens};

pub use error::Error;
pub use settings::{PollerSettings, Settings};

use crate::{
    chains::Chains,
    operations::Rows,
    poller::Poller,
    reports::Reports,
    service::{FieldApi, InsightApi, ReportApi},
    store::Store,
};

/// The PostgreSQL schema of this service.
pub const SCHEMA: &str = "insights";

const NAME: &str = "insights";

/// The schema's migrations, in order.
pub fn migrations() -> Vec<(&'static str, &'static str)> {
    vec![
        ("V1__operations", storage::operations::SQL),
        ("V2__requests", storage::requests::SQL),
        ("V3__audit", storage::audit::SQL),
        ("V4__reports", include_str!("migrations/V4__reports.sql")),
    ]
}

/// Binds the ports of the settings and serves until the process stops.
///
/// # Errors
/// Fails when a port cannot be bound, or the database is away or behind.
pub async fn serve(settings: Settings, process: runtime::Process) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    serve_on(listener, settings, process).await
}

/// As [`serve`], on a listener that is bound already.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(listener: TcpListener, settings: Settings, process: runtime::Process) -> anyhow::Result<()> {
    let readiness = runtime::admin::Readiness::new();
    let admin = TcpListener::bind(settings.admin_listen).await?;
    let registry = runtime::telemetry::metrics();
    process.tasks.spawn(runtime::admin::serve(admin, readiness.clone(), registry, process.stop.clone()));

    let postgres = storage::Postgres::connect(&settings.postgres.in_schema(SCHEMA)).await?;
    storage::migrations::require(&postgres, &migrations()).await?;
    let identity = ServiceIdentity::of_service(NAME, &settings.auth)?;
    let auth = Peer::connect(&settings.auth.endpoint, identity.clone())?;
    let ratelimit = Peer::connect(&settings.ratelimit.endpoint, identity)?;
    let graph = graph::Client::connect(&settings.graph, auth.clone(), ratelimit)?;
    process.tasks.spawn(graph.clone().watch_revocations(process.stop.clone()));
    let verifier = Arc::new(Verifier::new(Keys::of_auth(auth.pool.clone())));
    process.tasks.spawn(Arc::clone(&verifier).watch(auth, process.stop.clone()));

    let tokens = PageTokens::new(settings.page_key_file.read()?.expose_secret().as_bytes());
    let (store, clock) = (Store::new(postgres.clone()), SystemClock);
    let rows = storage::operations::Operations::new(postgres.clone());
    let also = settings.fields_also.clone();
    let poller = Poller::new(store.clone(), rows.clone(), graph.clone(), settings.poller, clock, also.clone());
    for _ in 0..settings.poller.workers {
        process.tasks.spawn(poller.clone().run(process.stop.clone()));
    }
    let requests = storage::requests::Requests::new(postgres.clone());
    process.tasks.spawn(sweep::run(rows.clone(), requests, process.stop.clone()));
    let chains = ChainApi::new(Chains(postgres.clone()), tokens.clone());
    let reports = Reports::new(store, postgres, clock, also.clone());
    let server = rpc::Server::new(NAME, verifier)
        .reflection(settings.reflection)
        .sampling(rpc::trace::Sampling::ratio(settings.telemetry.sample_ratio))
        .add(
            ReportServiceServer::new(ReportApi::new(reports, tokens.clone()))
                .max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX),
        )
        .add(
            InsightServiceServer::new(InsightApi::new(graph, tokens.clone(), also.clone(), clock))
                .max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX),
        )
        .add(FieldServiceServer::new(FieldApi::new(tokens.clone(), also, clock)))
        .add(ChainServiceServer::new(chains).max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX))
        .add(OperationServiceServer::new(OperationApi::new(NAME, Rows(rows), tokens)));
    readiness.ready();
    let served = server.serve(listener, process.stop.clone()).await;
    readiness.drain();
    Ok(served?)
}
