//! The gateway over real sockets, with a service of ours behind it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use http::Request as HttpRequest;
use http_body_util::{BodyExt, Full};
use proto::{
    gateway::v1::{GetCallerRequest, system_service_client::SystemServiceClient},
    insights::v1::{
        self as pb,
        field_service_client::FieldServiceClient,
        field_service_server::{FieldService, FieldServiceServer},
    },
    operations::v1::{
        GetOperationRequest, Operation, OperationFilter, WatchOperationRequest,
        operation_service_client::OperationServiceClient, operation_service_server::OperationServiceServer,
    },
};
use rpc::{OperationApi, OperationPage, OperationStore, Pool, Server, testing::Issuer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, body::Body};
use tonic_types::StatusExt;
use tower::ServiceExt;
use uuid::Uuid;
use vocabulary::{
    ids::TenantId,
    page::{PageRequest, PageTokens},
};

use crate::{Settings, stack};

/// Answers with the names of the headers it got, and refuses one kind of question.
struct Echo;

#[tonic::async_trait]
impl FieldService for Echo {
    async fn list_fields(
        &self,
        request: Request<pb::ListFieldsRequest>,
    ) -> Result<Response<pb::ListFieldsResponse>, Status> {
        if request.get_ref().page_size < 0 {
            return Err(rpc::FieldError::new("page_size", "must not be negative", "PAGE").into());
        }
        let headers = request.metadata().clone().into_headers();
        let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| pb::Field {
            name: name.as_str().to_owned(),
            retired: value.to_str().unwrap_or_default().to_owned(),
            ..pb::Field::default()
        };
        Ok(Response::new(pb::ListFieldsResponse { fields: headers.iter().map(field).collect(), ..Default::default() }))
    }

    async fn validate_query(
        &self,
        _: Request<pb::ValidateQueryRequest>,
    ) -> Result<Response<pb::ValidateQueryResponse>, Status> {
        std::future::pending().await
    }
}

/// An operation that is done when it is looked at for the third time.
#[derive(Default)]
struct Work(AtomicU32);

#[tonic::async_trait]
impl OperationStore for Work {
    async fn get(&self, _: &TenantId, id: Uuid) -> Result<Option<Operation>, Status> {
        let looks = self.0.fetch_add(1, Ordering::Relaxed);
        let name = format!("operations/insights-{id}");
        Ok(Some(Operation { name, done: looks >= 2, ..Operation::default() }))
    }

    async fn list(&self, _: &TenantId, _: &OperationFilter, _: &PageRequest) -> Result<OperationPage, Status> {
        Ok(OperationPage::default())
    }

    async fn cancel(&self, _: &rpc::Caller, _: rpc::Asked<'_>) -> Result<Option<Operation>, Status> {
        Ok(None)
    }
}

struct Running {
    issuer: Issuer,
    gateway: Pool,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A gateway with `insights` behind it; `audiences` is set up and away, `campaigns` is not set up.
#[expect(clippy::disallowed_methods, reason = "a test's own tasks, ended by their token")]
async fn run() -> Running {
    let (issuer, stop) = (Issuer::new(), CancellationToken::new());
    let operations = OperationApi::new("insights", Work::default(), PageTokens::new(b"key"));
    let behind = Server::new("insights", issuer.verifier())
        .add(FieldServiceServer::new(Echo))
        .add(OperationServiceServer::new(operations));
    let (listener, insights) = bind().await;
    tokio::spawn(behind.serve(listener, stop.clone()));

    let (nobody, away) = bind().await;
    drop(nobody);
    let services = [("insights", insights.clone()), ("audiences", away)];
    let settings = Settings {
        services: services.map(|(service, endpoint)| (service.to_owned(), endpoint)).into(),
        reflection: true,
        ..Settings::default()
    };
    let pools: BTreeMap<_, _> = stack::pools(&settings).unwrap();
    let auth = Pool::new(&insights.parse().unwrap());
    let server = stack::with(&settings, issuer.verifier(), pools, auth);
    let (listener, address) = bind().await;
    tokio::spawn(server.serve(listener, stop.clone()));
    Running { issuer, gateway: Pool::new(&address.parse().unwrap()), stop }
}

async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

impl Running {
    fn request<T>(&self, scopes: &[&str], message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.issuer.token("acme", scopes));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request
    }

    fn fields(&self) -> FieldServiceClient<Pool> {
        FieldServiceClient::new(self.gateway.clone())
    }

    /// A raw gRPC call with a token that may do everything.
    async fn raw(&self, path: &str) -> Status {
        let request = HttpRequest::post(path)
            .header("content-type", "application/grpc")
            .header("authorization", format!("Bearer {}", self.issuer.token("acme", &["*"])))
            .header("x-adplane-service-authorization", format!("Bearer {}", self.issuer.service_token("campaigns")))
            .body(Body::new(Full::new(vec![0, 0, 0, 0, 0].into())))
            .unwrap();
        let answer = self.gateway.clone().oneshot(request).await.unwrap();
        Status::from_header_map(answer.headers()).unwrap()
    }
}

/// The reason of the one ErrorInfo.
fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}")).reason
}

fn name(id: u128) -> String {
    format!("operations/insights-{}", Uuid::from_u128(id))
}

