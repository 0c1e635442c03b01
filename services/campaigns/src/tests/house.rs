//! The service's use cases with everything around them: a database, a Meta, and stand-ins for auth and ratelimit.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proto::{
    auth::v1 as auth,
    auth::v1::credential_service_server::{CredentialService, CredentialServiceServer},
    operations::v1::Operation,
    plans::v1::Plan,
    ratelimit::v1 as ratelimit,
    ratelimit::v1::quota_service_server::{QuotaService, QuotaServiceServer},
};
use rpc::{Caller, Peer, Scopes, ServiceIdentity};
use storage::{Postgres, PostgresSettings};
use tokio::{net::TcpListener, sync::Notify};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{SystemClock, ids::AdAccountId, names, page::PageTokens};

use super::meta::Meta;
use crate::{SCHEMA, Settings, context::Context, store::Store, worker};

pub(crate) const ACCOUNT: AdAccountId = AdAccountId::new(1);

pub(crate) struct House {
    pub(crate) context: Context,
    pub(crate) meta: Meta,
    pub(crate) caller: Caller,
    /// How urgent each call to Meta was.
    asked: Arc<Mutex<Vec<ratelimit::Priority>>>,
    /// Whoever holds it keeps permits from being given.
    pub(crate) permits: Arc<tokio::sync::Mutex<()>>,
    pub(crate) quota: Arc<Quota>,
    process: runtime::Process,
}

impl Drop for House {
    fn drop(&mut self) {
        self.process.stop.cancel();
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With other settings than the others have.
    pub(crate) async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let url = devstack::shared().create_database().await.unwrap();
        let postgres = Postgres::connect(&PostgresSettings::at(url).in_schema(SCHEMA)).await.unwrap();
        storage::migrations::run(&postgres, SCHEMA, &crate::migrations()).await.unwrap();
        let meta = Meta::default();
        let graph =
            graph::Settings { base_url: meta.serve().await, call_timeout_seconds: 20, ..graph::Settings::default() };
        let mut settings = Settings { graph, settle_seconds: 1, ..Settings::default() };
        change(&mut settings);
        let process = runtime::Process::detached();
        let (asked, permits, quota) = (Arc::default(), Arc::default(), Arc::<Quota>::default());
        let peer =
            peer(Lenient { asked: Arc::clone(&asked), permits: Arc::clone(&permits), quota: Arc::clone(&quota) }).await;
        let context = Context {
            store: Store::new(postgres),
            graph: graph::Client::connect(&settings.graph, peer.clone(), peer).unwrap(),
            tokens: PageTokens::new(&[7; 32]),
            clock: SystemClock,
            settings: Arc::new(settings),
            tasks: process.tasks.clone(),
            stop: process.stop.clone(),
            crawls: crate::crawl::Crawls::default(),
            wake: Arc::new(Notify::new()),
        };
        let caller = Caller::resumed("acme".parse().unwrap(), "callers/test", Scopes::All);
        Self { context, meta, caller, asked, permits, quota, process }
    }

    /// How urgent the calls to Meta since the last question were.
    pub(crate) fn priorities(&self) -> Vec<ratelimit::Priority> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// How many intents are in these states.
    pub(crate) async fn intents(&self, states: &[&str]) -> i64 {
        let client = self.context.store.postgres.client().await.unwrap();
        let sql = "SELECT count(*) FROM intents WHERE state = ANY($1)";
        client.query_one(sql, &[&states]).await.unwrap().get(0)
    }

    /// Changes rows behind the service's back.
    pub(crate) async fn sql(&self, sql: &str) {
        self.context.store.postgres.client().await.unwrap().execute(sql, &[]).await.unwrap();
    }

    /// Lets the workers begin.
    pub(crate) fn work(&self) {
        worker::spawn(&self.context, &self.process);
    }

