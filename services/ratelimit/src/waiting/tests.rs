//! Order and deadlines, over the real scripts. Room is made by giving a permit back, so nothing sleeps.

use super::*;
use crate::counter;
use crate::demand::Bucket;
use crate::permit::Permit;
use crate::reservation::{ReservationId, Under};
use crate::scope::ADS_MANAGEMENT;
use crate::store::tests::{Bench, admitted, refused};

struct Room {
    bench: Bench,
    waiting: Waiting,
    /// What fills the account's hour.
    full: (Permit, Vec<Bucket>),
}

type Waits = tokio::task::JoinHandle<Result<Outcome, Error>>;

impl Room {
    /// An account whose 291 interactive calls are spent.
    async fn full() -> Self {
        let bench = Bench::new().await;
        let counter = Arc::new(Counter::new(Arc::clone(&bench.store)));
        let waiting = Waiting::new(counter, bench.rules.clone(), TaskTracker::new(), CancellationToken::new());
        let demand = bench.demand(bench.account(ADS_MANAGEMENT), 291, Priority::Interactive);
        let outcome = bench.store.acquire(&demand).await.unwrap();
        let permit = counter::permit(&demand, admitted(&outcome));
        let buckets = demand.charges.into_iter().map(|(bucket, _)| bucket).collect();
        Self { bench, waiting, full: (permit, buckets) }
    }

    fn ask(&self, cost: u32, priority: Priority, patience: Duration) -> Waits {
        self.ask_of("acme", cost, priority, patience)
    }

    fn ask_of(&self, tenant: &str, cost: u32, priority: Priority, patience: Duration) -> Waits {
        let tenant: TenantId = tenant.parse().unwrap();
        let demand = self.bench.demand(self.bench.account(ADS_MANAGEMENT), cost, priority);
        let (waiting, deadline) = (self.waiting.clone(), Instant::now() + patience);
        self.waiting.tasks.spawn(async move { waiting.acquire(&tenant, demand, deadline).await })
    }

    async fn until_waiting(&self, waiters: usize) {
        while self.waiting.lock().waiters != waiters {
            tokio::task::yield_now().await;
        }
    }

    async fn make_room(&self) {
        let (permit, buckets) = &self.full;
        assert!(self.waiting.counter.release(permit, buckets).await.unwrap());
        self.waiting.reconsider(buckets.iter().map(|bucket| bucket.key.as_str()));
    }
}

const PATIENT: Duration = Duration::from_secs(100_000);

#[tokio::test]
async fn the_more_urgent_goes_first_and_then_who_came_first() {
    let room = Room::full().await;
    let sync = room.ask(100, Priority::Sync, PATIENT);
    room.until_waiting(1).await;
    let first = room.ask(150, Priority::Interactive, PATIENT);
    room.until_waiting(2).await;
    let second = room.ask(141, Priority::Interactive, PATIENT);
    room.until_waiting(3).await;
    room.make_room().await;
    // Exactly the two interactive ones fit.
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!((admitted(&first).cells[0].1, admitted(&second).cells[0].1), (150, 291));
    room.until_waiting(1).await;
    room.waiting.stop.cancel();
    refused(&sync.await.unwrap().unwrap());
}

#[tokio::test]
async fn who_comes_later_does_not_overtake_although_it_would_fit() {
    let room = Room::full().await;
    let first = room.ask(291, Priority::Interactive, PATIENT);
    room.until_waiting(1).await;
    // Room for a small one, not for the first in the queue.
    let small = room.bench.demand(room.bench.account(ADS_MANAGEMENT), 1, Priority::Sync);
    let outcome =
        room.waiting.acquire(&"acme".parse().unwrap(), small, Instant::now() + Duration::from_secs(1)).await.unwrap();
    assert_eq!(refused(&outcome).epoch, 0, "answered from memory");
    room.make_room().await;
    admitted(&first.await.unwrap().unwrap());
}

