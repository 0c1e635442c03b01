//! The quota of every ad account and app at Meta, counted exactly for all replicas.
//!
//! A call to Meta needs a permit. `Acquire` names the buckets that the call costs something ([`scope`]: Meta counts per
//! app, so the app is part of each) and how urgent it is ([`priority`]). One Lua script in Redis takes from all of them
//! or from none ([`store`]). A bucket is a sliding window of cells ([`window`]), wide enough for the time that a call
//! may take to arrive, so that no window at Meta sees more than the ceiling. Where ceilings come from is [`ceilings`].
//!
//! What Meta answers comes back as reports ([`usage`], [`throttle`]): a higher percent than we counted is what others
//! used, a regain time or a throttle code closes the bucket for everyone, CPU time stops the less urgent first.
//!
//! Who has to wait does so in order, in this replica's memory, as long as its deadline allows ([`waiting`]); a refusal
//! that still stands costs Redis nothing ([`refusals`]). Order is per replica, counting is exact.
//!
//! What was decided and what Meta said leaves a trail ([`trail`]), from which it is explained who spent a quota and why a
//! call waits ([`explain`]).
//!
//! What somebody froze by hand is kept by [`freezes`], what people set beside the settings by [`policies`].
//!
//! Any Envoy may count its own requests here, in buckets apart from Meta's ([`envoy`]).
//!
//! Invariants:
//! - A refused demand takes nothing. A lost answer costs points and admits nothing more.
//! - Nothing is stored for a permit: it is signed ([`permit`]) and names the very cells it was charged to.
//! - Headers may add to what was counted and never subtract.
//! - What may be charged is written to PostgreSQL before it is ([`journal`]). Counters that were lost are noticed by the
//!   server's run id and by an epoch per app, and rebuilt from there: nothing more is admitted than without the loss.

mod ceilings;
mod counter;
mod demand;
mod envoy;
mod error;
mod explain;
mod freezes;
mod journal;
mod permit;
mod policies;
mod priority;
mod quotas;
mod refusals;
mod reservation;
mod scope;
mod service;
mod settings;
#[cfg(test)]
mod simulation;
mod store;
mod throttle;
mod tiers;
mod trail;
mod usage;
mod waiting;
mod window;
mod wire;

use std::sync::Arc;

use proto::auth::v1::chain_service_server::ChainServiceServer;
use proto::ratelimit::v1::quota_policy_service_server::QuotaPolicyServiceServer;
use proto::ratelimit::v1::quota_service_server::QuotaServiceServer;
use proto::ratelimit::v1::usage_service_server::UsageServiceServer;
use rpc::methods::Scope;
use rpc::{ChainApi, Keys, Peer, ServiceIdentity, Verifier};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vocabulary::page::PageTokens;

pub use ceilings::{Ceilings, Profile, Tier, TierFromHeaders};
pub use envoy::{Domain, EntryMatch, EnvoySettings, Limit, Unit};
pub use error::Error;
pub use settings::Settings;

use crate::{
    counter::Counter,
    demand::Rules,
    explain::Explainer,
    freezes::Freezes,
    policies::PolicyBook,
    quotas::Quotas,
    service::{Api, Pace, PolicyApi, UsageApi, Watching},
    store::{Allowances, Chains, FreezeRows, History, PolicyRows, Store},
    trail::Trail,
    waiting::Waiting,
};

/// The PostgreSQL schema of this service.
pub const SCHEMA: &str = "ratelimit";

const NAME: &str = "ratelimit";

/// The schema's migrations, in order.
pub fn migrations() -> Vec<(&'static str, &'static str)> {
    vec![
        ("V1__allowances", include_str!("migrations/V1__allowances.sql")),
        ("V2__history", include_str!("migrations/V2__history.sql")),
        ("V3__requests", storage::requests::SQL),
        ("V4__audit", storage::audit::SQL),
        ("V5__freezes", include_str!("migrations/V5__freezes.sql")),
        ("V6__fences", include_str!("migrations/V6__fences.sql")),
        ("V7__policies", include_str!("migrations/V7__policies.sql")),
    ]
}

