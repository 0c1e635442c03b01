//! The vault: what is secret at rest, and the chain of keys that opens it.
//!
//! ```text
//! key-encryption key (provider)  wraps  a tenant's key  wraps  a row's own key  seals  the columns of that row
//! ```
//!
//! Every key is random, none is derived, so that deleting a wrapped key shreds what lies beneath it. What belongs to
//! the installation (the apps' secrets, the keys that sign tokens) lies under the key of a tenant of our own,
//! [`SYSTEM`], which nobody can be. Beside a tenant's key lies one for keyed hashes ([`Vault::keyed_hash`]).
//!
//! **Versions.** Each key has one, stored beside what lies under it, so that a process opens what another one sealed
//! before or after a rotation. A sealed value is bound to its tenant, table, column, row and the version of the row's
//! key, and that version grows with every value that is sealed there. So a value moved elsewhere does not open, nor does
//! an older value of the same row put back together with its wrapped key.
//!
//! **What that does not stop.** Who can write whole rows can put back an older row as a whole, versions included, and
//! it opens: no cipher tells the newest of two true values. The audit chain names the version of every token that was
//! stored, so the older row shows beside it; and whoever holds an older token could use it without us anyway.
//!
//! **Rotation** ([`rotation`]) goes on while everything runs, in small steps that lose every race against a newer value.
//! **Closing** ([`sealing`]) forgets the keys on every replica and refuses until an operator opens again.
//! **Shredding** ([`shredding`]) destroys a tenant's keys.

pub mod columns;
mod opened;
pub mod provider;
pub mod rotation;
pub mod seal;
pub mod sealing;
mod settings;
pub mod shredding;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretSlice};
use tokio::{sync::Mutex, time::Instant};

pub use self::settings::{ProviderKind, TransitSettings, VaultSettings};
use self::{
    opened::{Opened, Purpose},
    provider::{ProviderError, Providers},
    seal::{Key, Place, SealError},
    sealing::{Closed, Sealing},
};
use crate::store::{self, keys::WrappedKey};

/// How long an answer to "does the provider serve?" is given again.
const PROBED_FOR: Duration = Duration::from_secs(3);

/// The tenant of what belongs to the installation. Reserved: no tenant can be called so.
pub const SYSTEM: &str = "system";

/// A row's own key, wrapped, with the versions that say how to open it. Stored in the row it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    /// Which key of the tenant wraps it.
    pub tenant_key_version: i32,
    /// Which key of the row it is; it grows with every value that is sealed in the row.
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

    /// The keys that sign tokens open in a closed vault too: without them nobody could come and open it.
    fn is_exempt(&self) -> bool {
        self.tenant == SYSTEM && self.table == columns::SIGNING_KEYS
    }
}

/// Why the vault could not seal or open.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// An operator has closed it.
    #[error("{0}")]
    Closed(Arc<Closed>),
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
        matches!(self, Self::Closed(_) | Self::Provider(ProviderError::Away(_)))
    }
}

/// Seals and opens. Tenants' keys are kept in memory once opened; rows' keys are opened each time.
#[derive(Clone)]
pub struct Vault {
    providers: Arc<Providers>,
    store: store::Keys,
    opened: Opened,
    sealing: Sealing,
    probed: Probed,
}

/// Whether the provider served when it was asked last. Held while it is asked, so that it is asked once.
type Probed = Arc<Mutex<Option<(Instant, bool)>>>;

