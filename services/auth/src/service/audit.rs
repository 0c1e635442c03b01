//! `AuditService`, over the chains that auth itself keeps.

use prost::Message;
use proto::auth::v1::{self as pb, audit_service_server::AuditService};
use storage::audit::{self, Break, Listing, Recorded, Verdict};
use tonic::{Request, Response, Status};
use vocabulary::page::PageError;

use super::{Common, open};
use crate::{error::Error, wire};

/// The surface of the audit.
pub struct AuditApi {
    /// What all have at hand.
    pub common: Common,
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        let (by, request) = open(request)?;
        let filter = request.filter.unwrap_or_default();
        let bytes = filter.encode_to_vec();
        let page = self.common.pages.request(&by.tenant, &bytes, request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let after = page.after.as_deref().map_or(Ok(0), str::parse).map_err(|_| Error::from(PageError::Token))?;
        let listing = Listing {
            actor: &filter.actor,
            action: &filter.action,
            resource_prefix: &filter.resource,
            from: wire::moment("filter.from_time", filter.from_time)?,
            until: wire::moment("filter.until_time", filter.until_time)?,
            after,
            size: page.size + 1,
        };
        let client = self.common.store.client().await.map_err(Error::from)?;
        let mut rows = audit::list(&client, by.tenant.as_str(), listing).await.map_err(Error::from)?;
        let next = wire::cut(&mut rows, &page, |entry| entry.sequence.to_string());
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, &bytes, &key)).unwrap_or_default();
        let entries = rows.into_iter().map(entry).collect();
        Ok(Response::new(pb::ListAuditEntriesResponse { entries, next_page_token }))
    }

    async fn verify_audit_chain(
        &self,
        request: Request<pb::VerifyAuditChainRequest>,
    ) -> Result<Response<pb::VerifyAuditChainResponse>, Status> {
        let (by, _) = open(request)?;
        let client = self.common.store.client().await.map_err(Error::from)?;
        let verdict = audit::verify(&client, by.tenant.as_str(), None).await.map_err(Error::from)?;
        Ok(Response::new(match verdict {
            Verdict::Whole(head) => pb::VerifyAuditChainResponse {
                intact: true,
                entries: head.map_or(0, |head| head.sequence),
                ..pb::VerifyAuditChainResponse::default()
            },
            Verdict::Broken { sequence, how } => pb::VerifyAuditChainResponse {
                intact: false,
                entries: sequence - 1,
                broken_sequence: sequence,
                problem: problem(how).to_owned(),
            },
        }))
    }
}

fn entry(entry: Recorded) -> pb::AuditEntry {
    pb::AuditEntry {
        sequence: entry.sequence,
        create_time: Some(wire::timestamp(entry.written)),
        actor: entry.actor,
        action: entry.action,
        resource: entry.resource,
        request_id: entry.request_id.map(|id| id.to_string()).unwrap_or_default(),
        detail: entry.detail.to_string(),
        hash: hex::encode(entry.hash),
    }
}

fn problem(how: Break) -> &'static str {
    match how {
        Break::Edited => "its content does not give its hash: it was edited",
        Break::Missing => "it is missing",
        Break::Unlinked => "it does not follow the entry before it",
        Break::Rewritten => "the chain was rewritten since its head was kept elsewhere",
        Break::Head => "the tenant's head does not name the last entry",
    }
}
