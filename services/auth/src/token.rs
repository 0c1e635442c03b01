//! The tokens that we issue: JWTs signed with EdDSA or ES256.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::grants::Grant;

/// For whom our tokens are.
pub const AUDIENCE: &str = "adplane";

/// What a key signs with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037): small, and fast to verify.
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256 (RFC 7518): for verifiers that know no EdDSA.
    #[serde(rename = "ES256")]
    Es256,
}

impl Algorithm {
    /// As it is stored, and as JOSE calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// From what was stored.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::EdDsa, Self::Es256].into_iter().find(|algorithm| algorithm.word() == word)
    }
}

/// A key that signs tokens.
pub struct SigningKey {
    /// The `kid` in the header of what it signs.
    pub id: String,
    algorithm: Algorithm,
    private: EncodingKey,
}

impl SigningKey {
    /// From the stored private half, which is PKCS#8.
    pub fn new(id: String, algorithm: Algorithm, private: &SecretSlice<u8>) -> Self {
        let private = match algorithm {
            Algorithm::EdDsa => EncodingKey::from_ed_der(private.expose_secret()),
            Algorithm::Es256 => EncodingKey::from_ec_der(private.expose_secret()),
        };
        Self { id, algorithm, private }
    }

    /// Signs the claims.
    pub fn sign(&self, claims: &Claims<'_>) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let algorithm = match self.algorithm {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        };
        let header = Header { kid: Some(self.id.clone()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, &self.private).map(SecretString::from)
    }
}

/// A public key as a JSON Web Key: 32 bytes for EdDSA, an uncompressed point of 65 for ES256.
pub fn jwk(id: &str, algorithm: Algorithm, public: &[u8]) -> Value {
    let text = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
    match algorithm {
        Algorithm::EdDsa => json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": "EdDSA",
            "kid": id,
            "x": text(Some(public)),
        }),
        Algorithm::Es256 => json!({
            "kty": "EC",
            "crv": "P-256",
            "use": "sig",
            "alg": "ES256",
            "kid": id,
            "x": text(public.get(1..33)),
            "y": text(public.get(33..65)),
        }),
    }
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
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;
    use crate::signing::generate;

    #[test]
    fn a_token_verifies_with_the_published_key() {
        for (algorithm, theirs) in
            [(Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA), (Algorithm::Es256, jsonwebtoken::Algorithm::ES256)]
        {
            verifies(algorithm, theirs);
            assert_eq!(Algorithm::from_word(algorithm.word()), Some(algorithm));
        }
    }

    fn verifies(algorithm: Algorithm, theirs: jsonwebtoken::Algorithm) {
        let (public, private) = generate(algorithm).unwrap();
        let key = SigningKey::new("k1".to_owned(), algorithm, &private);
        let grant = Grant::from_stored(vec!["campaigns.read".to_owned()]);
        let bearer = Bearer::Caller { name: "callers/1", tenants: &Grant::Everything, scopes: &grant };
        let (claims, end) = Claims::new(
            "https://issuer",
            &bearer,
            vocabulary::Clock::now(&vocabulary::SystemClock),
            Duration::from_secs(60),
        );
        let token = key.sign(&claims).unwrap();

        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk("k1", algorithm, &public)).unwrap();
        let mut validation = Validation::new(theirs);
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
