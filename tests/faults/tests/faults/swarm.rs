//! Five replicas and 64 callers share one bucket, while replicas are killed, scripts are flushed and Redis loses all. What
//! the sandbox counted is the truth.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use harness::PATIENCE;
use jiff::Timestamp;
use proto::ratelimit::v1::{self as pb, acquire_response::Decision, quota_service_client::QuotaServiceClient};
use rpc::for_tenant;
use tokio::{task::JoinSet, time::Instant};
use tonic::Request;
use vocabulary::ids::TenantId;

use crate::{
    redis::OwnRedis,
    replicas::{CALL, Replicas, SEND_BEFORE, Ways},
    stage::{APP, QUIET, Stage},
    tenant::Tenant,
};

const REPLICAS: usize = 5;
const CALLERS: usize = 64;
const ACCOUNT: &str = "1000000000001";
const TOKEN: &str = "sandbox-system-user-token";

/// Meta's limit of writes per app and ad account, and what Meta counts it over.
const CEILING: usize = 100;
const SPAN: Duration = Duration::from_secs(1);
/// Within this no more permits than the ceiling are given: the span, and as long as a call may travel.
const COUNTED: Duration = Duration::from_secs(SPAN.as_secs() + SEND_BEFORE.as_secs() + CALL.as_secs());
/// A charge leaves with its cell, so this is how long one may be counted.
const KEPT: Duration = Duration::from_secs(COUNTED.as_secs() + 1);
/// So many arrivals show that the window was full. The rest are points of answers that came after their callers had
/// gone: on a busy machine a second is short. Twice as many would arrive if counters began anew in between.
const FULL: usize = CEILING * 3 / 4;

#[tokio::test(flavor = "multi_thread")]
async fn not_one_call_over_the_ceiling_arrives_whatever_is_killed_and_emptied() {
    let stage = Stage::set().await;
    let auth = stage.auth("auth", QUIET).await;
    let tenant = Tenant::new(&stage, &auth, "swarm").await;
    let mut redis = OwnRedis::start().await;
    let mut swarm = Swarm::new(&stage, &tenant);
    let mut replicas = Replicas::start(REPLICAS, &stage, &auth, &redis, &swarm.shared.ways).await;
    swarm.begin();

    swarm.fills(Timestamp::UNIX_EPOCH).await;
    replicas.kill(0);
    swarm.goes_on(20).await;
    replicas.start_one(0, &swarm.shared.ways).await;
    assert_eq!(redis.command("SCRIPT FLUSH"), "+OK");
    swarm.goes_on(20).await;

    // It is emptied in the middle of a burst: had the counters begun at nothing, a second burst would follow at once.
    swarm.fills(swarm.last().await).await;
    swarm.goes_on(CEILING / 4).await;
    redis.restart_empty().await;
    swarm.goes_on(CEILING).await;

    // Whoever could have said what it had spent is gone too.
    replicas.kill(1);
    redis.restart_empty().await;
    replicas.start_one(1, &swarm.shared.ways).await;
    swarm.fills(swarm.last().await).await;

    let longest = swarm.end().await;
    let arrivals = swarm.arrivals().await;
    most_in(&arrivals, SPAN).within_ceiling(SPAN);
    // Each permit was given between the question for it and the answer to the call, at most `longest` apart. So arrivals
    // may be counted over nearly all that permits are counted over, which is far more than Meta's second.
    let wider = longest.and_then(|longest| COUNTED.checked_sub(longest)).map_or(SPAN, |wider| wider.max(SPAN));
    println!("{} arrivals; at most {} within {wider:?}", arrivals.len(), most_in(&arrivals, wider).0);
    most_in(&arrivals, wider).within_ceiling(wider);
}

/// All callers of one tenant.
struct Swarm<'a> {
    stage: &'a Stage,
    shared: Arc<Shared>,
    calling: JoinSet<()>,
}

/// What the callers know.
struct Shared {
    ways: Ways,
    tenant: TenantId,
    url: String,
    http: reqwest::Client,
    is_over: AtomicBool,
    /// The longest from a question for a permit to the answer to its call; `None` where some call's answer never came.
    longest: Mutex<Option<Duration>>,
}

impl<'a> Swarm<'a> {
    fn new(stage: &'a Stage, tenant: &Tenant) -> Self {
        let shared = Shared {
            ways: Ways::default(),
            tenant: tenant.id.parse().unwrap(),
            url: format!("{}/v26.0/act_{ACCOUNT}/campaigns", stage.sandbox.url),
            http: reqwest::Client::builder().no_proxy().timeout(CALL).build().unwrap(),
            is_over: AtomicBool::new(false),
            longest: Mutex::new(Some(Duration::ZERO)),
        };
        Self { stage, shared: Arc::new(shared), calling: JoinSet::new() }
    }

