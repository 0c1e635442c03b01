use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::Error;

/// The URL of a store, which may hold a password: it is never shown, and wiped when dropped.
#[derive(Clone, Default)]
pub struct SecretUrl(SecretString);

impl SecretUrl {
    /// Whether no URL is set.
    pub fn is_empty(&self) -> bool {
        self.0.expose_secret().is_empty()
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// This URL, or the first line of `file` where there is none.
    pub(crate) fn or_from(&self, file: &Path) -> Result<Self, Error> {
        if !self.is_empty() {
            return Ok(self.clone());
        }
        if file.as_os_str().is_empty() {
            return Err(Error::Settings("set url or url_file".to_owned()));
        }
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::Settings(format!("{} cannot be read: {error}", file.display())))?;
        Ok(Self::from(text.lines().next().unwrap_or_default().trim()))
    }

    /// What is wrong with a pair of settings `url` and `url_file`.
    pub(crate) fn fault(&self, file: &Path) -> Option<(&'static str, String)> {
        let has_file = !file.as_os_str().is_empty();
        match (self.is_empty(), has_file) {
            (true, false) => Some(("url_file", "url or url_file must be set".to_owned())),
            (false, true) => Some(("url_file", "only one of url and url_file may be set".to_owned())),
            (true, true) => std::fs::metadata(file).err().map(|error| ("url_file", format!("cannot be read: {error}"))),
            (false, false) => None,
        }
    }
}

impl From<&str> for SecretUrl {
    fn from(url: &str) -> Self {
        Self(SecretString::from(url))
    }
}

impl From<String> for SecretUrl {
    fn from(url: String) -> Self {
        Self(SecretString::from(url))
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "[REDACTED]" })
    }
}
