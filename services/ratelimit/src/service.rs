//! The gRPC surface: open, decode, do, encode.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use prost::Message;
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::quota_service_server::QuotaService;
use rpc::FieldError;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use vocabulary::page::PageTokens;

use crate::error::Error;
use crate::explain::Explainer;
use crate::quotas::{Acquire, Filter, Quotas};
use crate::scope::Scope;
use crate::wire;

mod policy;
mod usage;
mod viewer;
mod watch;

pub(crate) use policy::PolicyApi;
pub(crate) use usage::UsageApi;
pub(crate) use watch::{Pace, Watching};

/// How long a call without deadline may wait.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// Serves `QuotaService`.
pub(crate) struct Api {
    quotas: Arc<Quotas>,
    pages: PageTokens,
    send_before: Duration,
    explainer: Explainer,
    watching: Watching,
}

impl Api {
    /// `send_before` is how long after its charge a permit may be used.
    pub(crate) fn new(
        quotas: Arc<Quotas>,
        (explainer, watching): (Explainer, Watching),
        pages: PageTokens,
        send_before: Duration,
    ) -> Self {
        Self { quotas, pages, send_before, explainer, watching }
    }
}

#[tonic::async_trait]
impl QuotaService for Api {
    async fn acquire(&self, request: Request<pb::AcquireRequest>) -> Result<Response<pb::AcquireResponse>, Status> {
        let received = Instant::now();
        let (caller, request) = rpc::open(request)?;
        caller.require_service()?;
        // Within two seconds of a suspension nothing more is admitted; what was, is settled as ever.
        caller.require_working_tenant()?;
        let mut ask = Acquire::try_from(request).map_err(Error::Field)?;
        caller.subject.as_ref().clone_into(&mut ask.asker.caller);
        let decision = self.quotas.acquire(&caller.tenant, ask, deadline()).await?;
        Ok(Response::new(wire::acquired(decision, received, self.send_before)))
    }

    async fn settle(&self, request: Request<pb::SettleRequest>) -> Result<Response<pb::SettleResponse>, Status> {
        let (caller, request) = rpc::open_untenanted(request)?;
        caller.require_service()?;
        let reports = wire::reports(request).map_err(Error::Field)?;
        self.quotas.settle(&reports).await?;
        Ok(Response::new(pb::SettleResponse {}))
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Result<Response<pb::ReleaseResponse>, Status> {
        let (caller, request) = rpc::open_untenanted(request)?;
        caller.require_service()?;
        let pb::ReleaseRequest { permits, reservations } = wire::released(request).map_err(Error::Field)?;
        self.quotas.unreserve(&reservations).await?;
        let released = self.quotas.release(&permits).await?;
        Ok(Response::new(pb::ReleaseResponse { released }))
    }

    async fn reserve(&self, request: Request<pb::ReserveRequest>) -> Result<Response<pb::ReserveResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        caller.require_service()?;
        caller.require_working_tenant()?;
        let until = request.until;
        let now_ms = self.quotas.counter().store().now_ms();
        let ask = wire::reserve(request, now_ms).map_err(Error::Field)?;
        let reserved = self.quotas.reserve(&caller.tenant, &ask).await?;
        Ok(Response::new(wire::reserved(reserved, until)))
    }

    async fn get_quota(&self, request: Request<pb::GetQuotaRequest>) -> Result<Response<pb::GetQuotaResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let wire = request.scope.ok_or_else(|| Error::Field(FieldError::required("scope")))?;
        let scope = self.scope(&caller, wire).await?;
        let shown = self.quotas.get(&caller.tenant, scope).await?;
        Ok(Response::new(pb::GetQuotaResponse { quota: Some(wire::quota(&shown)) }))
    }

    async fn list_quotas(
        &self,
        request: Request<pb::ListQuotasRequest>,
    ) -> Result<Response<pb::ListQuotasResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let filter = request.filter.unwrap_or_default();
        let covered = filter.encode_to_vec();
        let page = self
            .pages
            .request(&caller.tenant, &covered, request.page_size, &request.page_token)
            .map_err(Error::from)?;
        let filter = Filter::try_from(filter).map_err(Error::Field)?;
        let (shown, last) = self.quotas.list(&caller.tenant, &filter, &page).await?;
        let next_page_token = last.map(|last| self.pages.seal(&caller.tenant, &covered, &last)).unwrap_or_default();
        Ok(Response::new(pb::ListQuotasResponse { quotas: shown.iter().map(wire::quota).collect(), next_page_token }))
    }

    type WatchQuotasStream = BoxStream<'static, watch::Told>;

    async fn watch_quotas(
        &self,
        request: Request<pb::WatchQuotasRequest>,
    ) -> Result<Response<Self::WatchQuotasStream>, Status> {
        let (caller, request) = rpc::open(request)?;
        let filter = request.filter.unwrap_or_default();
        let covered = filter.encode_to_vec();
        let after = match request.resume_token.as_str() {
            "" => None,
            token => {
                let words = "must be the resume_token of a message of this stream, with the same filter";
                let wrong = |_| Error::Field(FieldError::new("resume_token", words, "RESUME_TOKEN"));
                Some(self.pages.open(&caller.tenant, &covered, token).map_err(wrong)?)
            }
        };
        let filter = Filter::try_from(filter).map_err(Error::Field)?;
        let after = after.filter(|key| !key.is_empty());
        let subject = watch::Subject { tenant: caller.tenant.clone(), filter, covered, after };
        Ok(Response::new(self.watching.stream(subject)?))
    }

    async fn explain_throttle(
        &self,
        request: Request<pb::ExplainThrottleRequest>,
    ) -> Result<Response<pb::ExplainThrottleResponse>, Status> {
        let (viewer, _, request) = viewer::open(request)?;
        let asked = wire::history::asked(&request, self.explainer.now_ms());
        let (subject, at_ms) = asked.map_err(Error::Field)?;
        let facts = self.explainer.facts(&viewer, &subject, at_ms).await?;
        Ok(Response::new(pb::ExplainThrottleResponse { explanation: Some(wire::history::explanation(&facts)) }))
    }
}

impl Api {
    /// The scope asked for. Without `meta_app`, that of the app through which the tenant's calls used it.
    async fn scope(&self, caller: &rpc::Caller, wire: pb::Scope) -> Result<Scope, Error> {
        let within = |error: FieldError| Error::Field(error.within("scope."));
        if !wire.meta_app.is_empty() {
            return Scope::try_from(wire).map_err(within);
        }
        let like = wire::scope_in(0, wire).map_err(within)?;
        match self.quotas.app_of(&caller.tenant, &like).await? {
            Some(app) => Ok(Scope { app, ..like }),
            None => Err(within(FieldError::new(
                "meta_app",
                "is required, because no call of yours used this bucket yet",
                "REQUIRED",
            ))),
        }
    }
}

fn deadline() -> Instant {
    rpc::deadline::current().map_or_else(|| Instant::now() + DEADLINE_DEFAULT, Instant::from_std)
}

#[cfg(test)]
mod tests;