    fn begin(&mut self) {
        for caller in 0..CALLERS {
            let shared = Arc::clone(&self.shared);
            self.calling.spawn(async move { shared.call_on(caller).await });
        }
    }

    /// Ends all callers with the call that each is in; says the longest one.
    async fn end(&mut self) -> Option<Duration> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.calling.join_next().await {
            ended.unwrap();
        }
        *self.shared.longest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When each write of theirs arrived, in order.
    async fn arrivals(&self) -> Vec<Timestamp> {
        let path = format!("act_{ACCOUNT}/campaigns");
        let all = self.stage.sandbox.requests().await.unwrap();
        let own = all.into_iter().filter(|line| line.method == "POST" && line.path.ends_with(&path));
        let mut arrivals: Vec<Timestamp> = own.map(|line| line.at).collect();
        arrivals.sort_unstable();
        arrivals
    }

    async fn last(&self) -> Timestamp {
        self.arrivals().await.last().copied().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Waits until so many further calls have arrived.
    async fn goes_on(&self, further: usize) {
        let wanted = self.arrivals().await.len() + further;
        self.until("calls go on", |arrivals| arrivals.len() >= wanted).await;
    }

    /// Waits until a window after this moment was full.
    async fn fills(&self, after: Timestamp) {
        let newer = move |arrivals: &[Timestamp]| -> Vec<Timestamp> {
            arrivals.iter().copied().filter(|at| *at > after).collect()
        };
        self.until("a window is full", |arrivals| most_in(&newer(arrivals), KEPT).0 >= FULL).await;
    }

    async fn until(&self, what: &str, is_so: impl Fn(&[Timestamp]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let arrivals = self.arrivals().await;
            if is_so(&arrivals) {
                return;
            }
            assert!(Instant::now() < deadline, "not so: {what}; arrivals per second: {:?}", per_second(&arrivals));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Shared {
    async fn call_on(&self, caller: usize) {
        for turn in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            if !self.call(caller + turn * (1 + caller % (REPLICAS - 1))).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// One call with a permit of some replica; whether it was sent.
    async fn call(&self, number: usize) -> bool {
        let mut request = Request::new(acquire());
        request.set_timeout(SEND_BEFORE);
        let asked = Instant::now();
        let mut quotas = QuotaServiceClient::new(self.ways.any(number).channel());
        // Replicas are killed and Redis is away at times, so all kinds of refusals are in order.
        let Ok(answer) = quotas.acquire(for_tenant(request, &self.tenant)).await else { return false };
        let Some(Decision::Permit(permit)) = answer.into_inner().decision else { return false };
        if asked.elapsed() >= SEND_BEFORE {
            let release = Request::new(pb::ReleaseRequest { permits: vec![permit.value], reservations: vec![] });
            // Where it does not get there its point is lost for a window, which admits less and never more.
            drop(quotas.release(for_tenant(release, &self.tenant)).await);
            return false;
        }
        let query = [("access_token", TOKEN), ("name", "one of many"), ("objective", "OUTCOME_TRAFFIC")];
        let sent = self.http.post(&self.url).query(&query).send().await;
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = sent.ok().and(longest.map(|longest| longest.max(asked.elapsed())));
        true
    }
}

fn acquire() -> pb::AcquireRequest {
    let charge = |kind: pb::ScopeKind, use_case: &str| {
        let (meta_app, id, use_case) = (APP.to_owned(), ACCOUNT.to_owned(), use_case.to_owned());
        pb::Charge { scope: Some(pb::Scope { meta_app, kind: kind.into(), id, use_case }), cost: 1 }
    };
    pb::AcquireRequest {
        charges: vec![charge(pb::ScopeKind::AdAccount, "ads_management"), charge(pb::ScopeKind::Mutation, "")],
        priority: pb::Priority::Safety.into(),
        call: "POST act/campaigns".to_owned(),
        ..pb::AcquireRequest::default()
    }
}

/// The most arrivals in any stretch of some length, and those of the whole test by the second.
struct Most(usize, BTreeMap<i64, usize>);

impl Most {
    fn within_ceiling(&self, span: Duration) {
        assert!(self.0 <= CEILING, "{} arrivals within {span:?}; per second: {:?}", self.0, self.1);
    }
}

fn most_in(arrivals: &[Timestamp], span: Duration) -> Most {
    let from =
        |end: usize| arrivals[..end].partition_point(|at| arrivals[end].duration_since(*at).unsigned_abs() >= span);
    let most = (0..arrivals.len()).map(|end| end + 1 - from(end)).max().unwrap_or_default();
    Most(most, per_second(arrivals))
}

fn per_second(arrivals: &[Timestamp]) -> BTreeMap<i64, usize> {
    let mut seconds = BTreeMap::new();
    for at in arrivals {
        *seconds.entry(at.as_second()).or_default() += 1;
    }
    seconds
}
