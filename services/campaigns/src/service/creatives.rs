use graph::objects::Kind;
use proto::campaigns::v1 as pb;
use proto::campaigns::v1::creative_service_server::CreativeService;
use tonic::{Request, Response, Status};

use super::Api;
use crate::{
    creates::{Asked, Created},
    error::Error,
    freshness::Wanted,
    mirror,
    mutation::Outcome,
    objects::Which,
    store::objects::{Listing, Object},
    wire,
    wire::Paging,
};

#[tonic::async_trait]
impl CreativeService for Api {
    async fn create_creative(
        &self,
        request: Request<pb::CreateCreativeRequest>,
    ) -> Result<Response<pb::CreateCreativeResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let asked = Asked {
            account: wire::parent(&request.parent)?,
            request: wire::request_id_unless(request.validate_only, &request.request_id)?,
            validate_only: request.validate_only,
        };
        let required = || Error::field("creative", "is required", "REQUIRED");
        let given = request.creative.ok_or_else(required)?;
        let created = self.0.create_creative(&caller, asked, given.clone()).await?;
        Ok(Response::new(answer(asked, created, given)?))
    }

    async fn get_creative(
        &self,
        request: Request<pb::GetCreativeRequest>,
    ) -> Result<Response<pb::GetCreativeResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let which = which("name", &request.name)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let read = self.0.object(&caller.tenant, which, &wanted).await?;
        let read = read.map(|graph| mirror::read(which.account, &graph))?;
        Ok(Response::new(pb::GetCreativeResponse { creative: Some(read.value), read_info: Some(read.info) }))
    }

    async fn list_creatives(
        &self,
        request: Request<pb::ListCreativesRequest>,
    ) -> Result<Response<pb::ListCreativesResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let filter = request.filter.unwrap_or_default();
        let list = format!("creatives {account}");
        let (size, token) = (request.page_size, request.page_token.as_str());
        let paging = Paging::of(&self.0, &caller.tenant, &list, &filter, size, token)?;
        let listing = Listing {
            name: filter.creative_name.clone(),
            below: paging.key()?,
            size: paging.size,
            ..Listing::default()
        };
        let read = self.0.list(&caller.tenant, account, Kind::Creative, &listing, &wanted).await?;
        let last = read.value.last().and_then(|row| mirror::number(&row.graph, "id"));
        let next_page_token = paging.next(&self.0, read.value.len(), last.map(|id| id.to_string()));
        let decode = |row: &Object| mirror::read(account, &row.graph);
        let creatives: Result<Vec<pb::Creative>, Error> = read.value.iter().map(decode).collect();
        Ok(Response::new(pb::ListCreativesResponse {
            creatives: creatives?,
            next_page_token,
            read_info: Some(read.info),
        }))
    }
}

fn which(field: &str, name: &str) -> Result<Which, Error> {
    let (account, id) = wire::object(Kind::Creative, field, name)?;
    Ok(Which { account, kind: Kind::Creative, id })
}

/// After validate_only: what was asked for, as it would be made.
fn answer(
    asked: Asked,
    (created, warnings): Created,
    given: pb::Creative,
) -> Result<pb::CreateCreativeResponse, Error> {
    use pb::create_creative_response::Outcome as Wire;
    let outcome = match created {
        None => Wire::Creative(given),
        Some(Outcome::Made(graph)) => Wire::Creative(mirror::read(asked.account, &graph)?),
        Some(Outcome::Looking(operation)) => Wire::Operation(*operation),
    };
    Ok(pb::CreateCreativeResponse { outcome: Some(outcome), warnings })
}
