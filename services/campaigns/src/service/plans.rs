use proto::plans::v1 as pb;
use proto::plans::v1::plan_service_server::PlanService;
use tonic::{Request, Response, Status};

use super::Api;
use crate::{error::Error, wire, wire::Paging};

#[tonic::async_trait]
impl PlanService for Api {
    async fn create_plan(
        &self,
        request: Request<pb::CreatePlanRequest>,
    ) -> Result<Response<pb::CreatePlanResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let required = || Error::field("plan", "is required", "REQUIRED");
        let plan = request.plan.ok_or_else(required)?;
        let request_id = wire::request_id_unless(request.validate_only, &request.request_id)?;
        let (plan, warnings) = self.0.create_plan(&caller, account, plan, request_id, request.validate_only).await?;
        Ok(Response::new(pb::CreatePlanResponse { plan: Some(plan), warnings }))
    }

    async fn get_plan(&self, request: Request<pb::GetPlanRequest>) -> Result<Response<pb::GetPlanResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (account, id) = wire::plan(&request.name)?;
        let plan = self.0.plan(&caller.tenant, account, id.0).await?;
        Ok(Response::new(pb::GetPlanResponse { plan: Some(plan) }))
    }

    async fn list_plans(
        &self,
        request: Request<pb::ListPlansRequest>,
    ) -> Result<Response<pb::ListPlansResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let list = format!("plans {account}");
        let (size, token) = (request.page_size, request.page_token.as_str());
        let paging = Paging::of(&self.0, &caller.tenant, &list, &(), size, token)?;
        let rows = self.0.plans(&caller.tenant, account, paging.key()?, paging.size).await?;
        let next_page_token = paging.next(&self.0, rows.len(), rows.last().map(|(id, _)| id.to_string()));
        let plans = rows.into_iter().map(|(_, plan)| plan).collect();
        Ok(Response::new(pb::ListPlansResponse { plans, next_page_token }))
    }

    async fn estimate_plan(
        &self,
        request: Request<pb::EstimatePlanRequest>,
    ) -> Result<Response<pb::EstimatePlanResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (account, id) = wire::plan(&request.name)?;
        let estimate = self.0.estimate(&caller.tenant, account, id.0).await?;
        Ok(Response::new(pb::EstimatePlanResponse { estimate: Some(estimate) }))
    }

    async fn diff_plan(&self, request: Request<pb::DiffPlanRequest>) -> Result<Response<pb::DiffPlanResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (account, id) = wire::plan(&request.name)?;
        Ok(Response::new(self.0.diff(&caller.tenant, account, id.0).await?))
    }

    async fn apply_plan(
        &self,
        request: Request<pb::ApplyPlanRequest>,
    ) -> Result<Response<pb::ApplyPlanResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (account, id) = wire::plan(&request.name)?;
        let request_id = wire::request_id_unless(request.validate_only, &request.request_id)?;
        let (etag, check) = (request.etag.as_str(), request.validate_only);
        let operation = self.0.apply(&caller, account, id.0, etag, request_id, check).await?;
        Ok(Response::new(pb::ApplyPlanResponse { operation: Some(operation) }))
    }
}