impl Vault {
    /// A vault over a provider and the store of wrapped keys, closed where an operator has closed it. [`Vault::watch`] has
    /// to run beside it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn start(providers: Providers, store: store::Keys) -> Result<Self, VaultError> {
        let sealing = Sealing::start(&store).await?;
        let (providers, opened) = (Arc::new(providers), Opened::default());
        Ok(Self { providers, store, opened, sealing, probed: Probed::default() })
    }

    /// The kind of provider, such as `file`.
    pub fn provider(&self) -> &'static str {
        self.providers.kind()
    }

    /// Names what wraps tenants' keys now, as its provider says at this moment.
    pub async fn key_encryption_key(&self) -> Result<String, VaultError> {
        Ok(self.providers.current().await?)
    }

    /// Opens the installation's own key anew, past the memory: proves that the provider works now.
    pub async fn probe(&self) -> Result<(), VaultError> {
        let wrapped = self.store.current(SYSTEM).await?.ok_or_else(|| VaultError::NoKey(SYSTEM.to_owned()))?;
        self.unwrap(SYSTEM, &wrapped).await.map(drop)
    }

    /// Whether the provider serves, as it was a few seconds ago: however many ask, it is asked once in that time.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn provider_serves(&self) -> Result<bool, storage::Error> {
        let mut probed = self.probed.lock().await;
        if let Some((_, serves)) = probed.filter(|(at, _)| at.elapsed() < PROBED_FOR) {
            return Ok(serves);
        }
        let serves = match self.probe().await {
            Ok(()) => true,
            Err(VaultError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the vault's key provider does not serve");
                false
            }
        };
        *probed = Some((Instant::now(), serves));
        Ok(serves)
    }

    /// Opens what a change for this tenant will need, so that nobody waits for the provider, which may be another machine,
    /// while a row is locked. Only where a key is rotated in between that happens all the same.
    pub async fn prepare(&self, tenant: &str) -> Result<(), VaultError> {
        self.sealing.require_open()?;
        self.ensure_tenant(tenant).await?;
        if let Some(current) = self.store.current(tenant).await? {
            self.tenant_key(tenant, &current).await?;
        }
        self.hash_key(tenant).await.map(drop)
    }

    /// Makes the tenant's first key where it has none. Two that try at once agree on one.
    pub async fn ensure_tenant(&self, tenant: &str) -> Result<(), VaultError> {
        if self.store.current(tenant).await?.is_none() {
            let first = self.new_tenant_key(tenant).await?;
            self.store.insert(tenant, &first).await?;
        }
        Ok(())
    }

    /// A further key for a tenant, wrapped and not stored.
    async fn new_tenant_key(&self, tenant: &str) -> Result<WrappedKey, VaultError> {
        if tenant != SYSTEM {
            self.sealing.require_open()?;
        }
        let version = self.store.last_version(tenant).await? + 1;
        let wrapped = self.providers.wrap(&Key::random()?, &tenant_place(tenant, version)).await?;
        Ok(WrappedKey { version, wrapped })
    }

    /// Seals a value under a new key of its row. `previous` is the version of the row's key that stands there now, 0 in a
    /// new row.
    pub async fn seal(&self, cell: &Cell<'_>, previous: i32, plain: &[u8]) -> Result<Sealed, VaultError> {
        self.require_open(cell)?;
        let wrapped = self.store.current(cell.tenant).await?;
        let wrapped = wrapped.ok_or_else(|| VaultError::NoKey(cell.tenant.to_owned()))?;
        let tenant_key = self.tenant_key(cell.tenant, &wrapped).await?;
        Ok(seal_under(&tenant_key, wrapped.version, cell, previous, plain)?)
    }

    /// Opens a sealed value.
    pub async fn open(&self, cell: &Cell<'_>, sealed: &Sealed) -> Result<SecretSlice<u8>, VaultError> {
        self.require_open(cell)?;
        let version = sealed.key.tenant_key_version;
        let tenant_key = self.tenant_key_of(cell.tenant, version).await?;
        let row_key = tenant_key.unwrap_key(&cell.key_place(version), &sealed.key.wrapped)?;
        Ok(row_key.open(&cell.place(sealed.key.key_version), &sealed.value)?)
    }

    /// A hash that only we can make: equal values of one tenant have equal hashes, and nobody without the tenant's key can
    /// tell a value from its hash by trying. HMAC-SHA256.
    pub async fn keyed_hash(&self, tenant: &str, value: &[u8]) -> Result<[u8; 32], VaultError> {
        self.sealing.require_open()?;
        let key = self.hash_key(tenant).await?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), value);
        tag.as_ref().try_into().map_err(|_| SealError.into())
    }

    /// Fails where an operator has closed the vault.
    pub fn require_open_for_leases(&self) -> Result<(), VaultError> {
        self.sealing.require_open()
    }

    fn require_open(&self, cell: &Cell<'_>) -> Result<(), VaultError> {
        if cell.is_exempt() { Ok(()) } else { self.sealing.require_open() }
    }

    async fn hash_key(&self, tenant: &str) -> Result<Arc<Key>, VaultError> {
        if let Some(key) = self.opened.get(Purpose::Hash, tenant, 1) {
            return Ok(key);
        }
        let (before, place) = (self.opened.generation(), hash_place(tenant));
        let wrapped = match self.store.hash_key(tenant).await? {
            Some(wrapped) => wrapped,
            None => {
                let new = self.providers.wrap(&Key::random()?, &place).await?;
                self.store.insert_hash_key(tenant, &new).await?;
                self.store.hash_key(tenant).await?.ok_or_else(|| VaultError::NoKey(tenant.to_owned()))?
            }
        };
        let key = Arc::new(self.providers.unwrap(&wrapped, &place).await?);
        if self.sealing.require_open().is_ok() {
            self.opened.put(before, (Purpose::Hash, tenant, 1), &key);
        }
        Ok(key)
    }

    /// A tenant's key of this version in clear.
    async fn tenant_key_of(&self, tenant: &str, version: i32) -> Result<Arc<Key>, VaultError> {
        if let Some(key) = self.opened.get(Purpose::Wrap, tenant, version) {
            return Ok(key);
        }
        let wrapped = self.store.version(tenant, version).await?;
        self.tenant_key(tenant, &wrapped.ok_or_else(|| VaultError::NoKey(tenant.to_owned()))?).await
    }

    async fn tenant_key(&self, tenant: &str, wrapped: &WrappedKey) -> Result<Arc<Key>, VaultError> {
        if let Some(key) = self.opened.get(Purpose::Wrap, tenant, wrapped.version) {
            return Ok(key);
        }
        let before = self.opened.generation();
        let key = Arc::new(self.unwrap(tenant, wrapped).await?);
        if self.sealing.require_open().is_ok() {
            self.opened.put(before, (Purpose::Wrap, tenant, wrapped.version), &key);
        }
        Ok(key)
    }

    async fn unwrap(&self, tenant: &str, wrapped: &WrappedKey) -> Result<Key, VaultError> {
        Ok(self.providers.unwrap(&wrapped.wrapped, &tenant_place(tenant, wrapped.version)).await?)
    }
}

