use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use super::Faults;

/// A secret in a file of its own; the settings hold only its path.
///
/// Settings files are read by many and end up in tickets, and an environment variable is visible to every child and in
/// `/proc`, so a secret is never a value of a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(PathBuf);

/// Why a secret could not be read. Names the file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No file is set.
    #[error("no file is set")]
    Unset,
    /// The file cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The file is empty, longer than 64 KiB, or no UTF-8 text.
    #[error("{} must hold 1 to 65,536 bytes of text", .0.display())]
    Unusable(PathBuf),
}

const BYTES_MAX: u64 = 65_536;

impl Secret {
    /// The secret in this file.
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Whether a file was named.
    pub fn is_set(&self) -> bool {
        !self.0.as_os_str().is_empty()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the file anew, so that a rotated secret is seen. A line end at its end is not part of it.
    ///
    /// # Errors
    /// Fails when there is no file or it holds no text.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        if !self.is_set() {
            return Err(SecretError::Unset);
        }
        let unreadable = |error| SecretError::Unreadable(self.0.clone(), error);
        let mut text = String::new();
        let file = File::open(&self.0).map_err(unreadable)?;
        match file.take(BYTES_MAX + 1).read_to_string(&mut text) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(SecretError::Unusable(self.0.clone()));
            }
            read => read.map_err(unreadable)?,
        };
        let length = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(length);
        if text.is_empty() || u64::try_from(length).is_ok_and(|length| length > BYTES_MAX) {
            return Err(SecretError::Unusable(self.0.clone()));
        }
        Ok(SecretString::from(text))
    }

    /// Adds a fault where the secret cannot be read.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        match self.read() {
            Ok(_) => {}
            Err(SecretError::Unreadable(path, error)) => {
                faults.add(key, format!("{} cannot be read: {error}", path.display()));
            }
            Err(error) => faults.add(key, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn file(content: &[u8]) -> (tempfile::TempDir, Secret) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        (folder, Secret::in_file(path))
    }

    #[test]
    fn the_line_end_is_not_part_of_the_secret() {
        let (_folder, secret) = file(b" pass word \r\n");
        assert_eq!(secret.read().unwrap().expose_secret(), " pass word ");
    }

    #[test]
    fn an_empty_a_binary_and_a_huge_file_are_refused() {
        for content in [b"\n".to_vec(), b"\xff\xfe".to_vec(), vec![b'a'; 70_000]] {
            let (_folder, secret) = file(&content);
            assert!(matches!(secret.read(), Err(SecretError::Unusable(_))));
        }
    }

    #[test]
    fn a_missing_file_is_a_fault_of_its_key() {
        let mut faults = Faults::default();
        Secret::in_file("/nonexistent/kek").check("kek_file", &mut faults);
        let text = faults.to_string();
        assert!(text.starts_with("kek_file: /nonexistent/kek cannot be read: "), "{text}");
    }
}
