//! What reservations hold, in the buckets.

use uuid::Uuid;

use super::*;
use crate::reservation::{ReservationId, Under};

impl Bench {
    fn under(&self, name: u128, cost: u32, priority: Priority) -> Demand {
        let id = ReservationId::of(&"acme".parse().unwrap(), Uuid::from_u128(name));
        Demand { reservation: Under::new(id, Vec::new()), ..self.demand(self.account(ADS_MANAGEMENT), cost, priority) }
    }

    async fn hold(&self, name: u128, cost: u32, lasts: Duration) -> Option<Refusal> {
        let until_ms = self.clock.load(Ordering::SeqCst) + i64::try_from(lasts.as_millis()).unwrap();
        self.store.hold(&self.under(name, cost, Priority::Interactive), until_ms).await.unwrap()
    }

    async fn take_under(&self, name: u128, cost: u32) -> Outcome {
        self.store.acquire(&self.under(name, cost, Priority::Interactive)).await.unwrap()
    }

    async fn sums(&self) -> (i64, i64) {
        let standing = self.standing(self.account(ADS_MANAGEMENT)).await;
        (standing.own, standing.held)
    }
}

#[tokio::test]
async fn what_is_used_is_held_no_longer_and_what_is_taken_beyond_is_charged() {
    let bench = Bench::new().await;
    assert_eq!(bench.hold(1, 100, Duration::from_mins(10)).await, None);
    admitted(&bench.take_under(1, 30).await);
    assert_eq!(bench.sums().await, (30, 70));
    bench.turn(Duration::from_mins(5));
    admitted(&bench.take_under(1, 80).await);
    assert_eq!(bench.sums().await, (110, 0));
}

#[tokio::test]
async fn what_lapses_is_everybodys_at_that_moment() {
    let bench = Bench::new().await;
    admitted(&bench.take(100, Priority::Interactive).await);
    assert_eq!(bench.hold(1, 150, Duration::from_mins(10)).await, None);
    let refusal = *refused(&bench.take(100, Priority::Interactive).await);
    assert_eq!((refusal.reason, refusal.wait), (Reason::Ceiling, Duration::from_mins(10)));
    bench.turn(Duration::from_mins(10).checked_sub(Duration::from_millis(1)).unwrap());
    refused(&bench.take(100, Priority::Interactive).await);
    bench.turn(Duration::from_millis(1));
    admitted(&bench.take(100, Priority::Interactive).await);
    assert_eq!(bench.sums().await, (200, 0));
}

#[tokio::test]
async fn safety_waits_for_no_reservation() {
    let bench = Bench::new().await;
    assert_eq!(bench.hold(1, 290, Duration::from_mins(10)).await, None);
    refused(&bench.take(2, Priority::Interactive).await);
    admitted(&bench.take(300, Priority::Safety).await);
    refused(&bench.take(1, Priority::Safety).await);
    // What safety took is gone for the reservation too: the ceiling is never passed.
    refused(&bench.take_under(1, 1).await);
}

#[tokio::test]
async fn all_buckets_hold_or_none() {
    let bench = Bench::new().await;
    let few = Scope { kind: Kind::BudgetChange, ..bench.account("") };
    let both = [(bench.account(ADS_MANAGEMENT), None, 10), (few.clone(), None, 2)];
    let demand = |name: u128| Demand {
        reservation: bench.under(name, 1, Priority::Interactive).reservation,
        ..bench.rules.demand(bench.app, Priority::Interactive, both.clone())
    };
    let until_ms = START_MS + 600_000;
    assert_eq!(bench.store.hold(&demand(1), until_ms).await.unwrap(), None);
    let refusal = bench.store.hold(&demand(2), until_ms).await.unwrap().unwrap();
    assert_eq!(demand(2).bucket(refusal.binding).unwrap().scope, few);
    assert_eq!(bench.sums().await, (0, 10));
}

