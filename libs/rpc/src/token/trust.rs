//! Whom we believe: our own keys, and the issuers outside that an operator trusts, as auth publishes them.
//!
//! Auth alone knows the issuers of a company (their addresses, a private CA, what their groups may do here) and reads
//! their keys; every service learns all of it from auth and verifies each token again by itself. So there is one list
//! to keep, one way out of the cluster, and no service that lags behind another; and the caller's own token travels on,
//! since nothing exchanges it for one of ours.
//!
//! The document is a JSON Web Key Set (RFC 7517) of our own keys with members of ours beside `keys`, which the RFC tells
//! others to ignore.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tracing::warn;

/// RSA keys with fewer bits are not taken.
const RSA_BYTES_MIN: usize = 256;
/// What our own tokens are signed with.
const OURS: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::ES256];

/// All that is trusted, as it is published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    /// What our own tokens name as their issuer; any name, where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Our own public keys, as JSON Web Keys.
    #[serde(default)]
    pub keys: Vec<Value>,
    /// Issuers outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "understood")]
    pub issuers: Vec<TrustedIssuer>,
}

/// An issuer outside whose tokens are taken, and what they are worth here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustedIssuer {
    /// A short name: subjects are called `{name}:{sub}`.
    pub name: String,
    /// What its tokens name as their issuer, to the letter.
    pub issuer: String,
    /// A token is for one of these.
    pub audiences: Vec<String>,
    /// What it may sign with: of RS256, ES256 and EdDSA.
    #[serde(deserialize_with = "understood")]
    pub algorithms: Vec<Algorithm>,
    /// How far its clock may be off, in seconds.
    pub leeway_seconds: u32,
    /// How long a token may still live when it comes, in seconds.
    pub token_seconds_max: u32,
    /// What its claims are worth. A token that no rule fits is refused.
    #[serde(deserialize_with = "understood")]
    pub rules: Vec<Rule>,
    /// Its public keys, as JSON Web Keys.
    #[serde(default)]
    pub keys: Vec<Value>,
    /// Until when its keys serve, in unix seconds; 0 where they could not be read yet.
    #[serde(default)]
    pub keys_until: i64,
}

/// Leaves out what a newer auth publishes and this version does not know. A rule with a word too many is left out whole:
/// the word may be what narrows it.
fn understood<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let known = |value: Value| match serde_json::from_value(value) {
        Ok(known) => Some(known),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            warn!(error, "auth trusts something that this version does not understand; nothing is granted by it");
            None
        }
    };
    Ok(Vec::<Value>::deserialize(from)?.into_iter().filter_map(known).collect())
}

/// Who has this value in this claim may do this for these tenants. Nothing here can say "everything".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name of a claim such as `groups`, or a path into them such as `/realm_access/roles` (RFC 6901). It is a text,
    /// a list of texts, or, as `scope` and `scp`, words with spaces between.
    pub claim: String,
    /// What the claim is or has in it, to the letter.
    pub value: String,
    /// Ids of tenants.
    pub tenants: Vec<String>,
    /// Scopes such as `campaigns.read`.
    pub scopes: BTreeSet<String>,
}

/// One key and the only algorithm it is for.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

type KeysById = HashMap<String, Arc<Key>>;

/// [`Trust`], ready to verify with.
#[derive(Default)]
pub(super) struct Trusted {
    /// Grows whenever something else is trusted than before; 0 before anything was read.
    pub(super) generation: u64,
    source: Trust,
    ours: KeysById,
    outside: HashMap<String, Arc<Outside>>,
}

/// An issuer outside with its keys.
pub(super) struct Outside {
    pub(super) issuer: TrustedIssuer,
    keys: KeysById,
}

/// Who signed, or says so.
#[derive(Clone)]
pub(super) enum Signer {
    Ours { issuer: Option<String> },
    Outside(Arc<Outside>),
}

