//! Leases and revocations.

use std::time::Duration;

use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use secrecy::ExposeSecret;
use vocabulary::{ids::MetaAppId, names};

use super::{named, timestamp};
use crate::{
    callers,
    leases::{Lease, LeaseId, Resource, Verdict},
    revocations::{Revocation, Subject},
};

/// How long a token must live where nobody says.
const MIN_TTL: Duration = Duration::from_secs(10);
const MIN_TTL_MAX: Duration = Duration::from_secs(60);

/// What is to be leased: the resource, the purpose, how long it must live, and what the holder has seen.
pub fn lease(request: pb::LeaseCredentialRequest) -> Result<(Resource, String, (Duration, i64)), FieldError> {
    let mut fields = Fields::new();
    let resource = fields.take(resource(&request.resource));
    fields.check(!request.purpose.is_empty(), "purpose", "is required", "REQUIRED");
    let min_ttl = request.min_ttl.map_or(Ok(MIN_TTL), Duration::try_from);
    let min_ttl = min_ttl.ok().filter(|ttl| *ttl <= MIN_TTL_MAX);
    fields.check(min_ttl.is_some(), "min_ttl", "must be 0 to 60 seconds", "MIN_TTL");
    fields.finish()?;
    let resource = resource.ok_or_else(|| FieldError::required("resource"))?;
    Ok((resource, request.purpose, (min_ttl.unwrap_or(MIN_TTL), request.seen_generation)))
}

fn resource(name: &str) -> Result<Resource, FieldError> {
    match name.split('/').next() {
        Some("datasets") => named("resource", names::dataset(name)).map(Resource::Dataset),
        Some("connections") => named("resource", names::connection(name)).map(Resource::Connection),
        _ => named("resource", names::ad_account(name)).map(Resource::AdAccount),
    }
}

/// The longest webhook.
const WEBHOOK_BYTES_MAX: usize = 1 << 20;

/// A webhook that is to be verified: its app, its signature, its body.
pub fn webhook(request: pb::VerifyWebhookRequest) -> Result<(MetaAppId, String, Vec<u8>), FieldError> {
    let mut fields = Fields::new();
    let app = fields.take(named("meta_app", names::meta_app(&request.meta_app)));
    fields.check(!request.signature.is_empty(), "signature", "is required", "REQUIRED");
    fields.check(request.body.len() <= WEBHOOK_BYTES_MAX, "body", "must have at most 1 MiB", "TOO_LARGE");
    fields.finish()?;
    Ok((app.ok_or_else(|| FieldError::required("meta_app"))?, request.signature, request.body))
}

/// A lease's id.
pub fn lease_id(text: &str) -> Result<LeaseId, FieldError> {
    text.parse().map_err(|()| FieldError::new("lease_id", "must be that of a lease", "LEASE_ID"))
}

impl From<Lease> for pb::Lease {
    fn from(lease: Lease) -> Self {
        let held = &lease.held;
        Self {
            lease_id: lease.id.to_string(),
            token: held.token.expose_secret().to_owned(),
            appsecret_proof: held.proof.expose_secret().to_owned(),
            meta_app: names::of_meta_app(held.connection.app),
            api_version: held.api_version.clone(),
            connection: names::of_connection(held.connection.id),
            expire_time: Some(timestamp(lease.expires)),
            version: held.connection.token_version,
            user_id: held.connection.user_id.clone(),
        }
    }
}

impl From<Verdict> for pb::CredentialVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::RetryWithNewLease => Self::RetryWithNewLease,
            Verdict::NeedsConsent => Self::NeedsConsent,
            Verdict::Checkpoint => Self::Checkpoint,
            Verdict::NotTheToken => Self::NotTheToken,
        }
    }
}

/// A revocation as its stream tells it.
pub fn revocation(revocation: &Revocation) -> pb::WatchRevocationsResponse {
    use pb::revocation::Subject as Wire;
    let subject = match &revocation.subject {
        Subject::Connection(id) => Wire::Connection(names::of_connection(*id)),
        Subject::Caller(id) => Wire::Caller(callers::name(*id)),
        Subject::Outsider(subject) => Wire::Caller(subject.clone()),
        Subject::OutsiderRestored(subject) => Wire::CallerRestored(subject.clone()),
        Subject::SigningKey(id) => Wire::SigningKey(id.clone()),
        Subject::Tenant => Wire::WholeTenant(true),
        Subject::TenantResumed => Wire::TenantResumed(true),
    };
    let told = pb::Revocation {
        tenant: format!("tenants/{}", revocation.tenant),
        revoke_time: Some(timestamp(revocation.revoked)),
        subject: Some(subject),
    };
    pb::WatchRevocationsResponse { generation: revocation.generation, revocation: Some(told) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(resource: &str) -> pb::LeaseCredentialRequest {
        let purpose = "campaigns.write".to_owned();
        pb::LeaseCredentialRequest { resource: resource.to_owned(), purpose, ..Default::default() }
    }

    #[test]
    fn a_resource_is_read_by_its_collection() {
        assert!(matches!(lease(request("adAccounts/act_1")), Ok((Resource::AdAccount(_), _, (MIN_TTL, 0)))));
        assert!(matches!(lease(request("datasets/2")), Ok((Resource::Dataset(_), ..))));
        let connection = "connections/00000000-0000-0000-0000-000000000001";
        assert!(matches!(lease(request(connection)), Ok((Resource::Connection(_), ..))));
        assert!(lease(request("pages/1")).is_err());
    }

    #[test]
    fn a_token_need_not_live_longer_than_a_lease() {
        let min_ttl = Some(prost_types::Duration { seconds: 61, nanos: 0 });
        assert!(lease(pb::LeaseCredentialRequest { min_ttl, ..request("datasets/2") }).is_err());
        let negative = Some(prost_types::Duration { seconds: -1, nanos: 0 });
        assert!(lease(pb::LeaseCredentialRequest { min_ttl: negative, ..request("datasets/2") }).is_err());
    }
}
