//! What stands for auth and for ratelimit: lends and permits, unless it is told otherwise, and notes what it was told.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use proto::{
    auth::v1 as auth,
    auth::v1::credential_service_server::{CredentialService, CredentialServiceServer},
    ratelimit::v1 as ratelimit,
    ratelimit::v1::quota_service_server::{QuotaService, QuotaServiceServer},
};
use rpc::{Peer, ServiceIdentity};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub(crate) struct Peers(Arc<Inside>);

pub(crate) struct Inside {
    /// What is lent, with the secret of the app that it belongs to.
    lent: (&'static str, &'static str),
    /// What each permit was asked for.
    pub(crate) acquired: Mutex<Vec<ratelimit::AcquireRequest>>,
    /// What Meta said, as it was told at once.
    pub(crate) settled: Mutex<Vec<ratelimit::UsageReport>>,
    /// What was to be held.
    pub(crate) reserved: Mutex<Vec<ratelimit::ReserveRequest>>,
    /// Reservations that came back.
    pub(crate) returned: Mutex<Vec<Vec<u8>>>,
    /// Permits that came back unsent.
    pub(crate) released: AtomicUsize,
    /// How many permits may be given. None is missing by default.
    pub(crate) permits: Semaphore,
    /// What is answered instead of a permit.
    pub(crate) wait: Mutex<Option<ratelimit::Wait>>,
    /// Whether a code that Meta refused with closes everything for a minute.
    pub(crate) closes: Mutex<bool>,
    /// How long a permit is good.
    pub(crate) send_before: Mutex<Duration>,
}

impl Default for Peers {
    fn default() -> Self {
        Self::lending("token", "secret")
    }
}

impl std::ops::Deref for Peers {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}

impl Peers {
    /// With this token of an app with this secret.
    pub(crate) fn lending(token: &'static str, secret: &'static str) -> Self {
        Self(Arc::new(Inside {
            lent: (token, secret),
            acquired: Mutex::default(),
            settled: Mutex::default(),
            reserved: Mutex::default(),
            returned: Mutex::default(),
            released: AtomicUsize::default(),
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
            wait: Mutex::default(),
            closes: Mutex::default(),
            send_before: Mutex::new(Duration::from_secs(30)),
        }))
    }

    pub(crate) async fn serve(&self) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = tonic::transport::Server::builder()
            .add_service(CredentialServiceServer::new(self.clone()))
            .add_service(QuotaServiceServer::new(self.clone()));
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Peer::connect(&format!("http://{address}"), ServiceIdentity::fixed("test")).unwrap()
    }

    pub(crate) fn acquires(&self) -> usize {
        self.acquired.lock().unwrap().len()
    }

    pub(crate) fn releases(&self) -> usize {
        self.released.load(Ordering::SeqCst)
    }

    /// The points that were charged to the first bucket of each permit.
    pub(crate) fn costs(&self) -> Vec<u32> {
        self.acquired.lock().unwrap().iter().map(|asked| asked.charges[0].cost).collect()
    }
}

#[tonic::async_trait]
impl CredentialService for Peers {
    async fn lease_credential(
        &self,
        _: Request<auth::LeaseCredentialRequest>,
    ) -> Result<Response<auth::LeaseCredentialResponse>, Status> {
        let (token, secret) = self.lent;
        let proof = crate::oauth::proof(&secret.into(), &token.into());
        let lease = auth::Lease {
            lease_id: "1".to_owned(),
            token: token.to_owned(),
            appsecret_proof: secrecy::ExposeSecret::expose_secret(&proof).to_owned(),
            meta_app: "metaApps/1".to_owned(),
            api_version: "v26.0".to_owned(),
            expire_time: Some((SystemTime::now() + Duration::from_secs(100)).into()),
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
impl QuotaService for Peers {
    async fn acquire(
        &self,
        request: Request<ratelimit::AcquireRequest>,
    ) -> Result<Response<ratelimit::AcquireResponse>, Status> {
        use ratelimit::acquire_response::Decision;
        self.acquired.lock().unwrap().push(request.into_inner());
        let wait = self.wait.lock().unwrap().clone();
        let decision = match wait {
            Some(wait) => Decision::Wait(wait),
            None => {
                self.permits.acquire().await.unwrap().forget();
                let send_before = (*self.send_before.lock().unwrap()).try_into().ok();
                Decision::Permit(ratelimit::Permit { value: vec![1], send_before })
            }
        };
        Ok(Response::new(ratelimit::AcquireResponse { decision: Some(decision), epoch: 1 }))
    }

    async fn settle(
        &self,
        request: Request<ratelimit::SettleRequest>,
    ) -> Result<Response<ratelimit::SettleResponse>, Status> {
        let reports = request.into_inner().reports;
        // As ratelimit does: what Meta refused for is closed before the answer to this is out.
        if reports.iter().any(|report| report.code != 0) && *self.closes.lock().unwrap() {
            let delay = Some(prost_types::Duration { seconds: 60, nanos: 0 });
            *self.wait.lock().unwrap() = Some(ratelimit::Wait { delay, ..ratelimit::Wait::default() });
        }
        self.settled.lock().unwrap().extend(reports);
        Ok(Response::new(ratelimit::SettleResponse::default()))
    }

    async fn release(
        &self,
        request: Request<ratelimit::ReleaseRequest>,
    ) -> Result<Response<ratelimit::ReleaseResponse>, Status> {
        let request = request.into_inner();
        self.released.fetch_add(request.permits.len(), Ordering::SeqCst);
        self.returned.lock().unwrap().extend(request.reservations);
        Ok(Response::new(ratelimit::ReleaseResponse::default()))
    }

    async fn reserve(
        &self,
        request: Request<ratelimit::ReserveRequest>,
    ) -> Result<Response<ratelimit::ReserveResponse>, Status> {
        self.reserved.lock().unwrap().push(request.into_inner());
        let decision = match self.wait.lock().unwrap().clone() {
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
