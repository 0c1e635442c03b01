//! What Meta says changes what is admitted.

use super::*;

fn used(percent: u32) -> Correction {
    Correction { used_percent: Some(percent), ..Correction::default() }
}

fn close(close: Close, code: u32) -> Correction {
    Correction { close, code, ..Correction::default() }
}

#[tokio::test]
async fn a_percent_above_our_sum_is_what_others_used_and_ages_out() {
    let bench = Bench::new().await;
    admitted(&bench.take(30, Priority::Interactive).await);
    for _ in 0..2 {
        bench.correct(bench.account(ADS_MANAGEMENT), used(90)).await; // the same again changes nothing
        let standing = bench.standing(bench.account(ADS_MANAGEMENT)).await;
        assert_eq!((standing.own, standing.others, standing.observed_percent), (30, 240, Some(90)));
    }
    refused(&bench.take(22, Priority::Interactive).await);
    bench.turn(Duration::from_secs(2 * 3_600));
    admitted(&bench.take(200, Priority::Interactive).await);
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.others, 0);
}

#[tokio::test]
async fn a_percent_below_our_sum_never_lowers_it() {
    let bench = Bench::new().await;
    admitted(&bench.take(200, Priority::Interactive).await);
    bench.correct(bench.account(ADS_MANAGEMENT), used(1)).await;
    let standing = bench.standing(bench.account(ADS_MANAGEMENT)).await;
    assert_eq!((standing.own, standing.others), (200, 0));
}

#[tokio::test]
async fn cpu_and_wall_time_stop_one_class_after_the_other_until_the_report_is_old() {
    let bench = Bench::new().await;
    let classes = [Priority::Backfill, Priority::Bulk, Priority::Sync, Priority::Interactive];
    for (stopped, percent) in [74, 75, 85, 92, 97].into_iter().enumerate() {
        bench.turn(Duration::from_secs(60)); // a new cell, so that pacing has no say
        let gate = Correction { gate_percent: Some(percent), ..Correction::default() };
        bench.correct(bench.account(ADS_MANAGEMENT), gate).await;
        for (place, class) in classes.into_iter().enumerate() {
            let outcome = bench.take(1, class).await;
            assert_eq!(matches!(outcome, Outcome::Refused(_)), place < stopped, "{class:?} at {percent}");
        }
        admitted(&bench.take(1, Priority::Safety).await);
    }
    bench.turn(Duration::from_secs(60));
    admitted(&bench.take(1, Priority::Backfill).await);
}

#[tokio::test]
async fn metas_own_time_to_regain_access_closes_for_everyone() {
    let bench = Bench::new().await;
    bench.correct(bench.account(ADS_MANAGEMENT), close(Close::For(19 * 60_000), 0)).await;
    for class in [Priority::Safety, Priority::Interactive] {
        let outcome = bench.take(1, class).await;
        assert_eq!((refused(&outcome).reason, refused(&outcome).wait), (Reason::Closed, Duration::from_mins(19)));
    }
    let standing = bench.standing(bench.account(ADS_MANAGEMENT)).await;
    assert_eq!(standing.closed_until_ms, Some(START_MS + 19 * 60_000));
}

#[tokio::test]
async fn a_code_without_time_closes_for_1_2_4_minutes_and_refusals_in_between_extend_nothing() {
    let bench = Bench::new().await;
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        for _ in 0..3 {
            bench.correct(bench.account(ADS_MANAGEMENT), close(Close::BackOff, 80_004)).await;
        }
        let outcome = bench.take(1, Priority::Interactive).await;
        assert_eq!(refused(&outcome).wait, Duration::from_mins(minutes));
        bench.turn(Duration::from_mins(minutes));
    }
}

#[tokio::test]
async fn one_probe_of_a_person_opens_a_closed_bucket_again() {
    let bench = Bench::new().await;
    let scope = bench.account(ADS_MANAGEMENT);
    bench.correct(scope.clone(), close(Close::BackOff, 80_004)).await;
    bench.turn(Duration::from_mins(1));
    refused(&bench.take(1, Priority::Sync).await); // ten seconds for somebody more urgent
    let outcome = bench.take(1, Priority::Interactive).await;
    let probe = admitted(&outcome);
    assert!(probe.probing);
    refused(&bench.take(1, Priority::Interactive).await); // one at a time
    let through = Correction { let_through_ms: Some(probe.issued_ms), ..Correction::default() };
    bench.correct(scope.clone(), through).await;
    let after = bench.take(1, Priority::Interactive).await;
    assert!(!admitted(&after).probing);
    bench.correct(scope, close(Close::BackOff, 80_004)).await; // a good answer between: one minute again
    assert_eq!(refused(&bench.take(1, Priority::Interactive).await).wait, Duration::from_mins(1));
}

#[tokio::test]
async fn a_good_answer_to_a_call_from_before_the_closing_opens_nothing() {
    let bench = Bench::new().await;
    let scope = bench.account(ADS_MANAGEMENT);
    let before = bench.take(1, Priority::Interactive).await;
    bench.correct(scope.clone(), close(Close::BackOff, 4)).await;
    let through = Correction { let_through_ms: Some(admitted(&before).issued_ms), ..Correction::default() };
    bench.correct(scope, through).await;
    refused(&bench.take(1, Priority::Interactive).await);
}

#[tokio::test]
async fn a_dearer_call_adds_to_our_sum() {
    let bench = Bench::new().await;
    admitted(&bench.take(1, Priority::Sync).await);
    let dearer = Correction { extra: 4, ..Correction::default() };
    bench.correct(bench.account(ADS_MANAGEMENT), dearer).await;
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 5);
}

#[tokio::test]
async fn a_percent_of_a_ceiling_that_we_do_not_count_is_a_gate() {
    let bench = Bench::new().await;
    bench.correct(bench.account(""), used(93)).await;
    let demand = |class| bench.demand(bench.account(""), 3, class);
    refused(&bench.store.acquire(&demand(Priority::Sync)).await.unwrap());
    admitted(&bench.store.acquire(&demand(Priority::Interactive)).await.unwrap());
}
