use graph::objects::Kind;
use proto::campaigns::v1 as pb;
use proto::campaigns::v1::ad_set_service_server::AdSetService;
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
impl AdSetService for Api {
    async fn create_ad_set(
        &self,
        request: Request<pb::CreateAdSetRequest>,
    ) -> Result<Response<pb::CreateAdSetResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let asked = Asked {
            account: wire::parent(&request.parent)?,
            request: wire::request_id_unless(request.validate_only, &request.request_id)?,
            validate_only: request.validate_only,
        };
        let required = || Error::field("ad_set", "is required", "REQUIRED");
        let given = request.ad_set.ok_or_else(required)?;
        let created = self.0.create_ad_set(&caller, asked, given.clone()).await?;
        Ok(Response::new(answer(asked, created, given)?))
    }

    async fn get_ad_set(
        &self,
        request: Request<pb::GetAdSetRequest>,
    ) -> Result<Response<pb::GetAdSetResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let read = self.0.object(&caller.tenant, which, &wanted).await?;
        let read = read.map(|graph| mirror::read(which.account, &graph))?;
        Ok(Response::new(pb::GetAdSetResponse { ad_set: Some(read.value), read_info: Some(read.info) }))
    }

    async fn list_ad_sets(
        &self,
        request: Request<pb::ListAdSetsRequest>,
    ) -> Result<Response<pb::ListAdSetsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let filter = request.filter.unwrap_or_default();
        let list = format!("ad_sets {account}");
        let (size, token) = (request.page_size, request.page_token.as_str());
        let paging = Paging::of(&self.0, &caller.tenant, &list, &filter, size, token)?;
        let listing = Listing {
            statuses: wire::statuses(&filter.statuses)?,
            parent: wire::filter_id("filter.campaign_id", &filter.campaign_id)?,
            below: paging.key()?,
            size: paging.size,
            ..Listing::default()
        };
        let read = self.0.list(&caller.tenant, account, Kind::AdSet, &listing, &wanted).await?;
        let last = read.value.last().and_then(|row| mirror::number(&row.graph, "id"));
        let next_page_token = paging.next(&self.0, read.value.len(), last.map(|id| id.to_string()));
        let decode = |row: &Object| mirror::read(account, &row.graph);
        let ad_sets: Result<Vec<pb::AdSet>, Error> = read.value.iter().map(decode).collect();
        Ok(Response::new(pb::ListAdSetsResponse { ad_sets: ad_sets?, next_page_token, read_info: Some(read.info) }))
    }

    async fn pause_ad_set(
        &self,
        request: Request<pb::PauseAdSetRequest>,
    ) -> Result<Response<pb::PauseAdSetResponse>, Status> {
        let (caller, mut request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let id = wire::optional_request_id(&std::mem::take(&mut request.request_id))?;
        wire::reason(&request.reason)?;
        let asked = id.map(|id| Once::new(id, "ad_sets.pause", &request));
        let graph = self.0.pause(&caller, which, request.reason, asked, request.validate_only).await?;
        let ad_set = Some(mirror::read(which.account, &graph)?);
        Ok(Response::new(pb::PauseAdSetResponse { ad_set }))
    }
}

fn which(field: &str, name: &str) -> Result<Which, Error> {
    let (account, id) = wire::object(Kind::AdSet, field, name)?;
    Ok(Which { account, kind: Kind::AdSet, id })
}

/// After validate_only: what was asked for, as it would be made.
fn answer(asked: Asked, (created, warnings): Created, given: pb::AdSet) -> Result<pb::CreateAdSetResponse, Error> {
    use pb::create_ad_set_response::Outcome as Wire;
    let outcome = match created {
        None => Wire::AdSet(given),
        Some(Outcome::Made(graph)) => Wire::AdSet(mirror::read(asked.account, &graph)?),
        Some(Outcome::Looking(operation)) => Wire::Operation(*operation),
    };
    Ok(pb::CreateAdSetResponse { outcome: Some(outcome), warnings })
}
