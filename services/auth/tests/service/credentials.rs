//! Leases, refusals, revocations.

use proto::auth::v1::{self as pb, credential_service_client::CredentialServiceClient};
use rpc::{Channel, for_tenant};
use tonic::{Code, Request, Streaming};

use crate::{
    waiting::{in_time, soon},
    world::{ACCOUNT, APP_SECRET, DATASET, TOKEN, World, bearing, import, uuid, why},
};

fn lease(resource: &str, purpose: &str, tenant: &str) -> Request<pb::LeaseCredentialRequest> {
    let (resource, purpose) = (resource.to_owned(), purpose.to_owned());
    for_tenant(
        pb::LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation: 0 },
        &tenant.parse().unwrap(),
    )
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
    let mut caller = CredentialServiceClient::new(world.pool());
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
    let (world, first, _) = World::connected().await;
    let expected_scopes = vec!["whatsapp_business_management".to_owned()];
    let request = pb::ImportSystemUserTokenRequest { expected_scopes, ..import() };
    world.connections().import_system_user_token(bearing(&first.caller, request)).await.unwrap();
    let refused = world.service("campaigns").lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await;
    assert_eq!(why(&refused.unwrap_err()), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_all_that_it_reaches_is_leased_to_nobody() {
    let (world, _, imported) = World::connected().await;
    let connection = imported.connection.unwrap().name;
    for (service, purpose) in [("campaigns", "campaigns.read"), ("conversions", "conversions.deliver")] {
        let refused = world.service(service).lease_credential(lease(&connection, purpose, "acme")).await.unwrap_err();
        assert_eq!(why(&refused), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()));
    }
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

/// The next revocation of a stream, with its place.
async fn revoked(stream: &mut Streaming<pb::WatchRevocationsResponse>) -> (i64, pb::Revocation) {
    let told = async {
        loop {
            let message = stream.message().await.unwrap().unwrap();
            if let Some(revocation) = message.revocation {
                return (message.generation, revocation);
            }
        }
    };
    in_time("a revocation", told).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_the_holders_of_every_replica_and_who_resumes_is_told_the_rest() {
    let (mut world, first, imported) = World::connected().await;
    let person = world.person(&first).await;
    let here = std::mem::take(&mut world.endpoint);
    world.endpoint = world.replica().await;
    let mut elsewhere = world.service("campaigns");
    let watch = pb::WatchRevocationsRequest { generation: 0 };
    let mut stream = elsewhere.watch_revocations(watch).await.unwrap().into_inner();
    let first_message = stream.message().await.unwrap().unwrap();
    assert_eq!(first_message.revocation, None);

    let there = std::mem::replace(&mut world.endpoint, here);
    let mut told = Vec::new();
    for name in [imported.connection.unwrap().name, person.name] {
        let request = pb::RevokeConnectionRequest { name: name.clone(), request_id: uuid(), ..Default::default() };
        world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap();
        let (generation, revocation) = revoked(&mut stream).await;
        assert_eq!(revocation.subject, Some(pb::revocation::Subject::Connection(name)));
        told.push((generation, revocation));
    }
    assert!(told[0].0 < told[1].0, "{told:?}");

    // At either replica, who has seen the first is told the second, and then nothing.
    for endpoint in [there, world.endpoint.clone()] {
        world.endpoint = endpoint;
        let resumed = pb::WatchRevocationsRequest { generation: told[0].0 };
        let mut rest = world.service("insights").watch_revocations(resumed).await.unwrap().into_inner();
        assert_eq!(revoked(&mut rest).await, told[1]);
        let quiet = in_time("a beat", rest.message()).await.unwrap().unwrap();
        assert_eq!(quiet, pb::WatchRevocationsResponse { generation: told[1].0, revocation: None });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_beats_on() {
    let world = World::empty().await;
    world.bootstrap().await;
    let watch = pb::WatchRevocationsRequest { generation: 0 };
    let mut stream = world.service("campaigns").watch_revocations(watch).await.unwrap().into_inner();
    for _ in 0..3 {
        let beat = in_time("a beat", stream.message()).await;
        assert_eq!(beat.unwrap().unwrap(), pb::WatchRevocationsResponse { generation: 0, revocation: None });
    }
}

/// Changes what is stored past auth, so that nothing tells it.
async fn behind_its_back(world: &World, sql: &str) {
    assert_eq!(world.postgres().await.execute(sql, &[]).await.unwrap(), 1, "{sql}");
}

const ENDED: &str = "UPDATE connections SET state = 'needs_consent', state_reason = 'told to nobody'";
const AS_BEFORE: &str = "UPDATE connections SET state = 'active', state_reason = ''";

/// Two leases of the same token, the second from the memory of auth: what the database says then would not lease it. Tried
/// until it comes from there, for a replica that has not seen lately where the order of what ended stands asks anew.
async fn leased_from_memory(world: &World, campaigns: &mut CredentialServiceClient<Channel>) -> [pb::Lease; 2] {
    soon("a lease from memory", async || {
        let known = campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.unwrap();
        behind_its_back(world, ENDED).await;
        let again = campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await;
        let Ok(again) = again else {
            behind_its_back(world, AS_BEFORE).await;
            return None;
        };
        Some([known, again].map(|answer| answer.into_inner().lease.unwrap()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_leased_a_moment_ago_is_leased_again_without_the_database() {
    let (world, _, _) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    let [known, again] = leased_from_memory(&world, &mut campaigns).await;
    assert_eq!((&known.token, &known.appsecret_proof), (&again.token, &again.appsecret_proof));
    assert_ne!(known.lease_id, again.lease_id, "each lease has a name of its own");
    // What needs more was not leased before.
    assert!(campaigns.lease_credential(lease(ACCOUNT, "campaigns.write", "acme")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connection_is_not_leased_at_another_replica_either() {
    let (mut world, first, imported) = World::connected().await;
    let here = std::mem::take(&mut world.endpoint);
    world.endpoint = world.replica().await;
    let mut elsewhere = world.service("campaigns");
    elsewhere.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.unwrap();
    world.endpoint = here;
    let name = imported.connection.unwrap().name;
    let request = pb::RevokeConnectionRequest { name, request_id: uuid(), ..Default::default() };
    world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap();
    let refused =
        soon("a refusal", async || elsewhere.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.err());
    assert_eq!(why(&refused.await), (Code::FailedPrecondition, "NOT_CONNECTED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_see_what_ends_leases_nothing_from_memory() {
    let (world, _, _) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    leased_from_memory(&world, &mut campaigns).await;
    // The order of what ended falls silent, and the rest of the database does not.
    let mut client = world.postgres().await;
    let silence = client.transaction().await.unwrap();
    silence.execute("LOCK TABLE revocation_clock IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    let refused =
        soon("a refusal", async || campaigns.lease_credential(lease(ACCOUNT, "campaigns.read", "acme")).await.err());
    assert_eq!(why(&refused.await), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
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
