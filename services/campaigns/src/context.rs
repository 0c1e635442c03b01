//! What every use case needs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use graph::{Asset, On, Priority};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vocabulary::{
    Clock, SystemClock,
    ids::{AdAccountId, TenantId},
    page::PageTokens,
};

use crate::{crawl::Crawls, settings::Settings, store::Store};

/// For reads of the campaigns' domain, as auth's table has it.
const READ: &str = "campaigns.read";
/// For writes of the campaigns' domain, as auth's table has it.
const WRITE: &str = "campaigns.write";
/// How long a call of ours waits for Meta where the caller set no deadline.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long the reading of a whole account may take.
const CRAWL: Duration = Duration::from_mins(10);
/// What is left for the caller's answer after Meta's.
const MARGIN: Duration = Duration::from_millis(200);

/// Handed to every use case. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) graph: graph::Client,
    pub(crate) tokens: PageTokens,
    pub(crate) clock: SystemClock,
    pub(crate) settings: Arc<Settings>,
    /// What is begun here is ended, also when the caller goes away.
    pub(crate) tasks: TaskTracker,
    /// The process stops: workers put back what they hold.
    pub(crate) stop: CancellationToken,
    /// Which accounts are being read at the moment.
    pub(crate) crawls: Crawls,
    /// There is new work for a worker that sleeps.
    pub(crate) wake: Arc<Notify>,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A look for a write whose outcome is unknown: else a throttled account would never be sure.
    pub(crate) fn looking(&self, tenant: &TenantId, account: AdAccountId) -> On {
        on(tenant, account, Priority::Safety, READ, Instant::now() + self.settings.call())
    }

    /// A step of a plan, for which somebody waits as well, but not by a call.
    pub(crate) fn applying(&self, tenant: &TenantId, account: AdAccountId) -> On {
        on(tenant, account, Priority::Interactive, WRITE, Instant::now() + self.settings.call())
    }
}

/// A read for which somebody waits.
pub(crate) fn reading(tenant: &TenantId, account: AdAccountId) -> On {
    on(tenant, account, Priority::Interactive, READ, deadline())
}

/// A look at what is about to be stopped, which nothing else may hold up either.
pub(crate) fn before_stopping(tenant: &TenantId, account: AdAccountId) -> On {
    on(tenant, account, Priority::Safety, READ, deadline())
}

/// A read of a whole account. It goes on when those who wait for it have gone, so they need not wait for it twice.
pub(crate) fn crawling(tenant: &TenantId, account: AdAccountId) -> On {
    on(tenant, account, Priority::Sync, READ, Instant::now() + CRAWL)
}

/// A write for which somebody waits.
pub(crate) fn writing(tenant: &TenantId, account: AdAccountId) -> On {
    on(tenant, account, Priority::Interactive, WRITE, deadline())
}

/// What stops money, which nothing else may hold up.
pub(crate) fn stopping(tenant: &TenantId, account: AdAccountId) -> On {
    on(tenant, account, Priority::Safety, WRITE, deadline())
}

tokio::task_local! {
    /// The deadline of the call for which a task of ours works.
    static UNTIL: Instant;
}

/// The work with the deadline of the call that is served now, also in a task of its own.
pub(crate) fn with_deadline<F: Future>(work: F) -> impl Future<Output = F::Output> {
    UNTIL.scope(deadline(), work)
}

/// The caller's deadline, less what the way back takes. Outside a call: ours.
pub(crate) fn deadline() -> Instant {
    let handed = UNTIL.try_with(|until| *until).ok();
    let given = || rpc::deadline::current().and_then(|deadline| deadline.checked_sub(MARGIN));
    handed.or_else(given).unwrap_or_else(|| Instant::now() + PATIENCE)
}

fn on(tenant: &TenantId, account: AdAccountId, priority: Priority, purpose: &'static str, deadline: Instant) -> On {
    let (tenant, asset) = (tenant.clone(), Asset::AdAccount(account));
    On { tenant, asset, priority, deadline, purpose, reservation: None }
}
