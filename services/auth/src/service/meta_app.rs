//! `MetaAppService`.

use prost::Message;
use proto::auth::v1::{self as pb, meta_app_service_server::MetaAppService};
use rpc::{FieldError, Fields};
use tonic::{Request, Response, Status};
use vocabulary::names;

use super::{Common, open_for_installation};
use crate::{
    by::{self, By, Repeat},
    meta_apps::MetaApps,
    once::once,
    wire,
};

/// The surface of our apps at Meta.
pub struct MetaAppApi {
    /// What all have at hand.
    pub common: Common,
    /// The use cases.
    pub apps: MetaApps,
}

#[tonic::async_trait]
impl MetaAppService for MetaAppApi {
    async fn create_meta_app(
        &self,
        request: Request<pb::CreateMetaAppRequest>,
    ) -> Result<Response<pb::CreateMetaAppResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        by.require_operator()?;
        // Whatever tenant the operator works for now, an app belongs to the installation.
        let by = By { tenant: by::installation()?, ..by };
        let mut fields = Fields::new();
        let request_id = wire::request_id(&mut fields, &request.request_id, true);
        let repeat = Repeat::of("CreateMetaApp", request_id, &request);
        let wanted = wire::meta_app(&mut fields, request.meta_app, request.app_secret);
        fields.finish()?;
        let wanted = wanted.ok_or_else(|| FieldError::required("meta_app"))?;
        let wanted = (wanted.app, wanted.secret);
        let answer = |app: &crate::meta_apps::MetaApp| pb::CreateMetaAppResponse { meta_app: Some(app.into()) };
        if request.validate_only {
            let app = self.apps.create(&by, wanted, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&app)));
        }
        let work = async {
            let closing = (&repeat, |app: &_| answer(app).encode_to_vec());
            Ok(answer(&self.apps.create(&by, wanted, false, closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn get_meta_app(
        &self,
        request: Request<pb::GetMetaAppRequest>,
    ) -> Result<Response<pb::GetMetaAppResponse>, Status> {
        let (_, request) = open_for_installation(request)?;
        let id = wire::named("name", names::meta_app(&request.name))?;
        let app = self.apps.get(id).await?;
        Ok(Response::new(pb::GetMetaAppResponse { meta_app: Some((&app).into()) }))
    }
}
