//! Somebody whom an issuer outside vouches for, locked out and let in again.

use std::{sync::Arc, time::Duration};

use proto::auth::v1 as pb;
use rpc::{Keys, Verifier};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    issuers::{Provider, company, world},
    waiting::until,
    world::{bearing, uuid, why},
};

fn revoke(subject: &str) -> pb::RevokeSubjectRequest {
    let (subject, reason) = (subject.to_owned(), "left; ask jane@company.example".to_owned());
    pb::RevokeSubjectRequest { subject, reason, request_id: uuid(), validate_only: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_refused_everywhere_until_an_operator_restores_them() {
    let company = company();
    let provider = Provider::start(vec![company.jwk()]).await;
    let world = world(&company, &provider.url).await;
    let first = world.bootstrap().await;
    let mut claims = company.claims("ads-team");
    let someone = company.sign(&claims);
    claims["sub"] = json!("another");
    let another = company.sign(&claims);
    let service = Arc::new(Verifier::new(Keys::of_auth(world.pool())));
    world.spawn(Arc::clone(&service).watch(world.peer("campaigns"), CancellationToken::new()));
    for token in [&someone, &another] {
        service.verify(token).await.unwrap();
    }
    let is_let_in = async |token: &str| {
        let list = pb::ListConnectionsRequest::default();
        world.connections().list_connections(bearing(token, list)).await.is_ok()
    };

    let mut identity = world.identity();
    let only = pb::RevokeSubjectRequest { validate_only: true, ..revoke("company:someone") };
    identity.revoke_subject(bearing(&first.operator, only)).await.unwrap();
    for _ in 0..2 {
        identity.revoke_subject(bearing(&first.operator, revoke("company:someone"))).await.unwrap();
    }
    until("a service refuses them", async || service.verify(&someone).await.is_err()).await;
    until("auth refuses them", async || !is_let_in(&someone).await).await;
    claims["sub"] = json!("someone");
    claims["jti"] = json!("a newer token");
    assert!(service.verify(&company.sign(&claims)).await.is_err(), "what their issuer gives them since does not serve");
    assert!(service.verify(&another).await.is_ok() && is_let_in(&another).await);
    // A service that starts later hears of it as well, however long ago it was.
    let old = "UPDATE revocations SET revoked_at = now() - interval '300 days'";
    world.postgres().await.execute(old, &[]).await.unwrap();
    world.turn(Duration::from_secs(1)).await;
    let later = Arc::new(Verifier::new(Keys::of_auth(world.pool())));
    world.spawn(Arc::clone(&later).watch(world.peer("insights"), CancellationToken::new()));
    until("a new service refuses them", async || later.verify(&someone).await.is_err()).await;

    let list = pb::ListRevokedSubjectsRequest::default();
    let listed = identity.list_revoked_subjects(bearing(&first.operator, list)).await.unwrap().into_inner().subjects;
    assert_eq!(listed.iter().map(|subject| subject.subject.as_str()).collect::<Vec<_>>(), ["company:someone"]);
    assert!(listed[0].reason.starts_with("left; ask ") && !listed[0].reason.contains("jane"), "{}", listed[0].reason);
    assert_eq!(listed[0].revoked_by, first.answer.operator.as_ref().unwrap().name);

    let restore = |request_id: String| pb::RestoreSubjectRequest {
        subject: "company:someone".to_owned(),
        request_id,
        validate_only: false,
    };
    let id = uuid();
    for _ in 0..2 {
        identity.restore_subject(bearing(&first.operator, restore(id.clone()))).await.unwrap();
    }
    until("a service lets them in", async || service.verify(&someone).await.is_ok()).await;
    until("auth lets them in", async || is_let_in(&someone).await).await;
    let gone = identity.restore_subject(bearing(&first.operator, restore(uuid()))).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_lock_out_and_only_whom_an_issuer_could_name() {
    let company = company();
    let provider = Provider::start(vec![company.jwk()]).await;
    let world = world(&company, &provider.url).await;
    let first = world.bootstrap().await;
    let mut identity = world.identity();
    let caller = identity.revoke_subject(bearing(&first.caller, revoke("company:someone"))).await.unwrap_err();
    assert_eq!(caller.code(), Code::PermissionDenied);
    let list = pb::ListRevokedSubjectsRequest::default();
    let refused = identity.list_revoked_subjects(bearing(&first.caller, list)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let ours = first.answer.caller.as_ref().unwrap().name.clone();
    for (subject, told) in [
        ("", "required"),
        ("someone", "company"),
        ("compny:someone", "company"),
        ("company:", "company"),
        (ours.as_str(), "DeleteCaller"),
    ] {
        let refused = identity.revoke_subject(bearing(&first.operator, revoke(subject))).await.unwrap_err();
        assert_eq!(why(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned()), "{subject}");
        assert!(refused.message().contains(told), "{subject}: {}", refused.message());
    }
}
