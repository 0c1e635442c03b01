//! One token, read: what its head says before anything is believed, and what its claims say after its signature holds.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::keys::Found;
use super::mapping;
use super::trust::{Signer, TrustedIssuer};
use super::{AUDIENCE, Claims, TokenError, Verified};
use crate::caller::Tenants;

/// The longest token that is looked at. Company issuers with many groups come near to 4 KiB.
const BYTES_MAX: usize = 8 * 1024;
/// The longest name of a subject outside.
const SUBJECT_BYTES_MAX: usize = 255;
/// How far our own clocks may be apart.
const OUR_LEEWAY_SECONDS: u32 = 5;
/// The longest life of a token of ours: revocations are kept for twice that, and a stolen key signs for no longer.
const OUR_SECONDS_MAX: i64 = 86_400;

/// What a token says about itself. Nothing of it is believed: it only chooses the key that everything hangs on.
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: String,
    pub(super) issuer: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Named {
    iss: Option<String>,
}

/// Fails where a token is too long, no JWT, unsigned, or names no key.
pub(super) fn head(token: &str) -> Result<Head, TokenError> {
    let malformed = TokenError::Refused("malformed");
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(malformed);
    };
    let header: Header = part(header).ok_or(malformed)?;
    // `none` and whatever else is no algorithm of ours ends here, before a key is looked for.
    let algorithm = Algorithm::from_str(&header.alg).map_err(|_| TokenError::Refused("algorithm"))?;
    if header.crit.is_some() {
        return Err(TokenError::Refused("critical")); // it asks for something that we do not know
    }
    let key_id = header.kid.ok_or(TokenError::Refused("no_key_id"))?;
    let Named { iss: issuer } = part(claims).ok_or(TokenError::Refused("malformed"))?;
    Ok(Head { algorithm, key_id, issuer })
}

/// Fails where a token is longer than any that is taken.
pub(super) fn require_size(token: &str) -> Result<(), TokenError> {
    if token.len() <= BYTES_MAX { Ok(()) } else { Err(TokenError::Refused("oversized")) }
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// What the token says, once its signature and times hold.
pub(super) fn verified(token: &str, head: Head, found: &Found, now: i64) -> Result<Verified, TokenError> {
    if found.key.algorithm != head.algorithm {
        return Err(TokenError::Refused("algorithm"));
    }
    let verified = match &found.signer {
        Signer::Ours { issuer } => {
            let audience = [AUDIENCE.to_owned()];
            let claims: Claims = checked(token, found, (issuer.as_deref(), &audience, OUR_LEEWAY_SECONDS))?;
            require_time((claims.iat, claims.exp), OUR_LEEWAY_SECONDS, now)?;
            if claims.exp.saturating_sub(claims.iat) > OUR_SECONDS_MAX {
                return Err(TokenError::Refused("lives_too_long"));
            }
            ours(token, claims, head.key_id)
        }
        Signer::Outside(outside) => {
            let issuer = &outside.issuer;
            let asked = (Some(issuer.issuer.as_str()), issuer.audiences.as_slice(), issuer.leeway_seconds);
            let claims: Value = checked(token, found, asked)?;
            outsiders(token, &claims, issuer, now)?
        }
    };
    Ok(verified)
}

fn checked<T: DeserializeOwned>(
    token: &str,
    found: &Found,
    (issuer, audiences, leeway): (Option<&str>, &[String], u32),
) -> Result<T, TokenError> {
    let mut validation = Validation::new(found.key.algorithm);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    if let Some(issuer) = issuer {
        validation.set_issuer(&[issuer]);
    }
    validation.validate_nbf = true;
    validation.leeway = leeway.into();
    let decoded = decode::<T>(token, &found.key.key, &validation);
    decoded.map(|data| data.claims).map_err(|error| TokenError::Refused(cause(error.kind())))
}

fn cause(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "expired",
        ErrorKind::ImmatureSignature => "not_yet_valid",
        ErrorKind::InvalidAudience => "audience",
        ErrorKind::InvalidIssuer => "issuer",
        ErrorKind::InvalidSignature => "signature",
        ErrorKind::InvalidAlgorithm => "algorithm",
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => "claims",
        _ => "malformed",
    }
}

fn ours(token: &str, claims: Claims, key_id: String) -> Verified {
    Verified {
        subject: claims.sub.into(),
        tenants: claims.tenants,
        scopes: claims.scopes,
        service: claims.service.map(Arc::from),
        issued: claims.iat,
        expires: claims.exp,
        token: Arc::new(SecretString::from(token)),
        given: std::collections::BTreeMap::new(),
        key_id: Some(key_id),
    }
}

/// Only the rules say what it may do: claims that look like our own are nothing to us.
fn outsiders(token: &str, claims: &Value, issuer: &TrustedIssuer, now: i64) -> Result<Verified, TokenError> {
    let seconds = |claim: &str| claims.get(claim).and_then(Value::as_i64);
    let expires = seconds("exp").ok_or(TokenError::Refused("claims"))?;
    if expires.saturating_sub(now) > i64::from(issuer.token_seconds_max) {
        return Err(TokenError::Refused("lives_too_long"));
    }
    // Without either it could not be told from a token that a suspension of its tenant has ended.
    let issued = seconds("iat").or_else(|| seconds("nbf")).ok_or(TokenError::Refused("claims"))?;
    require_time((issued, expires), issuer.leeway_seconds, now)?;
    let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| is_subject(subject));
    let subject = subject.ok_or(TokenError::Refused("claims"))?;
    let given = mapping::scopes_by_tenant(&issuer.rules, claims);
    if given.is_empty() {
        return Err(TokenError::Refused("no_rule"));
    }
    Ok(Verified {
        subject: format!("{}:{subject}", issuer.name).into(),
        tenants: Tenants::Only(given.keys().cloned().collect()),
        scopes: mapping::common(&given),
        service: None,
        issued,
        expires,
        token: Arc::new(SecretString::from(token)),
        given,
        key_id: None,
    })
}

/// A token from the future would outlive a suspension that is told by its time.
fn require_time((issued, expires): (i64, i64), leeway_seconds: u32, now: i64) -> Result<(), TokenError> {
    let leeway = i64::from(leeway_seconds);
    if issued > now.saturating_add(leeway) {
        Err(TokenError::Refused("not_yet_valid"))
    } else if expires.saturating_add(leeway) < now {
        Err(TokenError::Refused("expired"))
    } else {
        Ok(())
    }
}

fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}
