//! The load: callers that ask for one decision after the other, and how long each waits.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::acquire_response::Decision;
use proto::ratelimit::v1::quota_service_client::QuotaServiceClient;
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::CEILING;
use crate::server::Server;

/// How many connections the callers share.
const CONNECTIONS: usize = 8;
/// How many ad accounts and users there are, in turn.
const ACCOUNTS: usize = 1_000;
/// 97 % of the ceiling.
const FILL: u32 = CEILING / 100 * 97;
/// What a call asks of the clock where it is not the clock that is measured.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which decisions are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Admitted in four buckets.
    Admitted,
    /// Refused by the memory of an earlier refusal, without a look at Redis.
    Refused,
    /// As much as the class may have of one account, so that what follows is refused.
    Filled,
}

/// How long each decision took, and all of them.
pub(super) struct Waits {
    pub(super) each: Vec<Duration>,
    pub(super) all: Duration,
}

/// A caller's way to one server, as one tenant.
#[derive(Clone)]
pub(super) struct Caller {
    quotas: QuotaServiceClient<Channel>,
    bearer: MetadataValue<Ascii>,
    tenant: MetadataValue<Ascii>,
}

impl Caller {
    /// Over a connection of its own, which its clones share.
    pub(super) async fn connect(server: &Server, tenant: &str) -> anyhow::Result<Self> {
        let token = server.ready.get("token").and_then(Value::as_str).unwrap_or_default();
        let address = format!("http://{}", server.address()?);
        let channel = Endpoint::from_shared(address)?.tcp_nodelay(true).connect().await?;
        let (bearer, tenant) = (format!("Bearer {token}").parse()?, tenant.parse()?);
        Ok(Self { quotas: QuotaServiceClient::new(channel), bearer, tenant })
    }

    /// A decision, by the deadline.
    pub(super) async fn acquire(&mut self, charges: Vec<pb::Charge>, within: Duration) -> Result<Decision, Status> {
        let priority = pb::Priority::Interactive.into();
        let request = self.request(pb::AcquireRequest { charges, priority, ..Default::default() }, within);
        let decision = self.quotas.acquire(request).await?.into_inner().decision;
        Ok(decision.unwrap_or_else(|| Decision::Wait(pb::Wait::default())))
    }

    /// Tells what Meta said.
    pub(super) async fn settle(&mut self, report: pb::UsageReport) -> Result<(), Status> {
        let request = self.request(pb::SettleRequest { reports: vec![report] }, PATIENCE);
        self.quotas.settle(request).await.map(drop)
    }

    fn request<T>(&self, message: T, within: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-adplane-service-authorization", self.bearer.clone());
        request.metadata_mut().insert("x-adplane-tenant", self.tenant.clone());
        request.set_timeout(within);
        request
    }
}

/// As many decisions as the turns, asked for by so many callers at once.
pub(super) async fn decide(server: &Server, tenant: &str, turns: Turns, ask: Ask) -> anyhow::Result<Waits> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Caller::connect(server, tenant).await?);
    }
    if ask == Ask::Refused {
        let first = connections.first().context("a connection")?.clone();
        decide_some(first, 0..1, Ask::Filled, turns.accounts).await?;
    }
    let (mut callers, each, begun) = (JoinSet::new(), turns.count / turns.callers, Instant::now());
    for caller in 0..turns.callers {
        let connection = connections.get(caller % CONNECTIONS).context("a connection")?.clone();
        callers.spawn(decide_some(connection, caller * each..(caller + 1) * each, ask, turns.accounts));
    }
    let mut waits = Vec::with_capacity(turns.count);
    while let Some(ended) = callers.join_next().await {
        waits.extend(ended??);
    }
    Ok(Waits { each: waits, all: begun.elapsed() })
}

/// How much is asked for.
#[derive(Clone, Copy)]
pub(super) struct Turns {
    pub(super) count: usize,
    pub(super) callers: usize,
    /// Of how many ad accounts, in turn.
    pub(super) accounts: usize,
}

impl Turns {
    /// Of the usual accounts.
    pub(super) fn of(count: usize, callers: usize) -> Self {
        Self { count, callers, accounts: ACCOUNTS }
    }
}

async fn decide_some(
    mut caller: Caller,
    turns: Range<usize>,
    ask: Ask,
    accounts: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut waits = Vec::with_capacity(turns.len());
    for turn in turns {
        let charges = charges(turn % accounts, ask);
        let begun = Instant::now();
        let decision = caller.acquire(charges, PATIENCE).await?;
        waits.push(begun.elapsed());
        let fits = match ask {
            Ask::Admitted => matches!(decision, Decision::Permit(_)),
            Ask::Refused => matches!(decision, Decision::Wait(_)),
            Ask::Filled => true,
        };
        ensure!(fits, "not what was asked for: {decision:?}");
    }
    Ok(waits)
}

/// An account's two use cases, its user and the app; or the one account that is full.
fn charges(account: usize, ask: Ask) -> Vec<pb::Charge> {
    let id = (1_000 + account).to_string();
    match ask {
        Ask::Admitted => vec![
            charge(pb::ScopeKind::AdAccount, &id, "ads_management", 1),
            charge(pb::ScopeKind::AdAccount, &id, "ads_insights", 1),
            charge(pb::ScopeKind::User, &id, "", 1),
            charge(pb::ScopeKind::App, "", "", 1),
        ],
        Ask::Refused => vec![charge(pb::ScopeKind::AdAccount, "9", "ads_management", 1)],
        Ask::Filled => vec![charge(pb::ScopeKind::AdAccount, "9", "ads_management", FILL)],
    }
}

pub(super) fn charge(kind: pb::ScopeKind, id: &str, use_case: &str, cost: u32) -> pb::Charge {
    let (meta_app, id, use_case) = (META_APP.to_owned(), id.to_owned(), use_case.to_owned());
    pb::Charge { scope: Some(pb::Scope { meta_app, kind: kind.into(), id, use_case }), cost }
}

/// The app of all that is asked for.
pub(super) const META_APP: &str = "metaApps/1";

/// That hundredth of all which is waited for longest begins here.
pub(super) fn p99(waits: &mut [Duration]) -> anyhow::Result<Duration> {
    waits.sort_unstable();
    waits.get(waits.len() * 99 / 100).copied().context("nobody waited")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_hundred_waits_as_long_as_p99_or_longer() {
        let mut waits: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(p99(&mut waits).unwrap(), Duration::from_millis(199));
        assert!(p99(&mut []).is_err());
    }
}
