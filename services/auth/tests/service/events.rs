//! `WatchConnections`: every event once, in its order, and on from where a reader was.

use std::time::Duration;

use proto::auth::v1::{self as pb, ConnectionEventKind as Kind, ConnectionState as State};
use tonic::{Code, Streaming};

use crate::{
    meta::DAY,
    waiting::soon,
    world::{First, World, bearing, why},
};

async fn watch(
    world: &World,
    token: &str,
    request: pb::WatchConnectionsRequest,
) -> Streaming<pb::WatchConnectionsResponse> {
    world.connections().watch_connections(bearing(token, request)).await.unwrap().into_inner()
}

/// What is told from the oldest on until the first checkpoint.
async fn told(world: &World, first: &First) -> Vec<(pb::ConnectionEvent, String)> {
    let request = pb::WatchConnectionsRequest { from_oldest: true, ..Default::default() };
    until_checkpoint(&mut watch(world, &first.caller, request).await).await
}

async fn until_checkpoint(stream: &mut Streaming<pb::WatchConnectionsResponse>) -> Vec<(pb::ConnectionEvent, String)> {
    let mut told = Vec::new();
    loop {
        let message = stream.message().await.unwrap().unwrap();
        assert_eq!(message.checkpoint, message.event.is_none());
        match message.event {
            Some(event) => told.push((event, message.resume_token)),
            None => return told,
        }
    }
}

fn kinds(told: &[(pb::ConnectionEvent, String)]) -> Vec<Kind> {
    told.iter().map(|(event, _)| event.kind()).collect()
}

/// Waits until so many events were told.
async fn until_told(world: &World, first: &First, count: usize) -> Vec<(pb::ConnectionEvent, String)> {
    let told = soon("so many events", async || {
        let told = told(world, first).await;
        (told.len() >= count).then_some(told)
    });
    told.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_never_works_is_told_at_each_mark_and_ends_in_consent() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    world.exchanges_go(serde_json::json!({ "http": { "status": 503 } }), None).await;
    for _ in 0..3 {
        world.worker().await;
    }
    world.turn(DAY * 44).await;
    for (told_before, days, mark) in [(1, 3, 14), (2, 7, 7), (3, 4, 3), (4, 1, 1)] {
        world.turn(DAY * days).await;
        let told = until_told(&world, &first, told_before + 1).await;
        let (event, _) = told.last().unwrap();
        assert_eq!((event.kind(), event.connection.as_str()), (Kind::Expiring, connection.name.as_str()));
        assert!(event.days_left.is_some_and(|left| left <= mark), "{event:?}");
    }
    // Nine minutes before the end, of which the test may use some.
    world.turn(Duration::from_mins(24 * 60 - 9)).await;
    let told = until_told(&world, &first, 6).await;
    assert_eq!(
        kinds(&told),
        [Kind::Connected, Kind::Expiring, Kind::Expiring, Kind::Expiring, Kind::Expiring, Kind::Invalidated]
    );
    let seen = world.connection(&first, &connection.name).await;
    assert_eq!(seen.state(), State::NeedsConsent);
    assert!(seen.state_reason.contains("could not be refreshed"), "{}", seen.state_reason);
    assert_eq!(told[5].0.reason, seen.state_reason);
    let sequences: Vec<_> = told.iter().map(|(event, _)| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_data_access_is_told_though_the_token_is_refreshed() {
    let (world, first) = World::with_app().await;
    let connection = world.person(&first).await;
    world.worker().await;
    world.turn(DAY * 45).await;
    world.until(&first, &connection.name, |seen| seen.refresh_time.is_some()).await;
    world.turn(DAY * 32).await;
    let told = until_told(&world, &first, 3).await;
    assert_eq!(kinds(&told), [Kind::Connected, Kind::Refreshed, Kind::DataAccessExpiring]);
    assert!(told[2].0.days_left.is_some_and(|left| (12..=13).contains(&left)), "{:?}", told[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_where_it_was_at_any_replica() {
    let (mut world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    let mut live = watch(&world, &first.caller, pb::WatchConnectionsRequest::default()).await;
    let begun = live.message().await.unwrap().unwrap();
    assert!(begun.checkpoint, "what was before is not told");
    world.turn(DAY * 2).await;
    world.refresh(&first, &connection.name).await.unwrap();
    let request = pb::RevokeConnectionRequest { name: connection.name.clone(), ..Default::default() };
    world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let message = live.message().await.unwrap().unwrap();
        seen.extend(message.event.map(|event| event.kind()));
    }
    assert_eq!(seen, [Kind::Refreshed, Kind::Revoked]);

    world.endpoint = world.replica().await;
    let all = told(&world, &first).await;
    assert_eq!(kinds(&all), [Kind::Connected, Kind::Refreshed, Kind::Revoked]);
    for (at, (_, resume_token)) in all.iter().enumerate() {
        let request = pb::WatchConnectionsRequest { resume_token: resume_token.clone(), from_oldest: false };
        let rest = until_checkpoint(&mut watch(&world, &first.caller, request).await).await;
        assert_eq!(rest, all[at + 1..]);
    }
    let request = pb::WatchConnectionsRequest { resume_token: begun.resume_token, from_oldest: false };
    assert_eq!(until_checkpoint(&mut watch(&world, &first.caller, request).await).await, all[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_its_own_events_and_no_forged_or_forgotten_place() {
    let (world, first) = World::with_app().await;
    world.expiring(&first).await;
    let other = world.tenant(&first, "other").await;
    let request = pb::WatchConnectionsRequest { from_oldest: true, ..Default::default() };
    assert!(until_checkpoint(&mut watch(&world, &other, request).await).await.is_empty());
    let (_, place) = told(&world, &first).await.remove(0);
    let refused = async |token: &str, resume_token: &str, from_oldest| {
        let request = pb::WatchConnectionsRequest { resume_token: resume_token.to_owned(), from_oldest };
        why(&world.connections().watch_connections(bearing(token, request)).await.unwrap_err())
    };
    let invalid = (Code::InvalidArgument, "INVALID_FIELD".to_owned());
    assert_eq!(refused(&other, &place, false).await, invalid);
    assert_eq!(refused(&first.caller, "nonsense", false).await, invalid);
    assert_eq!(refused(&first.caller, &place, true).await, invalid);

    let forgotten = "UPDATE connection_event_clock SET sequence = 9, oldest = 8 WHERE tenant_id = 'acme'";
    assert_eq!(world.postgres().await.execute(forgotten, &[]).await.unwrap(), 1);
    assert_eq!(refused(&first.caller, &place, false).await, invalid);
}
