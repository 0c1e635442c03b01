//! Changes of tenants, and shares of ad accounts.

use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use vocabulary::{
    ids::{AdAccountId, RequestId, TenantId},
    names,
};

use super::{display_name_is_short, named, request_id, timestamp, version_serves};
use crate::{
    store::owners::Owner,
    tenants::{Change, Share},
};

/// The longest reason, in characters.
const REASON_MAX: usize = 400;
/// The most tenants that share an ad account with its owner.
const SHARES_MAX: usize = 50;

/// A change of a tenant with the etag that it asks for, the tenant, the request's id, and whether it is only checked.
pub(super) type Update = ((Change, String), TenantId, Option<RequestId>, bool);

/// What is to be changed of a tenant.
pub fn update_tenant(request: pb::UpdateTenantRequest) -> Result<Update, FieldError> {
    let mut fields = Fields::new();
    let request_id = request_id(&mut fields, &request.request_id, true);
    let tenant = request.tenant.unwrap_or_default();
    let id = fields.take(named("tenant.name", names::tenant(&tenant.name)));
    display_name_is_short(&mut fields, "tenant.display_name", &tenant.display_name);
    if !tenant.meta_version.is_empty() {
        version_serves(&mut fields, "tenant.meta_version", &tenant.meta_version);
    }
    let (mut display_name, mut meta_version) = (None, None);
    let paths = mask(&mut fields, request.update_mask, &["display_name", "meta_version"]);
    for path in &paths {
        match path.as_str() {
            "display_name" => display_name = Some(tenant.display_name.clone()),
            _ => meta_version = Some(tenant.meta_version.clone()),
        }
    }
    fields.finish()?;
    let id = id.ok_or_else(|| FieldError::required("tenant.name"))?;
    Ok(((Change::Fields { display_name, meta_version }, tenant.etag), id, request_id, request.validate_only))
}

/// The names in a mask, each of which must be one of these.
pub(super) fn mask(fields: &mut Fields, mask: Option<prost_types::FieldMask>, known: &[&str]) -> Vec<String> {
    let paths = mask.unwrap_or_default().paths;
    let named = (1..=10).contains(&paths.len()) && paths.iter().all(|path| known.contains(&path.as_str()));
    fields.check(named, "update_mask", format!("must name fields of {}", known.join(" and ")), "MASK");
    if named { paths } else { Vec::new() }
}

/// The tenant that is stopped or let go on, the request's id, and why.
pub fn stand((name, id, reason): (&str, &str, String)) -> Result<(TenantId, Option<RequestId>, String), FieldError> {
    let mut fields = Fields::new();
    let tenant = fields.take(named("name", names::tenant(name)));
    let request_id = request_id(&mut fields, id, false);
    let fits = reason.chars().count() <= REASON_MAX;
    fields.check(fits, "reason", "must have at most 400 characters", "REASON");
    fields.finish()?;
    Ok((tenant.ok_or_else(|| FieldError::required("name"))?, request_id, reason))
}

/// Which ad account is shared with whom.
pub fn shares(request: &pb::ShareAdAccountRequest) -> Result<(AdAccountId, Vec<Share>, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let account = fields.take(named("ad_account", names::ad_account(&request.ad_account)));
    let request_id = request_id(&mut fields, &request.request_id, false);
    fields.check(request.shares.len() <= SHARES_MAX, "shares", "must be at most 50", "TOO_MANY");
    let mut shares: Vec<Share> = Vec::new();
    for (index, share) in request.shares.iter().take(SHARES_MAX).enumerate() {
        let field = |name: &str| format!("shares[{index}].{name}");
        let fits = (1..=1_000).contains(&share.weight);
        fields.check(fits, &field("weight"), "must be 1 to 1,000", "WEIGHT");
        let Some(tenant) = fields.take(named(&field("tenant"), names::tenant(&share.tenant))) else { continue };
        let fresh = shares.iter().all(|other| other.tenant != tenant);
        fields.check(fresh, &field("tenant"), "must be named once", "TWICE");
        shares.push(Share { tenant, weight: share.weight });
    }
    fields.finish()?;
    Ok((account.ok_or_else(|| FieldError::required("ad_account"))?, shares, request_id))
}

/// Whose an ad account is.
pub fn owner(account: AdAccountId, owner: &Owner) -> pb::AdAccountOwner {
    let share = |share: &Share| pb::AdAccountShare { tenant: names::of_tenant(&share.tenant), weight: share.weight };
    pb::AdAccountOwner {
        ad_account: names::of_ad_account(account),
        tenant: format!("tenants/{}", owner.tenant),
        assign_time: Some(timestamp(owner.assigned)),
        shares: owner.shares.iter().map(share).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(paths: &[&str]) -> Result<Update, FieldError> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        update_tenant(pb::UpdateTenantRequest {
            tenant: Some(pb::Tenant {
                name: "tenants/acme".to_owned(),
                display_name: "Acme".to_owned(),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths }),
            request_id: "00000000-0000-0000-0000-000000000001".to_owned(),
            validate_only: false,
        })
    }

    #[test]
    fn a_mask_names_what_changes_and_nothing_else() {
        let ((change, _), ..) = update(&["display_name"]).unwrap();
        assert_eq!(change, Change::Fields { display_name: Some("Acme".to_owned()), meta_version: None });
        // Named and not set: cleared.
        let ((change, _), ..) = update(&["meta_version"]).unwrap();
        assert_eq!(change, Change::Fields { display_name: None, meta_version: Some(String::new()) });
        for wrong in [&[][..], &["state"], &["tenant.display_name"], &["display_name", "name"]] {
            assert!(update(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_share_names_each_tenant_once_with_a_weight() {
        let ask = |shares: &[(&str, i32)]| {
            let share = |&(tenant, weight): &(&str, i32)| pb::AdAccountShare { tenant: tenant.to_owned(), weight };
            let shares = shares.iter().map(share).collect();
            super::shares(&pb::ShareAdAccountRequest {
                ad_account: "adAccounts/act_1".to_owned(),
                shares,
                ..Default::default()
            })
        };
        assert_eq!(ask(&[("tenants/a", 1), ("tenants/b", 1_000)]).unwrap().1.len(), 2);
        assert!(ask(&[]).unwrap().1.is_empty());
        for wrong in [[("tenants/a", 0)].as_slice(), &[("tenants/a", 1_001)], &[("a", 1)], &[("tenants/a", 1); 2]] {
            assert!(ask(wrong).is_err(), "{wrong:?}");
        }
    }
}
