//! Who keeps the key-encryption key: the one key that wraps all others and is stored nowhere beside them.

use std::{fs, path::Path};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

use super::seal::{Key, Place};

/// The provider could not wrap or unwrap.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It cannot be reached now: the vault is sealed until it can.
    #[error("the key provider cannot be reached: {0}")]
    Away(String),
    /// It answers, but not for this key: it was wrapped by another one, or changed.
    #[error("the key provider refuses: {0}")]
    Refused(String),
    /// It is not set up as it should be.
    #[error("the key-encryption key in {file}: {reason}")]
    Setup {
        /// The file named in the settings.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Wraps the tenants' keys. Asynchronous, because a provider may be another machine.
pub trait KeyProvider: Send + Sync {
    /// Which kind it is, such as `file`.
    fn kind(&self) -> &'static str;

    /// Names the key in use, so that a wrapped key says what opens it; changes when the key does.
    fn key_id(&self) -> &str;

    /// Wraps a key for a place.
    fn wrap<'a>(&'a self, key: &'a Key, place: &'a Place<'a>) -> BoxFuture<'a, Result<Vec<u8>, ProviderError>>;

    /// Opens what `wrap` made for the same place.
    fn unwrap<'a>(&'a self, wrapped: &'a [u8], place: &'a Place<'a>) -> BoxFuture<'a, Result<Key, ProviderError>>;
}

/// A key in a file: 32 random bytes in base64. For development, and where a mounted Secret is trusted enough.
pub struct FileProvider {
    key: Key,
    id: String,
}

impl FileProvider {
    /// Reads the file.
    pub fn read(file: &Path) -> Result<Self, ProviderError> {
        let fault = |reason: &str| ProviderError::Setup { file: file.display().to_string(), reason: reason.to_owned() };
        let text = SecretString::from(fs::read_to_string(file).map_err(|error| fault(&error.to_string()))?);
        let bytes = STANDARD
            .decode(text.expose_secret().trim())
            .map(secrecy::SecretSlice::from)
            .map_err(|_| fault("is not base64"))?;
        let key = Key::from_bytes(bytes.expose_secret()).map_err(|_| fault("must hold exactly 32 bytes in base64"))?;
        Ok(Self::new(key))
    }

    fn new(key: Key) -> Self {
        let hash = digest::digest(&digest::SHA256, key.expose());
        let id = format!("file:{}", hex::encode(hash.as_ref().get(..6).unwrap_or_default()));
        Self { key, id }
    }
}

impl KeyProvider for FileProvider {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn key_id(&self) -> &str {
        &self.id
    }

    fn wrap<'a>(&'a self, key: &'a Key, place: &'a Place<'a>) -> BoxFuture<'a, Result<Vec<u8>, ProviderError>> {
        let wrapped = key.wrap(&self.key, place).map_err(|error| ProviderError::Refused(error.to_string()));
        Box::pin(async move { wrapped })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], place: &'a Place<'a>) -> BoxFuture<'a, Result<Key, ProviderError>> {
        let key = self.key.unwrap_key(place, wrapped).map_err(|error| ProviderError::Refused(error.to_string()));
        Box::pin(async move { key })
    }
}
