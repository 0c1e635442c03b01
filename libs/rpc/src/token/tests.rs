use std::time::Duration;

use vocabulary::TestClock;

use super::*;
use crate::testing::Issuer;

#[tokio::test]
async fn a_token_says_who_calls() {
    let issuer = Issuer::new();
    let verified = issuer.verifier().verify(&issuer.token("acme", &["campaigns.read"])).await.unwrap();
    assert_eq!(&*verified.subject, "callers/test");
    assert!(verified.scopes.contains("campaigns.read") && !verified.scopes.contains("campaigns.write"));
    assert!(verified.service.is_none());
}

#[tokio::test]
async fn a_token_of_another_key_is_refused() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let error = issuer.verifier().verify(&other.token("acme", &["*"])).await.unwrap_err();
    assert_eq!(Status::from(error).code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_altered_token_is_refused() {
    let issuer = Issuer::new();
    let token = issuer.token("acme", &["*"]);
    let (head, signature) = token.rsplit_once('.').unwrap();
    for altered in ["", "x", head, &format!("{head}.{}", signature.to_lowercase())] {
        assert!(issuer.verifier().verify(altered).await.is_err(), "{altered:?}");
    }
}

#[tokio::test]
async fn an_expired_token_is_refused_although_it_was_remembered() {
    let issuer = Issuer::new();
    let clock = TestClock::at(SystemClock.now());
    let verifier = Verifier::by(clock.clone(), Keys::fixed(issuer.jwks()));
    let token = issuer.token("acme", &["*"]);
    let first = verifier.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token).await.unwrap()), "it is remembered");
    clock.advance(Duration::from_hours(2));
    let error = verifier.verify(&token).await.unwrap_err();
    assert!(matches!(error, TokenError::Refused("expired")));
}

#[tokio::test]
async fn a_token_of_ours_that_lives_for_years_is_refused() {
    let issuer = Issuer::new();
    let mut claims = issuer.claims("acme", &["*"]);
    claims.exp = claims.iat + 86_400;
    assert!(issuer.verifier().verify(&issuer.sign(&claims)).await.is_ok());
    claims.exp += 1;
    let error = issuer.verifier().verify(&issuer.sign(&claims)).await.unwrap_err();
    assert!(matches!(error, TokenError::Refused("lives_too_long")));
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let issuer = Issuer::new();
    let mut claims = issuer.claims("acme", &["*"]);
    claims.aud = "another".to_owned();
    let error = issuer.verifier().verify(&issuer.sign(&claims)).await.unwrap_err();
    assert!(matches!(error, TokenError::Refused("audience")));
}

#[tokio::test]
async fn a_subject_that_was_revoked_is_refused_at_once() {
    let issuer = Issuer::new();
    let (verifier, token) = (issuer.verifier(), issuer.token("acme", &["*"]));
    assert!(verifier.verify(&token).await.is_ok());
    verifier.refuse("callers/test");
    assert!(matches!(verifier.verify(&token).await.unwrap_err(), TokenError::Refused("revoked")));
}

#[tokio::test]
async fn a_verified_token_is_verified_once() {
    let issuer = Issuer::new();
    let (verifier, token) = (issuer.verifier(), issuer.token("acme", &["*"]));
    let first = verifier.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token).await.unwrap()));
}
