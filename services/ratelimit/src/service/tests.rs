//! The service over a real socket and the real Redis.

use std::sync::atomic::{AtomicU64, Ordering};

use proto::ratelimit::v1::acquire_response::Decision;
use proto::ratelimit::v1::quota_service_client::QuotaServiceClient;
use rpc::testing::Issuer;
use rpc::{Peer, Pool, ServiceIdentity};
use tokio_util::sync::DropGuard;
use tonic::Code;
use tonic_types::StatusExt;

use super::*;
use crate::ceilings::Ceilings;
use crate::counter::Counter;
use crate::demand::Rules;
use crate::freezes::Freezes;
use crate::policies::PolicyBook;
use crate::scope::ADS_MANAGEMENT;
use crate::store::tests::Bench;
use crate::store::{FreezeRows, History, PolicyRows};
use crate::trail::Trail;
use crate::waiting::Waiting;

mod freezes;
mod history;
mod policies;
mod reservations;
mod shares;
mod watch;

type Client = QuotaServiceClient<rpc::Channel>;

/// A running ratelimit, a service that asks it, and a tenant and an account that no other test has.
struct Running {
    issuer: Issuer,
    address: String,
    tenant: String,
    account: String,
    #[expect(dead_code, reason = "stops the server when it is dropped")]
    stop: DropGuard,
    /// Keeps the journal as long as it is there.
    bench: Bench,
    quotas: Arc<Quotas>,
}

impl Running {
    async fn start() -> Self {
        Self::paced(Pace { look: Duration::from_millis(50), checkpoint: Duration::from_millis(50), ..Pace::default() })
            .await
    }

    /// With streams that look and live so.
    async fn paced(pace: Pace) -> Self {
        static ACCOUNTS: AtomicU64 = AtomicU64::new(1_000);
        let account = ACCOUNTS.fetch_add(1, Ordering::SeqCst).to_string();
        let (issuer, process) = (Issuer::new(), runtime::Process::detached());
        let bench = Bench::new().await;
        let counter = Arc::new(Counter::new(Arc::clone(&bench.store)));
        let rules = Rules::new(Ceilings::default(), Duration::from_secs(65));
        let waiting = Waiting::new(Arc::clone(&counter), rules.clone(), process.tasks.clone(), process.stop.clone());
        let history = History::new(storage::Postgres::connect(&bench.postgres).await.unwrap());
        let trail =
            Arc::new(Trail::new(history, Arc::clone(&bench.store), Duration::from_hours(24), process.tasks.clone()));
        let quotas = Quotas::new(counter, waiting, rules, &[7; 32]).with_trail(Arc::clone(&trail));
        let (quotas, pages) = (Arc::new(quotas), PageTokens::new(&[8; 32]));
        let explainer = Explainer::new(Arc::clone(&quotas), Arc::clone(&trail));
        let usage = UsageApi::new(explainer.clone(), trail, pages.clone());
        let rows = FreezeRows::new(storage::Postgres::connect(&bench.postgres).await.unwrap());
        let policies = PolicyRows::new(storage::Postgres::connect(&bench.postgres).await.unwrap());
        let book = PolicyBook::open(policies, rows.clone(), Arc::clone(&quotas)).await.unwrap();
        process.tasks.spawn(book.clone().run(process.stop.clone()));
        let freezes = Freezes::new(rows, Arc::clone(&quotas));
        process.tasks.spawn(freezes.clone().run(process.stop.clone()));
        let policies = PolicyApi::new(freezes, book, pages.clone());
        let watching = Watching::new(Arc::clone(&quotas), pages.clone(), pace, process.tasks.clone());
        let api = Api::new(Arc::clone(&quotas), (explainer, watching), pages, Duration::from_secs(5));
        let server = rpc::Server::new("ratelimit", issuer.verifier())
            .add(proto::ratelimit::v1::quota_service_server::QuotaServiceServer::new(api))
            .add(proto::ratelimit::v1::usage_service_server::UsageServiceServer::new(usage))
            .add(proto::ratelimit::v1::quota_policy_service_server::QuotaPolicyServiceServer::new(policies));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        process.tasks.spawn(server.serve(listener, process.stop.clone()));
        let tenant = format!("tenant-{account}");
        Self { issuer, address, tenant, account, stop: process.stop.drop_guard(), bench, quotas }
    }

