//! No sliding window ever holds more than the ceiling, however many ask at once.

use super::*;

/// What was admitted, when.
type Arrivals = Vec<(i64, u32)>;

/// The most that any stretch of this length holds.
fn fullest(mut arrivals: Arrivals, length_ms: i64) -> u32 {
    arrivals.sort_unstable();
    let from_each = arrivals.iter().map(|(start, _)| {
        arrivals.iter().filter(|(at, _)| (*start..*start + length_ms).contains(at)).map(|(_, cost)| cost).sum()
    });
    from_each.max().unwrap_or_default()
}

#[tokio::test]
async fn eight_callers_of_four_replicas_never_fill_a_window_beyond_the_ceiling() {
    let score = Ceilings { score: true, ..Ceilings::default() };
    let bench = Bench::with(score).await;
    let mut replicas = Vec::new();
    for _ in 0..4 {
        replicas.push(bench.replica().await);
    }
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8_u32 {
        let store = Arc::clone(&replicas[usize::try_from(caller).unwrap() % 4]);
        let clock = Arc::clone(&bench.clock);
        let demand = bench.demand(bench.account(""), 1 + caller % 3, Priority::Safety);
        callers.spawn(async move {
            let mut arrivals = Arrivals::new();
            for _ in 0..400 {
                if let Outcome::Admitted(admission) = store.acquire(&demand).await.unwrap() {
                    arrivals.push((admission.issued_ms, demand.charges[0].1));
                }
                clock.fetch_add(173 + i64::from(caller), Ordering::SeqCst);
            }
            arrivals
        });
    }
    let arrivals: Arrivals = callers.join_all().await.into_iter().flatten().collect();
    let window = bench.demand(bench.account(""), 1, Priority::Safety).charges[0].0.window;
    // The callers read the clock up to two seconds apart.
    let counted = window.span + Duration::from_secs(65 - 2);
    let counted_ms = i64::try_from(counted.as_millis()).unwrap();
    let total: u32 = arrivals.iter().map(|(_, cost)| cost).sum();
    assert!(total > 60, "only {total} were admitted, so no window was ever full");
    assert!(fullest(arrivals.clone(), counted_ms) <= 60);
    // And the price of cells is small: some window is nearly as full as it may be.
    assert!(fullest(arrivals, counted_ms) >= 58);
}

#[tokio::test]
async fn a_clock_that_jumps_back_empties_nothing_and_one_that_jumps_ahead_is_not_believed() {
    let bench = Bench::new().await;
    admitted(&bench.take(280, Priority::Interactive).await);
    bench.clock.fetch_sub(7_200_000, Ordering::SeqCst);
    refused(&bench.take(20, Priority::Interactive).await);
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 280);
    // Redis itself is months from the bench's clock; only the bound counts.
    bench.clock.store(START_MS, Ordering::SeqCst);
    refused(&bench.take(20, Priority::Interactive).await);
}

#[tokio::test]
async fn while_the_servers_clock_is_an_hour_back_each_charge_has_its_own_time_and_leaves_by_it() {
    let bench = Bench::new().await;
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut bench.store.scripts.connection()).await.unwrap();
    bench.clock.store((seconds + 3_600) * 1_000, Ordering::SeqCst);
    admitted(&bench.take(200, Priority::Interactive).await);
    bench.turn(Duration::from_mins(40));
    let expected = bench.clock.load(Ordering::SeqCst) - 2_000;
    assert_eq!(admitted(&bench.take(80, Priority::Interactive).await).issued_ms, expected);
    // As when the clock is set right: a window after the first charge only that one has left.
    bench.turn(Duration::from_mins(30));
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 80);
}

#[tokio::test]
async fn a_jump_ahead_by_less_than_a_day_deletes_no_bucket() {
    let bench = Bench::new().await;
    admitted(&bench.take(1, Priority::Interactive).await);
    let key = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None).key;
    let mut command = redis::cmd("PTTL");
    let live: i64 = command.arg(key).query_async(&mut bench.store.scripts.connection()).await.unwrap();
    assert!(live > 86_400_000, "{live}");
}
