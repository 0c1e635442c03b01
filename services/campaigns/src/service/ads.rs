use graph::objects::Kind;
use proto::campaigns::v1 as pb;
use proto::campaigns::v1::ad_service_server::AdService;
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
impl AdService for Api {
    async fn create_ad(&self, request: Request<pb::CreateAdRequest>) -> Result<Response<pb::CreateAdResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let asked = Asked {
            account: wire::parent(&request.parent)?,
            request: wire::request_id_unless(request.validate_only, &request.request_id)?,
            validate_only: request.validate_only,
        };
        let required = || Error::field("ad", "is required", "REQUIRED");
        let given = request.ad.ok_or_else(required)?;
        let created = self.0.create_ad(&caller, asked, given.clone()).await?;
        Ok(Response::new(answer(asked, created, given)?))
    }

    async fn get_ad(&self, request: Request<pb::GetAdRequest>) -> Result<Response<pb::GetAdResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let read = self.0.object(&caller.tenant, which, &wanted).await?;
        let read = read.map(|graph| mirror::read(which.account, &graph))?;
        Ok(Response::new(pb::GetAdResponse { ad: Some(read.value), read_info: Some(read.info) }))
    }

    async fn list_ads(&self, request: Request<pb::ListAdsRequest>) -> Result<Response<pb::ListAdsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let filter = request.filter.unwrap_or_default();
        let list = format!("ads {account}");
        let (size, token) = (request.page_size, request.page_token.as_str());
        let paging = Paging::of(&self.0, &caller.tenant, &list, &filter, size, token)?;
        let listing = Listing {
            statuses: wire::statuses(&filter.statuses)?,
            parent: wire::filter_id("filter.adset_id", &filter.adset_id)?,
            below: paging.key()?,
            size: paging.size,
            ..Listing::default()
        };
        let read = self.0.list(&caller.tenant, account, Kind::Ad, &listing, &wanted).await?;
        let last = read.value.last().and_then(|row| mirror::number(&row.graph, "id"));
        let next_page_token = paging.next(&self.0, read.value.len(), last.map(|id| id.to_string()));
        let decode = |row: &Object| mirror::read(account, &row.graph);
        let ads: Result<Vec<pb::Ad>, Error> = read.value.iter().map(decode).collect();
        Ok(Response::new(pb::ListAdsResponse { ads: ads?, next_page_token, read_info: Some(read.info) }))
    }

    async fn pause_ad(&self, request: Request<pb::PauseAdRequest>) -> Result<Response<pb::PauseAdResponse>, Status> {
        let (caller, mut request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let id = wire::optional_request_id(&std::mem::take(&mut request.request_id))?;
        wire::reason(&request.reason)?;
        let asked = id.map(|id| Once::new(id, "ads.pause", &request));
        let graph = self.0.pause(&caller, which, request.reason, asked, request.validate_only).await?;
        let ad = Some(mirror::read(which.account, &graph)?);
        Ok(Response::new(pb::PauseAdResponse { ad }))
    }
}

fn which(field: &str, name: &str) -> Result<Which, Error> {
    let (account, id) = wire::object(Kind::Ad, field, name)?;
    Ok(Which { account, kind: Kind::Ad, id })
}

/// After validate_only: what was asked for, as it would be made.
fn answer(asked: Asked, (created, warnings): Created, given: pb::Ad) -> Result<pb::CreateAdResponse, Error> {
    use pb::create_ad_response::Outcome as Wire;
    let outcome = match created {
        None => Wire::Ad(given),
        Some(Outcome::Made(graph)) => Wire::Ad(mirror::read(asked.account, &graph)?),
        Some(Outcome::Looking(operation)) => Wire::Operation(*operation),
    };
    Ok(pb::CreateAdResponse { outcome: Some(outcome), warnings })
}
