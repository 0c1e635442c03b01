//! The vault: what is secret at rest, and the chain of keys that opens it.
//!
//! ```text
//! key-encryption key (provider)  wraps  a tenant's key  wraps  a row's own key  seals  the columns of that row
//! ```
//!
//! Every key is random, none is derived, so that deleting a wrapped key shreds what lies beneath it. What belongs to
//! the installation (the apps' secrets, the keys that sign tokens) lies under the key of a tenant of our own,
//! [`SYSTEM`], which nobody can be.

pub mod provider;
pub mod seal;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::{ExposeSecret, SecretSlice};

use self::{
    provider::{KeyProvider, ProviderError},
    seal::{Key, Place, SealError},
};
use crate::store::{self, keys::WrappedKey};

/// The tenant of what belongs to the installation. Reserved: no tenant can be called so.
pub const SYSTEM: &str = "system";

/// A row's own key, wrapped, with the versions that say how to open it. Stored in the row it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    /// Which key of the tenant wraps it.
    pub tenant_key_version: i32,
    /// Which key of the row it is; it grows when the row is encrypted anew.
    pub key_version: i32,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// A sealed value together with the row's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key of its row.
    pub key: RowKey,
    /// The nonce, the ciphertext, the tag.
    pub value: Vec<u8>,
}

/// Which value of which row; the tenant and the versions complete the [`Place`].
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's key within the tenant.
    pub row: &'a str,
}

impl<'a> Cell<'a> {
    fn place(&self, key_version: i32) -> Place<'a> {
        Place { tenant: self.tenant, table: self.table, column: self.column, row: self.row, key_version }
    }

    /// Where the row's own key stands.
    fn key_place(&self, tenant_key_version: i32) -> Place<'a> {
        Place { column: "wrapped_key", ..self.place(tenant_key_version) }
    }
}

/// Why the vault could not seal or open.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The provider of the key-encryption key.
    #[error("the vault's key provider failed")]
    Provider(#[from] ProviderError),
    /// A value does not open: it was changed or moved.
    #[error("a sealed value does not open")]
    Seal(#[from] SealError),
    /// The tenant's key is not there: it was shredded, or never made.
    #[error("tenant {0} has no such key")]
    NoKey(String),
    /// The store of wrapped keys.
    #[error("the store of keys failed")]
    Store(#[from] storage::Error),
}

impl VaultError {
    /// Can the vault do nothing now, and perhaps later?
    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::Away(_)))
    }
}

/// Tenants' keys in clear, by tenant and version.
type Opened = HashMap<(String, i32), Arc<Key>>;

/// Seals and opens. Tenants' keys are kept in memory once opened; rows' keys are opened each time.
#[derive(Clone)]
pub struct Vault {
    provider: Arc<dyn KeyProvider>,
    store: store::Keys,
    opened: Arc<Mutex<Opened>>,
}

impl Vault {
    /// A vault over a provider and the store of wrapped keys.
    pub fn new(provider: Arc<dyn KeyProvider>, store: store::Keys) -> Self {
        Self { provider, store, opened: Arc::default() }
    }

    /// The kind of provider, such as `file`.
    pub fn provider(&self) -> &'static str {
        self.provider.kind()
    }

    /// Opens the installation's own key anew, past the memory: proves that the provider works now.
    pub async fn probe(&self) -> Result<(), VaultError> {
        let wrapped = self.store.current(SYSTEM).await?.ok_or_else(|| VaultError::NoKey(SYSTEM.to_owned()))?;
        self.unwrap(SYSTEM, &wrapped).await.map(drop)
    }

    /// Makes the tenant's first key where it has none. Two that try at once agree on one.
    pub async fn ensure_tenant(&self, tenant: &str) -> Result<(), VaultError> {
        if self.store.current(tenant).await?.is_some() {
            return Ok(());
        }
        let version = 1;
        let wrapped = self.provider.wrap(&Key::random()?, &tenant_place(tenant, version)).await?;
        let key = WrappedKey { version, wrapped, wrapped_by: self.provider.key_id().to_owned() };
        Ok(self.store.insert(tenant, &key).await?)
    }

    /// Seals a value under a new key of its row.
    pub async fn seal(&self, cell: &Cell<'_>, plain: &[u8]) -> Result<Sealed, VaultError> {
        let wrapped =
            self.store.current(cell.tenant).await?.ok_or_else(|| VaultError::NoKey(cell.tenant.to_owned()))?;
        let tenant_key_version = wrapped.version;
        let tenant_key = self.tenant_key(cell.tenant, &wrapped).await?;
        let (row_key, key_version) = (Key::random()?, 1);
        let value = row_key.seal(&cell.place(key_version), plain)?;
        let wrapped = row_key.wrap(&tenant_key, &cell.key_place(tenant_key_version))?;
        Ok(Sealed { key: RowKey { tenant_key_version, key_version, wrapped }, value })
    }

    /// Opens a sealed value.
    pub async fn open(&self, cell: &Cell<'_>, sealed: &Sealed) -> Result<SecretSlice<u8>, VaultError> {
        let version = sealed.key.tenant_key_version;
        let tenant_key = match self.remembered(cell.tenant, version) {
            Some(key) => key,
            None => {
                let wrapped = self.store.version(cell.tenant, version).await?;
                let wrapped = wrapped.ok_or_else(|| VaultError::NoKey(cell.tenant.to_owned()))?;
                self.tenant_key(cell.tenant, &wrapped).await?
            }
        };
        let row_key = tenant_key.unwrap_key(&cell.key_place(version), &sealed.key.wrapped)?;
        Ok(row_key.open(&cell.place(sealed.key.key_version), &sealed.value)?)
    }

    async fn tenant_key(&self, tenant: &str, wrapped: &WrappedKey) -> Result<Arc<Key>, VaultError> {
        if let Some(key) = self.remembered(tenant, wrapped.version) {
            return Ok(key);
        }
        let key = Arc::new(self.unwrap(tenant, wrapped).await?);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert((tenant.to_owned(), wrapped.version), Arc::clone(&key));
        Ok(key)
    }

    fn remembered(&self, tenant: &str, version: i32) -> Option<Arc<Key>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.get(&(tenant.to_owned(), version)).cloned()
    }

    async fn unwrap(&self, tenant: &str, wrapped: &WrappedKey) -> Result<Key, VaultError> {
        Ok(self.provider.unwrap(&wrapped.wrapped, &tenant_place(tenant, wrapped.version)).await?)
    }
}

/// Where a tenant's key stands.
fn tenant_place(tenant: &str, key_version: i32) -> Place<'_> {
    Place { tenant, table: "tenant_keys", column: "wrapped", row: tenant, key_version }
}

/// Text out of opened bytes.
pub fn text(opened: &SecretSlice<u8>) -> Result<secrecy::SecretString, VaultError> {
    let text = std::str::from_utf8(opened.expose_secret()).map_err(|_| SealError)?;
    Ok(secrecy::SecretString::from(text))
}
