//! The five outcomes of a repeated `request_id`, against a real PostgreSQL.

use std::time::Duration;

use crate::support::TENANT;
use storage::Postgres;
use storage::requests::{Begin, Requests};
use uuid::Uuid;

const METHOD: &str = "adplane.test.v1.TestService/Create";

async fn requests() -> (Postgres, Requests, Uuid) {
    let postgres = crate::support::migrated().await;
    (postgres.clone(), Requests::new(postgres), Uuid::new_v4())
}

async fn let_time_pass(postgres: &Postgres, span: &str) {
    let sql = format!(
        "UPDATE requests SET begun_at = begun_at - interval '{span}', expires_at = expires_at - interval '{span}'"
    );
    postgres.client().await.unwrap().execute(&sql, &[]).await.unwrap();
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer() {
    let (_, requests, id) = requests().await;
    assert_eq!(requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap(), Begin::New);
    requests.answer(TENANT, id, b"first").await.unwrap();
    requests.answer(TENANT, id, b"second").await.unwrap();
    let again = requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap();
    assert_eq!(again, Begin::Answered(b"first".to_vec()));
}

#[tokio::test]
async fn a_repeat_in_flight_is_told_so() {
    let (_, requests, id) = requests().await;
    let begun = futures::future::join_all((0..8).map(|_| requests.begin(TENANT, id, METHOD, [1; 32]))).await;
    let new = begun.iter().filter(|begin| matches!(begin, Ok(Begin::New))).count();
    let in_flight = begun.iter().filter(|begin| matches!(begin, Ok(Begin::InFlight))).count();
    assert_eq!((new, in_flight), (1, 7));
}

#[tokio::test]
async fn another_body_or_method_is_a_reuse() {
    let (postgres, requests, id) = requests().await;
    requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap();
    assert_eq!(requests.begin(TENANT, id, METHOD, [2; 32]).await.unwrap(), Begin::Reused);
    assert_eq!(requests.begin(TENANT, id, "other", [1; 32]).await.unwrap(), Begin::Reused);
    let_time_pass(&postgres, "5 minutes").await;
    assert_eq!(requests.begin(TENANT, id, METHOD, [2; 32]).await.unwrap(), Begin::Reused);
    requests.answer(TENANT, id, b"answer").await.unwrap();
    assert_eq!(requests.begin(TENANT, id, METHOD, [2; 32]).await.unwrap(), Begin::Reused);
}

#[tokio::test]
async fn a_request_whose_replica_died_is_taken_over() {
    let (postgres, requests, id) = requests().await;
    requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap();
    let_time_pass(&postgres, "5 minutes").await;
    assert_eq!(requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap(), Begin::New);
    assert_eq!(requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap(), Begin::InFlight);
}

#[tokio::test]
async fn an_abandoned_id_is_free_for_the_corrected_request() {
    let (_, requests, id) = requests().await;
    requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap();
    requests.abandon(TENANT, id).await.unwrap();
    assert_eq!(requests.begin(TENANT, id, METHOD, [2; 32]).await.unwrap(), Begin::New);
}

#[tokio::test]
async fn an_answer_cannot_be_abandoned() {
    let (_, requests, id) = requests().await;
    requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap();
    requests.answer(TENANT, id, b"").await.unwrap();
    requests.abandon(TENANT, id).await.unwrap();
    assert_eq!(requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap(), Begin::Answered(Vec::new()));
}

#[tokio::test]
async fn two_tenants_may_choose_the_same_id() {
    let (_, requests, id) = requests().await;
    assert_eq!(requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap(), Begin::New);
    assert_eq!(requests.begin("other", id, METHOD, [2; 32]).await.unwrap(), Begin::New);
}

#[tokio::test]
async fn answers_are_kept_for_their_time_and_swept_after_it() {
    let (postgres, requests, id) = requests().await;
    let creates = requests.clone().keeping(Duration::from_hours(24 * 30));
    let other = Uuid::new_v4();
    requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap();
    creates.begin(TENANT, other, METHOD, [1; 32]).await.unwrap();
    requests.answer(TENANT, id, b"old").await.unwrap();
    let_time_pass(&postgres, "25 hours").await;
    assert_eq!(requests.sweep().await.unwrap(), 1);
    assert_eq!(requests.begin(TENANT, id, METHOD, [2; 32]).await.unwrap(), Begin::New);
}

#[tokio::test]
async fn an_answer_past_its_time_is_not_given_even_before_the_sweep() {
    let (postgres, requests, id) = requests().await;
    requests.begin(TENANT, id, METHOD, [1; 32]).await.unwrap();
    requests.answer(TENANT, id, b"old").await.unwrap();
    let_time_pass(&postgres, "25 hours").await;
    assert_eq!(requests.begin(TENANT, id, METHOD, [2; 32]).await.unwrap(), Begin::New);
}
