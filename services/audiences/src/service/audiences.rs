//! `AudienceService`.

use prost::Message;
use proto::audiences::v1::{
    self as pb, audience_service_server::AudienceService, create_audience_response::Outcome as PbOutcome,
};
use rpc::FieldError;
use tonic::{Request, Response, Status};
use vocabulary::{Clock, names};

use super::AudienceApi;
use crate::{
    audiences::{NewAudience, Outcome},
    store::Listed,
    wire,
};

#[tonic::async_trait]
impl<C: Clock> AudienceService for AudienceApi<C> {
    async fn create_audience(
        &self,
        request: Request<pb::CreateAudienceRequest>,
    ) -> Result<Response<pb::CreateAudienceResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let validate_only = request.validate_only;
        let new = wire::new_audience(request)?;
        let account = new.account;
        let outcome = if validate_only {
            PbOutcome::Audience(would_be(new))
        } else {
            match self.audiences.create(&caller, new).await? {
                Outcome::Made(made) => PbOutcome::Audience(wire::audience(account, *made)),
                Outcome::Looking(operation) => PbOutcome::Operation(*operation),
            }
        };
        Ok(Response::new(pb::CreateAudienceResponse { outcome: Some(outcome), warnings: Vec::new() }))
    }

    async fn get_audience(
        &self,
        request: Request<pb::GetAudienceRequest>,
    ) -> Result<Response<pb::GetAudienceResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (account, id) = names::audience(&request.name)
            .map_err(|error| FieldError::new("name", error.to_string(), "RESOURCE_NAME"))?;
        let freshness = wire::freshness(request.freshness, self.clock.now())?;
        let fresh = self.audiences.get(&caller.tenant, account, id, freshness).await?;
        let read_info = Some(wire::read_info(&fresh));
        let audience = Some(wire::audience(account, fresh.value));
        Ok(Response::new(pb::GetAudienceResponse { audience, read_info }))
    }

    async fn list_audiences(
        &self,
        request: Request<pb::ListAudiencesRequest>,
    ) -> Result<Response<pb::ListAudiencesResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = names::ad_account(&request.parent)
            .map_err(|error| FieldError::new("parent", error.to_string(), "RESOURCE_NAME"))?;
        let freshness = wire::freshness(request.freshness, self.clock.now())?;
        let filter = request.filter.unwrap_or_default();
        // A token goes on only with the list that it came from.
        let list = [names::of_ad_account(account).as_bytes(), b"\0", &filter.encode_to_vec()].concat();
        let page = self.pages.request(&caller.tenant, &list, request.page_size, &request.page_token);
        let page = page.map_err(FieldError::from)?;
        let after = page.after.as_deref().and_then(|key| key.parse().ok());
        let listed = Listed { subtype: &filter.subtype, after, size: page.size + 1 };
        let mut fresh = self.audiences.list(&caller.tenant, account, listed, freshness).await?;
        let more = fresh.value.len() > page.size;
        fresh.value.truncate(page.size);
        let last = fresh.value.last().filter(|_| more).map(|last| last.id.to_string());
        let next_page_token = last.map(|key| self.pages.seal(&caller.tenant, &list, &key)).unwrap_or_default();
        let read_info = Some(wire::read_info(&fresh));
        let audiences = fresh.value.into_iter().map(|audience| wire::audience(account, audience)).collect();
        Ok(Response::new(pb::ListAudiencesResponse { audiences, next_page_token, read_info }))
    }

    async fn delete_audience(
        &self,
        request: Request<pb::DeleteAudienceRequest>,
    ) -> Result<Response<pb::DeleteAudienceResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (account, id, request_id) = wire::deleted(&request)?;
        self.audiences.delete(&caller, account, id, &request.etag, request_id, request.validate_only).await?;
        Ok(Response::new(pb::DeleteAudienceResponse {}))
    }
}

/// The audience as it would be made.
fn would_be(new: NewAudience) -> pb::Audience {
    let list = pb::CustomerList { customer_file_source: new.customer_file_source };
    pb::Audience {
        name: Some(new.name),
        description: Some(new.description),
        kind: Some(pb::audience::Kind::CustomerList(list)),
        subtype: "CUSTOM".to_owned(),
        ..pb::Audience::default()
    }
}
