//! Values that the audit must be able to compare and nobody may read: as keyed hashes of the tenant.
//!
//! A hash without a key could be undone by trying: there are few telephone numbers. Equal values of a tenant have equal
//! hashes, so that an auditor can follow one person or one token through the entries.

use storage::audit::veiled;

use crate::vault::Vault;

/// What stands for a value that cannot be hashed now: an operator has closed the vault, and what is done must be told all
/// the same.
const HIDDEN: &str = "[hidden]";

/// A value as its keyed hash.
pub async fn hashed(vault: &Vault, tenant: &str, value: &str) -> String {
    match vault.keyed_hash(tenant, value.as_bytes()).await {
        Ok(hash) => format!("hmac:{}", hex::encode(hash.get(..16).unwrap_or_default())),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a value is hidden instead of hashed");
            HIDDEN.to_owned()
        }
    }
}

/// What a person or Meta wrote, with every word that looks like a secret or names a person as its keyed hash.
pub async fn text(vault: &Vault, tenant: &str, text: &str) -> String {
    let mut words = Vec::new();
    veiled(text, |word| {
        words.push(word.to_owned());
        String::new()
    });
    let mut hashes = Vec::with_capacity(words.len());
    for word in &words {
        hashes.push(hashed(vault, tenant, word).await);
    }
    let mut hashes = hashes.into_iter();
    veiled(text, |_| hashes.next().unwrap_or_default()).into_owned()
}
