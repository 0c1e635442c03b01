//! Streams that are held open: they say that they live, end well, and are cut where nobody reads.

use std::time::Duration;

use proto::auth::v1 as pb;
use tonic::Code;

use crate::{
    waiting::until,
    world::{First, World, bearing, why},
};

/// Far more than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// More than a connection and a queue hold together.
const EVENTS: i64 = 30_000;

async fn world(checkpoint: u32, life: u32, patience: u32) -> (World, First) {
    let world = World::set(|settings| {
        let streams = &mut settings.streams;
        (streams.checkpoint_seconds, streams.life_seconds, streams.patience_seconds) = (checkpoint, life, patience);
    });
    world.await.registered().await
}

/// So many events of the tenant.
async fn happened(world: &World, count: i64) {
    let sql = "
        WITH clock AS (
            INSERT INTO connection_event_clock (tenant_id, sequence) VALUES ('acme', $1)
            ON CONFLICT (tenant_id) DO UPDATE SET sequence = $1)
        INSERT INTO connection_events
               (tenant_id, sequence, kind, connection_id, state, reason, lost_scopes, happened_at)
        SELECT 'acme', n, 'refreshed', gen_random_uuid(), 'active', repeat('why ', 30), '{}', now()
          FROM generate_series(1, $1) AS n";
    world.postgres().await.execute(sql, &[&count]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_says_where_it_stands_and_ends_well_with_a_place_to_go_on() {
    let (world, first) = world(1, 4, 30).await;
    let request = pb::WatchConnectionsRequest { from_oldest: true, ..Default::default() };
    let watched = async |request: pb::WatchConnectionsRequest| {
        let answer = world.connections().watch_connections(bearing(&first.caller, request)).await.unwrap();
        let (mut stream, mut messages) = (answer.into_inner(), Vec::new());
        while let Some(message) = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
            messages.push(message);
        }
        messages
    };
    let quiet = watched(request.clone()).await;
    assert!(quiet.len() >= 3, "a second apart, over four: {quiet:?}");
    assert!(quiet.iter().all(|message| message.checkpoint && message.event.is_none()));

    happened(&world, 3).await;
    let resume = quiet.last().unwrap().resume_token.clone();
    let rest = watched(pb::WatchConnectionsRequest { resume_token: resume, from_oldest: false }).await;
    let events: Vec<_> = rest.iter().filter_map(|message| message.event.as_ref()).map(|event| event.sequence).collect();
    assert_eq!(events, [1, 2, 3]);
    assert!(rest.last().unwrap().checkpoint, "the last word is where to go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_does_not_read_is_cut_and_misses_nothing() {
    let (world, first) = world(15, 1_200, 1).await;
    happened(&world, EVENTS).await;
    let watch = async |request: pb::WatchConnectionsRequest| {
        world.connections().watch_connections(bearing(&first.caller, request)).await.unwrap().into_inner()
    };
    let request = pb::WatchConnectionsRequest { from_oldest: true, ..Default::default() };
    let mut slow = watch(request).await;
    until("the watcher is cut", async || was_cut()).await;

    let (mut seen, mut resume_token) = (0, String::new());
    let refused = loop {
        match tokio::time::timeout(PATIENCE, slow.message()).await.unwrap() {
            Ok(message) => {
                let message = message.expect("it does not end well");
                seen += 1;
                assert_eq!(message.event.unwrap().sequence, seen);
                resume_token = message.resume_token;
            }
            Err(status) => break status,
        }
    };
    assert_eq!(why(&refused), (Code::ResourceExhausted, "SLOW_CONSUMER".to_owned()));
    assert!(seen < EVENTS, "it was not all on its way already");
    // Whoever reads on, even after each message anew, gets the rest in its order.
    let mut stream = watch(pb::WatchConnectionsRequest { resume_token, from_oldest: false }).await;
    while seen < EVENTS {
        let message = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
        if let Some(event) = message.event {
            seen += 1;
            assert_eq!(event.sequence, seen);
        }
    }
}

/// Whether any watcher was cut in this process, as its metrics show.
fn was_cut() -> bool {
    let families = runtime::telemetry::metrics().gather();
    let family = families.iter().find(|family| family.name().starts_with("adplane_streams_cut_slow_reader"));
    family.is_some_and(|family| family.get_metric().iter().any(|metric| metric.get_counter().get_value() > 0.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_of_revocations_resumes_where_its_stream_ended() {
    let (world, first) = world(15, 2, 30).await;
    let mut campaigns = world.service("campaigns");
    let mut listen = async |generation: i64| {
        let answer = campaigns.watch_revocations(pb::WatchRevocationsRequest { generation }).await.unwrap();
        let (mut stream, mut told) = (answer.into_inner(), Vec::new());
        while let Some(message) = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
            told.push(message);
        }
        told
    };
    let before = listen(-1).await;
    let heard = before.last().expect("a heartbeat comes at once").generation;
    let suspend = pb::SuspendTenantRequest { name: "tenants/acme".to_owned(), ..Default::default() };
    world.tenants().suspend_tenant(bearing(&first.operator, suspend)).await.unwrap();
    let after = listen(if heard == 0 { -1 } else { heard }).await;
    let told: Vec<_> = after.iter().filter_map(|message| message.revocation.as_ref()).collect();
    assert_eq!(told.len(), 1, "{after:?}");
    assert_eq!(told[0].tenant, "tenants/acme");
}
