//! Keys as they are listed: the tenant's, and for operators the installation's, those that sign, and those that wrap all.

use proto::auth::v1 as pb;
use vocabulary::{
    ids::TenantId,
    names,
    page::{PageError, PageRequest},
};

use crate::{
    by::By,
    error::Error,
    store::{
        Store,
        keys::{self, KeyFacts, kek, signing, signing::StoredSigningKey},
    },
    vault::{SYSTEM, Vault},
    wire,
};

/// A page, and the key of its last row where more follow. On an operator's first page the key-encryption keys come after
/// the rows, beyond the page's size: there are a handful, and they have no version.
pub(super) async fn page(
    store: &Store,
    vault: &Vault,
    by: &By,
    page: &PageRequest,
) -> Result<(Vec<pb::Key>, Option<String>), Error> {
    let mut rows = rows(store, by, page).await?;
    let next = wire::cut(&mut rows, page, |(group, key)| format!("{group}/{}", key.version));
    let mut keys: Vec<_> = rows.into_iter().map(|(_, key)| key).collect();
    if by.is_operator() && page.after.is_none() {
        // Where the provider does not say which one is in use, all are shown as on their way out.
        let current = vault.key_encryption_key().await.unwrap_or_default();
        let facts = kek::facts(&store.client().await?).await?;
        keys.extend(facts.into_iter().map(|facts| encryption(facts, &current)));
    }
    Ok((keys, next))
}

/// In groups. The first of the rows that come after the page's key, one more than the page holds.
async fn rows(store: &Store, by: &By, page: &PageRequest) -> Result<Vec<(u8, pb::Key)>, Error> {
    let (from, after) = key_of(page)?;
    let limit = wire::limit(page);
    let client = store.client().await?;
    let mut rows = Vec::new();
    for group in from..=if by.is_operator() { 2 } else { 0 } {
        let after = if group == from { after } else { 0 };
        match group {
            0 => {
                let facts = keys::facts(&client, by.tenant.as_str(), after, limit).await?;
                rows.extend(facts.into_iter().map(|facts| (group, wrapping(Some(&by.tenant), facts))));
            }
            // An operator who works for the installation itself has seen them in the first group.
            1 if by.tenant.as_str() == SYSTEM => {}
            1 => {
                let facts = keys::facts(&client, SYSTEM, after, limit).await?;
                rows.extend(facts.into_iter().map(|facts| (group, wrapping(None, facts))));
            }
            _ => {
                let mut signing = signing::all(&client).await?;
                let newest = signing.first().map(|key| key.version);
                signing.reverse();
                let later = signing.into_iter().filter(|key| key.version > after);
                rows.extend(later.map(|key| (group, signs(&key, newest))));
            }
        }
    }
    Ok(rows)
}

/// The group and the version after which a page begins.
fn key_of(page: &PageRequest) -> Result<(u8, i32), Error> {
    let Some(key) = &page.after else { return Ok((0, 0)) };
    let parts = key.split_once('/').and_then(|(group, version)| Some((group.parse().ok()?, version.parse().ok()?)));
    parts.ok_or_else(|| PageError::Token.into())
}

fn state(newest: bool, retired: bool) -> i32 {
    let state = match (newest, retired) {
        (true, _) => pb::KeyState::Active,
        (false, true) => pb::KeyState::Retired,
        (false, false) => pb::KeyState::Retiring,
    };
    state.into()
}

fn wrapping(tenant: Option<&TenantId>, facts: KeyFacts) -> pb::Key {
    pb::Key {
        purpose: pb::KeyPurpose::Wrapping.into(),
        tenant: tenant.filter(|tenant| tenant.as_str() != SYSTEM).map(names::of_tenant).unwrap_or_default(),
        version: facts.version,
        state: state(facts.newest, facts.retired.is_some()),
        wrapped_by: facts.wrapped_by,
        rows: facts.rows,
        create_time: Some(wire::timestamp(facts.created)),
        retire_time: facts.retired.map(wire::timestamp),
        ..pb::Key::default()
    }
}

fn signs(key: &StoredSigningKey, newest: Option<i32>) -> pb::Key {
    pb::Key {
        purpose: pb::KeyPurpose::Signing.into(),
        version: key.version,
        state: state(Some(key.version) == newest, false),
        create_time: Some(wire::timestamp(key.created)),
        key_id: key.id.clone(),
        algorithm: key.algorithm.word().to_owned(),
        sign_time: key.signs_from.map(wire::timestamp),
        retire_time: key.published_until.map(wire::timestamp),
        ..pb::Key::default()
    }
}

fn encryption(facts: kek::KekFacts, current: &str) -> pb::Key {
    pb::Key {
        purpose: pb::KeyPurpose::Encryption.into(),
        state: state(facts.id == current, facts.rows == 0),
        key_id: facts.id,
        rows: facts.rows,
        destroy_by: facts.due.map(|day| day.to_string()).unwrap_or_default(),
        ..pb::Key::default()
    }
}
