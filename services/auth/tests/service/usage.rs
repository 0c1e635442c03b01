//! How often tokens are leased, and when that is unusual.

use std::time::Duration;

use proto::auth::v1::{
    self as pb, audit_service_client::AuditServiceClient, credential_service_client::CredentialServiceClient,
};
use rpc::{Channel, for_tenant};
use tonic::Request;

use crate::{
    waiting::until,
    world::{ACCOUNT, World, bearing},
};

/// In seconds.
const HOUR: i64 = 3_600;

type Leasing = CredentialServiceClient<Channel>;

fn asking(resource: &str) -> Request<pb::LeaseCredentialRequest> {
    let (resource, purpose) = (resource.to_owned(), "campaigns.read".to_owned());
    for_tenant(
        pb::LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation: 0 },
        &"acme".parse().unwrap(),
    )
}

async fn lease(campaigns: &mut Leasing) {
    campaigns.lease_credential(asking(ACCOUNT)).await.unwrap();
}

async fn usage(world: &World, token: &str, request: pb::ListCredentialUsageRequest) -> Vec<pb::CredentialUsage> {
    let mut audit = AuditServiceClient::new(world.pool());
    audit.list_credential_usage(bearing(token, request)).await.unwrap().into_inner().usage
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_counted_by_service_caller_connection_and_hour() {
    let (world, first, imported) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    for _ in 0..3 {
        lease(&mut campaigns).await;
    }
    let all = pb::ListCredentialUsageRequest::default();
    let leased = async || usage(&world, &first.caller, all.clone()).await.iter().map(|row| row.leases).sum::<i64>();
    until("the leases are counted", async || leased().await >= 3).await;
    let rows = usage(&world, &first.caller, all.clone()).await;
    assert_eq!(leased().await, 3);
    for row in rows {
        assert_eq!((row.service.as_str(), row.caller.as_str()), ("campaigns", "services/campaigns"));
        assert_eq!(row.connection, imported.connection.as_ref().unwrap().name);
        assert_eq!(row.hour_time.unwrap().seconds % 3_600, 0);
        assert!(!row.unusual);
    }
    let other = format!("connections/{}", uuid::Uuid::from_u128(1));
    let request = pb::ListCredentialUsageRequest { connection: other, ..all.clone() };
    assert!(usage(&world, &first.caller, request).await.is_empty());
    // Another tenant sees nothing of it.
    let mut audit = AuditServiceClient::new(world.pool());
    let theirs = crate::world::for_tenant(bearing(&first.operator, all), "other");
    assert!(audit.list_credential_usage(theirs).await.unwrap().into_inner().usage.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusual_rise_is_told_once() {
    let (world, first, _) = World::connected().await;
    // A service takes its token by the machine's clock; what is refused is not counted.
    let mut campaigns = world.service("campaigns");
    campaigns.lease_credential(asking("adAccounts/act_77")).await.unwrap_err();
    // To the middle of an hour, so that the test does not run over its end.
    let into = (world.now())().as_second().rem_euclid(HOUR);
    world.turn(Duration::from_secs((HOUR + HOUR / 2 - into).rem_euclid(HOUR).unsigned_abs())).await;
    let now = (world.now())();
    assert!((30..45).contains(&(now.as_second().rem_euclid(HOUR) / 60)), "{now}");
    // This hour, and the week before with a thousand in each such hour.
    let past = "
        INSERT INTO credential_usage (tenant_id, hour_at, service, caller, connection_id, leases)
        SELECT tenant_id, date_trunc('hour', $1::timestamptz) - days * interval '24 hours', 'campaigns',
               'services/campaigns', id, CASE days WHEN 0 THEN 5000 ELSE 1000 END
          FROM connections, generate_series(0, 7) AS days";
    let database = world.postgres().await;
    assert_eq!(database.execute(past, &[&now]).await.unwrap(), 8);
    let unusual = pb::ListCredentialUsageRequest { unusual_only: true, ..pb::ListCredentialUsageRequest::default() };
    let found = async || usage(&world, &first.caller, unusual.clone()).await;
    assert!(found().await.is_empty());
    lease(&mut campaigns).await;
    until("the rise is seen", async || !found().await.is_empty()).await;
    assert_eq!(found().await[0].leases, 5_001);
    lease(&mut campaigns).await;
    until("the next lease is counted", async || found().await[0].leases == 5_002).await;

    let filter = pb::AuditFilter { action: "credentials.unusual_use".to_owned(), ..pb::AuditFilter::default() };
    let list = pb::ListAuditEntriesRequest { filter: Some(filter), ..pb::ListAuditEntriesRequest::default() };
    let mut audit = AuditServiceClient::new(world.pool());
    let entries = audit.list_audit_entries(bearing(&first.caller, list)).await.unwrap().into_inner().entries;
    assert_eq!(entries.len(), 1, "once, however often it is used on");
    assert_eq!(found().await.len(), 1);
    let detail: serde_json::Value = serde_json::from_str(&entries[0].detail).unwrap();
    assert_eq!((&detail["usual"], &detail["limit"]), (&1_000.into(), &5_000.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_come_in_pages_newest_first() {
    let (world, first, _) = World::connected().await;
    let rows = "
        INSERT INTO credential_usage (tenant_id, hour_at, service, caller, connection_id, leases)
        SELECT tenant_id, date_trunc('hour', now()) - hours * interval '1 hour', service, 'callers/a b', id, 1
          FROM connections, generate_series(1, 3) AS hours, unnest(ARRAY['campaigns', 'insights']) AS service";
    world.postgres().await.execute(rows, &[]).await.unwrap();
    let mut request = pb::ListCredentialUsageRequest { page_size: 4, ..pb::ListCredentialUsageRequest::default() };
    let mut audit = AuditServiceClient::new(world.pool());
    let page = audit.list_credential_usage(bearing(&first.caller, request.clone())).await.unwrap().into_inner();
    assert_eq!(page.usage.len(), 4);
    request.page_token = page.next_page_token;
    let rest = audit.list_credential_usage(bearing(&first.caller, request)).await.unwrap().into_inner();
    assert!(rest.next_page_token.is_empty());
    let all: Vec<_> = page.usage.iter().chain(&rest.usage).collect();
    assert_eq!(all.len(), 6);
    let hours: Vec<i64> = all.iter().map(|row| row.hour_time.unwrap().seconds).collect();
    assert!(hours.is_sorted_by(|earlier, later| earlier >= later));
    let distinct: std::collections::BTreeSet<_> = hours.iter().zip(all.iter().map(|row| &row.service)).collect();
    assert_eq!(distinct.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leased_in_the_last_day_is_named_as_what_stops_with_a_connection() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    let past = "
        INSERT INTO credential_usage (tenant_id, hour_at, service, caller, connection_id, leases)
        SELECT tenant_id, date_trunc('hour', now()) - hours * interval '1 hour', service, caller, id, leases
          FROM connections,
               (VALUES ('insights', 'services/insights', 2, 40), ('insights', 'services/insights', 20, 5),
                       ('campaigns', 'callers/one', 3, 7), ('audiences', 'services/audiences', 30, 900))
               AS used (service, caller, hours, leases)";
    world.postgres().await.execute(past, &[]).await.unwrap();
    let request = pb::GetBlastRadiusRequest { name };
    let blast = world.connections().get_blast_radius(bearing(&first.caller, request)).await.unwrap().into_inner();
    let users: Vec<_> = blast.users.iter().map(|user| (&*user.service, &*user.caller, user.leases)).collect();
    assert_eq!(users, [("insights", "services/insights", 45), ("campaigns", "callers/one", 7)]);
    assert_eq!(blast.users_total, 2);
    assert!(blast.users.iter().all(|user| user.last_hour_time.unwrap().seconds % 3_600 == 0));
}
