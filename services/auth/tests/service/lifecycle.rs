//! How connections die, how they heal, and who learns of it.

use std::time::Duration;

use proto::auth::v1::{self as pb, ConnectionState as State, CredentialVerdict as Verdict};
use rpc::for_tenant;
use tonic::Code;

use crate::{
    meta::DAY,
    world::{ACCOUNT, World, bearing, import, uuid, why},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_death_of_a_token_is_found_and_told_from_a_checkpoint() {
    let (world, first) = World::with_app().await;
    world.worker().await;
    let (connection, _) = world.expiring(&first).await;
    for (event, state) in [
        ("checkpoint", State::Checkpoint),
        ("checkpoint_passed", State::Active),
        ("unconfirmed", State::Checkpoint),
        ("checkpoint_passed", State::Active),
        ("revoked", State::NeedsConsent),
    ] {
        world.befalls(event).await;
        world.turn(Duration::from_hours(30)).await;
        let seen = world.until(&first, &connection.name, |seen| seen.state() == state).await;
        assert_eq!(seen.state_reason.is_empty(), state == State::Active, "{event}: {}", seen.state_reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_finds_a_dead_token_asks_for_consent() {
    for event in ["expired", "app_removed", "password_changed", "revoked"] {
        let (world, first) = World::with_app().await;
        let (connection, _) = world.expiring(&first).await;
        world.turn(DAY * 2).await;
        world.befalls(event).await;
        let refused = world.refresh(&first, &connection.name).await.unwrap_err();
        assert_eq!(why(&refused), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()), "{event}");
        let seen = world.connection(&first, &connection.name).await;
        assert_eq!(seen.state(), State::NeedsConsent);
        assert!(seen.state_reason.starts_with("Meta says: "), "{}", seen.state_reason);
        assert_eq!(seen.next_refresh_time, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reports_a_refused_token_is_told_whether_consent_or_a_checkpoint_is_missing() {
    for (event, verdict) in [("checkpoint", Verdict::Checkpoint), ("password_changed", Verdict::NeedsConsent)] {
        let (world, first) = World::with_app().await;
        world.expiring(&first).await;
        let mut campaigns = world.service("campaigns");
        let tenant = "acme".parse().unwrap();
        let lease = pb::LeaseCredentialRequest {
            resource: ACCOUNT.to_owned(),
            purpose: "campaigns.read".to_owned(),
            min_ttl: None,
            seen_generation: 0,
        };
        let leased = campaigns.lease_credential(for_tenant(lease.clone(), &tenant)).await.unwrap().into_inner();
        let report = |meta_code, meta_subcode| {
            let lease_id = leased.lease.as_ref().unwrap().lease_id.clone();
            let request =
                pb::ReportCredentialFailureRequest { lease_id, meta_code, meta_subcode, ..Default::default() };
            for_tenant(request, &tenant)
        };
        let healthy = campaigns.report_credential_failure(report(190, 463)).await.unwrap().into_inner();
        assert_eq!(healthy.verdict(), Verdict::NotTheToken, "Meta was asked and knows of nothing");
        world.befalls(event).await;
        let throttled = campaigns.report_credential_failure(report(17, 0)).await.unwrap().into_inner();
        assert_eq!(throttled.verdict(), Verdict::NotTheToken, "nobody is asked about a limit");
        for _ in 0..2 {
            let dead = campaigns.report_credential_failure(report(190, 460)).await.unwrap().into_inner();
            assert_eq!(dead.verdict(), verdict);
        }
        let refused = campaigns.lease_credential(for_tenant(lease, &tenant)).await.unwrap_err();
        assert_eq!(why(&refused), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_with_a_connection_is_what_no_other_reaches() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    let blast = async |name: &str| {
        let request = pb::GetBlastRadiusRequest { name: name.to_owned() };
        world.connections().get_blast_radius(bearing(&first.caller, request)).await.unwrap().into_inner()
    };
    let alone = blast(&name).await;
    assert_eq!(alone.lost[0].name, ACCOUNT);
    assert_eq!(alone.lost[0].reachable_by, std::slice::from_ref(&name));
    assert_eq!((alone.lost_total, alone.kept_total), (i64::try_from(alone.lost.len()).unwrap(), 0));

    let person = world.person(&first).await;
    let shared = blast(&name).await;
    assert!(shared.kept_total >= 3, "{shared:?}");
    assert_eq!(shared.lost_total + shared.kept_total, alone.lost_total);
    assert!(shared.kept.iter().all(|asset| asset.reachable_by == [person.name.clone()]));

    let other = world.tenant(&first, "other").await;
    let request = pb::GetBlastRadiusRequest { name };
    let hidden = world.connections().get_blast_radius(bearing(&other, request)).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_revoked_connection_is_deleted_and_then_it_is_gone() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap();
    let delete = async |etag: &str, request_id: &str| {
        let request = pb::DeleteConnectionRequest {
            name: connection.name.clone(),
            etag: etag.to_owned(),
            request_id: request_id.to_owned(),
            validate_only: false,
        };
        world.connections().delete_connection(bearing(&first.caller, request)).await
    };
    assert_eq!(why(&delete("", "").await.unwrap_err()), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
    let request = pb::RevokeConnectionRequest { name: connection.name.clone(), ..Default::default() };
    let revoked = world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap().into_inner();
    let stale = delete(&connection.etag, "").await.unwrap_err();
    assert_eq!(why(&stale), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    let (etag, id) = (revoked.connection.unwrap().etag, uuid());
    for _ in 0..2 {
        delete(&etag, &id).await.unwrap();
    }
    assert_eq!(delete("", "").await.unwrap_err().code(), Code::NotFound);
    let list = pb::ListAssetsRequest::default();
    let left = world.connections().list_assets(bearing(&first.caller, list)).await.unwrap().into_inner().assets;
    assert!(left.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_permission_is_noticed_within_a_day_or_so() {
    let (world, first) = World::with_app().await;
    let token = world.expiring_token().await;
    let request = pb::ImportSystemUserTokenRequest { token: token.clone(), ..import() };
    let imported = world.connections().import_system_user_token(bearing(&first.caller, request)).await.unwrap();
    let name = imported.into_inner().connection.unwrap().name;
    let url = format!("{}/v26.0/5000000000000002/permissions/ads_read", world.settings.graph.base_url);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let taken = client.delete(url).bearer_auth(&token).send().await.unwrap();
    assert!(taken.status().is_success(), "{}", taken.text().await.unwrap());
    world.worker().await;
    world.turn(Duration::from_hours(25)).await;
    let seen = world.until(&first, &name, |seen| seen.state() == State::NeedsConsent).await;
    assert_eq!(seen.missing_scopes, ["ads_read"]);
}
