//! `UsageService`: who used how much.

use std::sync::Arc;

use prost::Message;
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::usage_service_server::UsageService;
use tonic::{Request, Response, Status};
use vocabulary::page::{PageError, PageTokens};

use super::viewer;
use crate::error::Error;
use crate::explain::Explainer;
use crate::store::Columns;
use crate::trail::Trail;
use crate::wire::history;

/// Serves `UsageService`.
pub(crate) struct UsageApi {
    explainer: Explainer,
    trail: Arc<Trail>,
    pages: PageTokens,
}

impl UsageApi {
    pub(crate) fn new(explainer: Explainer, trail: Arc<Trail>, pages: PageTokens) -> Self {
        Self { explainer, trail, pages }
    }
}

#[tonic::async_trait]
impl UsageService for UsageApi {
    async fn query_usage(
        &self,
        request: Request<pb::QueryUsageRequest>,
    ) -> Result<Response<pb::QueryUsageResponse>, Status> {
        let (viewer, tenant, request) = viewer::open(request)?;
        let query = history::usage_query(&request, viewer, self.explainer.now_ms()).map_err(Error::Field)?;
        let covered = pb::QueryUsageRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let covered = covered.encode_to_vec();
        let page = self.pages.request(&tenant, &covered, request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let after = page.after.as_deref().map(serde_json::from_str::<Columns>).transpose();
        let after = after.map_err(|_| Error::from(PageError::Token))?;
        self.trail.write().await?;
        let mut rows = self.trail.history().usage(&query, after.as_ref(), page.size + 1).await?;
        let more = rows.len() > page.size;
        rows.truncate(page.size);
        let last = rows.last().filter(|_| more).and_then(|row| serde_json::to_string(&row.of).ok());
        let next_page_token = last.map(|last| self.pages.seal(&tenant, &covered, &last)).unwrap_or_default();
        Ok(Response::new(pb::QueryUsageResponse {
            rows: rows.iter().map(history::usage_row).collect(),
            next_page_token,
        }))
    }
}