#[tokio::test]
async fn a_unary_call_is_forwarded_with_the_headers_that_may_pass() {
    let running = run().await;
    let mut request = running.request(&["insights.read"], pb::ListFieldsRequest::default());
    let service = format!("Bearer {}", running.issuer.service_token("campaigns"));
    for (name, value) in [("x-adplane-service-authorization", service.as_str()), ("x-other", "1"), ("baggage", "a=b")] {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    request.metadata_mut().insert("x-adplane-tenant", "acme".parse().unwrap());
    request.set_timeout(std::time::Duration::from_mins(60));
    let seen = running.fields().list_fields(request).await.unwrap().into_inner().fields;
    let header = |name: &str| seen.iter().find(|field| field.name == name).map(|field| field.retired.as_str());
    assert_eq!(header("x-adplane-tenant"), Some("acme"));
    assert!(header("authorization").is_some_and(|value| value.starts_with("Bearer ")));
    for dropped in ["x-adplane-service-authorization", "x-other", "baggage"] {
        assert_eq!(header(dropped), None, "{dropped}");
    }
    let timeout: u64 = header("grpc-timeout").unwrap().trim_end_matches('u').parse().unwrap();
    assert!(timeout <= 30_000_000, "no more than the method may take: {timeout} us");
}

#[tokio::test]
async fn an_answer_that_fails_behind_comes_as_it_is() {
    let running = run().await;
    let bad = pb::ListFieldsRequest { page_size: -1, ..Default::default() };
    let status = running.fields().list_fields(running.request(&["insights.read"], bad)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason(&status), "INVALID_FIELD");
    assert_eq!(status.get_details_error_info().unwrap().metadata["service"], "insights");
}

#[tokio::test]
async fn a_stream_is_forwarded_message_by_message() {
    let running = run().await;
    let watch = WatchOperationRequest { name: name(7), ..Default::default() };
    let mut client = OperationServiceClient::new(running.gateway.clone());
    let mut stream = client.watch_operation(running.request(&["operations.read"], watch)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(change) = stream.message().await.unwrap() {
        seen.push(change.operation.unwrap().done);
    }
    assert_eq!(seen, [false, true]);
}

#[tokio::test]
async fn operations_go_where_their_name_says() {
    let running = run().await;
    let get = async |name: String| {
        let request = running.request(&["operations.read"], GetOperationRequest { name });
        OperationServiceClient::new(running.gateway.clone()).get_operation(request).await
    };
    assert_eq!(get(name(7)).await.unwrap().into_inner().operation.unwrap().name, name(7));
    let nobodys = get(name(7).replace("insights", "nobody")).await.unwrap_err();
    assert_eq!((nobodys.code(), reason(&nobodys).as_str()), (Code::NotFound, "NOT_FOUND"));
    let away = get(name(7).replace("insights", "audiences")).await.unwrap_err();
    assert_eq!((away.code(), reason(&away).as_str()), (Code::Unavailable, "SERVICE_UNAVAILABLE"));
    assert!(away.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));
}

#[tokio::test]
async fn a_token_without_the_scope_is_refused_and_so_is_no_token() {
    let running = run().await;
    let request = running.request(&["insights.write"], pb::ListFieldsRequest::default());
    let status = running.fields().list_fields(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "SCOPE_MISSING"));
    let status = running.fields().list_fields(pb::ListFieldsRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "TOKEN_REFUSED"));
}

#[tokio::test]
async fn no_internal_method_can_be_reached_even_with_a_service_token() {
    let running = run().await;
    let internal: Vec<_> = rpc::methods::all()
        .filter(|method| method.scope == Some(rpc::methods::Scope::Internal))
        .map(|method| method.path.clone())
        .collect();
    assert!(!internal.is_empty());
    for path in internal {
        let status = running.raw(&path).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"), "{path}");
    }
}

#[tokio::test]
async fn a_method_that_nobody_has_is_unknown() {
    let running = run().await;
    for path in [
        "/adplane.insights.v1.FieldService/Nothing",
        "/adplane.nothing.v1.Service/Get",
        // Its service is not set up here.
        "/adplane.campaigns.v1.CampaignService/GetCampaign",
    ] {
        let status = running.raw(path).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"), "{path}");
    }
}

#[tokio::test]
async fn the_deadline_ends_a_call_that_hangs_behind() {
    let running = run().await;
    let mut request = running.request(&["insights.read"], pb::ValidateQueryRequest::default());
    request.set_timeout(std::time::Duration::from_millis(200));
    let status = running.fields().validate_query(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
}

#[tokio::test]
async fn a_caller_learns_who_it_is() {
    let running = run().await;
    let request = running.request(&["gateway.read", "insights.read"], GetCallerRequest {});
    let mut client = SystemServiceClient::new(running.gateway.clone());
    let caller = client.get_caller(request).await.unwrap().into_inner().caller.unwrap();
    assert_eq!((caller.subject.as_str(), caller.tenant.as_str()), ("callers/test", "acme"));
    assert_eq!(caller.scopes, ["gateway.read", "insights.read"]);
    assert!(caller.expire_time.is_some());
}

#[tokio::test]
async fn the_callback_page_speaks_plainly_and_repeats_nothing_of_its_address() {
    let running = run().await;
    let page = async |query: &str| {
        let request = HttpRequest::get(format!("/oauth/callback{query}")).body(Body::empty()).unwrap();
        let answer = running.gateway.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, text) = page("?error=access_denied&error_reason=%3Cscript%3E").await;
    assert!(status == 200 && text.contains("Nothing was connected") && !text.contains("script"), "{text}");
    let (status, text) = page("").await;
    assert!(status == 400 && text.contains("without a log-in"), "{text}");
    // No browser that began it. What stands for auth here is not asked: it has no such method.
    let state = "planted-state-of-forty-three-letters-in-all";
    let (status, text) = page(&format!("?state={state}&code=planted-code")).await;
    assert!(status == 400 && text.contains("not begun in this browser") && !text.contains("planted"), "{text}");
}
