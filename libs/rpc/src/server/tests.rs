use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use prost::Message;
use proto::operations::v1::operation_service_client::OperationServiceClient;
use proto::operations::v1::operation_service_server::OperationServiceServer;
use proto::operations::v1::{
    GetOperationRequest, GetOperationResponse, Operation, OperationFilter, WatchOperationRequest,
};
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;
use uuid::Uuid;
use vocabulary::ids::TenantId;
use vocabulary::page::{PageRequest, PageTokens};

use super::*;
use crate::operations::{OperationApi, OperationPage, OperationStore};
use crate::pool::Pool;
use crate::testing::Issuer;

const GET: &str = "/adplane.operations.v1.OperationService/GetOperation";

/// Answers by the last digit of the id: 1 well, 2 too late, 3 with a status of tonic's own.
struct Store;

#[tonic::async_trait]
impl OperationStore for Store {
    async fn get(&self, _: &TenantId, id: Uuid) -> Result<Option<Operation>, Status> {
        match id.as_u128() {
            2 => std::future::pending().await,
            #[expect(clippy::disallowed_methods, reason = "what a service should not do, and what becomes of it")]
            3 => Err(Status::aborted("no details")),
            _ => Ok(Some(Operation { name: name(id.as_u128()), ..Operation::default() })),
        }
    }

    async fn list(&self, _: &TenantId, _: &OperationFilter, _: &PageRequest) -> Result<OperationPage, Status> {
        Ok(OperationPage::default())
    }

    async fn cancel(&self, _: &crate::Caller, _: crate::Asked<'_>) -> Result<Option<Operation>, Status> {
        Ok(None)
    }
}

fn name(id: u128) -> String {
    format!("operations/campaigns-{}", Uuid::from_u128(id))
}

struct Running {
    issuer: Issuer,
    pool: Pool,
    stop: CancellationToken,
    done: JoinHandle<Result<(), Error>>,
}

/// The server of [`Store`], changed by the test.
#[expect(clippy::disallowed_methods, reason = "a test's own task, ended by its token")]
async fn run(change: impl FnOnce(Server) -> Server) -> Running {
    let issuer = Issuer::new();
    let api = OperationApi::new("campaigns", Store, PageTokens::new(b"key"));
    let server = Server::new("campaigns", issuer.verifier()).add(OperationServiceServer::new(api));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let done = tokio::spawn(change(server).serve(listener, stop.clone()));
    Running { issuer, pool: Pool::new(&address.parse().unwrap()), stop, done }
}

impl Running {
    async fn get(
        &self,
        scopes: &[&str],
        id: u128,
        change: impl FnOnce(&mut tonic::Request<GetOperationRequest>),
    ) -> Result<Operation, Status> {
        let mut request = tonic::Request::new(GetOperationRequest { name: name(id) });
        let token = format!("Bearer {}", self.issuer.token("acme", scopes));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        change(&mut request);
        let answer = OperationServiceClient::new(self.pool.clone()).get_operation(request).await?;
        Ok(answer.into_inner().operation.unwrap())
    }

    /// A raw gRPC call, for what no generated client would send.
    async fn raw(&self, path: &str, message: &[u8]) -> Status {
        let token = format!("Bearer {}", self.issuer.token("acme", &["*"]));
        let request = Request::post(path)
            .header("content-type", "application/grpc")
            .header("authorization", token)
            .body(Body::new(Full::new(frame(message))))
            .unwrap();
        let answer = self.pool.clone().oneshot(request).await.unwrap();
        if let Some(status) = Status::from_header_map(answer.headers()) {
            return status;
        }
        let body = answer.into_body().collect().await.unwrap();
        Status::from_header_map(body.trailers().unwrap()).unwrap()
    }
}

fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat().into()
}

/// The reason, if the status has exactly one ErrorInfo and it names the service.
fn reason(status: &Status) -> String {
    let details = tonic_types::pb::Status::decode(status.details()).unwrap();
    let infos = details.details.iter().filter(|any| any.type_url.ends_with("google.rpc.ErrorInfo"));
    assert_eq!(infos.count(), 1, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["service"], "campaigns", "{status:?}");
    info.reason
}

#[tokio::test]
async fn a_call_with_the_scope_is_answered() {
    let running = run(|server| server).await;
    assert_eq!(running.get(&["operations.read"], 1, |_| {}).await.unwrap().name, name(1));
}

