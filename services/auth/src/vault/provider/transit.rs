//! The transit engine of HashiCorp Vault over HTTP: the key-encryption key stays there and has versions of its own.
//!
//! What was learnt from its API documentation ("Transit secrets engine", "HTTP API: status codes"): the ciphertext of
//! version 3 begins with `vault:v3:`; `associated_data` comes back only with the same on decryption, for keys of type
//! aes256-gcm96; a sealed Vault answers 503, a standby 429 or 473; a token without the right gets 403, a changed ciphertext
//! or one of a version that was withdrawn 400. Tried against a stand-in that we wrote, not against a Vault.

use std::{fs, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use reqwest::{Certificate, StatusCode, header::HeaderValue, redirect, retry};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{KeyProvider, ProviderError, Wrapped, login::Login};
use crate::vault::{
    seal::{Key, Place},
    settings::TransitSettings,
};

/// An answer of Vault's is a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How much of Vault's own words goes into an error.
const WORDS_MAX: usize = 200;

/// A key in Vault's transit engine.
pub struct TransitProvider {
    http: Http,
    login: Login,
    mount: String,
    key: String,
}

/// What Vault calls a success: `{"data": ...}`.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    #[serde(deserialize_with = "secret")]
    plaintext: SecretString,
}

impl TransitProvider {
    /// Prepares connections; nothing is asked yet.
    ///
    /// # Errors
    /// [`ProviderError::Setup`] where the authority's file is not one.
    pub fn new(settings: &TransitSettings) -> Result<Self, ProviderError> {
        let (http, login) = (Http::new(settings)?, Login::of(settings));
        Ok(Self { http, login, mount: settings.mount.clone(), key: settings.key.clone() })
    }

    /// The name of the key without its version.
    fn name(&self) -> String {
        format!("vault_transit:{}/{}", self.mount, self.key)
    }

    async fn encrypt(&self, key: &Key, place: &Place<'_>) -> Result<Wrapped, ProviderError> {
        let plain = SecretString::from(STANDARD.encode(key.expose()));
        let body = json!({"plaintext": plain.expose_secret(), "associated_data": STANDARD.encode(place.bytes())});
        let Encrypted { ciphertext } = self.call("encrypt", &body).await?;
        let version = version_of(&ciphertext).ok_or_else(|| Reason::Strange.away())?;
        Ok(Wrapped { by: format!("{}:v{version}", self.name()), bytes: ciphertext.into_bytes() })
    }

    async fn decrypt(&self, wrapped: &Wrapped, place: &Place<'_>) -> Result<Key, ProviderError> {
        let refused = |reason: &str| ProviderError::Refused(reason.to_owned());
        let ciphertext = std::str::from_utf8(&wrapped.bytes).map_err(|_| refused("the wrapped key is no text"))?;
        let body = json!({"ciphertext": ciphertext, "associated_data": STANDARD.encode(place.bytes())});
        let Decrypted { plaintext } = self.call("decrypt", &body).await?;
        let bytes = STANDARD.decode(plaintext.expose_secret()).map(SecretSlice::from);
        let bytes = bytes.map_err(|_| Reason::Strange.away())?;
        Key::from_bytes(bytes.expose_secret()).map_err(|_| refused("what was wrapped is no key of ours"))
    }

    /// One call, or two where our token had ended.
    async fn call<T: DeserializeOwned>(&self, verb: &str, body: &Value) -> Result<T, ProviderError> {
        let path = format!("{}/{verb}/{}", self.mount, self.key);
        let token = self.login.token(&self.http).await?;
        let answer = self.http.post(&path, Some(&token), body).await;
        let answer: Answer<T> = match answer {
            Err(Reason::Forbidden(_)) if self.login.forget().await => {
                let token = self.login.token(&self.http).await?;
                self.http.post(&path, Some(&token), body).await?
            }
            answer => answer?,
        };
        Ok(answer.data)
    }
}

/// Text that is wiped when it is dropped.
pub(super) fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

/// The version in `vault:v3:...`.
fn version_of(ciphertext: &str) -> Option<u64> {
    let (version, _) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    version.parse().ok()
}

impl KeyProvider for TransitProvider {
    fn kind(&self) -> &'static str {
        "vault_transit"
    }

    /// By wrapping a key that is thrown away: reading the key's description would need a further right.
    fn current(&self) -> BoxFuture<'_, Result<String, ProviderError>> {
        const NOWHERE: Place<'static> = Place { tenant: "", table: "", column: "", row: "", key_version: 0 };
        Box::pin(async {
            let key = Key::random().map_err(|error| ProviderError::Refused(error.to_string()))?;
            Ok(self.encrypt(&key, &NOWHERE).await?.by)
        })
    }

    fn wrap<'a>(&'a self, key: &'a Key, place: &'a Place<'a>) -> BoxFuture<'a, Result<Wrapped, ProviderError>> {
        Box::pin(self.encrypt(key, place))
    }

    fn knows(&self, by: &str) -> bool {
        by.strip_prefix(&self.name()).is_some_and(|version| version.starts_with(":v"))
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, place: &'a Place<'a>) -> BoxFuture<'a, Result<Key, ProviderError>> {
        Box::pin(self.decrypt(wrapped, place))
    }
}

