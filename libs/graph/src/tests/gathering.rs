use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use super::{
    House,
    meta::{Said, usual},
    on, on_account,
};
use crate::{Call, Error, Priority, UseCase};

fn read(id: usize) -> Call<Value> {
    Call::get(id + 1).fields(&["id"])
}

/// The ids that so many reads at once are answered with.
async fn all(house: &House, reads: usize) -> Vec<Result<Value, Error>> {
    join_all((0..reads).map(|id| async move { house.client.send(&on(), read(id)).await })).await
}

/// How many items each request had, in order of size: which of two that are on their way arrives first is chance.
fn items(house: &House) -> Vec<usize> {
    let mut items: Vec<usize> = house.meta.arrivals().iter().map(|arrival| arrival.items().len()).collect();
    items.sort_unstable();
    items
}

#[tokio::test]
async fn a_hundred_reads_at_once_are_three_requests_and_a_hundred_points() {
    let house = House::open().await;
    let answers = all(&house, 100).await;
    for (id, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap()["id"], (id + 1).to_string(), "each has its own answer");
    }
    assert_eq!(items(&house), [0, 49, 50], "one at once and alone, the others together");
    assert_eq!(house.peers.costs().iter().sum::<u32>(), 100, "each is charged");
}

#[tokio::test]
async fn a_lone_read_goes_alone() {
    let house = House::open().await;
    house.client.send(&on(), read(0)).await.unwrap();
    house.client.send(&on(), read(1)).await.unwrap();
    assert!(house.meta.arrivals().iter().all(|arrival| arrival.items().is_empty()));
}

#[tokio::test]
async fn items_have_their_own_errors_and_what_was_not_finished_goes_again() {
    let house = House::open().await;
    let gone = r#"{"error":{"code":100,"error_subcode":33,"message":"gone"}}"#;
    let usage = json!({ "1": [{ "type": "ads_management", "call_count": 80 }] }).to_string();
    let batch = json!([
        { "code": 200, "headers": [{ "name": "X-Business-Use-Case-Usage", "value": usage }], "body": r#"{"id":"2"}"# },
        { "code": 400, "body": gone },
        null,
    ]);
    house.meta.rule(move |arrival| match arrival.items().len() {
        3 => Said::good(&batch),
        _ => usual(arrival),
    });
    let answers = all(&house, 4).await;
    assert_eq!(answers[1].as_ref().unwrap()["id"], "2");
    assert!(matches!(answers[2], Err(Error::Missing { .. })), "{:?}", answers[2]);
    assert_eq!(answers[3].as_ref().unwrap()["id"], "4", "the item that was not finished went again");
    assert_eq!(items(&house), [0, 0, 3], "alone, so that nobody's answer waited for it");
    let told = house.peers.settled.lock().unwrap();
    assert!(told.iter().any(|report| report.business_use_cases.iter().any(|usage| usage.call_count == 80)), "{told:?}");
}

#[tokio::test]
async fn reads_of_other_accounts_and_other_classes_do_not_share_a_batch() {
    let house = House::open().await;
    house.meta.rule(|arrival| {
        assert!(arrival.items().is_empty(), "{arrival:?}");
        Said { after: Duration::from_millis(100), ..Said::good(&json!({ "id": "1" })) }
    });
    let asks = [
        on_account(1, Priority::Interactive),
        on_account(2, Priority::Interactive),
        on_account(1, Priority::Sync),
        on_account(2, Priority::Safety),
    ];
    let reads = asks.iter().map(|on| house.client.send(on, read(0)));
    assert!(join_all(reads).await.iter().all(Result::is_ok));
    let insights = |id| read(id).use_case(UseCase::AdsInsights);
    let reads = (0..3).map(|id| {
        let client = house.client.clone();
        async move { client.send(&on(), insights(id)).await }
    });
    assert!(join_all(reads).await.iter().all(Result::is_ok));
    assert_eq!(house.meta.count(), 7);
}

#[tokio::test]
async fn whoever_goes_away_takes_no_other_along() {
    let house = House::open().await;
    let first = async { house.client.send(&on(), read(0)).await.map(drop) };
    let patient = async { house.client.send(&on(), read(1)).await };
    let hasty = async {
        let mut on = on();
        on.deadline = Instant::now() + Duration::from_millis(1);
        house.client.send(&on, read(2)).await
    };
    let (first, hasty, patient) = tokio::join!(first, hasty, patient);
    first.unwrap();
    assert_eq!(patient.unwrap()["id"], "2");
    assert!(hasty.is_err(), "{hasty:?}");
}

#[tokio::test]
async fn a_refusal_of_the_whole_is_told_to_each() {
    let house = House::open().await;
    house.meta.rule(|arrival| match arrival.items().len() {
        0 => usual(arrival),
        _ => Said::error(403, 200, None),
    });
    let answers = all(&house, 5).await;
    assert!(answers[0].is_ok());
    assert!(answers[1..].iter().all(|answer| matches!(answer, Err(Error::Permission { .. }))), "{answers:?}");
    assert_eq!(house.meta.count(), 2);
}
