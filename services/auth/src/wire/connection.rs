//! Connections and what they reach.

use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use secrecy::SecretString;
use vocabulary::{
    ids::{AdAccountId, ConnectionId, MetaAppId, RequestId},
    names,
    page::{PageError, PageRequest},
};

use super::{health, limit, moment, named, permissions, request_id, secret, timestamp};
use crate::{
    assets::{Asset, AssetKind},
    connections::{Connected, Connection, ConnectionKind, ConnectionState, Listing},
    logins::Purpose,
};

/// A token to be imported: the app, the token, what it should be allowed.
pub fn import(
    request: pb::ImportSystemUserTokenRequest,
) -> Result<(MetaAppId, SecretString, Vec<String>, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let token = secret(&mut fields, "token", request.token);
    let app = fields.take(named("meta_app", names::meta_app(&request.meta_app)));
    let expected = permissions(&mut fields, "expected_scopes", request.expected_scopes);
    let id = request_id(&mut fields, &request.request_id, true);
    fields.finish()?;
    let app = app.ok_or_else(|| FieldError::required("meta_app"))?;
    Ok((app, token, expected, id))
}

/// A log-in to be begun: the app, and what to ask for.
pub fn begin_connection(request: pb::BeginConnectionRequest) -> Result<(MetaAppId, Vec<String>), FieldError> {
    let mut fields = Fields::new();
    let app = fields.take(named("meta_app", names::meta_app(&request.meta_app)));
    let scopes = permissions(&mut fields, "scopes", request.scopes);
    request_id(&mut fields, &request.request_id, false);
    fields.finish()?;
    Ok((app.ok_or_else(|| FieldError::required("meta_app"))?, scopes))
}

/// The state of a log-in.
pub fn get_login(request: pb::GetLoginRequest) -> Result<SecretString, FieldError> {
    let mut fields = Fields::new();
    let state = secret(&mut fields, "state", request.state);
    fields.finish()?;
    Ok(state)
}

impl From<Purpose> for pb::Login {
    fn from(purpose: Purpose) -> Self {
        let Purpose { login, tenant_name, began_by_name, dialog_url } = purpose;
        Self {
            tenant: names::of_tenant(&login.tenant),
            tenant_display_name: tenant_name,
            began_by: login.began_by,
            began_by_display_name: began_by_name,
            meta_app: names::of_meta_app(login.app),
            scopes: login.scopes,
            dialog_url,
            callback_url: login.redirect_uri,
            expire_time: Some(timestamp(login.expires)),
        }
    }
}

/// What a redirect brought: the state and the code.
pub fn complete_connection(
    request: pb::CompleteConnectionRequest,
) -> Result<(SecretString, SecretString, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let state = secret(&mut fields, "state", request.state);
    let code = secret(&mut fields, "code", request.code);
    let id = request_id(&mut fields, &request.request_id, false);
    fields.finish()?;
    Ok((state, code, id))
}

/// A connection to be ended.
pub fn revoke(request: &pb::RevokeConnectionRequest) -> Result<(ConnectionId, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let id = fields.take(named("name", names::connection(&request.name)));
    fields.check(request.reason.chars().count() <= 500, "reason", "must have at most 500 characters", "TOO_LONG");
    let request_id = request_id(&mut fields, &request.request_id, false);
    fields.finish()?;
    Ok((id.ok_or_else(|| FieldError::required("name"))?, request_id))
}

/// A connection to be refreshed.
pub fn refresh(request: &pb::RefreshConnectionRequest) -> Result<(ConnectionId, Option<RequestId>), FieldError> {
    one(&request.name, &request.request_id, true)
}

/// A connection to be removed.
pub fn delete(request: &pb::DeleteConnectionRequest) -> Result<(ConnectionId, Option<RequestId>), FieldError> {
    one(&request.name, &request.request_id, false)
}

fn one(name: &str, id: &str, required: bool) -> Result<(ConnectionId, Option<RequestId>), FieldError> {
    let mut fields = Fields::new();
    let connection = fields.take(named("name", names::connection(name)));
    let request_id = request_id(&mut fields, id, required);
    fields.finish()?;
    Ok((connection.ok_or_else(|| FieldError::required("name"))?, request_id))
}

/// Which connections to list.
pub fn connection_filter(filter: pb::ConnectionFilter, page: &PageRequest) -> Result<Listing, FieldError> {
    let state = match pb::ConnectionState::try_from(filter.state) {
        Ok(pb::ConnectionState::Unspecified) => None,
        Ok(pb::ConnectionState::Active) => Some(ConnectionState::Active),
        Ok(pb::ConnectionState::NeedsConsent) => Some(ConnectionState::NeedsConsent),
        Ok(pb::ConnectionState::Revoked) => Some(ConnectionState::Revoked),
        Ok(pb::ConnectionState::Checkpoint) => Some(ConnectionState::Checkpoint),
        Err(_) => return Err(FieldError::new("filter.state", "must be a state that is known here", "ENUM")),
    };
    let expires_before = moment("filter.expires_before", filter.expires_before)?;
    let after = page.after.as_deref().map_or(Ok(ConnectionId(uuid::Uuid::nil())), str::parse);
    let after = after.map_err(|_| FieldError::from(PageError::Token))?;
    Ok(Listing { state, expires_before, after, limit: limit(page) })
}