    /// The operation, once it has ended.
    pub(crate) async fn ended(&self, name: &str) -> Operation {
        let id = names::operation(name).unwrap().id;
        for _ in 0..200 {
            let stored = self.context.store.operations.get("acme", id).await.unwrap().unwrap();
            let operation = crate::operations::read(&stored).unwrap();
            if operation.done {
                return operation;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} did not end");
    }

    /// What an operation says once it waits for something.
    pub(crate) async fn waiting(&self, name: &str) -> proto::operations::v1::OperationMetadata {
        let id = names::operation(name).unwrap().id;
        for _ in 0..600 {
            let stored = self.context.store.operations.get("acme", id).await.unwrap().unwrap();
            let metadata = crate::operations::read(&stored).unwrap().metadata.unwrap_or_default();
            if !metadata.waiting_on.is_empty() {
                return metadata;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} did not wait");
    }

    /// As CancelOperation does.
    pub(crate) async fn cancel(&self, name: &str) {
        let id = names::operation(name).unwrap().id;
        let entry = storage::audit::Entry {
            tenant: "acme",
            actor: "callers/test",
            action: "operations.cancel",
            resource: name,
            request_id: None,
            detail: serde_json::json!({}),
        };
        self.context.store.operations.cancel(id, entry).await.unwrap().unwrap();
        self.context.wake.notify_one();
    }

    pub(crate) async fn only_operation(&self) -> String {
        let listing = storage::operations::Listing { size: 10, ..Default::default() };
        let stored = self.context.store.operations.list("acme", listing).await.unwrap();
        assert_eq!(stored.len(), 1);
        crate::operations::name(stored[0].id)
    }

    pub(crate) async fn store_plan(&self, plan: Plan) -> String {
        let stored = self.context.create_plan(&self.caller, ACCOUNT, plan, Uuid::new_v4(), false).await;
        stored.unwrap().0.name
    }

    pub(crate) async fn plan(&self, name: &str) -> Plan {
        let (account, id) = names::plan(name).unwrap();
        self.context.plan(&self.caller.tenant, account, id.0).await.unwrap()
    }

    pub(crate) async fn apply(&self, name: &str) -> String {
        let (account, id) = names::plan(name).unwrap();
        let applied = self.context.apply(&self.caller, account, id.0, "", Uuid::new_v4(), false).await;
        applied.unwrap().name
    }

    /// Action and resource of every audit entry.
    pub(crate) async fn audit(&self) -> Vec<(String, String)> {
        let client = self.context.store.postgres.client().await.unwrap();
        let listing = storage::audit::Listing { size: 100, ..Default::default() };
        let entries = storage::audit::list(&client, "acme", listing).await.unwrap();
        entries.into_iter().map(|entry| (entry.action, entry.resource)).collect()
    }

    /// Lets an hour pass for what is on its way.
    pub(crate) async fn age_intents(&self) {
        self.sql("UPDATE intents SET updated_at = updated_at - interval '1 hour'").await;
    }

    /// Sweeps as if it were time to.
    pub(crate) async fn sweep_now(&self) {
        self.sql("UPDATE intents SET sweep_at = clock_timestamp() WHERE sweep_at IS NOT NULL").await;
        self.context.sweep().await.unwrap();
    }
}

/// One server that stands for auth and for ratelimit.
async fn peer(lenient: Lenient) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::transport::Server::builder()
        .add_service(CredentialServiceServer::new(lenient.clone()))
        .add_service(QuotaServiceServer::new(lenient));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    Peer::connect(&format!("http://{address}"), ServiceIdentity::fixed("test")).unwrap()
}

/// What ratelimit was told, and is to answer.
#[derive(Default)]
pub(crate) struct Quota {
    /// What was to be held.
    pub(crate) reserved: Mutex<Vec<ratelimit::ReserveRequest>>,
    /// Under which reservation each permit was asked for.
    pub(crate) under: Mutex<Vec<Vec<u8>>>,
    /// Reservations that came back.
    pub(crate) returned: Mutex<Vec<Vec<u8>>>,
    /// The answer to the next reservation.
    pub(crate) wait: Mutex<Option<ratelimit::Wait>>,
}

/// Lends and permits whatever is asked for.
#[derive(Clone)]
struct Lenient {
    quota: Arc<Quota>,
    asked: Arc<Mutex<Vec<ratelimit::Priority>>>,
    permits: Arc<tokio::sync::Mutex<()>>,
}

#[tonic::async_trait]
impl CredentialService for Lenient {
    async fn lease_credential(
        &self,
        _: Request<auth::LeaseCredentialRequest>,
    ) -> Result<Response<auth::LeaseCredentialResponse>, Status> {
        let expire = std::time::SystemTime::now() + Duration::from_secs(100);
        let lease = auth::Lease {
            lease_id: "1".to_owned(),
            token: "token".to_owned(),
            appsecret_proof: "proof".to_owned(),
            meta_app: "metaApps/1".to_owned(),
            api_version: "v26.0".to_owned(),
            expire_time: Some(expire.into()),
            ..auth::Lease::default()
        };
        Ok(Response::new(auth::LeaseCredentialResponse { lease: Some(lease), generation: 0 }))
    }

