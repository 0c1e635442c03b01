//! Who looks at the history.

use rpc::{Principal, Tenants};
use tonic::{Request, Status};
use vocabulary::ids::TenantId;

use crate::error::Error;
use crate::store::Viewer;

/// Stands in page tokens for an operator who names no tenant; nobody can be it.
const NO_TENANT: &str = "system";

/// Takes a request apart. An operator who names no tenant sees everything, and who names one sees what that one sees.
pub(super) fn open<T>(request: Request<T>) -> Result<(Viewer, TenantId, T), Status> {
    let principal = request.extensions().get::<Principal>();
    if principal.is_some_and(|principal| principal.tenant.is_none() && principal.tenants == Tenants::All) {
        let (_, request) = rpc::open_untenanted(request)?;
        let nobody = NO_TENANT.parse().map_err(|_| Error::Corrupt("a tenant"))?;
        return Ok((Viewer::Operator, nobody, request));
    }
    let (caller, request) = rpc::open(request)?;
    Ok((Viewer::Tenant(caller.tenant.clone()), caller.tenant, request))
}
