//! Bootstrap, callers, tokens, tenants.

use std::sync::Arc;

use proto::auth::v1 as pb;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    waiting::until,
    world::{World, bearing, bootstrap, for_tenant, uuid, why},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_can_be_repeated_until_somebody_has_a_token_and_never_after() {
    let world = World::empty().await;
    let lost = world.identity().bootstrap(bootstrap()).await.unwrap().into_inner();
    let again = world.identity().bootstrap(bootstrap()).await.unwrap().into_inner();
    assert_eq!(lost.operator.as_ref().unwrap().name, again.operator.as_ref().unwrap().name);
    assert_ne!(lost.operator_secret, again.operator_secret);

    world.token_of(again.operator.as_ref(), &again.operator_secret).await;
    let refused = world.identity().bootstrap(bootstrap()).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_bootstrap_code_is_refused() {
    let world = World::empty().await;
    let request = pb::BootstrapRequest { code: "guess".to_owned(), ..bootstrap() };
    let refused = world.identity().bootstrap(request).await.unwrap_err();
    assert_eq!(why(&refused), (Code::Unauthenticated, "TOKEN_REFUSED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_with_a_bootstrap_is_told_at_once() {
    let world = World::empty().await;
    let request = pb::BootstrapRequest { tenant_id: "system".to_owned(), caller: None, ..bootstrap() };
    let refused = world.identity().bootstrap(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("tenant_id") && refused.message().contains("caller"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_verify_by_the_published_keys_at_every_replica() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let other = world.replica().await;
    let pool = rpc::Pool::new(&other.parse().unwrap());
    let mut tenants = pb::tenant_service_client::TenantServiceClient::new(pool.clone());
    let listed = tenants.list_tenants(bearing(&first.caller, pb::ListTenantsRequest::default())).await.unwrap();
    assert_eq!(listed.into_inner().tenants[0].name, "tenants/acme");

    let verifier = rpc::Verifier::new(rpc::Keys::of_auth(pool));
    let verified = verifier.verify(&first.caller).await.unwrap();
    assert_eq!(&*verified.subject, first.answer.caller.as_ref().unwrap().name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_holds_no_more_scopes_than_its_caller() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let caller = pb::Caller {
        tenants: vec!["tenants/acme".to_owned()],
        scopes: vec!["auth.read".to_owned()],
        ..pb::Caller::default()
    };
    let request = pb::CreateCallerRequest { caller: Some(caller), request_id: uuid(), validate_only: false };
    let made = world.identity().create_caller(bearing(&first.caller, request)).await.unwrap().into_inner();
    let issue = |scope: &str, secret: &str| pb::IssueTokenRequest {
        caller: made.caller.as_ref().unwrap().name.clone(),
        secret: secret.to_owned(),
        scopes: vec![scope.to_owned()],
    };
    assert!(world.identity().issue_token(issue("auth.read", &made.secret)).await.is_ok());
    let greedy = world.identity().issue_token(issue("auth.write", &made.secret)).await.unwrap_err();
    assert_eq!(why(&greedy), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()));
    let wrong = world.identity().issue_token(issue("auth.read", "wrong")).await.unwrap_err();
    assert_eq!(why(&wrong), (Code::Unauthenticated, "TOKEN_REFUSED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_finds_the_caller_and_not_its_secret() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let caller = pb::Caller {
        tenants: vec!["tenants/acme".to_owned()],
        scopes: vec!["auth.read".to_owned()],
        ..pb::Caller::default()
    };
    let request = pb::CreateCallerRequest { caller: Some(caller), request_id: uuid(), validate_only: false };
    let made = world.identity().create_caller(bearing(&first.caller, request.clone())).await.unwrap().into_inner();
    let again = world.identity().create_caller(bearing(&first.caller, request.clone())).await.unwrap().into_inner();
    assert_eq!(made.caller, again.caller);
    assert!(!made.secret.is_empty() && again.secret.is_empty());

    let caller = pb::Caller { display_name: "another".to_owned(), ..request.caller.unwrap() };
    let reused = pb::CreateCallerRequest { caller: Some(caller), ..request };
    let reused = world.identity().create_caller(bearing(&first.caller, reused)).await.unwrap_err();
    assert_eq!(why(&reused), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_caller_for_other_tenants_or_an_operator() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    world.tenant(&first, "other").await;
    for tenant in ["tenants/other", "*"] {
        let caller = pb::Caller {
            tenants: vec![tenant.to_owned()],
            scopes: vec!["auth.read".to_owned()],
            ..pb::Caller::default()
        };
        let request = pb::CreateCallerRequest { caller: Some(caller), request_id: uuid(), validate_only: false };
        let refused = world.identity().create_caller(bearing(&first.caller, request)).await.unwrap_err();
        assert_eq!(why(&refused), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()), "{tenant}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_caller_loses_its_tokens_and_an_old_etag_deletes_nothing() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let name = first.answer.caller.as_ref().unwrap().name.clone();
    let delete =
        |etag: &str| pb::DeleteCallerRequest { name: name.clone(), etag: etag.to_owned(), ..Default::default() };
    let stale = world.identity().delete_caller(for_tenant(bearing(&first.operator, delete("\"9\"")), "acme")).await;
    assert_eq!(why(&stale.unwrap_err()), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    world.identity().delete_caller(for_tenant(bearing(&first.operator, delete("")), "acme")).await.unwrap();

    let alive = async || {
        let list = bearing(&first.caller, pb::ListTenantsRequest::default());
        world.tenants().list_tenants(list).await.is_ok()
    };
    until("its tokens die", async || !alive().await).await;

    let request =
        pb::IssueTokenRequest { caller: name, secret: first.answer.caller_secret.clone(), scopes: Vec::new() };
    assert_eq!(world.identity().issue_token(request).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_caller_sees_its_own_tenant_and_makes_none() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let other = world.tenant(&first, "other").await;
    let get = pb::GetTenantRequest { name: "tenants/acme".to_owned() };
    let foreign = world.tenants().get_tenant(bearing(&other, get.clone())).await.unwrap_err();
    assert_eq!(why(&foreign), (Code::NotFound, "NOT_FOUND".to_owned()));
    assert!(world.tenants().get_tenant(bearing(&first.operator, get)).await.is_ok());

    let request = pb::CreateTenantRequest {
        tenant_id: "third".to_owned(),
        tenant: Some(pb::Tenant::default()),
        request_id: uuid(),
        validate_only: false,
    };
    let refused = world.tenants().create_tenant(bearing(&first.caller, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_tenants_goes_on_where_it_ended() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    world.tenant(&first, "other").await;
    let list = |page_token: String| pb::ListTenantsRequest { page_size: 1, page_token };
    let one = world.tenants().list_tenants(bearing(&first.operator, list(String::new()))).await.unwrap().into_inner();
    assert_eq!(one.tenants[0].name, "tenants/acme");
    let next = list(one.next_page_token);
    let two = world.tenants().list_tenants(bearing(&first.operator, next.clone())).await.unwrap().into_inner();
    assert_eq!((two.tenants[0].name.as_str(), two.next_page_token.as_str()), ("tenants/other", ""));
    let foreign = world.tenants().list_tenants(bearing(&first.caller, next)).await.unwrap_err();
    assert_eq!(foreign.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_a_token_for_its_own_secret_only() {
    let world = World::empty().await;
    let exchange = |service: &str, secret: &str| {
        let (service, secret) = (service.to_owned(), secret.to_owned());
        let proof = pb::exchange_service_token_request::Proof::Secret(pb::ServiceSecret { service, secret });
        pb::ExchangeServiceTokenRequest { proof: Some(proof) }
    };
    assert!(world.identity().exchange_service_token(exchange("campaigns", "secret-of-campaigns")).await.is_ok());
    for (service, secret) in [("campaigns", "secret-of-insights"), ("../kek", "x"), ("nobody", "x"), ("", "")] {
        let refused = world.identity().exchange_service_token(exchange(service, secret)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_callers_token_is_refused_by_services_that_run_and_by_those_that_start_later() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let service = || {
        let verifier = Arc::new(rpc::Verifier::new(rpc::Keys::of_auth(world.pool())));
        world.spawn(Arc::clone(&verifier).watch(world.peer("campaigns"), CancellationToken::new()));
        verifier
    };
    let running = service();
    assert!(running.verify(&first.caller).await.is_ok());
    let name = first.answer.caller.as_ref().unwrap().name.clone();
    let delete = pb::DeleteCallerRequest { name, ..Default::default() };
    world.identity().delete_caller(for_tenant(bearing(&first.operator, delete), "acme")).await.unwrap();

    for verifier in [running, service()] {
        until("it is refused", async || verifier.verify(&first.caller).await.is_err()).await;
        assert!(verifier.verify(&first.operator).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_tenants_share_is_shown_to_each_with_its_own_name_alone() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    world.tenant(&first, "brands").await;
    let both = ["acme", "brands"].map(|tenant| format!("tenants/{tenant}")).to_vec();
    let caller = pb::Caller { tenants: both.clone(), scopes: vec!["auth.read".to_owned()], ..pb::Caller::default() };
    let request = pb::CreateCallerRequest { caller: Some(caller), request_id: uuid(), validate_only: false };
    let made = world.identity().create_caller(for_tenant(bearing(&first.operator, request), "acme")).await;
    let made = made.unwrap().into_inner().caller.unwrap();
    let seen_by = async |token: &str| {
        let list = for_tenant(bearing(token, pb::ListCallersRequest::default()), "acme");
        let listed = world.identity().list_callers(list).await.unwrap().into_inner().callers;
        listed.into_iter().find(|caller| caller.name == made.name).unwrap().tenants
    };
    assert_eq!(seen_by(&first.caller).await, ["tenants/acme"]);
    assert_eq!(seen_by(&first.operator).await, both);
    let delete = pb::DeleteCallerRequest { name: made.name.clone(), request_id: uuid(), ..Default::default() };
    let refused = world.identity().delete_caller(bearing(&first.caller, delete)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(!format!("{refused:?}").contains("brands"), "{refused:?}");
}
