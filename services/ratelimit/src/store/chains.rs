//! The audit of this service, served to auth.

use proto::auth::v1 as pb;
use rpc::{ChainQuery, ChainStore};
use storage::{
    Postgres,
    audit::{self, Head, Listing, Recorded},
};
use tonic::Status;
use vocabulary::{ids::TenantId, names};

use crate::error::Error;

/// The chains in this service's schema.
pub(crate) struct Chains(pub(crate) Postgres);

#[tonic::async_trait]
impl ChainStore for Chains {
    async fn entries(
        &self,
        tenant: &TenantId,
        query: ChainQuery<'_>,
    ) -> Result<(pb::ChainHead, Vec<pb::ChainEntry>), Status> {
        let client = self.0.client().await.map_err(Error::Postgres)?;
        let head = audit::head(&client, tenant.as_str()).await.map_err(Error::Postgres)?;
        let listing = Listing {
            actor: &query.filter.actor,
            action: &query.filter.action,
            resource_prefix: &query.filter.resource,
            from: query.from,
            until: query.until,
            after: query.after,
            size: query.size,
        };
        let entries = audit::list(&client, tenant.as_str(), listing).await.map_err(Error::Postgres)?;
        Ok((chain_head(names::of_tenant(tenant), head), entries.into_iter().map(chain_entry).collect()))
    }

    async fn heads(&self, after: &str, size: usize) -> Result<Vec<pb::ChainHead>, Status> {
        let client = self.0.client().await.map_err(Error::Postgres)?;
        let heads = audit::heads(&client, after, size).await.map_err(Error::Postgres)?;
        Ok(heads.into_iter().map(|(tenant, head)| chain_head(format!("tenants/{tenant}"), Some(head))).collect())
    }
}

fn chain_head(tenant: String, head: Option<Head>) -> pb::ChainHead {
    pb::ChainHead {
        tenant,
        sequence: head.map_or(0, |head| head.sequence),
        hash: head.map(|head| head.hash.to_vec()).unwrap_or_default(),
    }
}

fn chain_entry(entry: Recorded) -> pb::ChainEntry {
    let time = prost_types::Timestamp { seconds: entry.written.as_second(), nanos: entry.written.subsec_nanosecond() };
    pb::ChainEntry {
        sequence: entry.sequence,
        write_time: Some(time),
        actor: entry.actor,
        action: entry.action,
        resource: entry.resource,
        request_id: entry.request_id.map(|id| id.to_string()).unwrap_or_default(),
        detail: entry.detail_text,
        previous: entry.previous,
        hash: entry.hash,
    }
}
