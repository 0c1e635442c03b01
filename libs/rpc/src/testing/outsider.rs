//! An issuer outside, as a company has one: its key, and tokens with any head and any claims.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use vocabulary::{Clock, SystemClock};

use crate::token::{Rule, TrustedIssuer};

/// Stands for a company's identity provider.
pub struct Outsider {
    /// What its tokens name as their issuer.
    pub issuer: String,
    /// The id of its key.
    pub key_id: String,
    algorithm: Algorithm,
    private: EncodingKey,
    public: Value,
}

impl Outsider {
    /// With a new key for RS256, ES256 or EdDSA.
    #[expect(clippy::expect_used, reason = "only tests come here")]
    pub fn new(issuer: &str, key_id: &str, algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let private = match algorithm {
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                EncodingKey::from_ec_der(pair.expect("the machine makes keys").as_ref())
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate_pkcs8(&random).expect("the machine makes keys");
                return Self::ed25519(issuer, key_id, pair.as_ref());
            }
            _ => {
                let der = KeyPair::generate(KeySize::Rsa2048).and_then(|pair| pair.as_der());
                let body = STANDARD.encode(der.expect("the machine makes keys").as_ref());
                let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
                EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key just made is a key")
            }
        };
        let mut jwk = Jwk::from_encoding_key(&private, algorithm).expect("it has a public half");
        jwk.common.key_id = Some(key_id.to_owned());
        let public = serde_json::to_value(jwk).expect("it is JSON");
        Self { issuer: issuer.to_owned(), key_id: key_id.to_owned(), algorithm, private, public }
    }

    #[expect(clippy::expect_used, reason = "only tests come here")]
    fn ed25519(issuer: &str, key_id: &str, pkcs8: &[u8]) -> Self {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).expect("a key just made is a key");
        let public = json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": key_id, "x": URL_SAFE_NO_PAD.encode(pair.public_key()),
        });
        let (issuer, key_id, algorithm) = (issuer.to_owned(), key_id.to_owned(), Algorithm::EdDSA);
        Self { issuer, key_id, algorithm, private: EncodingKey::from_ed_der(pkcs8), public }
    }

    /// The public half, as a JSON Web Key.
    pub fn jwk(&self) -> Value {
        self.public.clone()
    }

    /// As services trust it: under the name `company`, with leeway of ten seconds and these rules.
    pub fn trusted(&self, rules: Vec<Rule>) -> TrustedIssuer {
        TrustedIssuer {
            name: "company".to_owned(),
            issuer: self.issuer.clone(),
            audiences: vec!["adplane-api".to_owned()],
            algorithms: vec![self.algorithm],
            leeway_seconds: 10,
            token_seconds_max: 3_600,
            rules,
            keys: vec![self.public.clone()],
            keys_until: i64::MAX,
        }
    }

    /// The claims of a person of this group, good for ten minutes, to be changed and signed.
    pub fn claims(&self, group: &str) -> Value {
        let now = SystemClock.now().as_second();
        json!({
            "iss": self.issuer, "sub": "someone", "aud": "adplane-api", "groups": [group],
            "iat": now, "nbf": now, "exp": now + 600,
        })
    }

    /// Signs any claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some(&self.key_id), claims)
    }

    /// Signs under another key id, or none.
    #[expect(clippy::expect_used, reason = "only tests come here")]
    pub fn sign_as(&self, key_id: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: key_id.map(str::to_owned), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.private).expect("the key signs")
    }
}

/// Whoever is in this group may do this for these tenants.
pub fn rule(group: &str, tenants: &[&str], scopes: &[&str]) -> Rule {
    Rule {
        claim: "groups".to_owned(),
        value: group.to_owned(),
        tenants: tenants.iter().map(|&tenant| tenant.to_owned()).collect(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
    }
}
