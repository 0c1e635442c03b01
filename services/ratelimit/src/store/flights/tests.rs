use std::pin::pin;

use futures::future::join_all;
use futures::poll;

use super::*;
use crate::ceilings::Ceilings;
use crate::priority::Priority;
use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT};
use crate::store::outcome::{Outcome, Reason};
use crate::store::tests::servers::OwnRedis;
use crate::store::tests::{Bench, admitted, database, refused};

/// What a bench's store would ask, of buckets that it has an epoch for.
async fn asked(bench: &Bench, use_cases: &[&str], cost: u32) -> Asked {
    if bench.store.known_epoch(bench.app).is_none() {
        admitted(&bench.take(1, Priority::Safety).await);
    }
    let charges = use_cases.iter().map(|use_case| (bench.account(use_case), None, cost));
    Asked {
        demand: bench.rules.demand(bench.app, Priority::Interactive, charges),
        epoch: bench.store.known_epoch(bench.app).unwrap(),
    }
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Decided { outcome, .. } => outcome,
        Answer::OtherEpoch => panic!("another epoch"),
    }
}

#[tokio::test]
async fn each_of_several_demands_gets_all_or_nothing_and_sees_what_those_before_it_took() {
    let bench = Bench::new().await;
    // 291 of 300 are for people, of which one is gone.
    let both = asked(&bench, &[ADS_MANAGEMENT, ADS_INSIGHTS], 200).await;
    let too_much = asked(&bench, &[ADS_MANAGEMENT, ADS_INSIGHTS], 91).await;
    let fits = asked(&bench, &[ADS_MANAGEMENT], 90).await;
    let answers = bench.store.flights.run(bench.app, &[both, too_much.clone(), fits]).await.unwrap();
    let [first, second, third] = <[Answer; 3]>::try_from(answers).unwrap().map(outcome);
    assert_eq!(admitted(&first).cells.len(), 2);
    let refusal = refused(&second);
    assert_eq!(refusal.reason, Reason::Ceiling);
    assert_eq!(too_much.demand.bucket(refusal.binding).unwrap().scope.use_case, ADS_MANAGEMENT);
    assert_eq!(admitted(&third).cells[0].1, 291);
    assert_eq!(bench.standing(bench.account(ADS_INSIGHTS)).await.own, 200);
}

#[tokio::test]
async fn who_comes_while_a_script_runs_goes_with_the_others_that_came() {
    let bench = Bench::new().await;
    let flights = &bench.store.flights;
    let one = asked(&bench, &[ADS_MANAGEMENT], 10).await;
    let mut first = pin!(flights.decide(one.clone()));
    assert!(poll!(&mut first).is_pending());
    let others: Vec<_> = (0..40).map(|_| flights.decide(one.clone())).collect();
    let mut others = pin!(join_all(others));
    assert!(poll!(&mut others).is_pending());
    assert_eq!(flights.lock()[&bench.app].len(), 40);
    let mut outcomes = vec![outcome(first.await.unwrap())];
    // Nothing was answered yet, and two scripts answer all of them.
    assert_eq!(flights.board(bench.app).unwrap().len(), TOGETHER_MAX);
    assert_eq!(flights.lock()[&bench.app].len(), 40 - TOGETHER_MAX);
    outcomes.extend(others.await.into_iter().filter_map(Result::ok).map(outcome));
    assert_eq!(outcomes.len(), 1 + 40 - TOGETHER_MAX, "those who were taken out of the queue are told of a failure");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Admitted(_))));
}

#[tokio::test]
async fn sixty_four_callers_at_once_get_what_there_is_and_not_one_more() {
    let bench = Bench::new().await;
    let one = asked(&bench, &[ADS_MANAGEMENT, ADS_INSIGHTS], 10).await;
    let answers = join_all((0..64).map(|_| bench.store.flights.decide(one.clone()))).await;
    let outcomes: Vec<Outcome> = answers.into_iter().map(|answer| outcome(answer.unwrap())).collect();
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Admitted(_))).count(), 29);
    assert_eq!(bench.standing(bench.account(ADS_INSIGHTS)).await.own, 290);
    assert!(bench.store.flights.lock().is_empty());
}

#[tokio::test]
async fn a_caller_that_goes_away_strands_nobody() {
    let bench = Bench::new().await;
    let flights = &bench.store.flights;
    let one = asked(&bench, &[ADS_MANAGEMENT], 1).await;
    let mut first = Box::pin(flights.decide(one.clone()));
    assert!(poll!(&mut first).is_pending());
    let mut second = Box::pin(flights.decide(one.clone()));
    assert!(poll!(&mut second).is_pending());
    let mut third = Box::pin(flights.decide(one));
    assert!(poll!(&mut third).is_pending());
    drop((first, second));
    admitted(&outcome(third.await.unwrap()));
}

#[tokio::test]
async fn demands_of_two_epochs_never_share_a_script() {
    let bench = Bench::new().await;
    let flights = &bench.store.flights;
    let now = asked(&bench, &[ADS_MANAGEMENT], 1).await;
    let before = Asked { epoch: now.epoch - 1, ..now.clone() };
    let answers = join_all([now.clone(), before.clone(), now.clone(), before].map(|asked| flights.decide(asked))).await;
    let decided = answers.into_iter().map(|answer| matches!(answer.unwrap(), Answer::Decided { .. }));
    assert_eq!(decided.collect::<Vec<_>>(), [true, false, true, false]);
}

#[tokio::test]
async fn whoever_finds_too_many_waiting_is_told_at_once_and_the_others_are_served() {
    let bench = Bench::new().await;
    let flights = &bench.store.flights;
    let one = asked(&bench, &[ADS_MANAGEMENT], 1).await;
    let mut first = Box::pin(flights.decide(one.clone()));
    assert!(poll!(&mut first).is_pending());
    let mut others = Box::pin(join_all((0..WAITING_MAX).map(|_| flights.decide(one.clone()))));
    assert!(poll!(&mut others).is_pending());
    assert!(matches!(flights.decide(one).await, Err(Error::Crowded)));
    admitted(&outcome(first.await.unwrap()));
    assert!(others.await.into_iter().all(|answer| answer.is_ok()));
}

#[tokio::test]
async fn where_redis_does_not_answer_those_who_wait_are_told_at_once_and_spend_nothing() {
    let mut server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, database().await, Ceilings::default()).await;
    let one = asked(&bench, &[ADS_MANAGEMENT], 1).await;
    let flights = &bench.store.flights;
    let mut first = Box::pin(flights.decide(one.clone()));
    assert!(poll!(&mut first).is_pending());
    let mut others = Box::pin(join_all((0..100).map(|_| flights.decide(one.clone()))));
    assert!(poll!(&mut others).is_pending());
    server.kill();
    // Killed before anything was read: the runtime has one thread, and this is it.
    assert!(first.await.is_err_and(|error| error.is_redis_away()));
    assert!(others.await.into_iter().all(|answer| matches!(answer, Err(Error::Unasked))));
    assert!(flights.lock().is_empty());
}