/// Connections to Vault.
pub(super) struct Http {
    client: reqwest::Client,
    base: String,
}

/// Why a call to Vault brought nothing.
pub(super) enum Reason {
    /// No connection, no answer in time, or Vault is sealed, standing by or overloaded.
    Away(String),
    /// Vault does not take our token, or the token lacks the right.
    Forbidden(String),
    /// Vault does not do this with this key.
    Refused(String),
    /// What came is no answer of Vault's.
    Strange,
    /// This process is about to end.
    Stopped,
}

impl Reason {
    pub(super) fn away(self) -> ProviderError {
        self.into()
    }
}

impl From<Reason> for ProviderError {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Away(why) => Self::Away(why),
            Reason::Forbidden(why) | Reason::Refused(why) => Self::Refused(why),
            Reason::Strange => Self::Away("what answers there is not the transit engine".to_owned()),
            Reason::Stopped => Self::Away("this process is about to end".to_owned()),
        }
    }
}

impl Http {
    fn new(settings: &TransitSettings) -> Result<Self, ProviderError> {
        let file = || settings.ca_file.clone().unwrap_or_default();
        let setup = |reason: String| ProviderError::Setup { file: file(), reason };
        let mut builder = reqwest::Client::builder()
            .retry(retry::never())
            .redirect(redirect::Policy::none()) // our token must not follow one to another host
            .connect_timeout(settings.call_timeout())
            .timeout(settings.call_timeout())
            .pool_idle_timeout(Duration::from_secs(30))
            .no_proxy()
            .user_agent(concat!("adplane/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &settings.ca_file {
            let pem = fs::read(file).map_err(|error| setup(error.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|_| setup("is no certificate in PEM".to_owned()))?;
            builder = builder.add_root_certificate(certificate);
        }
        let client = builder.build().map_err(|error| setup(plain(&error)))?;
        Ok(Self { client, base: format!("{}/v1", settings.address.trim_end_matches('/')) })
    }

    /// Posts JSON and reads JSON.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&SecretString>,
        body: &Value,
    ) -> Result<T, Reason> {
        let mut request = self.client.post(format!("{}/{path}", self.base)).json(body);
        if let Some(token) = token {
            let refused = |_| Reason::Refused("our token is no text that a header can hold".to_owned());
            let mut header = HeaderValue::from_str(token.expose_secret()).map_err(refused)?;
            header.set_sensitive(true);
            request = request.header("x-vault-token", header);
        }
        let mut answer = request.send().await.map_err(|error| Reason::Away(plain(&error)))?;
        let (status, mut bytes) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(|error| Reason::Away(plain(&error)))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Reason::Strange);
            }
            bytes.extend_from_slice(&chunk);
        }
        if status == StatusCode::OK {
            let bytes = SecretSlice::from(bytes);
            return serde_json::from_slice(bytes.expose_secret()).map_err(|_| Reason::Strange);
        }
        Err(reason(status, &bytes))
    }
}

/// Sorts an answer that is no success by what helps: waiting, or an operator.
fn reason(status: StatusCode, body: &[u8]) -> Reason {
    #[derive(Default, Deserialize)]
    struct Errors {
        #[serde(default)]
        errors: Vec<String>,
    }
    let said = serde_json::from_slice::<Errors>(body).unwrap_or_default().errors.join("; ");
    let said: String = said.chars().filter(|letter| !letter.is_control()).take(WORDS_MAX).collect();
    let text = format!("{} {said}", status.as_u16());
    match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Reason::Forbidden(text),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Reason::Refused(text),
        _ => Reason::Away(text),
    }
}

/// The innermost cause in words, without the address.
fn plain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_it_wrapped() {
        assert_eq!(version_of("vault:v12:abc"), Some(12));
        for other in ["", "vault:v:abc", "vault:v1", "vault:1:abc", "v1:abc"] {
            assert_eq!(version_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_waiting_helps_is_told_from_what_needs_an_operator() {
        let away = [412, 429, 472, 473, 500, 502, 503];
        for status in away {
            let reason = reason(StatusCode::from_u16(status).unwrap(), br#"{"errors":["Vault is sealed"]}"#);
            assert!(
                matches!(ProviderError::from(reason), ProviderError::Away(said) if said.contains("sealed")),
                "{status}"
            );
        }
        for status in [400, 401, 403, 404, 405] {
            let reason = reason(StatusCode::from_u16(status).unwrap(), b"no JSON");
            assert!(matches!(ProviderError::from(reason), ProviderError::Refused(_)), "{status}");
        }
    }
}
