//! Conversion events: taken when durable, carried to Meta afterwards, each with a ledger of what became of it.
//!
//! Events are taken for datasets that are connected ([`datasets`]). An event is checked by itself ([`check`]): what Meta
//! would refuse a whole call for is refused here, and people's identifiers are normalised and hashed before anything is
//! stored. One statement stores the events of a request ([`store`]) and finds those that are known. A dispatcher ([`dispatcher`]) claims what is due, sends up to a thousand
//! events in a call, and decides by the answer ([`delivery`]): taken, halved to find the bad one, later, or once more
//! under the same ids.
//!
//! What must hold:
//! - An event that was accepted is at Meta, waiting, or a dead letter: no answer, crash or lease loses it.
//! - The same dataset, name and id is sent under one id only, so that Meta counts it once. A dead letter is sent anew only
//!   where Meta surely does not have it.
//! - No plain e-mail address, telephone number, name or birthday is stored; only what Meta wants as it is (the browser's
//!   address and words, Meta's own ids) waits in clear, and goes when the event is delivered.
//! - A dispatcher that lost its lease changes nothing.
//! - What was accepted, what Meta took and what was given up is in the audit, in the transaction that says so: an entry per
//!   request, or per call and caller, not per event.
//!
//! Deliberately absent: a transaction per event, and any retry below the dispatcher.

mod chains;
mod check;
mod datasets;
mod delivery;
mod dispatcher;
mod error;
mod events;
mod payload;
mod service;
mod settings;
mod store;
mod sweep;
mod wire;

use std::sync::Arc;

use proto::auth::v1::chain_service_server::ChainServiceServer;
use proto::conversions::v1::{dataset_service_server::DatasetServiceServer, event_service_server::EventServiceServer};
use rpc::{ChainApi, Keys, Peer, ServiceIdentity, Verifier};
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, sync::Notify};
use vocabulary::{SystemClock, page::PageTokens};

pub use error::Error;
pub use settings::{DispatcherSettings, Settings};

use crate::{chains::Chains, datasets::Datasets, dispatcher::Dispatcher, events::Events, service::Api, store::Store};

/// The PostgreSQL schema of this service.
pub const SCHEMA: &str = "conversions";

const NAME: &str = "conversions";

/// The schema's migrations, in order.
pub fn migrations() -> Vec<(&'static str, &'static str)> {
    vec![("V1__events", include_str!("migrations/V1__events.sql")), ("V2__audit", storage::audit::SQL)]
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
    process.tasks.spawn(Arc::clone(&verifier).watch(auth.clone(), process.stop.clone()));

    let chains = Chains(postgres.clone());
    let (store, clock, woken) = (Store::new(postgres), SystemClock, Arc::new(Notify::new()));
    for _ in 0..settings.dispatcher.workers {
        let dispatcher = Dispatcher::new(store.clone(), clock, woken.clone(), settings.dispatcher);
        process.tasks.spawn(dispatcher.run(graph.clone(), process.stop.clone()));
    }
    process.tasks.spawn(sweep::run(store.clone(), settings.ledger_days, process.stop.clone()));
    let tokens = PageTokens::new(settings.page_key_file.read()?.expose_secret().as_bytes());
    let chains = ChainApi::new(chains, tokens.clone());
    let api = Api::new(Events::new(store, Datasets::new(auth), clock, woken), tokens);
    let server = rpc::Server::new(NAME, verifier)
        .reflection(settings.reflection)
        .sampling(rpc::trace::Sampling::ratio(settings.telemetry.sample_ratio))
        .add(
            EventServiceServer::new(api.clone())
                .max_decoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX)
                .max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX),
        )
        .add(DatasetServiceServer::new(api))
        .add(ChainServiceServer::new(chains).max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX));
    readiness.ready();
    let served = server.serve(listener, process.stop.clone()).await;
    readiness.drain();
    Ok(served?)
}