/// Binds the ports of the settings and serves until the process stops.
///
/// # Errors
/// Fails when a port cannot be bound, the database is away or behind, or Redis is away or unfit.
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

    // Requests that are still under way wait for the journal, so it outlives them.
    let journal = CancellationToken::new();
    let Apis { quotas, usage, policies, chains, envoy } = apis(&settings, &process, &journal).await?;
    let identity = ServiceIdentity::of_service(NAME, &settings.auth)?;
    let auth = Peer::connect(&settings.auth.endpoint, identity)?;
    let verifier = Arc::new(Verifier::new(Keys::of_auth(auth.pool.clone())));
    process.tasks.spawn(Arc::clone(&verifier).watch(auth, process.stop.clone()));
    let mut server = rpc::Server::new(NAME, verifier)
        .reflection(settings.reflection)
        .sampling(rpc::trace::Sampling::ratio(settings.telemetry.sample_ratio))
        .add(QuotaServiceServer::new(quotas))
        .add(UsageServiceServer::new(usage))
        .add(QuotaPolicyServiceServer::new(policies))
        .add(ChainServiceServer::new(chains).max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX));
    if let Some(envoy) = envoy {
        server = server.add_foreign(envoy::service(envoy), Scope::Open);
    }
    readiness.ready();
    let served = server.serve(listener, process.stop.clone()).await;
    readiness.drain();
    journal.cancel();
    Ok(served?)
}

/// What is served.
struct Apis {
    quotas: Api,
    usage: UsageApi,
    policies: PolicyApi,
    chains: ChainApi<Chains>,
    envoy: Option<envoy::Api>,
}

async fn apis(settings: &Settings, process: &runtime::Process, journal: &CancellationToken) -> anyhow::Result<Apis> {
    let redis = storage::Redis::connect(&settings.redis).await?;
    let postgres = storage::Postgres::connect(&settings.postgres.in_schema(SCHEMA)).await?;
    storage::migrations::require(&postgres, &migrations()).await?;
    let (history, rows) = (History::new(postgres.clone()), FreezeRows::new(postgres.clone()));
    let policies = PolicyRows::new(postgres.clone());
    let chains = Chains(postgres.clone());
    let store = Arc::new(Store::open(redis, Allowances::new(postgres), process.tasks.clone()).await?);
    let trail = Arc::new(Trail::new(history, Arc::clone(&store), settings.history(), process.tasks.clone()));
    process.tasks.spawn(Arc::clone(&trail).run(journal.clone()));
    let (kept, stop) = (Arc::clone(&store), journal.clone());
    process.tasks.spawn(async move { kept.keep(stop).await });
    let envoy = envoy::Api::of(&settings.envoy, &store);
    let counter = Arc::new(Counter::new(store));
    let rules = Rules::new(settings.ceilings.clone(), settings.travel()).with_weights(settings.weights());
    let waiting = Waiting::new(Arc::clone(&counter), rules.clone(), process.tasks.clone(), process.stop.clone());
    let key = settings.permit_key_file.read()?;
    let pages = PageTokens::new(settings.page_key_file.read()?.expose_secret().as_bytes());
    let quotas =
        Arc::new(Quotas::new(counter, waiting, rules, key.expose_secret().as_bytes()).with_trail(Arc::clone(&trail)));
    let explainer = Explainer::new(Arc::clone(&quotas), Arc::clone(&trail));
    let usage = UsageApi::new(explainer.clone(), trail, pages.clone());
    let book = PolicyBook::open(policies, rows.clone(), Arc::clone(&quotas)).await?;
    process.tasks.spawn(book.clone().run(process.stop.clone()));
    let freezes = Freezes::new(rows, Arc::clone(&quotas));
    process.tasks.spawn(freezes.clone().run(process.stop.clone()));
    let chains = ChainApi::new(chains, pages.clone());
    let policies = PolicyApi::new(freezes, book, pages.clone());
    let watching = Watching::new(Arc::clone(&quotas), pages.clone(), Pace::default(), process.tasks.clone());
    let quotas = Api::new(quotas, (explainer, watching), pages, settings.send_before());
    Ok(Apis { quotas, usage, policies, chains, envoy })
}
