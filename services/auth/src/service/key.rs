//! `KeyService`.

use proto::auth::v1::{self as pb, key_service_server::KeyService};
use tonic::{Request, Response, Status};
use vocabulary::{
    ids::TenantId,
    names,
    page::{PageError, PageRequest},
};

use super::{Common, open};
use crate::{
    by::By,
    error::Error,
    store::{keys, keys::KeyFacts},
    vault::{SYSTEM, Vault, VaultError},
    wire,
};

/// The surface of the vault.
pub struct KeyApi {
    /// What all have at hand.
    pub common: Common,
    /// The vault.
    pub vault: Vault,
}

#[tonic::async_trait]
impl KeyService for KeyApi {
    async fn list_keys(&self, request: Request<pb::ListKeysRequest>) -> Result<Response<pb::ListKeysResponse>, Status> {
        let (by, request) = open(request)?;
        let filter: &[u8] = if by.is_operator() { b"keys*" } else { b"keys" };
        let page = self.common.pages.request(&by.tenant, filter, request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let mut rows = self.rows(&by, &page).await?;
        let next = wire::cut(&mut rows, &page, |(group, key)| format!("{group}/{}", key.version));
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, filter, &key)).unwrap_or_default();
        let keys = rows.into_iter().map(|(_, key)| key).collect();
        Ok(Response::new(pb::ListKeysResponse { keys, next_page_token }))
    }

    async fn get_seal_status(
        &self,
        request: Request<pb::GetSealStatusRequest>,
    ) -> Result<Response<pb::GetSealStatusResponse>, Status> {
        rpc::open_untenanted(request)?;
        let sealed = match self.vault.probe().await {
            Ok(()) => false,
            Err(VaultError::Store(error)) => return Err(Error::Store(error).into()),
            Err(_) => true,
        };
        let provider = self.vault.provider().to_owned();
        Ok(Response::new(pb::GetSealStatusResponse { sealed, provider, key_reachable: !sealed }))
    }
}

impl KeyApi {
    /// In groups: the tenant's keys, and for operators the installation's and those that sign. The first of the rows that
    /// come after the page's key, one more than the page holds.
    async fn rows(&self, by: &By, page: &PageRequest) -> Result<Vec<(u8, pb::Key)>, Error> {
        let (from, after) = key_of(page)?;
        let limit = wire::limit(page);
        let client = self.common.store.client().await?;
        let mut rows = Vec::new();
        for group in from..=if by.is_operator() { 2 } else { 0 } {
            let after = if group == from { after } else { 0 };
            match group {
                0 => {
                    let facts = keys::facts(&client, by.tenant.as_str(), after, limit).await?;
                    rows.extend(facts.into_iter().map(|facts| (group, wrapping(Some(&by.tenant), facts))));
                }
                1 => {
                    let facts = keys::facts(&client, SYSTEM, after, limit).await?;
                    rows.extend(facts.into_iter().map(|facts| (group, wrapping(None, facts))));
                }
                _ => {
                    let mut signing = keys::signing(&client).await?;
                    let newest = signing.first().map(|key| key.version);
                    signing.reverse();
                    let later = signing.into_iter().filter(|key| key.version > after);
                    rows.extend(later.map(|key| (group, signs(&key, newest))));
                }
            }
        }
        Ok(rows)
    }
}

/// The group and the version after which a page begins.
fn key_of(page: &PageRequest) -> Result<(u8, i32), Error> {
    let Some(key) = &page.after else { return Ok((0, 0)) };
    let parts = key.split_once('/').and_then(|(group, version)| Some((group.parse().ok()?, version.parse().ok()?)));
    parts.ok_or_else(|| PageError::Token.into())
}

fn state(newest: bool) -> i32 {
    if newest { pb::KeyState::Active } else { pb::KeyState::Retiring }.into()
}

fn wrapping(tenant: Option<&TenantId>, facts: KeyFacts) -> pb::Key {
    pb::Key {
        purpose: pb::KeyPurpose::Wrapping.into(),
        tenant: tenant.map(names::of_tenant).unwrap_or_default(),
        version: facts.version,
        state: state(facts.newest),
        wrapped_by: facts.wrapped_by,
        rows: facts.rows,
        create_time: Some(wire::timestamp(facts.created)),
        key_id: String::new(),
    }
}

fn signs(key: &keys::StoredSigningKey, newest: Option<i32>) -> pb::Key {
    pb::Key {
        purpose: pb::KeyPurpose::Signing.into(),
        version: key.version,
        state: state(Some(key.version) == newest),
        create_time: Some(wire::timestamp(key.created)),
        key_id: key.id.clone(),
        ..pb::Key::default()
    }
}
