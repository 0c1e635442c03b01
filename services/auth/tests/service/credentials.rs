//! Leases, refusals, revocations.

use std::time::Duration;

use proto::auth::v1 as pb;
use rpc::for_tenant;
use tonic::{Code, Request};

use crate::world::{ACCOUNT, APP_SECRET, DATASET, TOKEN, World, bearing, import, uuid, why};

fn lease(resource: &str, purpose: &str, tenant: &str) -> Request<pb::LeaseCredentialRequest> {
    let (resource, purpose) = (resource.to_owned(), purpose.to_owned());
    for_tenant(pb::LeaseCredentialRequest { resource, purpose, min_ttl: None }, &tenant.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_leases_the_token_that_serves() {
    let (world, _, imported) = World::connected().await;
    let answer = world.service("campaigns").lease_credential(lease(ACCOUNT, "campaigns.write", "acme")).await;
    let lease = answer.unwrap().into_inner().lease.unwrap();
    assert_eq!(lease.token, TOKEN);
    let proof = graph::oauth::proof(&APP_SECRET.into(), &TOKEN.into());
    assert_eq!(lease.appsecret_proof, secrecy::ExposeSecret::expose_secret(&proof));
    assert_eq!(lease.connection, imported.connection.unwrap().name);
    assert_eq!(lease.api_version, "v26.0");
    assert!(!format!("{lease:?}").contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_leases_for_its_own_work_only() {
    let (world, first, _) = World::connected().await;
    let leased = world.service("conversions").lease_credential(lease(DATASET, "conversions.deliver", "acme")).await;
    assert!(leased.is_ok());
    for (service, resource, purpose) in
        [("conversions", ACCOUNT, "conversions.deliver"), ("insights", ACCOUNT, "campaigns.write")]
    {
        let refused = world.service(service).lease_credential(lease(resource, purpose, "acme")).await.unwrap_err();
        assert_eq!(why(&refused), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()), "{service}");
    }
    let mut caller = pb::credential_service_client::CredentialServiceClient::new(world.pool());
    let request = lease(ACCOUNT, "campaigns.write", "acme").into_inner();
    let refused = caller.lease_credential(bearing(&first.caller, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_nothing_can_be_leased_is_told() {
    let (world, first, _) = World::connected().await;
    world.tenant(&first, "other").await;
    let mut campaigns = world.service("campaigns");
    for (resource, tenant, reason) in
        [("adAccounts/act_77", "acme", "NOT_CONNECTED"), (ACCOUNT, "other", "AD_ACCOUNT_TAKEN")]
    {
        let refused = campaigns.lease_credential(lease(resource, "campaigns.read", tenant)).await.unwrap_err();
        assert_eq!(why(&refused), (Code::FailedPrecondition, reason.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_needs_consent_is_not_leased() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap().name;
    let expected_scopes = vec!["whatsapp_business_management".to_owned()];
    let request = pb::ImportSystemUserTokenRequest { expected_scopes, ..import() };
    world.connections().import_system_user_token(bearing(&first.caller, request)).await.unwrap();
    let refused = world.service("campaigns").lease_credential(lease(&connection, "campaigns.read", "acme")).await;
    assert_eq!(why(&refused.unwrap_err()), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_odd_answer_of_meta_does_not_stop_a_tenant() {
    let (world, _, _) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    let leased = campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.unwrap().into_inner();
    let report = |meta_code| {
        let lease_id = leased.lease.as_ref().unwrap().lease_id.clone();
        let request = pb::ReportCredentialFailureRequest { lease_id, meta_code, ..Default::default() };
        for_tenant(request, &"acme".parse().unwrap())
    };
    for code in [190, 100] {
        let verdict = campaigns.report_credential_failure(report(code)).await.unwrap().into_inner().verdict();
        assert_eq!(verdict, pb::CredentialVerdict::NotTheToken, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_the_holders_of_every_replica_within_two_seconds() {
    let (mut world, first, imported) = World::connected().await;
    let here = world.endpoint.clone();
    world.endpoint = world.replica().await;
    let mut elsewhere = world.service("campaigns");
    let watch = pb::WatchRevocationsRequest { generation: 0 };
    let mut stream = elsewhere.watch_revocations(watch).await.unwrap().into_inner();
    let first_message = stream.message().await.unwrap().unwrap();
    assert_eq!(first_message.revocation, None);

    world.endpoint = here;
    let name = imported.connection.unwrap().name;
    let request = pb::RevokeConnectionRequest { name: name.clone(), request_id: uuid(), ..Default::default() };
    world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap();
    let told = async {
        loop {
            let message = stream.message().await.unwrap().unwrap();
            if let Some(revocation) = message.revocation {
                break (message.generation, revocation);
            }
        }
    };
    let (generation, revocation) = tokio::time::timeout(Duration::from_secs(2), told).await.unwrap();
    assert_eq!(revocation.subject, Some(pb::revocation::Subject::Connection(name)));

    let resumed = pb::WatchRevocationsRequest { generation: generation - 1 };
    let seen = world.service("insights").watch_revocations(resumed).await;
    assert!(generation == 1 || seen.unwrap().into_inner().message().await.unwrap().unwrap().revocation.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_beats_every_two_seconds() {
    let world = World::empty().await;
    world.bootstrap().await;
    let watch = pb::WatchRevocationsRequest { generation: 0 };
    let mut stream = world.service("campaigns").watch_revocations(watch).await.unwrap().into_inner();
    for _ in 0..2 {
        let beat = tokio::time::timeout(Duration::from_millis(2_500), stream.message()).await.unwrap();
        assert_eq!(beat.unwrap().unwrap(), pb::WatchRevocationsResponse { generation: 0, revocation: None });
    }
}

/// Changes what is stored past auth, so that nothing tells it.
async fn behind_its_back(world: &World, sql: &str) {
    assert_eq!(world.postgres().await.execute(sql, &[]).await.unwrap(), 1, "{sql}");
}

const ENDED: &str = "UPDATE connections SET state = 'needs_consent', state_reason = 'told to nobody'";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_leased_a_moment_ago_is_leased_again_without_the_database() {
    let (world, _, _) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    // The first may come before this replica knows where the order of what ended stands.
    let known = campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.unwrap();
    behind_its_back(&world, ENDED).await;
    let again = campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.unwrap();
    let (known, again) = (known.into_inner().lease.unwrap(), again.into_inner().lease.unwrap());
    assert_eq!((&known.token, &known.appsecret_proof), (&again.token, &again.appsecret_proof));
    assert_ne!(known.lease_id, again.lease_id, "each lease has a name of its own");
    // What needs more was not leased before.
    assert!(campaigns.lease_credential(lease(ACCOUNT, "campaigns.write", "acme")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connection_is_not_leased_at_another_replica_within_two_seconds() {
    let (mut world, first, imported) = World::connected().await;
    let here = std::mem::take(&mut world.endpoint);
    world.endpoint = world.replica().await;
    let mut elsewhere = world.service("campaigns");
    elsewhere.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.unwrap();
    world.endpoint = here;
    let name = imported.connection.unwrap().name;
    let request = pb::RevokeConnectionRequest { name, request_id: uuid(), ..Default::default() };
    world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap();
    let refused = async {
        loop {
            if let Err(refused) = elsewhere.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await {
                break refused;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(2), refused).await.expect("it is refused in two seconds");
    assert_eq!(why(&refused), (Code::FailedPrecondition, "NOT_CONNECTED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_see_what_ends_leases_nothing_from_memory() {
    let (world, _, _) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.unwrap();
    behind_its_back(&world, ENDED).await;
    assert!(campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.is_ok());
    // The order of what ended falls silent, and the rest of the database does not.
    let mut client = world.postgres().await;
    let silence = client.transaction().await.unwrap();
    silence.execute("LOCK TABLE revocation_clock IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    let asked_anew = async {
        loop {
            if let Err(refused) = campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await {
                break refused;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(10), asked_anew).await.expect("within ten seconds");
    assert_eq!(why(&refused), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_may_only_read_is_not_leased_to_write() {
    let (world, _, _) = World::connected().await;
    behind_its_back(&world, "UPDATE connections SET scopes = '{ads_read}'").await;
    let mut campaigns = world.service("campaigns");
    assert!(campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.is_ok());
    let refused = campaigns.lease_credential(lease(ACCOUNT, "campaigns.write", "acme")).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
    assert!(refused.message().contains("ads_management"), "{refused:?}");
}
