//! For the tests of services: a key of their own and tokens signed with it.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use vocabulary::{Clock, SystemClock};

use crate::caller::{Scopes, Tenants};
use crate::token::{AUDIENCE, Claims, Keys, Verifier};

mod outsider;

pub use outsider::{Outsider, rule};

const LIFE_SECONDS: i64 = 3600;

/// Stands for auth: signs tokens that [`Issuer::verifier`] takes.
pub struct Issuer {
    key_id: String,
    private: EncodingKey,
    public: JwkSet,
}

impl Issuer {
    /// With a new Ed25519 key.
    #[expect(clippy::expect_used, reason = "only tests come here")]
    #[expect(clippy::new_without_default, reason = "a new key each time is no default")]
    pub fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the machine has random bytes");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key just made is a key");
        let key_id = format!("test-{:016x}", fastrand::u64(..));
        let public = serde_json::json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id,
            "x": URL_SAFE_NO_PAD.encode(pair.public_key()),
        }]});
        let public = serde_json::from_value(public).expect("this is a key set");
        Self { key_id, private: EncodingKey::from_ed_der(document.as_ref()), public }
    }

    /// Takes this issuer's tokens and no others.
    pub fn verifier(&self) -> Arc<Verifier> {
        Arc::new(Verifier::new(Keys::fixed(&self.public)))
    }

    /// The public half, as auth would publish it.
    pub fn jwks(&self) -> &JwkSet {
        &self.public
    }

    /// The id of its key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A caller's token for one tenant, good for an hour.
    pub fn token(&self, tenant: &str, scopes: &[&str]) -> String {
        self.sign(&self.claims(tenant, scopes))
    }

    /// A service's token, good for an hour.
    pub fn service_token(&self, service: &str) -> String {
        let claims = Claims {
            sub: format!("services/{service}"),
            tenants: Tenants::All,
            scopes: Scopes::All,
            service: Some(service.to_owned()),
            ..self.claims("acme", &[])
        };
        self.sign(&claims)
    }

    /// The claims of [`Issuer::token`], to be changed and signed. `*` as the tenant is every tenant.
    #[expect(clippy::expect_used, reason = "only tests come here")]
    pub fn claims(&self, tenant: &str, scopes: &[&str]) -> Claims {
        let now = SystemClock.now().as_second();
        let tenants = match tenant {
            "*" => Tenants::All,
            tenant => Tenants::Only(vec![tenant.parse().expect("the test names a tenant")]),
        };
        Claims {
            iss: "test".to_owned(),
            sub: "callers/test".to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: now + LIFE_SECONDS,
            iat: now,
            nbf: now,
            tenants,
            scopes: scopes.iter().copied().collect(),
            service: None,
        }
    }

    /// Signs any claims.
    #[expect(clippy::expect_used, reason = "only tests come here")]
    pub fn sign(&self, claims: &Claims) -> String {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.private).expect("the key signs")
    }
}