#[tokio::test]
async fn a_call_without_a_token_or_scope_is_refused() {
    let running = run(|server| server).await;
    let status = running.get(&["operations.write"], 1, |_| {}).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "SCOPE_MISSING"));
    let without = |request: &mut tonic::Request<_>| drop(request.metadata_mut().remove("authorization"));
    let status = running.get(&[], 1, without).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "TOKEN_REFUSED"));
}

#[tokio::test]
async fn a_late_answer_is_deadline_exceeded() {
    let running = run(|server| server).await;
    let soon = |request: &mut tonic::Request<_>| request.set_timeout(Duration::from_millis(50));
    let status = running.get(&["*"], 2, soon).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let running = run(|server| server).await;
    let token = format!("Bearer {}", running.issuer.token("acme", &["*"]));
    let mut timeout = Duration::from_millis(400);
    let changes = loop {
        let mut request = tonic::Request::new(WatchOperationRequest { name: name(1), resume_token: String::new() });
        request.set_timeout(timeout);
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        match OperationServiceClient::new(running.pool.clone()).watch_operation(request).await {
            Ok(changes) => break changes,
            // So slow is this machine that the deadline passed before the stream began.
            Err(late) if late.code() == Code::DeadlineExceeded => timeout *= 2,
            Err(refused) => panic!("{refused:?}"),
        }
    };
    let last = changes.into_inner().collect::<Vec<_>>().await.pop().unwrap().unwrap_err();
    assert_eq!((last.code(), reason(&last).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
}

#[tokio::test]
async fn failures_of_tonic_itself_get_an_error_info() {
    let running = run(|server| server).await;
    let status = running.raw("/adplane.operations.v1.OperationService/NoSuchMethod", b"").await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"));
    let status = running.raw("/no.Such/Service", b"").await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"));
    let status = running.raw(GET, b"\xff\xff\xff\xff").await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    let status = running.raw(GET, &vec![0; crate::MESSAGE_BYTES_MAX + 1]).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_LARGE"));
    assert_eq!(status.get_details_error_info().unwrap().metadata["bytes_max"], "4194304");
    let status = running.get(&["*"], 3, |_| {}).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "WRONG_STATE"));
}

#[tokio::test]
async fn a_service_that_no_proto_of_ours_describes_does_not_start() {
    let (_, health) = tonic_health::server::health_reporter();
    let running = run(|server| server.add(health)).await;
    assert!(matches!(running.done.await.unwrap(), Err(Error::NotOurs("grpc.health.v1.Health"))));
}

