//! Tokens of issuers outside: what is taken, and why the rest is not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::testing::{Issuer, Outsider, rule};

const URL: &str = "https://login.company.example";

fn company() -> Outsider {
    Outsider::new(URL, "k1", Algorithm::ES256)
}

fn trust(outsiders: &[&Outsider]) -> Trust {
    let rules = vec![
        rule("writers", &["acme"], &["campaigns.read", "campaigns.write"]),
        rule("readers", &["acme", "brands"], &["campaigns.read"]),
    ];
    Trust { issuers: outsiders.iter().map(|outsider| outsider.trusted(rules.clone())).collect(), ..Trust::default() }
}

fn verifier(outsiders: &[&Outsider]) -> Verifier {
    Verifier::new(Keys::trusting(trust(outsiders)))
}

async fn why(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify(token).await {
        Err(TokenError::Refused(cause)) => cause,
        Err(TokenError::Keys(_)) => "keys",
        other => panic!("{other:?}"),
    }
}

fn with(claims: &Value, claim: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[claim] = value;
    claims
}

#[tokio::test]
async fn each_algorithm_that_companies_use_is_taken() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let company = Outsider::new(URL, "k1", algorithm);
        let token = company.sign(&company.claims("writers"));
        let verified = verifier(&[&company]).verify(&token).await.unwrap();
        assert_eq!(&*verified.subject, "company:someone");
        assert!(verified.scopes.contains("campaigns.write") && !verified.scopes.contains("auth.write"));
        assert_eq!(verified.tenants, Tenants::Only(vec!["acme".parse().unwrap()]));
    }
}

#[tokio::test]
async fn scopes_belong_to_the_tenant_that_they_were_given_for() {
    let company = company();
    let claims = with(&company.claims(""), "groups", json!(["readers", "writers"]));
    let verified = verifier(&[&company]).verify(&company.sign(&claims)).await.unwrap();
    let [acme, brands] = ["acme", "brands"].map(|tenant| tenant.parse::<TenantId>().unwrap());
    assert!(verified.scopes_for(Some(&acme)).contains("campaigns.write"));
    assert!(!verified.scopes_for(Some(&brands)).contains("campaigns.write"));
    assert!(!verified.scopes_for(None).contains("campaigns.write"));
    // Who grants as somebody for acme grants nothing for brands, where less is allowed.
    assert_eq!(verified.tenants_like(Some(&acme)), Tenants::Only(vec![acme.clone()]));
    assert_eq!(verified.tenants_like(Some(&brands)), Tenants::Only(vec![acme, brands]));
}

#[tokio::test]
async fn what_is_wrong_with_the_times_the_audience_or_the_claims_is_told() {
    let company = company();
    let trust = Trust { issuer: Some("adplane".to_owned()), ..trust(&[&company]) };
    let verifier = Verifier::new(Keys::trusting(trust));
    let (good, now) = (company.claims("writers"), SystemClock.now().as_second());
    assert!(verifier.verify(&company.sign(&with(&good, "exp", json!(now - 5)))).await.is_ok(), "within the leeway");
    for (claim, value, cause) in [
        ("exp", json!(now - 60), "expired"),
        ("exp", json!(now + 7_200), "lives_too_long"),
        ("exp", Value::Null, "claims"),
        ("nbf", json!(now + 60), "not_yet_valid"),
        ("iat", json!(now + 60), "not_yet_valid"),
        ("aud", json!("another"), "audience"),
        ("aud", json!(["another", "more"]), "audience"),
        ("iss", json!("https://login.other.example"), "issuer"),
        ("sub", json!(""), "claims"),
        ("sub", json!("a\nb"), "claims"),
        ("groups", json!(["others"]), "no_rule"),
        ("groups", Value::Null, "no_rule"),
    ] {
        assert_eq!(why(&verifier, &company.sign(&with(&good, claim, value.clone()))).await, cause, "{claim}: {value}");
    }
}