/// Seals a value for a cell under a new key of its row, which goes under this key of the tenant.
fn seal_under(
    tenant_key: &Key,
    tenant_key_version: i32,
    cell: &Cell<'_>,
    previous: i32,
    plain: &[u8],
) -> Result<Sealed, SealError> {
    let (row_key, key_version) = (Key::random()?, previous.checked_add(1).ok_or(SealError)?);
    let value = row_key.seal(&cell.place(key_version), plain)?;
    let wrapped = row_key.wrap(tenant_key, &cell.key_place(tenant_key_version))?;
    Ok(Sealed { key: RowKey { tenant_key_version, key_version, wrapped }, value })
}

/// Where a tenant's key stands.
fn tenant_place(tenant: &str, key_version: i32) -> Place<'_> {
    Place { tenant, table: "tenant_keys", column: "wrapped", row: tenant, key_version }
}

/// Where a tenant's key for hashes stands.
fn hash_place(tenant: &str) -> Place<'_> {
    Place { tenant, table: "hash_keys", column: "wrapped", row: tenant, key_version: 1 }
}

/// Text out of opened bytes.
pub fn text(opened: &SecretSlice<u8>) -> Result<secrecy::SecretString, VaultError> {
    let text = std::str::from_utf8(opened.expose_secret()).map_err(|_| SealError)?;
    Ok(secrecy::SecretString::from(text))
}