    /// As a service of ours.
    fn service(&self) -> Client {
        let identity = ServiceIdentity::fixed(&self.issuer.service_token("campaigns"));
        Client::new(Peer::connect(&self.address, identity).unwrap().channel())
    }

    fn outsider(&self) -> Client {
        Client::new(Peer::new(Pool::new(&self.address.parse().unwrap()), ServiceIdentity::nobody()).channel())
    }

    fn scope(&self) -> pb::Scope {
        let (meta_app, use_case) = ("metaApps/900".to_owned(), ADS_MANAGEMENT.to_owned());
        pb::Scope { meta_app, kind: pb::ScopeKind::AdAccount.into(), id: self.account.clone(), use_case }
    }

    fn ask(&self, cost: u32) -> Request<pb::AcquireRequest> {
        let charges = vec![pb::Charge { scope: Some(self.scope()), cost }];
        let ask = pb::AcquireRequest { charges, priority: pb::Priority::Interactive.into(), ..Default::default() };
        rpc::for_tenant(ask, &self.tenant.parse().unwrap())
    }

    /// A caller's request, with that caller's token.
    fn of_tenant<T>(&self, message: T, tenant: &str) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.issuer.token(tenant, &["quota.read"]));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request
    }

    async fn quota(&self, tenant: &str) -> pb::Quota {
        let request = pb::GetQuotaRequest { scope: Some(self.scope()) };
        self.outsider().get_quota(self.of_tenant(request, tenant)).await.unwrap().into_inner().quota.unwrap()
    }

    async fn permit(&self, cost: u32) -> Vec<u8> {
        match self.service().acquire(self.ask(cost)).await.unwrap().into_inner().decision {
            Some(Decision::Permit(permit)) => permit.value,
            decision => panic!("no permit: {decision:?}"),
        }
    }
}

#[tokio::test]
async fn a_permit_is_counted_shown_and_given_back() {
    let running = Running::start().await;
    let permit = running.permit(40).await;
    let quota = running.quota(&running.tenant).await;
    assert_eq!((quota.limit, quota.used, quota.headroom), (Some(300), 40, Some(260)));
    assert_eq!(quota.profile(), pb::CeilingProfile::Meta);
    let give_back =
        pb::ReleaseRequest { permits: vec![permit.clone(), permit, b"forged".to_vec()], reservations: vec![] };
    let released = running.service().release(give_back).await.unwrap().into_inner().released;
    assert_eq!(released, 1);
    assert_eq!(running.quota(&running.tenant).await.used, 0);
}

#[tokio::test]
async fn a_full_bucket_answers_with_what_to_wait_for() {
    let running = Running::start().await;
    running.permit(291).await;
    let mut ask = running.ask(1);
    ask.set_timeout(Duration::from_secs(60));
    let answer = running.service().acquire(ask).await.unwrap().into_inner();
    let Some(Decision::Wait(wait)) = answer.decision else { panic!("admitted: {answer:?}") };
    assert_eq!((wait.reason(), wait.binding_scope), (pb::WaitReason::Ceiling, Some(running.scope())));
    assert!(wait.delay.unwrap().seconds > 3_500);
}

#[tokio::test]
async fn what_meta_said_rides_on_the_next_acquire() {
    let running = Running::start().await;
    let permit = running.permit(1).await;
    let usage = pb::BusinessUseCaseUsage {
        id: running.account.clone(),
        r#type: ADS_MANAGEMENT.to_owned(),
        call_count: 50,
        ads_api_access_tier: "standard_access".to_owned(),
        ..Default::default()
    };
    let report = pb::UsageReport { permit, http_status: 200, business_use_cases: vec![usage], ..Default::default() };
    let mut ask = running.ask(1);
    ask.get_mut().reports.push(report);
    running.service().acquire(ask).await.unwrap();
    let quota = running.quota(&running.tenant).await;
    assert_eq!((quota.limit, quota.used), (Some(100_000), 2));
    assert!((49_998..=49_999).contains(&quota.others), "{}", quota.others);
    assert_eq!(quota.observed_percent, Some(50));
}

