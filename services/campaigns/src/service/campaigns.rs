use graph::objects::Kind;
use proto::campaigns::v1 as pb;
use proto::campaigns::v1::campaign_service_server::CampaignService;
use tonic::{Request, Response, Status};

use super::Api;
use crate::{
    creates::{Asked, Created},
    error::Error,
    freshness::Wanted,
    mirror,
    mutation::Outcome,
    objects::Which,
    once::Once,
    store::objects::{Listing, Object},
    wire,
    wire::Paging,
};

#[tonic::async_trait]
impl CampaignService for Api {
    async fn create_campaign(
        &self,
        request: Request<pb::CreateCampaignRequest>,
    ) -> Result<Response<pb::CreateCampaignResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let asked = Asked {
            account: wire::parent(&request.parent)?,
            request: wire::request_id_unless(request.validate_only, &request.request_id)?,
            validate_only: request.validate_only,
        };
        let required = || Error::field("campaign", "is required", "REQUIRED");
        let given = request.campaign.ok_or_else(required)?;
        let created = self.0.create_campaign(&caller, asked, given.clone()).await?;
        Ok(Response::new(answer(asked, created, given)?))
    }

    async fn get_campaign(
        &self,
        request: Request<pb::GetCampaignRequest>,
    ) -> Result<Response<pb::GetCampaignResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let read = self.0.object(&caller.tenant, which, &wanted).await?;
        let read = read.map(|graph| mirror::read(which.account, &graph))?;
        Ok(Response::new(pb::GetCampaignResponse { campaign: Some(read.value), read_info: Some(read.info) }))
    }

    async fn list_campaigns(
        &self,
        request: Request<pb::ListCampaignsRequest>,
    ) -> Result<Response<pb::ListCampaignsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let filter = request.filter.unwrap_or_default();
        let list = format!("campaigns {account}");
        let (size, token) = (request.page_size, request.page_token.as_str());
        let paging = Paging::of(&self.0, &caller.tenant, &list, &filter, size, token)?;
        let listing = Listing {
            statuses: wire::statuses(&filter.statuses)?,
            below: paging.key()?,
            size: paging.size,
            ..Listing::default()
        };
        let read = self.0.list(&caller.tenant, account, Kind::Campaign, &listing, &wanted).await?;
        let last = read.value.last().and_then(|row| mirror::number(&row.graph, "id"));
        let next_page_token = paging.next(&self.0, read.value.len(), last.map(|id| id.to_string()));
        let decode = |row: &Object| mirror::read(account, &row.graph);
        let campaigns: Result<Vec<pb::Campaign>, Error> = read.value.iter().map(decode).collect();
        Ok(Response::new(pb::ListCampaignsResponse {
            campaigns: campaigns?,
            next_page_token,
            read_info: Some(read.info),
        }))
    }

    async fn update_campaign(
        &self,
        request: Request<pb::UpdateCampaignRequest>,
    ) -> Result<Response<pb::UpdateCampaignResponse>, Status> {
        let (caller, mut request) = rpc::open(request)?;
        let required = || Error::field("campaign", "is required", "REQUIRED");
        let campaign = request.campaign.clone().ok_or_else(required)?;
        let which = which("campaign.resource_name", &campaign.resource_name)?;
        let id = wire::request_id_unless(request.validate_only, &std::mem::take(&mut request.request_id))?;
        let asked = Once::new(id, "campaigns.update", &request);
        let mask = request.update_mask.unwrap_or_default().paths;
        let graph = self.0.update_campaign(&caller, which, campaign, mask, asked, request.validate_only).await?;
        let campaign = Some(mirror::read(which.account, &graph)?);
        Ok(Response::new(pb::UpdateCampaignResponse { campaign, warnings: Vec::new() }))
    }

    async fn pause_campaign(
        &self,
        request: Request<pb::PauseCampaignRequest>,
    ) -> Result<Response<pb::PauseCampaignResponse>, Status> {
        let (caller, mut request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let id = wire::optional_request_id(&std::mem::take(&mut request.request_id))?;
        wire::reason(&request.reason)?;
        let asked = id.map(|id| Once::new(id, "campaigns.pause", &request));
        let graph = self.0.pause(&caller, which, request.reason, asked, request.validate_only).await?;
        let campaign = Some(mirror::read(which.account, &graph)?);
        Ok(Response::new(pb::PauseCampaignResponse { campaign }))
    }

    async fn activate_campaign(
        &self,
        request: Request<pb::ActivateCampaignRequest>,
    ) -> Result<Response<pb::ActivateCampaignResponse>, Status> {
        let (caller, mut request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let id = wire::request_id_unless(request.validate_only, &std::mem::take(&mut request.request_id))?;
        let asked = Once::new(id, "campaigns.activate", &request);
        let graph = self.0.activate(&caller, which, request.etag, asked, request.validate_only).await?;
        let campaign = Some(mirror::read(which.account, &graph)?);
        Ok(Response::new(pb::ActivateCampaignResponse { campaign }))
    }

    async fn delete_campaign(
        &self,
        request: Request<pb::DeleteCampaignRequest>,
    ) -> Result<Response<pb::DeleteCampaignResponse>, Status> {
        let (caller, mut request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let id = wire::request_id_unless(request.validate_only, &std::mem::take(&mut request.request_id))?;
        let asked = Once::new(id, "campaigns.delete", &request);
        let given = (request.etag, request.confirm_name);
        self.0.remove(&caller, which, given, asked, request.validate_only).await?;
        Ok(Response::new(pb::DeleteCampaignResponse {}))
    }
}

fn which(field: &str, name: &str) -> Result<Which, Error> {
    let (account, id) = wire::object(Kind::Campaign, field, name)?;
    Ok(Which { account, kind: Kind::Campaign, id })
}

/// After validate_only: what was asked for, as it would be made.
fn answer(
    asked: Asked,
    (created, warnings): Created,
    given: pb::Campaign,
) -> Result<pb::CreateCampaignResponse, Error> {
    use pb::create_campaign_response::Outcome as Wire;
    let outcome = match created {
        None => Wire::Campaign(given),
        Some(Outcome::Made(graph)) => Wire::Campaign(mirror::read(asked.account, &graph)?),
        Some(Outcome::Looking(operation)) => Wire::Operation(*operation),
    };
    Ok(pb::CreateCampaignResponse { outcome: Some(outcome), warnings })
}