#[tokio::test]
async fn an_algorithm_is_the_keys_and_never_the_tokens_choice() {
    let company = Outsider::new(URL, "k1", Algorithm::RS256);
    let verifier = verifier(&[&company]);
    let claims = company.claims("writers");
    // The public key as the secret of a MAC, as JSON, as its modulus and as its bytes.
    let jwk = company.jwk();
    let modulus = jwk["n"].as_str().unwrap();
    for secret in [jwk.to_string().into_bytes(), modulus.into(), URL_SAFE_NO_PAD.decode(modulus).unwrap()] {
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(why(&verifier, &token).await, "algorithm");
    }
    // No signature at all, in every spelling.
    for word in ["none", "None", "NONE", "nOnE", ""] {
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": word, "kid": "k1"}).to_string());
        let body = URL_SAFE_NO_PAD.encode(claims.to_string());
        for signature in ["", "AAAA"] {
            assert_eq!(why(&verifier, &format!("{head}.{body}.{signature}")).await, "algorithm");
        }
    }
    // One that the issuer may not use, under the id of a key that it has.
    let other = Outsider::new(URL, "k1", Algorithm::ES256);
    assert_eq!(why(&verifier, &other.sign(&claims)).await, "algorithm");
    // One that it may use, and this key may not.
    let mut both = company.trusted(vec![rule("writers", &["acme"], &["campaigns.read"])]);
    both.algorithms = vec![Algorithm::RS256, Algorithm::ES256];
    let both = Verifier::new(Keys::trusting(Trust { issuers: vec![both], ..Trust::default() }));
    assert_eq!(why(&both, &other.sign(&claims)).await, "algorithm");
}

#[tokio::test]
async fn a_key_counts_for_its_own_issuer_only() {
    let (company, other) = (company(), Outsider::new("https://login.other.example", "k1", Algorithm::ES256));
    let verifier = verifier(&[&company, &other]);
    let claims = company.claims("writers");
    assert!(verifier.verify(&company.sign(&claims)).await.is_ok());
    // The same key id in both sets, and the name of the other.
    assert_eq!(why(&verifier, &other.sign(&claims)).await, "signature");
    let renamed = Outsider::new("https://login.other.example", "k2", Algorithm::ES256);
    assert_eq!(why(&verifier, &renamed.sign(&claims)).await, "unknown_key");
    assert_eq!(why(&verifier, &company.sign_as(None, &claims)).await, "no_key_id");
    assert_eq!(why(&verifier, &company.sign_as(Some("k9"), &claims)).await, "unknown_key");
}

#[tokio::test]
async fn an_issuer_outside_signs_no_token_of_ours_and_we_none_of_theirs() {
    let (company, ours) = (company(), Issuer::new());
    let mut trust = trust(&[&company]);
    trust.issuer = Some("test".to_owned());
    trust.keys = ours.jwks().keys.iter().map(|key| serde_json::to_value(key).unwrap()).collect();
    let verifier = Verifier::new(Keys::trusting(trust));
    assert!(verifier.verify(&ours.token("acme", &["*"])).await.is_ok());

    let claims = ours.claims("*", &["*"]);
    let mut posing = serde_json::to_value(&claims).unwrap();
    posing["service"] = json!("campaigns");
    for key_id in [ours.key_id(), "k1"] {
        assert!(verifier.verify(&company.sign_as(Some(key_id), &posing)).await.is_err(), "{key_id}");
    }
    let theirs = Claims { iss: URL.to_owned(), ..claims };
    assert_eq!(why(&verifier, &ours.sign(&theirs)).await, "algorithm");
    let another = Claims { iss: "another".to_owned(), ..ours.claims("acme", &["*"]) };
    assert_eq!(why(&verifier, &ours.sign(&another)).await, "issuer");
}

#[tokio::test]
async fn claims_that_look_like_ours_are_nothing_to_us() {
    let company = company();
    let mut claims = company.claims("readers");
    (claims["tenants"], claims["scopes"], claims["service"]) = (json!("*"), json!("*"), json!("campaigns"));
    let verified = verifier(&[&company]).verify(&company.sign(&claims)).await.unwrap();
    assert!(verified.service.is_none() && !verified.tenants.contains(&"other".parse().unwrap()));
    assert!(!verified.scopes.contains("auth.write"));
}

