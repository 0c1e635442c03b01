//! Tokens of a company's identity provider: taken for what its groups are worth, and its keys read with care.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use auth::issuers::{IssuerSettings, JwksSettings};
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use proto::auth::v1::{self as pb, audit_service_client::AuditServiceClient};
use rpc::{
    Keys, Verifier,
    testing::{Outsider, rule},
    token::Algorithm,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::Code;

use crate::{
    waiting::{soon, until},
    world::{World, bearing, for_tenant, uuid, why},
};

/// What an identity provider answers where its keys are.
#[derive(Clone)]
enum Answer {
    Keys(Vec<Value>),
    Redirect(String),
    TooMuch,
}

/// An identity provider: its address, what it answers, how often it was asked.
pub(crate) struct Provider {
    pub(crate) url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Shared = (Arc<Mutex<Answer>>, Arc<AtomicUsize>);

impl Provider {
    pub(crate) async fn start(keys: Vec<Value>) -> Self {
        Self::answering(Answer::Keys(keys)).await
    }

    async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::default());
        let routes = Router::new().route("/keys", get(keys)).with_state((Arc::clone(&answer), Arc::clone(&asked)));
        #[expect(clippy::disallowed_methods, reason = "it is aborted with the provider that it is of")]
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, answer, asked, serving }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }
}

async fn keys(State((answer, asked)): State<Shared>) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    let answer = answer.lock().unwrap().clone();
    match answer {
        Answer::Keys(keys) => axum::Json(json!({ "keys": keys })).into_response(),
        Answer::Redirect(to) => Redirect::temporary(&to).into_response(),
        Answer::TooMuch => (StatusCode::OK, "x".repeat(2 << 20)).into_response(),
    }
}

pub(crate) fn company() -> Outsider {
    Outsider::new("https://login.company.example", "k1", Algorithm::RS256)
}

pub(crate) fn trusting(company: &Outsider, url: &str) -> IssuerSettings {
    IssuerSettings {
        name: "company".to_owned(),
        issuer: company.issuer.clone(),
        jwks: JwksSettings { url: url.to_owned(), retry_seconds: 1, ..JwksSettings::default() },
        audiences: vec!["adplane-api".to_owned()],
        rules: vec![
            rule("ads-team", &["acme"], &["auth.read", "auth.write"]),
            rule("auditors", &["acme", "other"], &["auth.read"]),
        ],
        ..IssuerSettings::default()
    }
}

