//! Who keeps the key-encryption key: the one key that wraps all others and is stored nowhere beside them.

mod file;
mod login;
mod transit;

use std::{path::PathBuf, sync::Arc};

use futures::future::BoxFuture;

pub use self::{file::FileProvider, transit::TransitProvider};
use super::{
    seal::{Key, Place},
    settings::{ProviderKind, VaultSettings},
};

/// The provider could not wrap or unwrap.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It cannot be reached now, or is sealed itself: the vault is sealed until it can.
    #[error("the key provider cannot be reached: {0}")]
    Away(String),
    /// It answers, but not for this key: it was wrapped by another one, or changed, or we may not use it.
    #[error("the key provider refuses: {0}")]
    Refused(String),
    /// It is not set up as it should be.
    #[error("the key provider, {file}: {reason}")]
    Setup {
        /// The file named in the settings.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A wrapped key, with the name of what wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// As the provider gave it.
    pub bytes: Vec<u8>,
    /// The key-encryption key and its version, by the provider's own name.
    pub by: String,
}

/// Wraps the tenants' keys. Asynchronous, because a provider may be another machine.
///
/// What wraps has versions: a provider wraps with its current one and opens with every one that it still has, told by
/// [`Wrapped::by`], so that a rotation has a time in which both are at work. The trait asks for nothing that a cloud's
/// KMS does not have: `Encrypt` and `Decrypt` of 32 bytes with associated data (the bytes of [`Place`]; AWS takes them as
/// an encryption context, Google as additional authenticated data), and an answer that names the version that was used.
/// A provider without associated data must wrap the digest of the place beside the key and compare it on opening, for a
/// wrapped key that opens elsewhere breaks what the vault promises.
pub trait KeyProvider: Send + Sync {
    /// Which kind it is, such as `file`.
    fn kind(&self) -> &'static str;

    /// Names what wraps now. Asked of the provider itself, so an answer shows that it works.
    fn current(&self) -> BoxFuture<'_, Result<String, ProviderError>>;

    /// Wraps a key for a place.
    fn wrap<'a>(&'a self, key: &'a Key, place: &'a Place<'a>) -> BoxFuture<'a, Result<Wrapped, ProviderError>>;

    /// Is this the name of a key of this provider's, of whatever version?
    fn knows(&self, by: &str) -> bool;

    /// Opens what `wrap` made for the same place.
    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, place: &'a Place<'a>) -> BoxFuture<'a, Result<Key, ProviderError>>;
}

/// The provider that wraps, and others that open what they once wrapped: so one provider can follow another online.
pub struct Providers {
    current: Arc<dyn KeyProvider>,
    others: Vec<Arc<dyn KeyProvider>>,
}

impl Providers {
    /// One that wraps and others that only open.
    pub fn new(current: Arc<dyn KeyProvider>, others: Vec<Arc<dyn KeyProvider>>) -> Self {
        Self { current, others }
    }

    /// As an operator has set them up. Nothing is asked of another machine here.
    ///
    /// # Errors
    /// [`ProviderError::Setup`].
    pub fn of(settings: &VaultSettings<'_>) -> Result<Self, ProviderError> {
        let files = || FileProvider::read(settings.kek_file, settings.kek_other_files).map(Arc::new);
        match settings.provider {
            ProviderKind::File => Ok(Self::new(files()?, Vec::new())),
            ProviderKind::VaultTransit => {
                let transit = Arc::new(TransitProvider::new(settings.transit)?);
                let has_file = !settings.kek_file.as_os_str().is_empty();
                Ok(Self::new(transit, if has_file { vec![files()?] } else { Vec::new() }))
            }
        }
    }

    /// The kind that wraps.
    pub fn kind(&self) -> &'static str {
        self.current.kind()
    }

    /// Names what wraps now.
    ///
    /// # Errors
    /// As the provider.
    pub async fn current(&self) -> Result<String, ProviderError> {
        self.current.current().await
    }

    /// Wraps a key for a place.
    ///
    /// # Errors
    /// As the provider.
    pub async fn wrap(&self, key: &Key, place: &Place<'_>) -> Result<Wrapped, ProviderError> {
        self.current.wrap(key, place).await
    }

    /// Opens a wrapped key by the provider that wrapped it.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] where none of them did, else as the provider.
    pub async fn unwrap(&self, wrapped: &Wrapped, place: &Place<'_>) -> Result<Key, ProviderError> {
        let mut all = std::iter::once(&self.current).chain(&self.others);
        let provider = all.find(|provider| provider.knows(&wrapped.by));
        let unknown = || ProviderError::Refused(format!("no provider that is set up has the key {}", wrapped.by));
        provider.ok_or_else(unknown)?.unwrap(wrapped, place).await
    }
}

/// Does a process whose provider wraps with `current` bring forward what was to lie under `target`? It does where they
/// are the same, and where they are versions of one key and its own is the later one.
pub fn serves(current: &str, target: &str) -> bool {
    let split = |name: &str| {
        let (key, version) = name.rsplit_once(":v")?;
        Some((key.to_owned(), version.parse::<u64>().ok()?))
    };
    current == target
        || matches!((split(current), split(target)), (Some((one, later)), Some((other, version))) if one == other && later > version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_of_the_same_key_serves_and_no_other_key_does() {
        assert!(serves("file:aa", "file:aa"));
        assert!(!serves("file:bb", "file:aa"));
        assert!(serves("vault_transit:transit/k:v10", "vault_transit:transit/k:v9"));
        assert!(!serves("vault_transit:transit/k:v1", "vault_transit:transit/k:v2"));
        assert!(!serves("vault_transit:transit/other:v3", "vault_transit:transit/k:v2"));
    }
}
