//! Changes of apps, and what may be told about their secrets.

use std::time::Duration;

use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use secrecy::SecretString;
use vocabulary::{
    ids::{MetaAppId, RequestId},
    names,
};

use super::{display_name_is_short, named, request_id, secret, tenant::mask, timestamp, version_serves};
use crate::meta_apps::{AppChange, MetaApp, SecretFacts};

/// How long webhooks by the old secret are taken where nobody says.
const OVERLAP: Duration = Duration::from_hours(1);
const OVERLAP_MAX: Duration = Duration::from_hours(7 * 24);

/// What is to be changed of an app: the change, the app, the etag that it asks for, the request's id.
pub fn update_meta_app(
    request: pb::UpdateMetaAppRequest,
) -> Result<(AppChange, MetaAppId, String, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let request_id = request_id(&mut fields, &request.request_id, true);
    let app = request.meta_app.unwrap_or_default();
    let id = fields.take(named("meta_app.name", names::meta_app(&app.name)));
    let mut change = AppChange::default();
    for path in mask(&mut fields, request.update_mask, &["display_name", "api_version"]) {
        if path == "display_name" {
            display_name_is_short(&mut fields, "meta_app.display_name", &app.display_name);
            change.display_name = Some(app.display_name.clone());
        } else {
            version_serves(&mut fields, "meta_app.api_version", &app.api_version);
            change.api_version = Some(app.api_version.clone());
        }
    }
    fields.finish()?;
    Ok((change, id.ok_or_else(|| FieldError::required("meta_app.name"))?, app.etag, request_id))
}

/// A new secret for an app: which, the secret, the overlap, the request's id.
pub fn rotate_secret(
    request: pb::RotateMetaAppSecretRequest,
) -> Result<(MetaAppId, SecretString, Duration, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let id = fields.take(named("name", names::meta_app(&request.name)));
    let new = secret(&mut fields, "new_secret", request.new_secret);
    let overlap = request.overlap.map_or(Ok(OVERLAP), Duration::try_from).ok().filter(|time| *time <= OVERLAP_MAX);
    fields.check(overlap.is_some(), "overlap", "must be 0 to 7 days", "OVERLAP");
    let request_id = request_id(&mut fields, &request.request_id, true);
    fields.finish()?;
    Ok((id.ok_or_else(|| FieldError::required("name"))?, new, overlap.unwrap_or(OVERLAP), request_id))
}

impl From<&SecretFacts> for pb::MetaAppSecret {
    fn from(secret: &SecretFacts) -> Self {
        Self {
            version: secret.version,
            proves: secret.accept_until.is_none(),
            accept_until: secret.accept_until.map(timestamp),
            create_time: Some(timestamp(secret.created)),
        }
    }
}

impl From<&MetaApp> for pb::MetaApp {
    fn from(app: &MetaApp) -> Self {
        Self {
            name: names::of_meta_app(app.id),
            etag: app.etag(),
            app_id: app.id.to_string(),
            api_version: app.api_version.clone(),
            display_name: app.display_name.clone(),
            create_time: Some(timestamp(app.created)),
            update_time: Some(timestamp(app.updated)),
            secret_versions: app.secrets.iter().map(Into::into).collect(),
        }
    }
}