#[tokio::test]
async fn health_and_reflection_need_no_token() {
    let running = run(|server| server.reflection(true)).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(running.pool.clone());
    let asked = tonic_health::pb::HealthCheckRequest { service: "adplane.operations.v1.OperationService".to_owned() };
    assert_eq!(health.check(asked).await.unwrap().into_inner().status, 1);
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(running.pool.clone());
    let asked = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(tonic_reflection::pb::v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let answers = reflection.server_reflection_info(futures::stream::iter([asked])).await.unwrap();
    assert!(answers.into_inner().next().await.unwrap().is_ok());
}

#[tokio::test]
async fn plain_http_is_served_on_the_same_port() {
    let running = run(|server| server.http(Router::new().route("/hello", get(async || "hello")))).await;
    let request = Request::get("/hello").body(Body::empty()).unwrap();
    let answer = running.pool.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn at_a_public_door_internal_methods_do_not_exist() {
    let path = "/adplane.auth.v1.CredentialService/LeaseCredential";
    let nowhere = tower::service_fn(async |_: Request<Body>| Ok(Response::new(Body::empty())));
    let running = run(|server| server.public().forward(nowhere)).await;
    let status = running.raw(path, b"").await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"));
}

#[tokio::test]
async fn a_hidden_method_is_not_forwarded_although_it_is_open() {
    let path = "/adplane.auth.v1.IdentityService/ExchangeServiceToken";
    let nowhere = tower::service_fn(async |_: Request<Body>| Ok(Response::new(Body::empty())));
    let running = run(|server| server.public().hide(path).forward(nowhere)).await;
    let status = running.raw(path, b"").await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"));
}

#[tokio::test]
async fn what_is_not_here_is_forwarded_once_it_may_pass() {
    let message = GetOperationResponse { operation: Some(Operation { name: name(9), ..Operation::default() }) };
    let answer = frame(&message.encode_to_vec());
    let elsewhere = tower::service_fn(move |request: Request<Body>| {
        let answer = answer.clone();
        async move {
            assert!(request.headers().contains_key("authorization"), "the caller's token travels on");
            let trailers = async { Some(Ok([(Status::GRPC_STATUS, "0".parse().unwrap())].into_iter().collect())) };
            let response = Response::builder().header("content-type", "application/grpc");
            Ok(response.body(Body::new(Full::new(answer).with_trailers(trailers))).unwrap())
        }
    });
    let issuer = Issuer::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool::new(&format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    let server = Server::new("gateway", issuer.verifier()).public().forward(elsewhere);
    let stop = CancellationToken::new();
    let call = async {
        let mut client = OperationServiceClient::new(pool);
        let mut request = tonic::Request::new(GetOperationRequest::default());
        let refused = client.get_operation(GetOperationRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        let token = format!("Bearer {}", issuer.token("acme", &["operations.read"]));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        let answered = client.get_operation(request).await.unwrap().into_inner();
        assert_eq!(answered.operation.unwrap().name, name(9));
        stop.cancel();
    };
    let (served, ()) = tokio::join!(server.serve(listener, stop.clone()), call);
    served.unwrap();
}

#[tokio::test]
async fn an_answer_names_its_trace() {
    let running = run(|server| server).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let request = Request::post(GET).header("content-type", "application/grpc").header("traceparent", trace);
    let answer = running.pool.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["x-adplane-trace-id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn a_stop_ends_streams_well_and_finishes_what_runs() {
    let running = run(|server| server).await;
    let mut request = tonic::Request::new(WatchOperationRequest { name: name(1), resume_token: String::new() });
    let token = format!("Bearer {}", running.issuer.token("acme", &["*"]));
    request.metadata_mut().insert("authorization", token.parse().unwrap());
    let changes = OperationServiceClient::new(running.pool.clone()).watch_operation(request).await.unwrap();
    let mut changes = changes.into_inner();
    assert!(changes.next().await.unwrap().is_ok());
    running.stop.cancel();
    assert!(changes.next().await.is_none(), "the stream ends with OK");
    let done = tokio::time::timeout(Duration::from_secs(9), running.done).await;
    done.expect("it stops at once, not after the time for draining").unwrap().unwrap();
}

#[tokio::test]
async fn keys_are_read_from_auth() {
    let issuer = Arc::new(Issuer::new());
    let keys = issuer.jwks().clone();
    let routes = Router::new().route("/.well-known/jwks.json", get(async move || axum::Json(keys)));
    let auth = run(|server| server.http(routes)).await;
    let verifier = crate::token::Verifier::new(crate::token::Keys::of_auth(auth.pool.clone()));
    assert!(verifier.verify(&issuer.token("acme", &[])).await.is_ok());
    let forged = Issuer::new().token("acme", &[]);
    assert!(verifier.verify(&forged).await.is_err());
}

#[tokio::test]
async fn a_service_gets_its_token_from_auth_once() {
    let issuer = Issuer::new();
    let answer = proto::auth::v1::ExchangeServiceTokenResponse {
        token: issuer.service_token("campaigns"),
        expire_time: Some(prost_types::Timestamp { seconds: 4_102_444_800, nanos: 0 }),
    };
    let answer = frame(&answer.encode_to_vec());
    let exchanges = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&exchanges);
    let auth = run(|server| {
        server.forward(tower::service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let body = Full::new(answer.clone())
                .with_trailers(async { Some(Ok([(Status::GRPC_STATUS, "0".parse().unwrap())].into_iter().collect())) });
            let response = Response::builder().header("content-type", "application/grpc").body(Body::new(body));
            async move { Ok(response.unwrap()) }
        }))
    })
    .await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    let settings = crate::PeerSettings {
        endpoint: format!("http://{}", auth.pool.authority()),
        service_secret_file: secret.path().to_owned(),
        ..Default::default()
    };
    let identity = crate::ServiceIdentity::of_service("campaigns", &settings).unwrap();
    for _ in 0..2 {
        let header = identity.header().await.unwrap().unwrap();
        assert!(header.is_sensitive());
        let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let verified = issuer.verifier().verify(token).await.unwrap();
        assert_eq!(verified.service.as_deref(), Some("campaigns"));
    }
    assert_eq!(exchanges.load(std::sync::atomic::Ordering::Relaxed), 1);
}
