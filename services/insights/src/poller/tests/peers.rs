//! Stand-ins for auth and ratelimit: a lease and a permit for everybody.

use std::pin::Pin;

use futures::Stream;
use proto::{
    auth::v1::{
        Lease, LeaseCredentialRequest, LeaseCredentialResponse, ReportCredentialFailureRequest,
        ReportCredentialFailureResponse, VerifyWebhookRequest, VerifyWebhookResponse, WatchRevocationsRequest,
        WatchRevocationsResponse,
        credential_service_server::{CredentialService, CredentialServiceServer},
    },
    ratelimit::v1::{
        AcquireRequest, AcquireResponse, ExplainThrottleRequest, ExplainThrottleResponse, GetQuotaRequest,
        GetQuotaResponse, ListQuotasRequest, ListQuotasResponse, Permit, ReleaseRequest, ReleaseResponse,
        ReserveRequest, ReserveResponse, SettleRequest, SettleResponse,
        acquire_response::Decision,
        quota_service_server::{QuotaService, QuotaServiceServer},
    },
};
use rpc::{Peer, Server, ServiceIdentity, testing::Issuer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Both, on one port.
pub(super) struct Peers {
    address: String,
    token: String,
    stop: CancellationToken,
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Peers {
    /// The way to them, as the service `insights`.
    pub(super) fn peer(&self) -> Peer {
        Peer::connect(&self.address, ServiceIdentity::fixed(&self.token)).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own task, ended by its token")]
pub(super) async fn serve() -> Peers {
    let (issuer, stop) = (Issuer::new(), CancellationToken::new());
    let server = Server::new("auth", issuer.verifier())
        .add(CredentialServiceServer::new(Everybody))
        .add(QuotaServiceServer::new(Everybody));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(server.serve(listener, stop.clone()));
    Peers { address, token: issuer.service_token("insights"), stop }
}

struct Everybody;

#[tonic::async_trait]
impl CredentialService for Everybody {
    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Result<WatchRevocationsResponse, Status>> + Send>>;

    async fn lease_credential(
        &self,
        _: Request<LeaseCredentialRequest>,
    ) -> Result<Response<LeaseCredentialResponse>, Status> {
        let until = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
        let lease = Lease {
            lease_id: "1".to_owned(),
            token: "token".to_owned(),
            appsecret_proof: "proof".to_owned(),
            meta_app: "metaApps/1".to_owned(),
            api_version: "v26.0".to_owned(),
            connection: "connections/1".to_owned(),
            expire_time: Some(until.into()),
            ..Lease::default()
        };
        Ok(Response::new(LeaseCredentialResponse { lease: Some(lease), generation: 0 }))
    }

    async fn watch_revocations(
        &self,
        _: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::pending())))
    }

    async fn report_credential_failure(
        &self,
        _: Request<ReportCredentialFailureRequest>,
    ) -> Result<Response<ReportCredentialFailureResponse>, Status> {
        Ok(Response::new(ReportCredentialFailureResponse::default()))
    }

    async fn verify_webhook(
        &self,
        _: Request<VerifyWebhookRequest>,
    ) -> Result<Response<VerifyWebhookResponse>, Status> {
        Ok(Response::new(VerifyWebhookResponse::default()))
    }
}

#[tonic::async_trait]
impl QuotaService for Everybody {
    async fn acquire(&self, _: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        let send_before = Some(prost_types::Duration { seconds: 5, nanos: 0 });
        let permit = Permit { value: vec![1], send_before };
        Ok(Response::new(AcquireResponse { decision: Some(Decision::Permit(permit)), ..Default::default() }))
    }

    async fn settle(&self, _: Request<SettleRequest>) -> Result<Response<SettleResponse>, Status> {
        Ok(Response::new(SettleResponse::default()))
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        Ok(Response::new(ReleaseResponse::default()))
    }

    async fn reserve(&self, _: Request<ReserveRequest>) -> Result<Response<ReserveResponse>, Status> {
        Ok(Response::new(ReserveResponse::default()))
    }

    async fn get_quota(&self, _: Request<GetQuotaRequest>) -> Result<Response<GetQuotaResponse>, Status> {
        Ok(Response::new(GetQuotaResponse::default()))
    }

    async fn list_quotas(&self, _: Request<ListQuotasRequest>) -> Result<Response<ListQuotasResponse>, Status> {
        Ok(Response::new(ListQuotasResponse::default()))
    }

    async fn explain_throttle(
        &self,
        _: Request<ExplainThrottleRequest>,
    ) -> Result<Response<ExplainThrottleResponse>, Status> {
        Ok(Response::new(ExplainThrottleResponse::default()))
    }

    type WatchQuotasStream =
        tonic::codegen::tokio_stream::Empty<Result<proto::ratelimit::v1::WatchQuotasResponse, Status>>;

    async fn watch_quotas(
        &self,
        _: Request<proto::ratelimit::v1::WatchQuotasRequest>,
    ) -> Result<Response<Self::WatchQuotasStream>, Status> {
        Ok(Response::new(tonic::codegen::tokio_stream::empty()))
    }
}
