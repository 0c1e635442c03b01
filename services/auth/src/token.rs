//! The tokens that we issue: JWTs signed with EdDSA.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use crate::grants::Grant;

/// For whom our tokens are.
pub const AUDIENCE: &str = "adplane";

/// A key that signs tokens.
pub struct SigningKey {
    /// The `kid` in the header of what it signs.
    pub id: String,
    /// The public half, 32 bytes.
    pub public: Vec<u8>,
    private: EncodingKey,
}

impl SigningKey {
    /// From the stored halves; the private one is PKCS#8.
    pub fn new(id: String, public: Vec<u8>, private: &SecretSlice<u8>) -> Self {
        Self { id, public, private: EncodingKey::from_ed_der(private.expose_secret()) }
    }

    /// The public half as a JSON Web Key (RFC 8037).
    pub fn jwk(&self) -> Value {
        jwk(&self.id, &self.public)
    }

    /// Signs the claims.
    pub fn sign(&self, claims: &Claims<'_>) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.private).map(SecretString::from)
    }
}

/// A public key as a JSON Web Key.
pub fn jwk(id: &str, public: &[u8]) -> Value {
    json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "EdDSA",
        "kid": id,
        "x": URL_SAFE_NO_PAD.encode(public),
    })
}

/// What a token says.
#[derive(Debug, Serialize)]
pub struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'static str,
    exp: i64,
    iat: i64,
    nbf: i64,
    tenants: Value,
    scopes: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
}

/// Whose token it is and what it allows.
pub enum Bearer<'a> {
    /// A caller, by its resource name.
    Caller {
        /// `callers/{uuid}`.
        name: &'a str,
        /// The tenants it may act for.
        tenants: &'a Grant,
        /// What it may do.
        scopes: &'a Grant,
    },
    /// One of our services, which works for whatever tenant it was told to.
    Service {
        /// Such as `campaigns`.
        name: &'a str,
    },
}

impl<'a> Claims<'a> {
    /// The claims of a bearer, from now on for `life`. Returns them with the moment they end.
    pub fn new(issuer: &'a str, bearer: &Bearer<'a>, now: Timestamp, life: Duration) -> (Self, Timestamp) {
        let end = now + life;
        let (sub, tenants, scopes, service) = match bearer {
            Bearer::Caller { name, tenants, scopes } => ((*name).to_owned(), claim(tenants), claim(scopes), None),
            Bearer::Service { name } => (format!("services/{name}"), json!("*"), json!("*"), Some(*name)),
        };
        let (exp, iat) = (end.as_second(), now.as_second());
        (Self { iss: issuer, sub, aud: AUDIENCE, exp, iat, nbf: iat, tenants, scopes, service }, end)
    }
}

/// A list, or `*` as text.
fn claim(grant: &Grant) -> Value {
    match grant {
        Grant::Everything => json!("*"),
        Grant::Only(names) => json!(names),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{Ed25519KeyPair, KeyPair},
    };
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    fn key() -> SigningKey {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let private = SecretSlice::from(document.as_ref().to_vec());
        SigningKey::new("k1".to_owned(), pair.public_key().as_ref().to_vec(), &private)
    }

    #[test]
    fn a_token_verifies_with_the_published_key() {
        let key = key();
        let grant = Grant::from_stored(vec!["campaigns.read".to_owned()]);
        let bearer = Bearer::Caller { name: "callers/1", tenants: &Grant::Everything, scopes: &grant };
        let (claims, end) = Claims::new(
            "https://issuer",
            &bearer,
            vocabulary::Clock::now(&vocabulary::SystemClock),
            Duration::from_secs(60),
        );
        let token = key.sign(&claims).unwrap();

        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.jwk()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        let read =
            jsonwebtoken::decode::<Value>(token.expose_secret(), &DecodingKey::from_jwk(&jwk).unwrap(), &validation)
                .unwrap();
        assert_eq!(read.header.kid.as_deref(), Some("k1"));
        assert_eq!(read.claims["sub"], "callers/1");
        assert_eq!(read.claims["tenants"], "*");
        assert_eq!(read.claims["scopes"], json!(["campaigns.read"]));
        assert_eq!(read.claims["exp"], end.as_second());
        assert!(read.claims.get("service").is_none());
    }

    #[test]
    fn a_services_token_says_so() {
        let (claims, _) = Claims::new(
            "i",
            &Bearer::Service { name: "campaigns" },
            vocabulary::Clock::now(&vocabulary::SystemClock),
            Duration::from_secs(60),
        );
        let claims = serde_json::to_value(&claims).unwrap();
        assert_eq!(claims["service"], "campaigns");
        assert_eq!(claims["sub"], "services/campaigns");
    }
}
