use std::sync::Mutex;

use super::*;
use crate::caller::{Principal, Scopes, Tenants};

const ID: &str = "5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11";

/// One operation of the tenant `acme`.
pub(crate) struct OneOperation(pub(crate) Mutex<Operation>);

impl OneOperation {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Operation { name: name(), ..Operation::default() }))
    }

    fn now(&self) -> Operation {
        self.0.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl OperationStore for OneOperation {
    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, Status> {
        Ok((tenant.as_str() == "acme" && id.to_string() == ID).then(|| self.now()))
    }

    async fn list(&self, tenant: &TenantId, _: &OperationFilter, page: &PageRequest) -> Result<OperationPage, Status> {
        match (tenant.as_str(), page.after.as_deref()) {
            ("acme", None) => Ok(OperationPage { operations: vec![self.now()], next: Some(ID.to_owned()) }),
            _ => Ok(OperationPage::default()),
        }
    }

    async fn cancel(&self, caller: &Caller, asked: Asked<'_>) -> Result<Option<Operation>, Status> {
        self.0.lock().unwrap().metadata.get_or_insert_default().cancel_requested = true;
        assert_eq!(asked.name, name());
        self.get(&caller.tenant, asked.id).await
    }
}

pub(crate) fn name() -> String {
    format!("operations/campaigns-{ID}")
}

fn api() -> OperationApi<OneOperation> {
    OperationApi::new("campaigns", OneOperation::new(), PageTokens::new(b"key"))
}

fn of<T>(tenant: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Principal {
        tenant: Some(tenant.parse().unwrap()),
        tenants: Tenants::All,
        subject: "callers/1".into(),
        scopes: Scopes::All,
        service: None,
        token: None,
        suspended: false,
    });
    request
}

fn get(name: &str) -> GetOperationRequest {
    GetOperationRequest { name: name.to_owned() }
}

#[tokio::test]
async fn another_tenants_operation_is_not_there() {
    assert!(api().get_operation(of("acme", get(&name()))).await.is_ok());
    let status = api().get_operation(of("other", get(&name()))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn another_services_operation_is_not_there() {
    let status = api().get_operation(of("acme", get(&format!("operations/insights-{ID}")))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let status = api().get_operation(of("acme", get("operations/1"))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_list_goes_on_where_the_page_before_ended() {
    let api = api();
    let request = ListOperationsRequest::default();
    let first = api.list_operations(of("acme", request.clone())).await.unwrap().into_inner();
    assert_eq!(first.operations.len(), 1);
    let next = ListOperationsRequest { page_token: first.next_page_token.clone(), ..request.clone() };
    let last = api.list_operations(of("acme", next.clone())).await.unwrap().into_inner();
    assert!(last.operations.is_empty() && last.next_page_token.is_empty());
    let stolen = api.list_operations(of("other", next)).await.unwrap_err();
    assert_eq!(stolen.code(), Code::InvalidArgument);
    let negative = api.list_operations(of("acme", ListOperationsRequest { page_size: -1, ..request })).await;
    assert_eq!(negative.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn checking_a_cancellation_cancels_nothing() {
    let api = api();
    let request = CancelOperationRequest { name: name(), validate_only: true, ..CancelOperationRequest::default() };
    api.cancel_operation(of("acme", request.clone())).await.unwrap();
    assert!(api.store.now().metadata.is_none());
    api.cancel_operation(of("acme", CancelOperationRequest { validate_only: false, ..request })).await.unwrap();
    assert!(api.store.now().metadata.unwrap().cancel_requested);
}

#[tokio::test(start_paused = true)]
async fn a_watch_shows_each_state_once_and_ends_when_it_is_done() {
    let api = api();
    let watch = WatchOperationRequest { name: name(), resume_token: String::new() };
    let mut changes = api.watch_operation(of("acme", watch.clone())).await.unwrap().into_inner();
    let first = changes.next().await.unwrap().unwrap();
    assert!(first.operation.is_some() && !first.checkpoint);
    let second = changes.next().await.unwrap().unwrap();
    assert!(second.operation.is_none() && second.checkpoint, "nothing changed for 15 seconds");

    let resumed = WatchOperationRequest { resume_token: first.resume_token, ..watch };
    let mut resumed = api.watch_operation(of("acme", resumed)).await.unwrap().into_inner();
    assert!(resumed.next().await.unwrap().unwrap().checkpoint, "what was seen is not sent again");

    api.store.0.lock().unwrap().done = true;
    assert!(changes.next().await.unwrap().unwrap().operation.unwrap().done);
    assert!(changes.next().await.is_none());
}