#[tokio::test]
async fn a_mapping_that_grants_everything_grants_nothing() {
    let company = company();
    let rules = vec![rule("writers", &["*"], &["*"])];
    let verifier = Verifier::new(Keys::trusting(Trust { issuers: vec![company.trusted(rules)], ..Trust::default() }));
    assert_eq!(why(&verifier, &company.sign(&company.claims("writers"))).await, "no_rule");
}

#[tokio::test]
async fn what_is_no_token_is_refused_before_anything_is_looked_up() {
    let company = company();
    let verifier = verifier(&[&company]);
    let good = company.sign(&company.claims("writers"));
    let [head, body, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let huge = with(&company.claims("writers"), "more", json!("x".repeat(9_000)));
    assert_eq!(why(&verifier, &company.sign(&huge)).await, "oversized");
    let critical = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#);
    assert_eq!(why(&verifier, &format!("{critical}.{body}.{signature}")).await, "critical");
    for malformed in [
        "a.b".to_owned(),
        format!("{good}.more"),
        format!("!{head}.{body}.{signature}"),
        format!("{head}.{body}=.{signature}"),
        format!("{head}..{signature}"),
        format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode("[]")),
    ] {
        assert_eq!(why(&verifier, &malformed).await, "malformed", "{malformed}");
    }
    assert!(verifier.verify(&format!("{head}.{body}.!!")).await.is_err());
}

/// Counts how often it is asked, and gives what it was set to.
fn reader(trust: Arc<Mutex<Trust>>) -> (Reader, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let reader: Reader = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let trust = lock(&trust).clone();
        async { Ok(trust) }.boxed()
    });
    (reader, asked)
}

#[tokio::test]
async fn unknown_keys_are_asked_for_once_however_many_come() {
    let (company, known) = (company(), Arc::new(Mutex::new(Trust::default())));
    *lock(&known) = trust(&[&company]);
    let (reader, asked) = reader(Arc::clone(&known));
    let verifier = Verifier::new(Keys::read_by(reader));
    let forged: Vec<String> =
        (0..50).map(|n| company.sign_as(Some(&format!("forged-{n}")), &company.claims("writers"))).collect();
    for refused in futures::future::join_all(forged.iter().map(|token| verifier.verify(token))).await {
        assert!(matches!(refused, Err(TokenError::Refused("unknown_key"))));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "once for all, and once for what was unknown");
}