pub(crate) async fn world(company: &Outsider, url: &str) -> World {
    let issuer = trusting(company, url);
    World::set(|settings| settings.issuers = vec![issuer]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_groups_say_what_they_may_do_and_the_audit_names_the_person() {
    let company = company();
    let provider = Provider::start(vec![company.jwk()]).await;
    let world = world(&company, &provider.url).await;
    let first = world.bootstrap().await;
    world.tenant(&first, "other").await;
    let member = company.sign(&company.claims("ads-team"));
    let caller = pb::Caller {
        tenants: vec!["tenants/acme".to_owned()],
        scopes: vec!["auth.read".to_owned()],
        ..pb::Caller::default()
    };
    let create = || pb::CreateCallerRequest { caller: Some(caller.clone()), request_id: uuid(), validate_only: false };
    // Auth may still be reading the company's keys.
    soon("a caller", async || world.identity().create_caller(bearing(&member, create())).await.ok()).await;
    let list = pb::ListAuditEntriesRequest::default();
    let mut audit = AuditServiceClient::new(world.pool());
    let entries = audit.list_audit_entries(bearing(&first.caller, list)).await.unwrap().into_inner().entries;
    assert!(entries.iter().any(|entry| entry.actor == "company:someone" && entry.action == "callers.create"));

    let mut claims = company.claims("auditors");
    let auditor = company.sign(&claims);
    let refused = world.identity().create_caller(for_tenant(bearing(&auditor, create()), "acme")).await.unwrap_err();
    assert_eq!(why(&refused), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()));
    // In both groups: what may be written for acme may not be given away for the other tenant.
    claims["groups"] = json!(["auditors", "ads-team"]);
    let both = company.sign(&claims);
    let mut greedy = create();
    let wanted = greedy.caller.as_mut().unwrap();
    (wanted.tenants, wanted.scopes) = (vec!["tenants/other".to_owned()], vec!["auth.write".to_owned()]);
    let refused = world.identity().create_caller(for_tenant(bearing(&both, greedy), "acme")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let elsewhere = world.identity().create_caller(for_tenant(bearing(&both, create()), "other")).await.unwrap_err();
    assert_eq!(elsewhere.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_verify_outside_tokens_by_what_auth_publishes_even_while_the_issuer_is_away() {
    let company = company();
    let provider = Provider::start(vec![company.jwk()]).await;
    let world = world(&company, &provider.url).await;
    let service = || Verifier::new(Keys::of_auth(world.pool()));
    let running = service();
    let token = company.sign(&company.claims("ads-team"));
    let verified = soon("a token that is taken", async || running.verify(&token).await.ok()).await;
    assert_eq!(&*verified.subject, "company:someone");
    drop(provider);
    let mut later = company.claims("ads-team");
    later["jti"] = json!("another");
    assert!(running.verify(&company.sign(&later)).await.is_ok());
    assert!(service().verify(&company.sign(&later)).await.is_ok(), "a service that starts now learns them from auth");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_when_it_is_first_used_and_made_up_keys_do_not_storm_the_issuer() {
    let company = company();
    let provider = Provider::start(vec![company.jwk()]).await;
    let world = world(&company, &provider.url).await;
    // Asked for, perhaps, and from then on known: a service that starts now has it with its first look.
    let token = company.sign(&company.claims("ads-team"));
    until("auth has read the keys", async || Verifier::new(Keys::of_auth(world.pool())).verify(&token).await.is_ok())
        .await;
    let service = Verifier::new(Keys::of_auth(world.pool()));
    assert!(service.verify(&company.sign(&company.claims("ads-team"))).await.is_ok());
    let renewed = Outsider::new(&company.issuer, "k2", Algorithm::RS256);
    provider.answers(Answer::Keys(vec![company.jwk(), renewed.jwk()]));
    let token = renewed.sign(&renewed.claims("ads-team"));
    until("the new key is found", async || service.verify(&token).await.is_ok()).await;

    let (before, began) = (provider.asked.load(Ordering::SeqCst), Instant::now());
    let elsewhere: Vec<Verifier> = (0..4).map(|_| Verifier::new(Keys::of_auth(world.pool()))).collect();
    let forged: Vec<String> =
        (0..40).map(|n| company.sign_as(Some(&format!("forged-{n}")), &company.claims("ads-team"))).collect();
    let all = elsewhere.iter().flat_map(|service| forged.iter().map(|token| service.verify(token)));
    for refused in futures::future::join_all(all).await {
        assert_eq!(tonic::Status::from(refused.unwrap_err()).code(), Code::Unauthenticated);
    }
    let (asked, seconds) = (provider.asked.load(Ordering::SeqCst) - before, began.elapsed().as_secs());
    // Once a second at most, as its setting has it; nothing of it depends on how many tokens there are.
    let most = usize::try_from(seconds).unwrap() + 3;
    assert!(asked <= most, "160 tokens with made-up keys asked the issuer {asked} times in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_address_vouches_for_no_other_and_for_no_flood() {
    let company = company();
    let honest = Provider::start(vec![company.jwk()]).await;
    for answer in [Answer::Redirect(honest.url.clone()), Answer::TooMuch] {
        let provider = Provider::answering(answer).await;
        let world = world(&company, &provider.url).await;
        until("auth asks when it starts", async || provider.asked.load(Ordering::SeqCst) > 0).await;
        let list = pb::ListTenantsRequest::default();
        let refused =
            world.tenants().list_tenants(bearing(&company.sign(&company.claims("ads-team")), list)).await.unwrap_err();
        // Not the token is to blame, as far as anybody knows: its keys cannot be had.
        assert_eq!(why(&refused), (Code::Unavailable, "SERVICE_UNAVAILABLE".to_owned()));
    }
    assert_eq!(honest.asked.load(Ordering::SeqCst), 0);
}