/// Which assets to list.
pub fn assets_filter(kind: i32) -> Result<Option<AssetKind>, FieldError> {
    match pb::AssetKind::try_from(kind) {
        Ok(pb::AssetKind::Unspecified) => Ok(None),
        Ok(pb::AssetKind::AdAccount) => Ok(Some(AssetKind::AdAccount)),
        Ok(pb::AssetKind::Page) => Ok(Some(AssetKind::Page)),
        Ok(pb::AssetKind::InstagramUser) => Ok(Some(AssetKind::InstagramUser)),
        Ok(pb::AssetKind::Dataset) => Ok(Some(AssetKind::Dataset)),
        Ok(pb::AssetKind::Business) => Ok(Some(AssetKind::Business)),
        Err(_) => Err(FieldError::new("kind", "must be a kind that is known here", "ENUM")),
    }
}

/// The kind and id after which a page begins, out of its key.
pub fn asset_key(page: &PageRequest) -> Result<(i16, String), FieldError> {
    let Some(key) = &page.after else { return Ok((0, String::new())) };
    let parts = key.split_once('/').and_then(|(kind, id)| Some((kind.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| PageError::Token.into())
}

impl From<&Connection> for pb::Connection {
    fn from(connection: &Connection) -> Self {
        let kind = match connection.kind {
            ConnectionKind::User => pb::ConnectionKind::User,
            ConnectionKind::SystemUser => pb::ConnectionKind::SystemUser,
        };
        let granular = connection.granular_scopes.iter().map(|granular| pb::GranularScope {
            scope: granular.scope.clone(),
            target_ids: granular.target_ids.iter().take(1_000).cloned().collect(),
        });
        Self {
            name: names::of_connection(connection.id),
            etag: connection.etag(),
            kind: kind.into(),
            state: pb::ConnectionState::from(connection.state).into(),
            meta_app: names::of_meta_app(connection.app),
            user_id: connection.user_id.clone(),
            scopes: connection.scopes.iter().take(100).cloned().collect(),
            missing_scopes: connection.missing_scopes(),
            granular_scopes: granular.take(100).collect(),
            expire_time: connection.expires.map(timestamp),
            data_access_expire_time: connection.data_access_expires.map(timestamp),
            inspect_time: Some(timestamp(connection.inspected)),
            state_reason: connection.state_reason.clone(),
            create_time: Some(timestamp(connection.created)),
            update_time: Some(timestamp(connection.updated)),
            next_refresh_time: next_refresh(connection).map(timestamp),
            refresh_time: connection.upkeep.refreshed.map(timestamp),
            health: health(connection).into(),
            refresh_problem: connection.upkeep.problem.clone(),
        }
    }
}

/// Only what works is refreshed.
fn next_refresh(connection: &Connection) -> Option<jiff::Timestamp> {
    connection.upkeep.next_refresh.filter(|_| connection.state == ConnectionState::Active)
}

impl From<&Connected> for pb::DiscoverAssetsResult {
    fn from(connected: &Connected) -> Self {
        let count = |kind| {
            let found = connected.found.iter().filter(|found| found.kind == kind).count();
            i64::try_from(found).unwrap_or(i64::MAX)
        };
        let names = |accounts: &[AdAccountId]| accounts.iter().take(1_000).copied().map(names::of_ad_account).collect();
        Self {
            businesses: count(AssetKind::Business),
            ad_accounts: count(AssetKind::AdAccount),
            pages: count(AssetKind::Page),
            instagram_users: count(AssetKind::InstagramUser),
            datasets: count(AssetKind::Dataset),
            claimed_ad_accounts: names(&connected.claims.claimed),
            taken_ad_accounts: names(&connected.claims.taken),
            claimed_total: i64::try_from(connected.claims.claimed.len()).unwrap_or(i64::MAX),
            taken_total: i64::try_from(connected.claims.taken.len()).unwrap_or(i64::MAX),
            operation: connected.looking.clone().unwrap_or_default(),
        }
    }
}

impl From<&Asset> for pb::Asset {
    fn from(asset: &Asset) -> Self {
        let found = &asset.found;
        let kind = match found.kind {
            AssetKind::AdAccount => pb::AssetKind::AdAccount,
            AssetKind::Page => pb::AssetKind::Page,
            AssetKind::InstagramUser => pb::AssetKind::InstagramUser,
            AssetKind::Dataset => pb::AssetKind::Dataset,
            AssetKind::Business => pb::AssetKind::Business,
        };
        Self {
            name: found.kind.name(&found.meta_id),
            kind: kind.into(),
            meta_id: found.meta_id.clone(),
            display_name: found.display_name.clone(),
            roles: found.roles.iter().take(20).cloned().collect(),
            reachable_by: asset.reachable_by.iter().take(100).copied().map(names::of_connection).collect(),
            owned: asset.owned,
            discover_time: Some(timestamp(asset.discovered)),
        }
    }
}
