//! Reports' operations for `OperationService`.

use prost::Message;
use proto::operations::v1::{Operation, OperationFilter};
use rpc::{Asked, CANCEL, Caller, OperationPage, OperationStore};
use storage::{
    audit::Entry,
    operations::{Listing, Operations, Stored},
};
use tonic::Status;
use uuid::Uuid;
use vocabulary::{ids::TenantId, page::PageRequest};

use crate::{Error, wire};

/// The rows of this service.
#[derive(Debug, Clone)]
pub(crate) struct Rows(pub Operations);

#[tonic::async_trait]
impl OperationStore for Rows {
    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, Status> {
        let stored = self.0.get(tenant.as_str(), id).await.map_err(Error::from)?;
        Ok(stored.as_ref().map(operation).transpose()?)
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
        let operations: Result<_, Error> = stored.iter().map(operation).collect();
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
        Ok(stored.as_ref().map(operation).transpose()?)
    }
}

fn operation(stored: &Stored) -> Result<Operation, Error> {
    let operation = Operation::decode(stored.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
    Ok(wire::with_cancellation(operation, stored.cancel_requested, stored.updated))
}