#[tokio::test]
async fn a_key_that_is_withdrawn_takes_its_tokens_along_at_the_next_look() {
    let company = company();
    let keys = Keys::trusting(trust(&[&company]));
    let verifier = Verifier::new(keys.clone());
    let token = company.sign(&company.claims("writers"));
    assert!(verifier.verify(&token).await.is_ok());
    let renewed = Outsider::new(URL, "k2", Algorithm::ES256);
    keys.put(&trust(&[&renewed]));
    assert_eq!(why(&verifier, &token).await, "unknown_key");
    assert!(verifier.verify(&renewed.sign(&renewed.claims("writers"))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_remembered_ends_with_its_key_at_the_next_look() {
    let (company, renewed) = (company(), Outsider::new(URL, "k2", Algorithm::ES256));
    let known = Arc::new(Mutex::new(trust(&[&company])));
    let (reader, asked) = reader(Arc::clone(&known));
    let verifier = Verifier::new(Keys::read_by(reader));
    let token = company.sign(&company.claims("writers"));
    assert!(verifier.verify(&token).await.is_ok());
    *lock(&known) = trust(&[&renewed]);
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 1, "not with every token");
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(why(&verifier, &token).await, "unknown_key");
}

#[tokio::test]
async fn a_token_is_remembered_under_what_was_trusted_when_its_key_was_found() {
    let (company, renewed) = (company(), Outsider::new(URL, "k2", Algorithm::ES256));
    let keys = Keys::trusting(trust(&[&company]));
    let token = company.sign(&company.claims("writers"));
    let found = keys.find(&decode::head(&token).unwrap(), SystemClock.now().as_second()).await.unwrap();
    keys.put(&trust(&[&renewed]));
    assert!(!keys.stands(found.generation, None, 0), "its key was withdrawn since");
}

#[tokio::test]
async fn a_token_without_its_time_takes_the_beginning_of_its_validity() {
    let company = company();
    let verifier = verifier(&[&company]);
    let (good, now) = (company.claims("writers"), SystemClock.now().as_second());
    let without = |claims: &Value, claim: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(claim);
        claims
    };
    let timeless = without(&good, "iat");
    assert_eq!(why(&verifier, &company.sign(&without(&timeless, "nbf"))).await, "claims");
    let suspended = proto::auth::v1::Revocation {
        tenant: "tenants/acme".to_owned(),
        revoke_time: Some(prost_types::Timestamp { seconds: now - 60, nanos: 0 }),
        subject: Some(proto::auth::v1::revocation::Subject::WholeTenant(true)),
    };
    verifier.end(&suspended);
    // Made before the tenant was stopped, and after.
    assert_eq!(why(&verifier, &company.sign(&with(&timeless, "nbf", json!(now - 90)))).await, "revoked");
    assert!(verifier.verify(&company.sign(&with(&timeless, "nbf", json!(now - 30)))).await.is_ok());
}

#[test]
fn what_a_newer_auth_publishes_is_left_out_and_the_rest_serves() {
    let company = company();
    let mut published = serde_json::to_value(trust(&[&company])).unwrap();
    published["issuers"][0]["algorithms"] = json!(["ES256", "ML-DSA-44"]);
    published["issuers"][0]["rules"][0]["only_from"] = json!("10.0.0.0/8");
    let newer = json!({"name": "newer", "kind": "not told before"});
    published["issuers"].as_array_mut().unwrap().push(newer);
    let read: Trust = serde_json::from_value(published).unwrap();
    let [issuer] = read.issuers.as_slice() else { panic!("{read:?}") };
    assert_eq!(issuer.algorithms, [Algorithm::ES256]);
    let [rule] = issuer.rules.as_slice() else { panic!("a rule that is not understood grants: {issuer:?}") };
    assert_eq!(rule.value, "readers");
}

#[tokio::test]
async fn keys_serve_while_their_issuer_is_away_and_not_for_ever() {
    let company = company();
    let keys = Keys::trusting(trust(&[&company]));
    let verifier = Verifier::new(keys.clone());
    let mut away = trust(&[&company]);
    // Auth began anew and could not read them yet: what we have is still good.
    (away.issuers[0].keys, away.issuers[0].keys_until) = (Vec::new(), 0);
    keys.put(&away);
    let remembered = company.sign(&company.claims("writers"));
    assert!(verifier.verify(&remembered).await.is_ok());
    let mut old = trust(&[&company]);
    old.issuers[0].keys_until = SystemClock.now().as_second() - 1;
    keys.put(&old);
    assert_eq!(why(&verifier, &remembered).await, "keys");
    let claims = with(&company.claims("writers"), "jti", json!("another"));
    assert_eq!(why(&verifier, &company.sign(&claims)).await, "keys");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_never_answers_holds_nobody_for_long() {
    let company = company();
    let never: Reader = Arc::new(|_| std::future::pending().boxed());
    let verifier = Verifier::new(Keys::read_by(never));
    let token = company.sign(&company.claims("writers"));
    let all = futures::future::join_all((0..20).map(|_| verifier.verify(&token)));
    let all = tokio::time::timeout(Duration::from_secs(3), all).await.expect("two seconds for all, not for each");
    assert!(all.iter().all(|refused| matches!(refused, Err(TokenError::Keys(_)))));
}

#[test]
fn a_weak_key_is_no_key() {
    let mut weak = Outsider::new(URL, "k1", Algorithm::RS256).jwk();
    weak["n"] = json!(URL_SAFE_NO_PAD.encode([0xff_u8; 128]));
    assert!(usable_keys(&[weak], &[Algorithm::RS256]).is_empty());
    let good = company().jwk();
    assert_eq!(usable_keys(std::slice::from_ref(&good), &[Algorithm::ES256]).len(), 1);
    assert!(usable_keys(std::slice::from_ref(&good), &[Algorithm::RS256]).is_empty());
    let mut encrypting = good;
    encrypting["use"] = json!("enc");
    assert!(usable_keys(&[encrypting], &[Algorithm::ES256]).is_empty());
    let secret = json!({"kty": "oct", "kid": "k1", "alg": "HS256", "k": "c2VjcmV0"});
    assert!(usable_keys(&[secret], &[Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]).is_empty());
}
