//! `AuditService`, over the chains of all services.

use futures::StreamExt;
use prost::Message;
use proto::auth::v1::{self as pb, audit_service_server::AuditService};
use tonic::{Request, Response, Status};
use vocabulary::page::{PageError, PageRequest};

use super::{Common, export::Export, open};
use crate::{
    by::By,
    chains::{Chains, merging::Positions},
    error::Error,
    usage::Usage,
    verification::Verification,
    wire,
};

/// The surface of the audit.
pub struct AuditApi {
    /// What all have at hand.
    pub common: Common,
    /// The chains of all services.
    pub chains: Chains,
    /// Their check.
    pub verification: Verification,
    /// Counts of leases.
    pub usage: Usage,
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
        let page = self.page(&by, &bytes, request.page_size, &request.page_token)?;
        let after = page.after.as_deref().unwrap_or_default().parse().map_err(|()| Error::from(PageError::Token))?;
        let wanted = wire::wanted(filter)?;
        let view = self.chains.view(&by.tenant, &wanted, &after, page.size).await;
        let next = view.more.then(|| self.common.pages.seal(&by.tenant, &bytes, &view.positions.to_string()));
        let entries = view.entries.into_iter().map(|(service, entry)| wire::entry(&by.tenant, service, entry));
        Ok(Response::new(pb::ListAuditEntriesResponse {
            entries: entries.collect(),
            next_page_token: next.unwrap_or_default(),
            unreachable: view.unreachable,
        }))
    }

    type ExportAuditEntriesStream = futures::stream::BoxStream<'static, Result<pb::ExportAuditEntriesResponse, Status>>;

    async fn export_audit_entries(
        &self,
        request: Request<pb::ExportAuditEntriesRequest>,
    ) -> Result<Response<Self::ExportAuditEntriesStream>, Status> {
        let (by, request) = open(request)?;
        let filter = request.filter.unwrap_or_default();
        let covered = [b"export".as_slice(), &filter.encode_to_vec()].concat();
        let after = match request.resume_token.as_str() {
            "" => Positions::default(),
            token => self
                .common
                .pages
                .open(&by.tenant, &covered, token)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Error::field("resume_token", "must be one of ours, with the same filter", "TOKEN"))?,
        };
        let source = (self.chains.clone(), self.verification.clone());
        let tokens = (self.common.pages.clone(), covered);
        let export = Export::new(by.tenant, source, tokens, (wire::wanted(filter)?, after));
        Ok(Response::new(export.messages().boxed()))
    }

    async fn verify_audit_chain(
        &self,
        request: Request<pb::VerifyAuditChainRequest>,
    ) -> Result<Response<pb::VerifyAuditChainResponse>, Status> {
        let (by, request) = open(request)?;
        let span = wire::span(&request)?;
        Ok(Response::new(wire::report(self.verification.tenant(&by.tenant, span).await?)))
    }

    async fn list_credential_usage(
        &self,
        request: Request<pb::ListCredentialUsageRequest>,
    ) -> Result<Response<pb::ListCredentialUsageResponse>, Status> {
        let (by, request) = open(request)?;
        let filter = pb::ListCredentialUsageRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let bytes = filter.encode_to_vec();
        let page = self.page(&by, &bytes, request.page_size, &request.page_token)?;
        let mut counts = self.usage.list(&by, &wire::usage_listing(&request, &page)?).await?;
        let next = wire::cut(&mut counts, &page, wire::usage_page_key);
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, &bytes, &key)).unwrap_or_default();
        let usage = counts.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListCredentialUsageResponse { usage, next_page_token }))
    }
}

impl AuditApi {
    fn page(&self, by: &By, filter: &[u8], size: i32, token: &str) -> Result<PageRequest, Error> {
        Ok(self.common.pages.request(&by.tenant, filter, size, token)?)
    }
}
