//! `TenantService`.

use prost::Message;
use proto::auth::v1::{self as pb, tenant_service_server::TenantService};
use rpc::{FieldError, Fields};
use tonic::{Request, Response, Status};
use vocabulary::{ids::TenantId, names};

use super::{Common, open_for_installation};
use crate::{
    by::{By, Repeat},
    error::Error,
    grants::Grant,
    once::once,
    store::owners::Owner,
    tenants::{Change, Tenant, Tenants},
    wire,
};

/// The surface of tenants.
pub struct TenantApi {
    /// What all have at hand.
    pub common: Common,
    /// The use cases.
    pub tenants: Tenants,
}

#[tonic::async_trait]
impl TenantService for TenantApi {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Result<Response<pb::CreateTenantResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        by.require_operator()?;
        let mut fields = Fields::new();
        let id = wire::new_tenant_id(&mut fields, &request.tenant_id);
        let request_id = wire::request_id(&mut fields, &request.request_id, true);
        let wanted = wire::tenant(&mut fields, request.tenant.clone());
        fields.finish()?;
        let by = By { tenant: id.ok_or_else(|| FieldError::required("tenant_id"))?, ..by };
        let answer = |tenant: &crate::tenants::Tenant| pb::CreateTenantResponse { tenant: Some(tenant.into()) };
        let repeat = Repeat::of("CreateTenant", request_id, &request);
        if request.validate_only {
            let tenant = self.tenants.create(&by, wanted, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&tenant)));
        }
        let work = async {
            let closing = (&repeat, |tenant: &_| answer(tenant).encode_to_vec());
            Ok(answer(&self.tenants.create(&by, wanted, false, closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn get_tenant(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Result<Response<pb::GetTenantResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let id = wire::named("name", names::tenant(&request.name))?;
        let tenant = self.tenants.get(&by.for_tenant(&id)?).await?;
        Ok(Response::new(pb::GetTenantResponse { tenant: Some((&tenant).into()) }))
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Result<Response<pb::ListTenantsResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let among = by.tenants.names();
        let filter = among.join(",");
        // Bound to the tenants that the caller may act for, and to no single one of them.
        let home = crate::by::installation()?;
        let page = self.common.pages.request(&home, filter.as_bytes(), request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let among = (by.tenants != Grant::Everything).then_some(among.as_slice());
        let mut rows = self.tenants.list(among, page.after.as_deref().unwrap_or_default(), wire::limit(&page)).await?;
        let next = wire::cut(&mut rows, &page, |tenant| tenant.id.to_string());
        let next_page_token = next.map(|key| self.common.pages.seal(&home, filter.as_bytes(), &key));
        Ok(Response::new(pb::ListTenantsResponse {
            tenants: rows.iter().map(Into::into).collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn assign_ad_account(
        &self,
        request: Request<pb::AssignAdAccountRequest>,
    ) -> Result<Response<pb::AssignAdAccountResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let mut fields = Fields::new();
        let tenant = fields.take(wire::named("tenant", names::tenant(&request.tenant)));
        let account = fields.take(wire::named("ad_account", names::ad_account(&request.ad_account)));
        let request_id = wire::request_id(&mut fields, &request.request_id, false);
        fields.finish()?;
        let (Some(tenant), Some(account)) = (tenant, account) else {
            return Err(FieldError::required("tenant").into());
        };
        let by = by.for_tenant(&tenant)?;
        let answer = |owner: &Owner| pb::AssignAdAccountResponse { owner: Some(wire::owner(account, owner)) };
        let repeat = Repeat::of("AssignAdAccount", request_id, &request);
        if request.validate_only {
            let owner = self.tenants.assign(&by, account, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&owner)));
        }
        let work = async {
            let closing = (&repeat, |owner: &_| answer(owner).encode_to_vec());
            Ok(answer(&self.tenants.assign(&by, account, false, closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn update_tenant(
        &self,
        request: Request<pb::UpdateTenantRequest>,
    ) -> Result<Response<pb::UpdateTenantResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let repeat = Repeat::of("UpdateTenant", None, &request);
        let (wanted, id, request_id, validate_only) = wire::update_tenant(request)?;
        let tenant = self.change(&by, &id, wanted, validate_only, Repeat { request_id, ..repeat }).await?;
        Ok(Response::new(pb::UpdateTenantResponse { tenant: tenant.tenant }))
    }

    async fn suspend_tenant(
        &self,
        request: Request<pb::SuspendTenantRequest>,
    ) -> Result<Response<pb::SuspendTenantResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let repeat = Repeat::of("SuspendTenant", None, &request);
        let asked = (request.name.as_str(), request.request_id.as_str(), request.reason);
        let (id, request_id, reason) = wire::stand(asked)?;
        let (wanted, repeat) = ((Change::Suspend { reason }, String::new()), Repeat { request_id, ..repeat });
        let tenant = self.change(&by, &id, wanted, request.validate_only, repeat).await?;
        Ok(Response::new(pb::SuspendTenantResponse { tenant: tenant.tenant }))
    }

    async fn resume_tenant(
        &self,
        request: Request<pb::ResumeTenantRequest>,
    ) -> Result<Response<pb::ResumeTenantResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let repeat = Repeat::of("ResumeTenant", None, &request);
        let asked = (request.name.as_str(), request.request_id.as_str(), request.reason);
        let (id, request_id, reason) = wire::stand(asked)?;
        let (wanted, repeat) = ((Change::Resume { reason }, String::new()), Repeat { request_id, ..repeat });
        let tenant = self.change(&by, &id, wanted, request.validate_only, repeat).await?;
        Ok(Response::new(pb::ResumeTenantResponse { tenant: tenant.tenant }))
    }

    async fn share_ad_account(
        &self,
        request: Request<pb::ShareAdAccountRequest>,
    ) -> Result<Response<pb::ShareAdAccountResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        by.require_operator()?;
        // Whatever tenant the operator works for now: whose account it is stands in the store.
        let by = By { tenant: crate::by::installation()?, ..by };
        let repeat = Repeat::of("ShareAdAccount", None, &request);
        let (account, shares, request_id) = wire::shares(&request)?;
        let repeat = Repeat { request_id, ..repeat };
        let answer = |owner: &Owner| pb::ShareAdAccountResponse { owner: Some(wire::owner(account, owner)) };
        let wanted = (account, shares.as_slice());
        if request.validate_only {
            let owner = self.tenants.share(&by, wanted, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&owner)));
        }
        let work = async {
            let closing = (&repeat, |owner: &_| answer(owner).encode_to_vec());
            Ok(answer(&self.tenants.share(&by, wanted, false, closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }
}

impl TenantApi {
    /// The answers to all changes of a tenant have the same shape, which is that of the first.
    async fn change(
        &self,
        by: &By,
        id: &TenantId,
        (change, etag): (Change, String),
        validate_only: bool,
        repeat: Repeat,
    ) -> Result<pb::UpdateTenantResponse, Error> {
        by.require_operator()?;
        let by = by.for_tenant(id)?;
        let answer = |tenant: &Tenant| pb::UpdateTenantResponse { tenant: Some(tenant.into()) };
        let wanted = (&change, etag.as_str());
        if validate_only {
            return Ok(answer(&self.tenants.change(&by, wanted, true, (&repeat, |_| Vec::new())).await?));
        }
        let work = async {
            let closing = (&repeat, |tenant: &_| answer(tenant).encode_to_vec());
            Ok(answer(&self.tenants.change(&by, wanted, false, closing).await?))
        };
        once(&self.common.store, &by, &repeat, work).await
    }
}
