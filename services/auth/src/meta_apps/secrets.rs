//! An app's secret changes: what is proved with which, and whose webhooks are taken meanwhile.

use std::time::Duration;

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use vocabulary::{ids::MetaAppId, names};

use super::{MetaApp, MetaApps, SecretFacts, cell, refused};
use crate::{
    by::{By, Repeat},
    error::Error,
    store::{Told, meta_apps, revocations},
    vault::{self, Cell, SYSTEM},
};

/// Before the signature in Meta's header.
const SCHEME: &str = "sha256=";

impl MetaApps {
    /// Puts a new secret in the place of the old one, after Meta has accepted it. From then on calls are proved with it; the
    /// old one verifies webhooks for `overlap`. The same secret again changes nothing.
    pub async fn rotate(
        &self,
        by: &By,
        (id, secret, overlap): (MetaAppId, SecretString, Duration),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&MetaApp) -> Vec<u8>),
    ) -> Result<MetaApp, Error> {
        by.require_operator()?;
        let (before, stored) = self.find(id).await?;
        let old = self.open(id, "").await?;
        let at_meta = graph::oauth::App { secret, ..old.clone() };
        self.oauth.check_secret(&at_meta).await.map_err(refused)?;
        if validate_only {
            return Ok(before);
        }
        if at_meta.secret.expose_secret() == old.secret.expose_secret() {
            self.store.answer(by, repeat, &answer(&before)).await?;
            return Ok(before);
        }
        let now = (self.now)();
        let mut app = before.clone();
        (app.version, app.updated) = (before.version + 1, now);
        let last = before.secrets.first().ok_or(Error::Corrupt("secret"))?;
        let replaced = SecretFacts { accept_until: Some(now + overlap), ..last.clone() };
        let new = SecretFacts { version: last.version + 1, created: now, accept_until: None };
        let (row, old_row) = (id.to_string(), format!("{id}/{}", last.version));
        let previous = stored.key.key_version;
        let sealed = self.vault.seal(&cell(&row), previous, at_meta.secret.expose_secret().as_bytes()).await?;
        let kept = if overlap.is_zero() {
            None
        } else {
            Some(self.vault.seal(&old_cell(&old_row), 0, old.secret.expose_secret().as_bytes()).await?)
        };
        app.secrets = [new].into_iter().chain(kept.as_ref().map(|_| replaced.clone())).collect();

        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let resource = names::of_meta_app(id);
        if !meta_apps::replace_secret(&transaction, (&app, before.version), &sealed).await? {
            transaction.rollback().await?;
            drop(client); // Whoever waits for a second connection holds none.
            return Err(Error::Stale { resource, etag: self.get(id).await?.etag() });
        }
        meta_apps::keep_old(&transaction, (id, &old_row), &replaced, kept.as_ref()).await?;
        // Leases carry a proof by the old secret, which Meta may refuse from now on.
        revocations::append_of_app(&transaction, id, now).await?;
        let detail = json!({"secret_version": last.version + 1, "overlap_seconds": overlap.as_secs()});
        let told = Told { action: "meta_apps.rotate_secret", resource: &resource, detail };
        self.store.commit(transaction, by, told, Some((repeat, answer(&app)))).await?;
        Ok(app)
    }

    /// Did Meta sign this, with any secret of the app that is in use?
    pub async fn verify_webhook(&self, id: MetaAppId, signature: &str, body: &[u8]) -> Result<bool, Error> {
        let mut secrets = vec![self.open(id, "").await?.secret];
        let client = self.store.client().await?;
        let old = meta_apps::old(&client, id, (self.now)()).await?;
        drop(client);
        for (row, sealed) in old {
            secrets.push(vault::text(&self.vault.open(&old_cell(&row), &sealed).await?)?);
        }
        // All of them each time, so that the time tells nothing of which one fits.
        Ok(secrets.iter().fold(false, |valid, secret| is_signed(secret, signature, body) | valid))
    }

    /// Forgets the secrets whose time is over.
    pub async fn sweep(&self) -> Result<(), Error> {
        meta_apps::sweep(&self.store.client().await?, (self.now)()).await?;
        Ok(())
    }
}

fn old_cell(row: &str) -> Cell<'_> {
    Cell { tenant: SYSTEM, table: "meta_app_secrets", column: "sealed_replaced", row }
}

/// Is this what Meta puts into `X-Hub-Signature-256` for a body? Takes as long for a near miss as for a far one (Meta,
/// "Webhooks: validating payloads").
pub fn is_signed(secret: &SecretString, signature: &str, body: &[u8]) -> bool {
    let mut tag = [0_u8; 32];
    let digits = signature.strip_prefix(SCHEME).unwrap_or_default();
    if hex::decode_to_slice(digits, &mut tag).is_err() {
        return false;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hmac::verify(&key, body, &tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_metas_where_its_signature_is() {
        let secret = SecretString::from("key");
        let body = b"The quick brown fox jumps over the lazy dog";
        // A well-known example of HMAC-SHA256.
        let good = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        assert!(is_signed(&secret, good, body));
        assert!(is_signed(&secret, &good.replace("f7bc", "F7BC"), body));
        assert!(!is_signed(&secret, good, b"The quick brown fox jumps over the lazy cog"));
        assert!(!is_signed(&SecretString::from("kez"), good, body));
        for wrong in ["", "sha256=", &good[..70], &good.replace("sha256=", "sha1="), &good[7..], &format!("{good}00")] {
            assert!(!is_signed(&secret, wrong, body), "{wrong}");
        }
    }
}
