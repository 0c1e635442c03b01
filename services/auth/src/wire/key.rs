//! Keys: what is to be rotated, closed or destroyed.

use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use vocabulary::{
    ids::{RequestId, TenantId},
    names,
};

use super::{named, request_id, timestamp};
use crate::vault::{
    rotation::{Mode, Rotated},
    shredding::Receipt,
};

/// The longest reason, in characters.
const REASON_MAX: usize = 200;

/// Which key to rotate, and the request's id.
pub fn rotate_key(request: &pb::RotateKeyRequest) -> Result<(Rotated, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let id = request_id(&mut fields, &request.request_id, true);
    let mode = pb::RotationMode::try_from(request.mode);
    fields.check(mode.is_ok(), "mode", "must be one that this server knows", "ENUM");
    let mode = mode.unwrap_or_default();
    let rotated = match pb::KeyPurpose::try_from(request.purpose) {
        Ok(pb::KeyPurpose::Wrapping) if mode == pb::RotationMode::Reencrypt => Some(Rotated::Wrapping(Mode::Reencrypt)),
        Ok(pb::KeyPurpose::Wrapping) => Some(Rotated::Wrapping(Mode::Rewrap)),
        Ok(pb::KeyPurpose::Encryption) => Some(Rotated::KeyEncryption),
        Ok(pb::KeyPurpose::Signing) => Some(Rotated::Signing { revoke_old: request.revoke_old }),
        Ok(pb::KeyPurpose::Unspecified) | Err(_) => None,
    };
    fields.check(rotated.is_some(), "purpose", "must be WRAPPING, SIGNING or ENCRYPTION", "REQUIRED");
    let is_plain = matches!(rotated, Some(Rotated::Wrapping(_)) | None) || mode != pb::RotationMode::Reencrypt;
    let may_revoke = !request.revoke_old || matches!(rotated, Some(Rotated::Signing { .. }) | None);
    fields.check(may_revoke, "revoke_old", "is for signing keys: nobody holds what another key has made", "REVOKE_OLD");
    fields.check(is_plain, "mode", "is for wrapping keys: nothing but keys lies under this one", "ROTATION_MODE");
    fields.finish()?;
    rotated.map(|rotated| (rotated, id)).ok_or_else(|| FieldError::required("purpose"))
}

/// The request's id.
pub fn seal_vault(request: &pb::SealVaultRequest) -> Result<Option<RequestId>, FieldError> {
    let mut fields = Fields::new();
    let fits =
        (1..=REASON_MAX).contains(&request.reason.chars().count()) && !request.reason.chars().any(char::is_control);
    fields.check(fits, "reason", "must have 1 to 200 characters, none of them a control character", "REASON");
    let id = request_id(&mut fields, &request.request_id, false);
    fields.finish()?;
    Ok(id)
}

/// The request's id.
pub fn unseal_vault(request: &pb::UnsealVaultRequest) -> Result<Option<RequestId>, FieldError> {
    let mut fields = Fields::new();
    let id = request_id(&mut fields, &request.request_id, false);
    fields.finish()?;
    Ok(id)
}

/// Whose keys to destroy, and the request's id.
pub fn shred_tenant_key(request: &pb::ShredTenantKeyRequest) -> Result<(TenantId, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let tenant = fields.take(named("tenant", names::tenant(&request.tenant)));
    let is_meant = request.confirm == request.tenant;
    fields.check(is_meant, "confirm", "must repeat the tenant's name: this cannot be undone", "CONFIRM");
    let id = request_id(&mut fields, &request.request_id, true);
    fields.finish()?;
    tenant.map(|tenant| (tenant, id)).ok_or_else(|| FieldError::required("tenant"))
}

/// The receipt.
pub fn shred_receipt(tenant: &TenantId, receipt: &Receipt) -> pb::ShredReceipt {
    pb::ShredReceipt {
        tenant: names::of_tenant(tenant),
        shred_time: Some(timestamp(receipt.shredded)),
        connections: receipt.connections,
        closed_on: receipt.closed_on.to_string(),
        key_encryption_keys: receipt.keks.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

    fn rotate(purpose: pb::KeyPurpose, mode: pb::RotationMode) -> Result<Rotated, FieldError> {
        let (purpose, mode) = (purpose.into(), mode.into());
        let request = pb::RotateKeyRequest { purpose, mode, request_id: ID.to_owned(), ..Default::default() };
        rotate_key(&request).map(|(rotated, _)| rotated)
    }

    #[test]
    fn a_mode_is_for_wrapping_keys() {
        use pb::{KeyPurpose as Key, RotationMode as How};
        assert_eq!(rotate(Key::Wrapping, How::Unspecified), Ok(Rotated::Wrapping(Mode::Rewrap)));
        assert_eq!(rotate(Key::Wrapping, How::Reencrypt), Ok(Rotated::Wrapping(Mode::Reencrypt)));
        assert_eq!(rotate(Key::Signing, How::Unspecified), Ok(Rotated::Signing { revoke_old: false }));
        assert_eq!(rotate(Key::Encryption, How::Rewrap), Ok(Rotated::KeyEncryption));
        assert!(rotate(Key::Encryption, How::Reencrypt).is_err());
        assert!(rotate(Key::Unspecified, How::Rewrap).is_err());
    }

    #[test]
    fn only_what_a_signing_key_made_can_be_revoked() {
        for (purpose, may) in [(pb::KeyPurpose::Signing, true), (pb::KeyPurpose::Wrapping, false)] {
            let (purpose, request_id) = (purpose.into(), ID.to_owned());
            let request = pb::RotateKeyRequest { purpose, request_id, revoke_old: true, ..Default::default() };
            assert_eq!(rotate_key(&request).is_ok(), may);
        }
    }

    #[test]
    fn nothing_is_shredded_by_mistake() {
        let shred = |confirm: &str| {
            let (tenant, confirm) = ("tenants/acme".to_owned(), confirm.to_owned());
            let request_id = ID.to_owned();
            shred_tenant_key(&pb::ShredTenantKeyRequest { tenant, confirm, request_id, validate_only: false })
        };
        assert!(shred("tenants/acme").is_ok());
        for confirm in ["", "acme", "tenants/other", "yes"] {
            assert!(shred(confirm).is_err(), "{confirm}");
        }
    }
}