    type WatchRevocationsStream = ReceiverStream<Result<auth::WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        _: Request<auth::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        Ok(Response::new(ReceiverStream::new(tokio::sync::mpsc::channel(1).1)))
    }

    async fn report_credential_failure(
        &self,
        _: Request<auth::ReportCredentialFailureRequest>,
    ) -> Result<Response<auth::ReportCredentialFailureResponse>, Status> {
        Ok(Response::new(auth::ReportCredentialFailureResponse::default()))
    }

    async fn verify_webhook(
        &self,
        _: Request<auth::VerifyWebhookRequest>,
    ) -> Result<Response<auth::VerifyWebhookResponse>, Status> {
        Ok(Response::new(auth::VerifyWebhookResponse::default()))
    }
}

#[tonic::async_trait]
impl QuotaService for Lenient {
    async fn acquire(
        &self,
        request: Request<ratelimit::AcquireRequest>,
    ) -> Result<Response<ratelimit::AcquireResponse>, Status> {
        self.asked.lock().unwrap().push(request.get_ref().priority());
        self.quota.under.lock().unwrap().push(request.get_ref().reservation.clone());
        let _given = self.permits.lock().await;
        let send_before = Some(prost_types::Duration { seconds: 5, nanos: 0 });
        let permit = ratelimit::Permit { value: vec![1], send_before };
        let decision = Some(ratelimit::acquire_response::Decision::Permit(permit));
        Ok(Response::new(ratelimit::AcquireResponse { decision, epoch: 1 }))
    }

    async fn settle(
        &self,
        _: Request<ratelimit::SettleRequest>,
    ) -> Result<Response<ratelimit::SettleResponse>, Status> {
        Ok(Response::new(ratelimit::SettleResponse::default()))
    }

    async fn release(
        &self,
        request: Request<ratelimit::ReleaseRequest>,
    ) -> Result<Response<ratelimit::ReleaseResponse>, Status> {
        self.quota.returned.lock().unwrap().extend(request.into_inner().reservations);
        Ok(Response::new(ratelimit::ReleaseResponse::default()))
    }

    async fn reserve(
        &self,
        request: Request<ratelimit::ReserveRequest>,
    ) -> Result<Response<ratelimit::ReserveResponse>, Status> {
        let request = request.into_inner();
        self.quota.reserved.lock().unwrap().push(request);
        let decision = match self.quota.wait.lock().unwrap().take() {
            Some(wait) => ratelimit::reserve_response::Decision::Wait(wait),
            None => ratelimit::reserve_response::Decision::Reservation(ratelimit::Reservation {
                value: b"held".to_vec(),
                until: None,
            }),
        };
        Ok(Response::new(ratelimit::ReserveResponse { decision: Some(decision) }))
    }

    async fn get_quota(
        &self,
        _: Request<ratelimit::GetQuotaRequest>,
    ) -> Result<Response<ratelimit::GetQuotaResponse>, Status> {
        Ok(Response::new(ratelimit::GetQuotaResponse::default()))
    }

    async fn list_quotas(
        &self,
        _: Request<ratelimit::ListQuotasRequest>,
    ) -> Result<Response<ratelimit::ListQuotasResponse>, Status> {
        Ok(Response::new(ratelimit::ListQuotasResponse::default()))
    }

    async fn explain_throttle(
        &self,
        _: Request<ratelimit::ExplainThrottleRequest>,
    ) -> Result<Response<ratelimit::ExplainThrottleResponse>, Status> {
        Ok(Response::new(ratelimit::ExplainThrottleResponse::default()))
    }

    type WatchQuotasStream = tonic::codegen::tokio_stream::Empty<Result<ratelimit::WatchQuotasResponse, Status>>;

    async fn watch_quotas(
        &self,
        _: Request<ratelimit::WatchQuotasRequest>,
    ) -> Result<Response<Self::WatchQuotasStream>, Status> {
        Ok(Response::new(tonic::codegen::tokio_stream::empty()))
    }
}
