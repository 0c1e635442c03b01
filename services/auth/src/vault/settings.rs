//! What an operator sets about the vault: who keeps the key-encryption key, and how to reach them.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use runtime::settings::{Check, Faults};
use serde::Deserialize;

/// Who keeps the key-encryption key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Files.
    #[default]
    File,
    /// The transit engine of HashiCorp Vault, or of what speaks its protocol.
    VaultTransit,
}

/// The parts of auth's settings that say who keeps the key-encryption key.
#[derive(Debug, Clone, Copy)]
pub struct VaultSettings<'a> {
    /// Which of them wraps.
    pub provider: ProviderKind,
    /// The file that wraps; with another provider one that only opens, or empty.
    pub kek_file: &'a Path,
    /// Files that only open.
    pub kek_other_files: &'a [PathBuf],
    /// The transit engine.
    pub transit: &'a TransitSettings,
}

/// Where the transit engine is and how we prove who we are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransitSettings {
    /// Its address: https, or http on this machine. Required with this provider.
    pub address: String,
    /// Where the engine is mounted. Default `transit`.
    pub mount: String,
    /// The key's name; its type is aes256-gcm96. Default `adplane`.
    pub key: String,
    /// The file with our token, read at each call, so that a renewed one is used at once. This or `kubernetes_role`.
    pub token_file: Option<PathBuf>,
    /// The role that we take by our service account. This or `token_file`.
    pub kubernetes_role: Option<String>,
    /// Where Kubernetes authentication is mounted. Default `kubernetes`.
    pub kubernetes_mount: String,
    /// The projected token of our service account.
    /// Default `/var/run/secrets/kubernetes.io/serviceaccount/token`.
    pub kubernetes_token_file: PathBuf,
    /// A further authority to trust, as PEM. Default: those of the machine alone.
    pub ca_file: Option<PathBuf>,
    /// How long a call may take, in seconds. 1 to 30; default 5.
    pub call_timeout_seconds: u32,
}

impl Default for TransitSettings {
    fn default() -> Self {
        Self {
            address: String::new(),
            mount: "transit".to_owned(),
            key: "adplane".to_owned(),
            token_file: None,
            kubernetes_role: None,
            kubernetes_mount: "kubernetes".to_owned(),
            kubernetes_token_file: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token"),
            ca_file: None,
            call_timeout_seconds: 5,
        }
    }
}

impl TransitSettings {
    /// How long a call may take.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.call_timeout_seconds.into())
    }
}

impl Check for TransitSettings {
    fn check(&self, faults: &mut Faults) {
        faults.check(is_safe(&self.address), "address", "must be https, or http on this machine");
        for (key, path) in [("mount", &self.mount), ("key", &self.key), ("kubernetes_mount", &self.kubernetes_mount)] {
            faults.check(is_path(path), key, "must be letters, digits, `-`, `_`, `.`, and `/` between them");
        }
        let ways = usize::from(self.token_file.is_some()) + usize::from(self.kubernetes_role.is_some());
        faults.check(ways == 1, "token_file", "must be set, or else kubernetes_role, and not both");
        let timeout = (1..=30).contains(&self.call_timeout_seconds);
        faults.check(timeout, "call_timeout_seconds", "must be 1 to 30");
    }
}

/// Keys and tokens travel over TLS, or not beyond this machine.
fn is_safe(address: &str) -> bool {
    let Ok(url) = url::Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => !host.is_empty(),
        "http" => is_here,
        _ => false,
    }
}

/// A part of a path that needs no escaping and leads nowhere else.
fn is_path(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && !part.bytes().all(|byte| byte == b'.') && part.bytes().all(plain)
    };
    text.len() <= 200 && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_in_clear_on_this_machine_only() {
        for safe in ["https://vault.example.com:8200", "http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost"]
        {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_address in ["", "http://vault:8200", "ftp://127.0.0.1", "https://", "127.0.0.1:8200"] {
            assert!(!is_safe(unsafe_address), "{unsafe_address}");
        }
    }

    #[test]
    fn a_name_cannot_lead_to_another_path() {
        for path in ["transit", "team-a/transit", "k.1"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "/transit", "a//b", "..", "a/../b", "a?b", "a b", "a%2f"] {
            assert!(!is_path(path), "{path}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let mut faults = Faults::default();
        TransitSettings { key: "../sys".to_owned(), call_timeout_seconds: 0, ..TransitSettings::default() }
            .check(&mut faults);
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["address", "key", "token_file", "call_timeout_seconds"]);
    }
}
