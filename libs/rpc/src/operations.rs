//! Long work, served from a service's own rows: get, list, cancel, and every change as a stream.

use std::time::Duration;

use aws_lc_rs::digest;
use futures::{Stream, StreamExt, stream};
use prost::Message;
use proto::operations::v1::operation_service_server::OperationService;
use proto::operations::v1::{
    CancelOperationRequest, CancelOperationResponse, GetOperationRequest, GetOperationResponse, ListOperationsRequest,
    ListOperationsResponse, Operation, OperationFilter, WatchOperationRequest, WatchOperationResponse,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;
use vocabulary::ids::{IdError, OperationId, RequestId, TenantId};
use vocabulary::names;
use vocabulary::page::{PageRequest, PageTokens};

use crate::caller::{Caller, open};
use crate::fault::{self, ErrorReason, Fault, FieldError};
use crate::server::stopping;

const POLL_EVERY: Duration = Duration::from_millis(250);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(15);

/// Where a service keeps its long work. What another tenant owns is not there.
#[tonic::async_trait]
pub trait OperationStore: Send + Sync + 'static {
    /// `None` where the tenant has no such operation.
    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, Status>;

    /// A page, newest first. `filter.service` is this service or empty.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &OperationFilter,
        page: &PageRequest,
    ) -> Result<OperationPage, Status>;

    /// Asks it to stop; what is done already stays. `None` where the caller's tenant has no such operation. Who asked is in
    /// the audit as [`CANCEL`], under the operation's name.
    async fn cancel(&self, caller: &Caller, asked: Asked<'_>) -> Result<Option<Operation>, Status>;
}

/// What the audit calls a wish for an operation to stop.
pub const CANCEL: &str = "operation.cancel";

/// Which operation is to stop.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its row.
    pub id: Uuid,
    /// Its name, for the audit.
    pub name: &'a str,
    /// The request's key, where there is one.
    pub request_id: Option<Uuid>,
}

/// A page of operations.
#[derive(Debug, Clone, Default)]
pub struct OperationPage {
    /// Newest first, at most as many as were asked for.
    pub operations: Vec<Operation>,
    /// The key of the last one, where more follow; it comes back as `PageRequest::after`.
    pub next: Option<String>,
}

/// `OperationService` over a store.
pub struct OperationApi<S> {
    service: &'static str,
    store: std::sync::Arc<S>,
    tokens: PageTokens,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no operation {0}")]
struct Missing(String);

impl Fault for Missing {
    fn code(&self) -> Code {
        Code::NotFound
    }

    fn reason(&self) -> ErrorReason {
        ErrorReason::NotFound
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        vec![("resource", self.0.clone())]
    }
}

impl<S: OperationStore> OperationApi<S> {
    /// `service` is the name that stands in the operations' names.
    pub fn new(service: &'static str, store: S, tokens: PageTokens) -> Self {
        Self { service, store: std::sync::Arc::new(store), tokens }
    }

    async fn find(&self, tenant: &TenantId, name: &str) -> Result<(Uuid, Operation), Status> {
        let id = self.id(name)?;
        let found = self.store.get(tenant, id).await?;
        found.map(|operation| (id, operation)).ok_or_else(|| missing(name))
    }