#[tokio::test]
async fn who_cannot_be_served_in_time_is_told_at_once() {
    let room = Room::full().await;
    let begun = Instant::now();
    let outcome = room.ask(1, Priority::Interactive, Duration::from_secs(600)).await.unwrap().unwrap();
    assert!(refused(&outcome).wait > Duration::from_secs(3_000));
    assert!(begun.elapsed() < Duration::from_secs(60));
    let never = room.ask(300, Priority::Interactive, PATIENT).await.unwrap().unwrap();
    assert_eq!(refused(&never).reason, Reason::CostAboveCeiling);
}

#[tokio::test]
async fn whoever_went_away_is_skipped() {
    let room = Room::full().await;
    let gone = room.ask(291, Priority::Interactive, PATIENT);
    room.until_waiting(1).await;
    let stays = room.ask(291, Priority::Interactive, PATIENT);
    room.until_waiting(2).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    room.make_room().await;
    admitted(&stays.await.unwrap().unwrap());
}

#[tokio::test]
async fn at_shutdown_everybody_is_told_to_ask_again() {
    let room = Room::full().await;
    let waits = room.ask(1, Priority::Interactive, PATIENT);
    room.until_waiting(1).await;
    room.waiting.stop.cancel();
    refused(&waits.await.unwrap().unwrap());
}

#[tokio::test]
async fn the_flood_of_one_tenant_lets_another_go_second() {
    let room = Room::full().await;
    let flood: Vec<_> = (0..300).map(|_| room.ask_of("flood", 1, Priority::Interactive, PATIENT)).collect();
    room.until_waiting(300).await;
    let other = room.ask_of("quiet", 1, Priority::Interactive, PATIENT);
    room.until_waiting(301).await;
    room.make_room().await;
    assert_eq!(admitted(&other.await.unwrap().unwrap()).cells[0].1, 2, "one call of the flood went before");
    room.waiting.stop.cancel();
    for waits in flood {
        drop(waits.await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_full_queue_makes_room_for_whoever_would_go_before_its_last() {
    let room = Room::full().await;
    let flood: Vec<_> = (0..QUEUE_MAX).map(|_| room.ask_of("flood", 1, Priority::Interactive, PATIENT)).collect();
    room.until_waiting(QUEUE_MAX).await;
    let mut one_more = room.ask_of("flood", 1, Priority::Interactive, PATIENT);
    refused(&(&mut one_more).await.unwrap().unwrap());
    let other = room.ask_of("quiet", 1, Priority::Interactive, PATIENT);
    room.make_room().await;
    admitted(&other.await.unwrap().unwrap());
    room.waiting.stop.cancel();
    let refused = futures_of(flood).await;
    assert!(refused > 0, "the last of the flood was answered");
}

async fn futures_of(all: Vec<Waits>) -> usize {
    let mut refused = 0;
    for waits in all {
        refused += usize::from(matches!(waits.await.unwrap().unwrap(), Outcome::Refused(_)));
    }
    refused
}

#[tokio::test]
async fn who_has_points_held_waits_behind_nobody_and_takes_them() {
    let bench = Bench::new().await;
    let counter = Arc::new(Counter::new(Arc::clone(&bench.store)));
    let waiting = Waiting::new(counter, bench.rules.clone(), TaskTracker::new(), CancellationToken::new());
    let tenant: TenantId = "acme".parse().unwrap();
    let demand = |cost| bench.demand(bench.account(ADS_MANAGEMENT), cost, Priority::Interactive);
    let key = demand(1).charges[0].0.key.clone();
    let id = ReservationId::of(&tenant, uuid::Uuid::nil());
    let under = |cost| Demand { reservation: Under::new(id, vec![key.clone()]), ..demand(cost) };
    assert_eq!(bench.store.hold(&under(200), bench.store.now_ms() + 600_000).await.unwrap(), None);
    let (queue, ask, deadline) = (waiting.clone(), demand(100), Instant::now() + PATIENT);
    let of_acme = tenant.clone();
    let waits = waiting.tasks.spawn(async move { queue.acquire(&of_acme, ask, deadline).await });
    while waiting.lock().waiters != 1 {
        tokio::task::yield_now().await;
    }
    let job = waiting.acquire(&tenant, under(200), Instant::now() + PATIENT).await.unwrap();
    assert_eq!(admitted(&job).cells[0].1, 200);
    waiting.stop.cancel();
    refused(&waits.await.unwrap().unwrap());
}
