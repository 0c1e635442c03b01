//! Keys in files: for development, and where a mounted Secret is trusted enough.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::{KeyProvider, ProviderError, Wrapped};
use crate::vault::seal::{Key, Place};

/// A key that wraps, and others that open what they once wrapped; each is 32 random bytes in base64.
pub struct FileProvider {
    current: FileKey,
    others: Vec<FileKey>,
}

struct FileKey {
    key: Key,
    /// Its name: `file:` and the first bytes of its SHA-256, which say nothing of the key.
    id: String,
}

impl FileProvider {
    /// Reads the files, once.
    ///
    /// # Errors
    /// [`ProviderError::Setup`] names the file and what is wrong with it.
    pub fn read(current: &Path, others: &[PathBuf]) -> Result<Self, ProviderError> {
        let others = others.iter().map(|file| FileKey::read(file)).collect::<Result<_, _>>()?;
        Ok(Self { current: FileKey::read(current)?, others })
    }

    fn find(&self, by: &str) -> Option<&FileKey> {
        std::iter::once(&self.current).chain(&self.others).find(|key| key.id == by)
    }
}

impl FileKey {
    fn read(file: &Path) -> Result<Self, ProviderError> {
        let fault = |reason: &str| ProviderError::Setup { file: file.to_owned(), reason: reason.to_owned() };
        let text = SecretString::from(fs::read_to_string(file).map_err(|error| fault(&error.to_string()))?);
        let bytes =
            STANDARD.decode(text.expose_secret().trim()).map(SecretSlice::from).map_err(|_| fault("is not base64"))?;
        let key = Key::from_bytes(bytes.expose_secret()).map_err(|_| fault("must hold exactly 32 bytes in base64"))?;
        let hash = digest::digest(&digest::SHA256, key.expose());
        let id = format!("file:{}", hex::encode(hash.as_ref().get(..6).unwrap_or_default()));
        Ok(Self { key, id })
    }
}

impl KeyProvider for FileProvider {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn current(&self) -> BoxFuture<'_, Result<String, ProviderError>> {
        Box::pin(async { Ok(self.current.id.clone()) })
    }

    fn wrap<'a>(&'a self, key: &'a Key, place: &'a Place<'a>) -> BoxFuture<'a, Result<Wrapped, ProviderError>> {
        let bytes = key.wrap(&self.current.key, place).map_err(|error| ProviderError::Refused(error.to_string()));
        Box::pin(async move { Ok(Wrapped { bytes: bytes?, by: self.current.id.clone() }) })
    }

    fn knows(&self, by: &str) -> bool {
        self.find(by).is_some()
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, place: &'a Place<'a>) -> BoxFuture<'a, Result<Key, ProviderError>> {
        let unknown = || ProviderError::Refused(format!("there is no file with the key {}", wrapped.by));
        let opened = self.find(&wrapped.by).ok_or_else(unknown).and_then(|file| {
            let refused = |error: crate::vault::seal::SealError| ProviderError::Refused(error.to_string());
            file.key.unwrap_key(place, &wrapped.bytes).map_err(refused)
        });
        Box::pin(async move { opened })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> =
        Place { tenant: "acme", table: "tenant_keys", column: "wrapped", row: "acme", key_version: 1 };

    fn file(folder: &Path, byte: u8) -> PathBuf {
        let file = folder.join(byte.to_string());
        fs::write(&file, format!("{}\n", STANDARD.encode([byte; 32]))).unwrap();
        file
    }

    #[tokio::test]
    async fn what_an_older_key_wrapped_opens_while_its_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (file(folder.path(), 1), file(folder.path(), 2));
        let key = Key::random().unwrap();
        let wrapped = FileProvider::read(&a, &[]).unwrap().wrap(&key, &PLACE).await.unwrap();

        let both = FileProvider::read(&b, std::slice::from_ref(&a)).unwrap();
        assert!(both.knows(&wrapped.by));
        assert_eq!(both.unwrap(&wrapped, &PLACE).await.unwrap().expose(), key.expose());
        assert_ne!(both.wrap(&key, &PLACE).await.unwrap().by, wrapped.by);

        let alone = FileProvider::read(&b, &[]).unwrap();
        assert!(!alone.knows(&wrapped.by));
        assert!(matches!(alone.unwrap(&wrapped, &PLACE).await.unwrap_err(), ProviderError::Refused(_)));
        let elsewhere = Place { tenant: "other", ..PLACE };
        assert!(matches!(both.unwrap(&wrapped, &elsewhere).await.unwrap_err(), ProviderError::Refused(_)));
    }

    #[test]
    fn a_file_that_holds_no_key_is_named_and_its_content_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("bad");
        for text in ["not base64!", "c2hvcnQ="] {
            fs::write(&bad, text).unwrap();
            let Err(error) = FileProvider::read(&bad, &[]) else { panic!("{text} was taken") };
            let said = error.to_string();
            assert!(said.contains("/bad") && !said.contains(text), "{said}");
        }
        assert!(FileProvider::read(Path::new("/nonexistent/kek"), &[]).is_err());
    }
}
