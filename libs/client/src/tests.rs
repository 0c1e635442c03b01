use std::sync::Mutex;

use futures::TryStreamExt;
use proto::common::v1::RowError;
use proto::operations::v1::operation::Outcome;
use proto::operations::v1::operation_service_server::OperationServiceServer;
use proto::operations::v1::{CancelOperationRequest, GetOperationRequest, Operation, OperationFilter};
use rpc::testing::Issuer;
use rpc::{Code, ErrorReason, Fault, OperationApi, OperationPage, OperationStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use vocabulary::page::{PageRequest, PageTokens};

use super::*;

const NAME: &str = "operations/campaigns-5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11";

#[derive(Debug, thiserror::Error)]
#[error("away")]
struct Away(Code);

impl Fault for Away {
    fn code(&self) -> Code {
        self.0
    }

    fn reason(&self) -> ErrorReason {
        ErrorReason::StoreUnavailable
    }
}

/// Fails as often as it is told, then answers; the operation is done when it was read `done_after` times.
struct Store {
    failures: Mutex<Vec<Code>>,
    reads: Mutex<usize>,
    done_after: usize,
}

#[tonic::async_trait]
impl OperationStore for Store {
    async fn get(&self, _: &TenantId, _: uuid::Uuid) -> Result<Option<Operation>, Status> {
        if let Some(code) = self.failures.lock().unwrap().pop() {
            return Err(rpc::status(&Away(code)));
        }
        let mut reads = self.reads.lock().unwrap();
        *reads += 1;
        Ok(Some(Operation { name: NAME.to_owned(), done: *reads > self.done_after, ..Operation::default() }))
    }

    async fn list(&self, _: &TenantId, _: &OperationFilter, page: &PageRequest) -> Result<OperationPage, Status> {
        let number: usize = page.after.as_deref().map_or(0, |after| after.parse().unwrap());
        let operations = vec![Operation { name: number.to_string(), ..Operation::default() }];
        Ok(OperationPage { operations, next: (number < 2).then(|| (number + 1).to_string()) })
    }

    async fn cancel(&self, caller: &rpc::Caller, asked: rpc::Asked<'_>) -> Result<Option<Operation>, Status> {
        self.get(&caller.tenant, asked.id).await
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own task, ended with its runtime")]
async fn client(failures: &[Code], done_after: usize) -> Client {
    let issuer = Issuer::new();
    let store = Store { failures: Mutex::new(failures.to_vec()), reads: Mutex::default(), done_after };
    let api = OperationApi::new("campaigns", store, PageTokens::new(b"key"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = rpc::Server::new("campaigns", issuer.verifier()).add(OperationServiceServer::new(api));
    tokio::spawn(server.serve(listener, CancellationToken::new()));
    Client::connect(&address, &issuer.token("acme", &["*"])).unwrap()
}

async fn get(client: &Client) -> Result<(), Code> {
    let request = GetOperationRequest { name: NAME.to_owned() };
    client.operations().get_operation(request).await.map(drop).map_err(|status| status.code())
}

async fn cancel(client: &Client, request_id: &str) -> Result<(), Code> {
    let request = CancelOperationRequest {
        name: NAME.to_owned(),
        request_id: request_id.to_owned(),
        ..CancelOperationRequest::default()
    };
    client.operations().cancel_operation(request).await.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn a_read_is_tried_four_times_while_the_service_is_away() {
    assert_eq!(get(&client(&[Code::Unavailable; 3], 9).await).await, Ok(()));
    assert_eq!(get(&client(&[Code::Unavailable; 4], 9).await).await, Err(Code::Unavailable));
}

#[tokio::test]
async fn nothing_else_is_tried_again() {
    for code in [Code::Internal, Code::ResourceExhausted, Code::DeadlineExceeded, Code::Unknown] {
        assert_eq!(get(&client(&[code], 9).await).await, Err(code));
    }
}

#[tokio::test]
async fn a_write_is_tried_again_only_with_a_request_id() {
    let id = "5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11";
    assert_eq!(cancel(&client(&[Code::Unavailable], 9).await, id).await, Ok(()));
    assert_eq!(cancel(&client(&[Code::Unavailable], 9).await, "").await, Err(Code::Unavailable));
}

#[tokio::test]
async fn a_wait_ends_when_the_operation_is_done() {
    let client = client(&[], 2).await;
    let mut seen = 0;
    let done = client.wait(NAME, |_| seen += 1).await.unwrap();
    assert!(done.done && seen == 2, "seen {seen} times");
}

#[tokio::test]
async fn a_list_is_walked_to_its_end() {
    let client = client(&[], 9).await;
    let all = list_all(async |page_token| {
        let request = proto::operations::v1::ListOperationsRequest { page_token, ..Default::default() };
        let page = client.operations().list_operations(request).await?.into_inner();
        Ok((page.operations, page.next_page_token))
    });
    let names: Vec<String> = all.map_ok(|operation| operation.name).try_collect().await.unwrap();
    assert_eq!(names, ["0", "1", "2"]);
}

#[test]
fn an_operation_that_ended_badly_says_why() {
    let error = RowError { reason: "GUARDRAIL".to_owned(), ..RowError::default() };
    let operation = Operation { outcome: Some(Outcome::Error(error)), ..Operation::default() };
    assert!(matches!(result::<Operation>(&operation), Err(Error::Operation(error)) if error.reason == "GUARDRAIL"));
}

#[test]
fn an_address_is_plain_http() {
    assert!(matches!(Client::connect("localhost:7400", "t"), Err(Error::Address(_))));
    assert!(matches!(Client::connect("http://localhost:7400", "a\nb"), Err(Error::Token)));
}
