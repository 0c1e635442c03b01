//! `MetaAppService`.

use prost::Message;
use proto::auth::v1::{self as pb, meta_app_service_server::MetaAppService};
use rpc::{FieldError, Fields};
use tonic::{Request, Response, Status};
use vocabulary::names;

use super::{Common, open_for_installation};
use crate::{
    by::{self, By, Repeat},
    error::Error,
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

    async fn list_meta_apps(
        &self,
        request: Request<pb::ListMetaAppsRequest>,
    ) -> Result<Response<pb::ListMetaAppsResponse>, Status> {
        let (_, request) = open_for_installation(request)?;
        // They are the installation's, whoever asks.
        let home = by::installation()?;
        let page = self.common.pages.request(&home, b"meta_apps", request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let mut rows = self.apps.list(page.after.as_deref().unwrap_or_default(), wire::limit(&page)).await?;
        let next = wire::cut(&mut rows, &page, |app| app.id.to_string());
        let next_page_token = next.map(|key| self.common.pages.seal(&home, b"meta_apps", &key)).unwrap_or_default();
        Ok(Response::new(pb::ListMetaAppsResponse {
            meta_apps: rows.iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn update_meta_app(
        &self,
        request: Request<pb::UpdateMetaAppRequest>,
    ) -> Result<Response<pb::UpdateMetaAppResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        by.require_operator()?;
        let (by, validate_only) = (By { tenant: by::installation()?, ..by }, request.validate_only);
        let repeat = Repeat::of("UpdateMetaApp", None, &request);
        let (change, id, etag, request_id) = wire::update_meta_app(request)?;
        let repeat = Repeat { request_id, ..repeat };
        let answer = |app: &crate::meta_apps::MetaApp| pb::UpdateMetaAppResponse { meta_app: Some(app.into()) };
        let wanted = (id, &change, etag.as_str());
        if validate_only {
            let app = self.apps.update(&by, wanted, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&app)));
        }
        let work = async {
            let closing = (&repeat, |app: &_| answer(app).encode_to_vec());
            Ok(answer(&self.apps.update(&by, wanted, false, closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn rotate_meta_app_secret(
        &self,
        request: Request<pb::RotateMetaAppSecretRequest>,
    ) -> Result<Response<pb::RotateMetaAppSecretResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        by.require_operator()?;
        let (by, validate_only) = (By { tenant: by::installation()?, ..by }, request.validate_only);
        let repeat = Repeat::of("RotateMetaAppSecret", None, &request);
        let (id, secret, overlap, request_id) = wire::rotate_secret(request)?;
        let repeat = Repeat { request_id, ..repeat };
        let answer = |app: &crate::meta_apps::MetaApp| pb::RotateMetaAppSecretResponse { meta_app: Some(app.into()) };
        if validate_only {
            let app = self.apps.rotate(&by, (id, secret, overlap), true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&app)));
        }
        let work = async {
            let closing = (&repeat, |app: &_| answer(app).encode_to_vec());
            Ok(answer(&self.apps.rotate(&by, (id, secret, overlap), false, closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }
}
