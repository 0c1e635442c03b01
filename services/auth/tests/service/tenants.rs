//! Tenants that are changed, stopped, let go on; ad accounts that several share.

use std::sync::Arc;

use proto::auth::v1::{self as pb, audit_service_client::AuditServiceClient};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use crate::{
    waiting::soon,
    world::{ACCOUNT, First, TOKEN, World, bearing, for_tenant, import, uuid, why},
};

fn suspend() -> pb::SuspendTenantRequest {
    let (name, reason) = ("tenants/acme".to_owned(), "it did not pay".to_owned());
    pb::SuspendTenantRequest { name, reason, ..Default::default() }
}

fn resume() -> pb::ResumeTenantRequest {
    pb::ResumeTenantRequest { name: "tenants/acme".to_owned(), ..Default::default() }
}

fn lease(tenant: &str) -> Request<pb::LeaseCredentialRequest> {
    let (resource, purpose) = (ACCOUNT.to_owned(), "campaigns.read".to_owned());
    rpc::for_tenant(
        pb::LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation: 0 },
        &tenant.parse().unwrap(),
    )
}

async fn issue(world: &World, first: &First) -> Result<String, Status> {
    let request = pb::IssueTokenRequest {
        caller: first.answer.caller.as_ref().unwrap().name.clone(),
        secret: first.answer.caller_secret.clone(),
        scopes: Vec::new(),
    };
    world.identity().issue_token(request).await.map(|answer| answer.into_inner().token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_has_no_lease_and_no_token_until_it_is_resumed() {
    let (mut world, first, _) = World::connected().await;
    let other = world.tenant(&first, "other").await;
    let mut here = world.service("campaigns");
    let endpoint = std::mem::take(&mut world.endpoint);
    world.endpoint = world.replica().await;
    let mut elsewhere = world.service("campaigns");
    world.endpoint = endpoint;
    // Both replicas hold the token in memory now.
    for replica in [&mut here, &mut elsewhere] {
        replica.lease_credential(lease("acme")).await.unwrap();
    }
    let service = Arc::new(rpc::Verifier::new(rpc::Keys::of_auth(world.pool())));
    let watching = Arc::clone(&service).watch(world.peer("campaigns"), CancellationToken::new());
    world.spawn(watching);

    let answer = world.tenants().suspend_tenant(bearing(&first.operator, suspend())).await.unwrap().into_inner();
    assert_eq!(answer.tenant.unwrap().state(), pb::TenantState::Suspended);
    for replica in [&mut here, &mut elsewhere] {
        let refused = soon("a refusal", async || replica.lease_credential(lease("acme")).await.err()).await;
        assert_eq!(why(&refused), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
    }
    soon("a dead token", async || service.verify(&first.caller).await.err()).await;
    let list = pb::ListTenantsRequest::default();
    soon("a dead token", async || world.tenants().list_tenants(bearing(&first.caller, list.clone())).await.err()).await;
    assert_eq!(why(&issue(&world, &first).await.unwrap_err()), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
    // Which is what stops admissions.
    soon("the suspension", async || service.is_suspended(&"acme".parse().unwrap()).then_some(())).await;
    assert!(world.tenants().list_tenants(bearing(&other, list.clone())).await.is_ok());
    // Again changes nothing.
    world.tenants().suspend_tenant(bearing(&first.operator, suspend())).await.unwrap();

    world.tenants().resume_tenant(bearing(&first.operator, resume())).await.unwrap();
    for replica in [&mut here, &mut elsewhere] {
        soon("a lease", async || replica.lease_credential(lease("acme")).await.ok()).await;
    }
    soon("the end of the suspension", async || (!service.is_suspended(&"acme".parse().unwrap())).then_some(())).await;
    // A token of the very second of the suspension counts as made before it.
    let token = soon("a token that lives", async || {
        let token = issue(&world, &first).await.unwrap();
        service.verify(&token).await.is_ok().then_some(token)
    })
    .await;
    soon("an answer", async || world.tenants().list_tenants(bearing(&token, list.clone())).await.ok()).await;
    assert!(service.verify(&first.caller).await.is_err(), "what died stays dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_does_for_a_tenant_is_in_the_tenants_chain_with_both_names() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    world.tenant(&first, "other").await;
    world.tenants().suspend_tenant(bearing(&first.operator, suspend())).await.unwrap();
    world.tenants().resume_tenant(bearing(&first.operator, resume())).await.unwrap();
    let caller = pb::Caller {
        tenants: vec!["tenants/acme".to_owned()],
        scopes: vec!["auth.read".to_owned()],
        ..pb::Caller::default()
    };
    let request = pb::CreateCallerRequest { caller: Some(caller), request_id: uuid(), validate_only: false };
    world.identity().create_caller(for_tenant(bearing(&first.operator, request), "acme")).await.unwrap();

    let operator = first.answer.operator.as_ref().unwrap().name.clone();
    let entries = async |tenant: &str| {
        let list = for_tenant(bearing(&first.operator, pb::ListAuditEntriesRequest::default()), tenant);
        AuditServiceClient::new(world.pool()).list_audit_entries(list).await.unwrap().into_inner().entries
    };
    let acme = entries("acme").await;
    for action in ["tenants.suspend", "tenants.resume", "callers.create"] {
        let entry = acme.iter().find(|entry| entry.action == action).unwrap_or_else(|| panic!("{action}: {acme:?}"));
        assert_eq!(entry.actor, operator);
    }
    assert!(entries("other").await.iter().all(|entry| entry.action != "tenants.suspend"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_changed_by_operators_where_nobody_else_did_meanwhile() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let update = |etag: &str, paths: &[&str]| pb::UpdateTenantRequest {
        tenant: Some(pb::Tenant {
            name: "tenants/acme".to_owned(),
            etag: etag.to_owned(),
            display_name: "New name".to_owned(),
            meta_version: "v25.0".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
        request_id: uuid(),
        validate_only: false,
    };
    let before = &first.answer.tenant.as_ref().unwrap().etag;
    let request = update(before, &["display_name"]);
    let changed = world.tenants().update_tenant(bearing(&first.operator, request.clone())).await.unwrap().into_inner();
    let tenant = changed.tenant.clone().unwrap();
    assert_eq!((tenant.display_name.as_str(), tenant.meta_version.as_str()), ("New name", ""));
    let again = world.tenants().update_tenant(bearing(&first.operator, request)).await.unwrap().into_inner();
    assert_eq!(again, changed, "a repeat changes nothing");
    let stale = world.tenants().update_tenant(bearing(&first.operator, update(before, &["meta_version"]))).await;
    assert_eq!(why(&stale.unwrap_err()), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    let wrong = world.tenants().update_tenant(bearing(&first.operator, update("", &["state"]))).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let caller = world.tenants().update_tenant(bearing(&first.caller, update("", &["meta_version"]))).await;
    assert_eq!(caller.unwrap_err().code(), Code::PermissionDenied);
}

fn share(tenants: &[&str]) -> pb::ShareAdAccountRequest {
    let shares = tenants.iter().map(|tenant| pb::AdAccountShare { tenant: format!("tenants/{tenant}"), weight: 50 });
    pb::ShareAdAccountRequest { ad_account: ACCOUNT.to_owned(), shares: shares.collect(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_ad_account_is_leased_to_both_until_it_is_shared_no_more() {
    let (mut world, first, _) = World::connected().await;
    let other = world.tenant(&first, "other").await;
    let imported = world.connections().import_system_user_token(bearing(&other, import())).await.unwrap().into_inner();
    let name = imported.connection.unwrap().name;
    let may_use = async || {
        let request = pb::GetBlastRadiusRequest { name: name.clone() };
        let blast = world.connections().get_blast_radius(bearing(&other, request)).await.unwrap().into_inner();
        blast.lost.into_iter().find(|asset| asset.name == ACCOUNT).unwrap().owned
    };
    assert!(!may_use().await);
    world.tenants().share_ad_account(bearing(&first.operator, share(&["other"]))).await.unwrap();
    assert!(may_use().await, "what is lost with a connection is what it may use");
    world.tenants().share_ad_account(bearing(&first.operator, share(&[]))).await.unwrap();
    let mut here = world.service("campaigns");
    let endpoint = std::mem::take(&mut world.endpoint);
    world.endpoint = world.replica().await;
    let mut elsewhere = world.service("campaigns");
    world.endpoint = endpoint;
    let refused = here.lease_credential(lease("other")).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "AD_ACCOUNT_TAKEN".to_owned()));

    let answer = world.tenants().share_ad_account(bearing(&first.operator, share(&["other"]))).await.unwrap();
    let owner = answer.into_inner().owner.unwrap();
    assert_eq!((owner.tenant.as_str(), owner.shares[0].tenant.as_str()), ("tenants/acme", "tenants/other"));
    for replica in [&mut here, &mut elsewhere] {
        for tenant in ["acme", "other"] {
            assert_eq!(replica.lease_credential(lease(tenant)).await.unwrap().into_inner().lease.unwrap().token, TOKEN);
        }
    }
    world.tenants().share_ad_account(bearing(&first.operator, share(&[]))).await.unwrap();
    for replica in [&mut here, &mut elsewhere] {
        let refused = soon("a refusal", async || replica.lease_credential(lease("other")).await.err()).await;
        assert_eq!(why(&refused), (Code::FailedPrecondition, "AD_ACCOUNT_TAKEN".to_owned()));
        assert!(replica.lease_credential(lease("acme")).await.is_ok(), "the owner's leases stand");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_share_and_only_with_tenants_that_there_are() {
    let (world, first, _) = World::connected().await;
    let caller = world.tenants().share_ad_account(bearing(&first.caller, share(&[]))).await.unwrap_err();
    assert_eq!(caller.code(), Code::PermissionDenied);
    for (tenants, code) in [(&["nobody"], Code::NotFound), (&["acme"], Code::InvalidArgument)] {
        let refused = world.tenants().share_ad_account(bearing(&first.operator, share(tenants))).await.unwrap_err();
        assert_eq!(refused.code(), code, "{tenants:?}");
    }
    let ownerless = pb::ShareAdAccountRequest { ad_account: "adAccounts/act_77".to_owned(), ..share(&[]) };
    let refused = world.tenants().share_ad_account(bearing(&first.operator, ownerless)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ad_account_that_somebody_owns_at_last_is_lost_to_whoever_used_it() {
    let (world, first) = World::with_app().await;
    let other = world.tenant(&first, "other").await;
    world.connections().import_system_user_token(bearing(&other, import())).await.unwrap();
    let mut campaigns = world.service("campaigns");
    let client = world.postgres().await;
    client.execute("DELETE FROM ad_account_owners", &[]).await.unwrap();
    campaigns.lease_credential(lease("other")).await.unwrap();
    let (tenant, ad_account) = ("tenants/acme".to_owned(), ACCOUNT.to_owned());
    let request = pb::AssignAdAccountRequest { tenant, ad_account, ..Default::default() };
    world.tenants().assign_ad_account(bearing(&first.operator, request)).await.unwrap();
    let refused = soon("a refusal", async || campaigns.lease_credential(lease("other")).await.err()).await;
    assert_eq!(why(&refused), (Code::FailedPrecondition, "AD_ACCOUNT_TAKEN".to_owned()));
}