#[tokio::test]
async fn a_throttle_code_closes_the_bucket_for_everyone() {
    let running = Running::start().await;
    let permit = running.permit(1).await;
    let report = pb::UsageReport { permit, http_status: 400, code: 80_004, ..Default::default() };
    running.service().settle(pb::SettleRequest { reports: vec![report] }).await.unwrap();
    let mut ask = running.ask(1);
    ask.set_timeout(Duration::from_secs(60));
    let answer = running.service().acquire(ask).await.unwrap().into_inner();
    assert!(matches!(answer.decision, Some(Decision::Wait(wait)) if wait.reason() == pb::WaitReason::Closed));
    let quota = running.quota(&running.tenant).await;
    assert_eq!(quota.headroom, Some(0));
    assert!(quota.closed_until.is_some() && quota.why.contains("80004"), "{}", quota.why);
}

#[tokio::test]
async fn a_throttle_code_that_rides_on_an_acquire_is_heeded_by_it() {
    let running = Running::start().await;
    let permit = running.permit(1).await;
    // The header is about an account that nobody knows yet, so the correction needs a trip more than the decision.
    let usage = pb::BusinessUseCaseUsage {
        id: format!("77{}", running.account),
        r#type: ADS_MANAGEMENT.to_owned(),
        call_count: 1,
        ..Default::default()
    };
    let business_use_cases = vec![usage];
    let report = pb::UsageReport { permit, http_status: 400, code: 80_004, business_use_cases, ..Default::default() };
    let mut ask = running.ask(1);
    ask.set_timeout(Duration::from_secs(60));
    ask.get_mut().reports.push(report);
    let answer = running.service().acquire(ask).await.unwrap().into_inner();
    let closed = matches!(&answer.decision, Some(Decision::Wait(wait)) if wait.reason() == pb::WaitReason::Closed);
    assert!(closed, "{answer:?}");
}

#[tokio::test]
async fn quotas_are_listed_page_by_page_and_only_to_those_who_used_them() {
    let running = Running::start().await;
    let mut ask = running.ask(1);
    let app = pb::Scope { kind: pb::ScopeKind::App.into(), id: String::new(), ..running.scope() };
    ask.get_mut().charges.push(pb::Charge { scope: Some(app.clone()), cost: 1 });
    running.service().acquire(ask).await.unwrap();
    let mut request = pb::ListQuotasRequest { page_size: 1, ..Default::default() };
    let mut scopes = Vec::new();
    loop {
        let page = running.outsider().list_quotas(running.of_tenant(request.clone(), &running.tenant)).await;
        let page = page.unwrap().into_inner();
        scopes.extend(page.quotas.into_iter().map(|quota| quota.scope.unwrap()));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(scopes, [running.scope(), app]);
    let stranger = running.of_tenant(pb::ListQuotasRequest::default(), "stranger");
    assert!(running.outsider().list_quotas(stranger).await.unwrap().into_inner().quotas.is_empty());
    assert_eq!(running.quota("stranger").await.used, 0);
}

#[tokio::test]
async fn the_app_need_not_be_named_where_the_tenants_calls_tell_it() {
    let running = Running::start().await;
    let request = pb::GetQuotaRequest { scope: Some(pb::Scope { meta_app: String::new(), ..running.scope() }) };
    let unused = running.outsider().get_quota(running.of_tenant(request.clone(), &running.tenant)).await;
    assert_eq!(unused.unwrap_err().code(), Code::InvalidArgument);
    running.permit(1).await;
    let used = running.outsider().get_quota(running.of_tenant(request, &running.tenant)).await.unwrap();
    assert_eq!(used.into_inner().quota.unwrap().scope, Some(running.scope()));
}

#[tokio::test]
async fn who_is_no_service_takes_nothing_and_a_bad_request_names_its_fields() {
    let running = Running::start().await;
    let outside = running.of_tenant(running.ask(1).into_inner(), &running.tenant);
    let refused = running.outsider().acquire(outside).await.unwrap_err();
    assert!(matches!(refused.code(), Code::PermissionDenied | Code::Unauthenticated), "{refused:?}");
    let wrong = running.service().acquire(running.ask(0)).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert_eq!(wrong.get_details_error_info().unwrap().reason, "INVALID_FIELD");
    let fields = wrong.get_details_bad_request().unwrap().field_violations;
    assert_eq!(fields[0].field, "charges[0].cost");
}
