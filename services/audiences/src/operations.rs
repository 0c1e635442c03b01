//! Long work: what callers see of it, and where `OperationService` finds it.

use prost::Message;
use proto::operations::v1::{Operation, OperationFilter, OperationMetadata, operation::Outcome};
use rpc::{Asked, CANCEL, Caller, OperationPage, OperationStore};
use storage::{
    audit::Entry,
    operations::{Listing, Operations, Stored},
};
use tonic::Status;
use uuid::Uuid;
use vocabulary::{
    ids::{OperationId, TenantId},
    names,
    page::PageRequest,
};

use crate::error::Error;

/// The rows of this service.
#[derive(Debug, Clone)]
pub(crate) struct Rows(pub Operations);

#[tonic::async_trait]
impl OperationStore for Rows {
    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, Status> {
        let stored = self.0.get(tenant.as_str(), id).await.map_err(Error::from)?;
        Ok(stored.as_ref().map(read).transpose()?)
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &OperationFilter,
        page: &PageRequest,
    ) -> Result<OperationPage, Status> {
        let listing = Listing {
            resource: &filter.resource,
            done: filter.done,
            // The key was sealed by us; one that is no UUID would be of an older version, and begins anew.
            after: page.after.as_deref().and_then(|key| key.parse().ok()),
            size: page.size + 1,
        };
        let mut stored = self.0.list(tenant.as_str(), listing).await.map_err(Error::from)?;
        let more = stored.len() > page.size;
        stored.truncate(page.size);
        let next = stored.last().filter(|_| more).map(|last| last.id.to_string());
        let operations: Result<_, Error> = stored.iter().map(read).collect();
        Ok(OperationPage { operations: operations?, next })
    }

    async fn cancel(&self, caller: &Caller, asked: Asked<'_>) -> Result<Option<Operation>, Status> {
        let entry = Entry {
            tenant: caller.tenant.as_str(),
            actor: &caller.subject,
            action: CANCEL,
            resource: asked.name,
            request_id: asked.request_id,
            detail: serde_json::json!({}),
        };
        let stored = self.0.cancel(asked.id, entry).await.map_err(Error::from)?;
        Ok(stored.as_ref().map(read).transpose()?)
    }
}

/// The operation as its row has it: the times and the request to stop are the row's, which is always newer.
pub(crate) fn read(stored: &Stored) -> Result<Operation, Error> {
    let mut operation = Operation::decode(stored.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
    let metadata = operation.metadata.get_or_insert_default();
    metadata.cancel_requested = stored.cancel_requested;
    metadata.create_time = Some(stamp(stored.created));
    metadata.update_time = Some(stamp(stored.updated));
    Ok(operation)
}

/// The name of an operation of this service.
pub(crate) fn name(id: Uuid) -> String {
    names::of_operation(&OperationId { service: crate::NAME.to_owned(), id })
}

/// One that was just accepted.
pub(crate) fn begun(id: Uuid, resource: &str, phase: &str) -> Operation {
    let metadata =
        OperationMetadata { resource: resource.to_owned(), phase: phase.to_owned(), ..OperationMetadata::default() };
    Operation { name: name(id), done: false, metadata: Some(metadata), outcome: None }
}

/// The same, ended well; `message` is the name of the result's type in this service's package.
pub(crate) fn succeeded(mut operation: Operation, message: &str, result: &impl Message) -> Operation {
    operation.done = true;
    let type_url = format!("type.googleapis.com/adplane.audiences.v1.{message}");
    operation.outcome = Some(Outcome::Result(prost_types::Any { type_url, value: result.encode_to_vec() }));
    operation
}

/// The same, ended badly.
pub(crate) fn failed(mut operation: Operation, error: &Error) -> Operation {
    operation.done = true;
    operation.outcome = Some(Outcome::Error(rpc::row_error(error)));
    operation
}

fn stamp(time: jiff::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