impl Trusted {
    /// What is trusted after `trust` was read. Keys of an issuer that auth itself could not read yet stay as they were.
    pub(super) fn after(&self, mut trust: Trust) -> Self {
        for issuer in &mut trust.issuers {
            if issuer.keys_until == 0
                && let Some(before) = self.outside.get(&issuer.issuer)
            {
                issuer.keys.clone_from(&before.issuer.keys);
                issuer.keys_until = before.issuer.keys_until;
            }
        }
        let changed = self.generation == 0 || !is_same(&self.source, &trust);
        let outside = trust.issuers.iter().map(|issuer| {
            let keys = parse(&issuer.keys, &issuer.algorithms);
            (issuer.issuer.clone(), Arc::new(Outside { issuer: issuer.clone(), keys }))
        });
        Self {
            generation: self.generation + u64::from(changed),
            outside: outside.collect(),
            ours: parse(&trust.keys, &OURS),
            source: trust,
        }
    }

    /// As it was published.
    pub(super) fn source(&self) -> &Trust {
        &self.source
    }

    /// Who the token says it is from, if we trust them.
    pub(super) fn signer(&self, issuer: Option<&str>) -> Option<Signer> {
        if let Some(outside) = issuer.and_then(|issuer| self.outside.get(issuer)) {
            return Some(Signer::Outside(Arc::clone(outside)));
        }
        let ours = self.source.issuer.clone();
        (ours.is_none() || ours.as_deref() == issuer).then_some(Signer::Ours { issuer: ours })
    }

    /// The signer's key of this id: never another's, whatever its id.
    pub(super) fn key(&self, signer: &Signer, id: &str) -> Option<Arc<Key>> {
        match signer {
            Signer::Ours { .. } => self.ours.get(id).cloned(),
            Signer::Outside(outside) => outside.keys.get(id).cloned(),
        }
    }
}

impl Signer {
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Ours { .. } => OURS.contains(&algorithm),
            Self::Outside(outside) => outside.issuer.algorithms.contains(&algorithm),
        }
    }

    /// The name of an issuer outside.
    pub(super) fn outside(&self) -> Option<String> {
        match self {
            Self::Ours { .. } => None,
            Self::Outside(outside) => Some(outside.issuer.issuer.clone()),
        }
    }

    /// Whether its keys are too old to be believed.
    pub(super) fn is_stale(&self, now: i64) -> bool {
        matches!(self, Self::Outside(outside) if outside.issuer.keys_until <= now)
    }
}

/// Is the same trusted, whenever it was read?
fn is_same(before: &Trust, after: &Trust) -> bool {
    let timeless = |trust: &Trust| {
        let mut trust = trust.clone();
        trust.issuers.iter_mut().for_each(|issuer| issuer.keys_until = 0);
        trust
    };
    timeless(before) == timeless(after)
}

/// Keys of other kinds are left out, so that a set may hold what only others understand.
fn parse(keys: &[Value], algorithms: &[Algorithm]) -> KeysById {
    let mut known = KeysById::new();
    for (id, key) in keys.iter().filter_map(|key| parse_one(key, algorithms)) {
        known.entry(id).or_insert(key); // a second key of the same id is nobody's
    }
    known
}

fn parse_one(key: &Value, algorithms: &[Algorithm]) -> Option<(String, Arc<Key>)> {
    let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(rsa) if URL_SAFE_NO_PAD.decode(&rsa.n).ok()?.len() >= RSA_BYTES_MIN => {
            (Algorithm::RS256, KeyAlgorithm::RS256)
        }
        _ => return None,
    };
    let for_signing = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)));
    let fits = jwk.common.key_algorithm.is_none_or(|given| given == named) && algorithms.contains(&algorithm);
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (for_signing && fits).then_some((jwk.common.key_id?, Arc::new(Key { algorithm, key })))
}

/// The ids of the keys that could be used with one of these algorithms.
pub fn usable_keys(keys: &[Value], algorithms: &[Algorithm]) -> BTreeSet<String> {
    parse(keys, algorithms).into_keys().collect()
}