#[tokio::test]
async fn many_reservations_share_a_bucket_and_a_full_list_says_when_the_first_lapses() {
    let bench = Bench::new().await;
    for name in 0..64 {
        assert_eq!(bench.hold(name, 1, Duration::from_secs(600 - u64::try_from(name).unwrap())).await, None);
    }
    let refusal = bench.hold(64, 1, Duration::from_mins(10)).await.unwrap();
    assert_eq!((refusal.reason, refusal.wait), (Reason::Ceiling, Duration::from_secs(537)));
    assert_eq!(bench.hold(63, 2, Duration::from_mins(10)).await, None);
    assert_eq!(bench.sums().await, (0, 65));
}

#[tokio::test]
async fn what_is_held_stays_beside_what_others_spend_and_what_is_closed() {
    let bench = Bench::new().await;
    assert_eq!(bench.hold(1, 50, Duration::from_mins(30)).await, None);
    let told = Correction { used_percent: Some(40), ..Correction::default() };
    bench.correct(bench.account(ADS_MANAGEMENT), told).await;
    admitted(&bench.take(30, Priority::Interactive).await);
    bench.turn(Duration::from_mins(20));
    admitted(&bench.take(30, Priority::Interactive).await);
    let standing = bench.standing(bench.account(ADS_MANAGEMENT)).await;
    assert_eq!((standing.own, standing.others, standing.held), (60, 120, 50));
    let shut = Correction { close: Close::For(60_000), code: 80_004, ..Correction::default() };
    bench.correct(bench.account(ADS_MANAGEMENT), shut).await;
    assert_eq!(refused(&bench.take_under(1, 1).await).reason, Reason::Closed);
    bench.turn(Duration::from_mins(45));
    // What was taken first has left the window by now, and the reservation has lapsed.
    let standing = bench.standing(bench.account(ADS_MANAGEMENT)).await;
    assert_eq!((standing.own, standing.held), (30, 0));
}

#[tokio::test]
async fn lost_counters_take_what_was_held_along_and_the_job_goes_on_like_any_other() {
    let bench = Bench::new().await;
    assert_eq!(bench.hold(1, 100, Duration::from_mins(10)).await, None);
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    bench.command(&["DEL", &bucket.key, &epoch_key(bench.app)]).await;
    admitted(&bench.take_under(1, 10).await);
    assert_eq!(bench.sums().await.1, 0);
}

#[tokio::test]
async fn what_is_held_under_a_name_ends_where_there_is_no_room_for_more_of_it() {
    let bench = Bench::new().await;
    assert_eq!(bench.hold(1, 100, Duration::from_mins(10)).await, None);
    admitted(&bench.take(150, Priority::Interactive).await);
    let refusal = bench.hold(1, 142, Duration::from_mins(10)).await.unwrap();
    assert_eq!(refusal.reason, Reason::Ceiling);
    assert_eq!(bench.sums().await, (150, 0));
    admitted(&bench.take(141, Priority::Interactive).await);
}

#[tokio::test]
async fn what_outlasts_the_window_is_waited_for() {
    let bench = Bench::new().await;
    let writes = |name: u128, cost| Demand {
        reservation: bench.under(name, 1, Priority::Interactive).reservation,
        ..bench.demand(Scope { kind: Kind::Mutation, ..bench.account("") }, cost, Priority::Interactive)
    };
    let (bucket, _) = writes(1, 1).charges.remove(0);
    let (most, until_ms) = (bucket.cap(Priority::Interactive).unwrap(), START_MS + 1_800_000);
    assert!(bucket.kept_ms() < 1_800_000);
    assert_eq!(bench.store.hold(&writes(1, most), until_ms).await.unwrap(), None);
    let refusal = bench.store.hold(&writes(2, 1), until_ms).await.unwrap().unwrap();
    assert_eq!((refusal.reason, refusal.wait), (Reason::Ceiling, Duration::from_mins(30)));
}
