use std::time::Duration;

use serde_json::{Value, json};

use super::{House, create, meta::Said, on};
use crate::{Call, Error, Replay};

fn read() -> Call<Value> {
    Call::get("/7").fields(&["id", "name"])
}

#[tokio::test]
async fn the_token_stands_in_one_header_and_in_nothing_else() {
    let house = House::open().await;
    house.client.send(&on(), read()).await.unwrap();
    let arrivals = house.meta.arrivals();
    let [arrival] = arrivals.as_slice() else { panic!("{arrivals:?}") };
    assert_eq!((arrival.method.as_str(), arrival.path.as_str()), ("GET", "/v26.0/7"));
    assert_eq!(arrival.headers["authorization"], "Bearer token");
    assert!(arrival.fields.iter().all(|(_, value)| value != "token"), "{arrival:?}");
    assert_eq!(arrival.field("fields"), Some("id,name"));
}

#[tokio::test]
async fn a_read_that_meta_failed_goes_again_and_a_create_does_not() {
    let house = House::open().await;
    house.meta.next(Said::error(500, 2, None));
    assert_eq!(house.client.send(&on(), read()).await.unwrap()["id"], "7");
    assert_eq!((house.meta.count(), house.peers.acquires()), (2, 2));
    house.meta.rule(|_| Said::error(500, 2, None));
    let error = house.client.send(&on(), create()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(house.meta.count(), 3);
}

#[tokio::test]
async fn a_throttled_call_says_how_long_the_headers_say() {
    let house = House::open_with(|settings| settings.tries_max = 1).await;
    let usage = json!({ "1": [{ "type": "ads_management", "call_count": 100, "estimated_time_to_regain_access": 9 }] });
    let refused = Said::error(400, 80_004, Some(2_446_079)).header("x-business-use-case-usage", &usage.to_string());
    house.meta.next(refused);
    let error = house.client.send(&on(), create()).await.unwrap_err();
    let Error::Throttled { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, Duration::from_mins(9));
}

#[tokio::test]
async fn a_write_that_was_perhaps_done_is_not_told_as_refused() {
    let house = House::open_with(|settings| settings.tries_max = 2).await;
    house.meta.next(Said::error(500, 2, None));
    house.meta.next(Said::error(400, 4, None));
    let change: Call<Value> = Call::post("/7", Replay::Safe).field("daily_budget", 5_000);
    let error = house.client.send(&on(), change).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { meta: Some(_), .. }), "{error:?}");
    assert_eq!(house.meta.count(), 2);
}

#[tokio::test]
async fn calls_of_a_job_name_what_was_held_for_it() {
    let house = House::open().await;
    let name = uuid::Uuid::new_v4();
    let reservation = house.client.reserve(&on(), name, (2, 3), Duration::from_mins(5)).await.unwrap();
    let asked = house.peers.reserved.lock().unwrap().remove(0);
    assert_eq!(asked.reservation_id, name.to_string());
    assert_eq!(asked.charges.iter().map(|charge| charge.cost).collect::<Vec<_>>(), [5]);
    let job = crate::On { reservation: Some(reservation.clone()), ..on() };
    house.client.send(&job, create()).await.unwrap();
    house.client.send(&job, read()).await.unwrap();
    let acquired = std::mem::take(&mut *house.peers.acquired.lock().unwrap());
    let under: Vec<&[u8]> = acquired.iter().map(|ask| ask.reservation.as_slice()).collect();
    assert_eq!(under, [b"held", b"held"]);
    house.client.give_back(&on(), &reservation).await;
    assert_eq!(*house.peers.returned.lock().unwrap(), [b"held"]);
}

#[tokio::test]
async fn what_cannot_be_held_says_when_or_that_it_never_can() {
    use proto::ratelimit::v1::{Wait, WaitReason};
    let house = House::open().await;
    let delay = Some(prost_types::Duration { seconds: 90, nanos: 0 });
    for (reason, never) in [(WaitReason::Ceiling, false), (WaitReason::CostAboveCeiling, true)] {
        *house.peers.wait.lock().unwrap() = Some(Wait { delay, reason: reason.into(), ..Wait::default() });
        let held = house.client.reserve(&on(), uuid::Uuid::new_v4(), (1, 1), Duration::from_mins(5)).await;
        match held.unwrap_err() {
            Error::Quota { retry_after, .. } => assert!(!never && retry_after == Duration::from_secs(90)),
            error => assert!(never && matches!(error, Error::CostAboveCeiling { .. }), "{error:?}"),
        }
    }
}
