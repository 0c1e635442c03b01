//! What auth publishes over plain HTTP, on its own port: whose tokens are to be believed.

use std::sync::Arc;

use axum::{Json, Router, http::Uri, routing::get};
use rpc::{
    Trust,
    token::{Reader, Wanted},
};
use serde_json::Value;
use url::form_urlencoded;

use crate::issuers::Issuers;

const PATH: &str = "/.well-known/jwks.json";
/// A longer key id, or issuer, is not looked for.
const WANTED_BYTES_MAX: usize = 512;

/// Our own public keys as they are now, a JSON Web Key Set.
pub type Ours = Arc<dyn Fn() -> Value + Send + Sync>;

/// Our own keys, and the issuers outside with theirs.
#[derive(Clone)]
pub struct Published {
    issuer: String,
    ours: Ours,
    issuers: Issuers,
}

impl Published {
    /// `issuer` is what our own tokens name.
    pub fn new(issuer: &str, ours: Ours, issuers: Issuers) -> Self {
        Self { issuer: issuer.to_owned(), ours, issuers }
    }

    /// All of it, as it is known now.
    pub fn current(&self) -> Trust {
        self.issuers.trust(&self.issuer, &(self.ours)())
    }

    /// For auth's own verifier, which asks no other process.
    pub fn reader(&self) -> Reader {
        let published = self.clone();
        Arc::new(move |wanted| {
            let published = published.clone();
            Box::pin(async move { Ok(published.trust(wanted).await) })
        })
    }

    /// For the verifiers of services. A key that a service does not know is named in the query, in hex.
    pub fn routes(&self) -> Router {
        let published = self.clone();
        let answer = async move |uri: Uri| Json(published.trust(wanted(uri.query().unwrap_or_default())).await);
        Router::new().route(PATH, get(answer))
    }

    async fn trust(&self, wanted: Option<Wanted>) -> Trust {
        if let Some(wanted) = wanted {
            self.issuers.look_for(&wanted).await;
        }
        self.current()
    }
}

fn wanted(query: &str) -> Option<Wanted> {
    let named = |name: &str| {
        let (_, value) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name)?;
        let bytes = hex::decode(value.as_bytes()).ok().filter(|bytes| bytes.len() <= WANTED_BYTES_MAX)?;
        String::from_utf8(bytes).ok()
    };
    Some(Wanted { issuer: named("issuer")?, key_id: named("key_id")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_key_is_read_and_nonsense_is_no_key() {
        let query = format!("issuer={}&key_id={}", hex::encode("https://a"), hex::encode("k&1"));
        let known = Wanted { issuer: "https://a".to_owned(), key_id: "k&1".to_owned() };
        assert_eq!(wanted(&query), Some(known));
        for query in ["", "issuer=61", "issuer=61&key_id=zz", "issuer=61&key_id=ff"] {
            assert_eq!(wanted(query), None, "{query}");
        }
        let long = hex::encode("x".repeat(513));
        assert_eq!(wanted(&format!("issuer=61&key_id={long}")), None);
    }
}