    /// Another service's operation is not here, which is all that the caller needs to know.
    fn id(&self, name: &str) -> Result<Uuid, Status> {
        let id: OperationId =
            names::operation(name).map_err(|error| FieldError::new("name", error.to_string(), "RESOURCE_NAME"))?;
        if id.service == self.service { Ok(id.id) } else { Err(missing(name)) }
    }
}

fn missing(name: &str) -> Status {
    fault::status(&Missing(name.to_owned()))
}

#[tonic::async_trait]
impl<S: OperationStore> OperationService for OperationApi<S> {
    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<GetOperationResponse>, Status> {
        let (caller, request) = open(request)?;
        let (_, operation) = self.find(&caller.tenant, &request.name).await?;
        Ok(Response::new(GetOperationResponse { operation: Some(operation) }))
    }

    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        let (caller, request) = open(request)?;
        let filter = request.filter.unwrap_or_default();
        let bytes = filter.encode_to_vec();
        let page = self.tokens.request(&caller.tenant, &bytes, request.page_size, &request.page_token);
        let page = page.map_err(FieldError::from)?;
        if !filter.service.is_empty() && filter.service != self.service {
            return Ok(Response::new(ListOperationsResponse::default()));
        }
        let found = self.store.list(&caller.tenant, &filter, &page).await?;
        let next = found.next.map(|key| self.tokens.seal(&caller.tenant, &bytes, &key));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(ListOperationsResponse { operations: found.operations, next_page_token }))
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<CancelOperationResponse>, Status> {
        let (caller, request) = open(request)?;
        let malformed = |error: IdError| FieldError::new("request_id", error.to_string(), "UUID");
        let request_id = Some(&request.request_id).filter(|id| !id.is_empty());
        let request_id = request_id.map(|id| id.parse::<RequestId>().map_err(malformed)).transpose()?;
        let (id, operation) = self.find(&caller.tenant, &request.name).await?;
        if request.validate_only || operation.done {
            return Ok(Response::new(CancelOperationResponse { operation: Some(operation) }));
        }
        let asked = Asked { id, name: &request.name, request_id: request_id.map(|id| id.0) };
        let operation = self.store.cancel(&caller, asked).await?;
        let operation = operation.ok_or_else(|| missing(&request.name))?;
        Ok(Response::new(CancelOperationResponse { operation: Some(operation) }))
    }

    type WatchOperationStream = std::pin::Pin<Box<dyn Stream<Item = Result<WatchOperationResponse, Status>> + Send>>;

    async fn watch_operation(
        &self,
        request: Request<WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let (caller, request) = open(request)?;
        let (id, _) = self.find(&caller.tenant, &request.name).await?;
        let watch = Watch {
            store: std::sync::Arc::clone(&self.store),
            tenant: caller.tenant,
            id,
            seen: request.resume_token,
            said: Instant::now(),
            stop: stopping(),
            ended: false,
        };
        let changes = stream::unfold(watch, |mut watch| async { Some((watch.next().await?, watch)) });
        Ok(Response::new(changes.boxed()))
    }
}

/// One caller who watches one operation. It ends when the operation is done, when the operation is swept away, and when
/// the server stops; in the last case the caller resumes with the last token.
struct Watch<S> {
    store: std::sync::Arc<S>,
    tenant: TenantId,
    id: Uuid,
    /// The token of what the caller has seen.
    seen: String,
    /// When the last message went out.
    said: Instant,
    stop: CancellationToken,
    ended: bool,
}

impl<S: OperationStore> Watch<S> {
    async fn next(&mut self) -> Option<Result<WatchOperationResponse, Status>> {
        while !self.ended {
            let operation = match self.store.get(&self.tenant, self.id).await {
                Ok(operation) => operation?,
                Err(status) => {
                    self.ended = true;
                    return Some(Err(status));
                }
            };
            self.ended = operation.done;
            let token = token_of(&operation);
            if token != self.seen {
                return Some(Ok(self.say(token, Some(operation))));
            }
            if !self.ended && self.said.elapsed() >= CHECKPOINT_EVERY {
                return Some(Ok(self.say(token, None)));
            }
            if !self.ended {
                self.stop.run_until_cancelled(tokio::time::sleep(POLL_EVERY)).await?;
            }
        }
        None
    }

    fn say(&mut self, token: String, operation: Option<Operation>) -> WatchOperationResponse {
        self.seen.clone_from(&token);
        self.said = Instant::now();
        WatchOperationResponse { checkpoint: operation.is_none(), operation, resume_token: token }
    }
}

/// What identifies a state of an operation: a hash of it, so that nothing has to be kept per watcher.
fn token_of(operation: &Operation) -> String {
    use base64::Engine;
    let digest = digest::digest(&digest::SHA256, &operation.encode_to_vec());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests;
