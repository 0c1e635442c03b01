//! Custom audiences, and the people in them.
//!
//! A create is never safe to repeat, so it is written down before it is sent; when its answer is lost, an operation looks
//! for it at Meta by the marker in its description ([`resolver`]). People come in parts of rows ([`members`]): each row is
//! normalised, hashed and checked at the door ([`row`]), and waits sealed ([`seal`]) until the job is run; then a worker
//! ([`uploader`]) sends it in sessions ([`sessions`]) of at most 10,000 rows and adds up what Meta says of them.
//!
//! What must hold:
//! - No value of a person is stored, logged or answered, only its hash, and that sealed; it is gone when the job ends
//!   (unless Meta did not receive all rows), and in any case seven days after it was opened.
//! - A part counts once, however often it is sent; a row is in one session; a session that may have been sent is sent
//!   again under the same number.
//! - Nothing is created twice: absence is concluded only after three looks and the settling time, which begins when the
//!   answer is lost. Where looking fails for a day, the operation says that nobody knows.
//! - Success is what Meta counted, not what we sent.
//!
//! Deliberately absent: reading people back, which nobody can; replacing a whole list, whose sessions cannot be repeated;
//! and, for now, a sweep that removes late twins: an audience that Meta makes after its absence was concluded stays, and is
//! found in the account's list by the marker in its description.

mod announce;
mod audience;
mod audiences;
mod chains;
mod error;
mod flights;
mod members;
mod operations;
mod resolver;
mod row;
mod seal;
mod service;
mod sessions;
mod settings;
mod store;
mod sweep;
mod uploader;
mod wire;

use std::{sync::Arc, time::Duration};

use proto::{
    audiences::v1::{audience_service_server::AudienceServiceServer, member_service_server::MemberServiceServer},
    auth::v1::chain_service_server::ChainServiceServer,
    operations::v1::operation_service_server::OperationServiceServer,
};
use rpc::{ChainApi, Keys, OperationApi, Peer, ServiceIdentity, Verifier};
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, sync::Notify};
use vocabulary::{SystemClock, page::PageTokens};

pub use error::Error;
pub use seal::SealError;
pub use settings::{Settings, UploaderSettings};

use crate::{
    audiences::Audiences,
    chains::Chains,
    members::Members,
    operations::Rows,
    resolver::Resolver,
    seal::Sealer,
    service::{AudienceApi, MemberApi},
    store::Store,
    uploader::Uploader,
};

/// The PostgreSQL schema of this service.
pub const SCHEMA: &str = "audiences";

const NAME: &str = "audiences";

/// How often lost creates are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The schema's migrations, in order.
pub fn migrations() -> Vec<(&'static str, &'static str)> {
    vec![
        ("V1__operations", storage::operations::SQL),
        ("V2__audit", storage::audit::SQL),
        ("V3__audiences", include_str!("migrations/V3__audiences.sql")),
        ("V4__members", include_str!("migrations/V4__members.sql")),
    ]
}

/// Binds the ports of the settings and serves until the process stops.
///
/// # Errors
/// Fails when a port cannot be bound, a key file is not one, or the database is away or behind.
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

    let sealer = Arc::new(Sealer::load(&settings.member_key_file)?);
    let chains = Chains(postgres.clone());
    let (store, clock, woken) = (Store::new(postgres), SystemClock, Arc::new(Notify::new()));
    let resolver = Resolver::new(store.clone(), graph.clone(), clock, settings.settle_seconds);
    process.tasks.spawn(resolver.run(LOOK_EVERY, process.stop.clone()));
    for _ in 0..settings.uploader.workers {
        let (store, sealer, woken) = (store.clone(), sealer.clone(), woken.clone());
        let uploader = Uploader::new(store, sealer, graph.clone(), clock, settings.uploader, woken);
        process.tasks.spawn(uploader.run(process.stop.clone()));
    }
    process.tasks.spawn(sweep::run(store.clone(), clock, process.stop.clone()));

    let tokens = PageTokens::new(settings.page_key_file.read()?.expose_secret().as_bytes());
    let audiences = Audiences::new(store.clone(), graph, clock, process.tasks.clone(), process.stop.clone());
    let members = Members::new(store.clone(), sealer, clock, settings.job_rows_max, woken);
    let rows = Rows(store.operations().clone());
    let chains = ChainApi::new(chains, tokens.clone());
    let server = rpc::Server::new(NAME, verifier)
        .reflection(settings.reflection)
        .sampling(rpc::trace::Sampling::ratio(settings.telemetry.sample_ratio))
        .add(AudienceServiceServer::new(AudienceApi::new(audiences.clone(), tokens.clone(), clock)))
        .add(
            MemberServiceServer::new(MemberApi::new(members, audiences, tokens.clone()))
                .max_decoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX)
                .max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX),
        )
        .add(ChainServiceServer::new(chains).max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX))
        .add(OperationServiceServer::new(OperationApi::new(NAME, rows, tokens)));
    readiness.ready();
    let served = server.serve(listener, process.stop.clone()).await;
    readiness.drain();
    Ok(served?)
}
