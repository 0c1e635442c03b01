use super::words::Words;
use super::*;
use crate::ceilings::Ceilings;
use crate::demand::Rules;
use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT};
use crate::store::Outcome;
use crate::store::tests::{Bench, START_MS};
use crate::trail::{Blame, Event, EventKind, Usage};
use crate::usage::{Close, Correction};

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn bucket(use_case: &str, standing: Standing, waits: [Option<(Duration, Reason)>; 5]) -> BucketState {
    let rules = Rules::new(Ceilings::default(), Duration::from_secs(65));
    let bucket = rules.bucket(Scope::ad_account(7, "12", use_case), None);
    let classes = Priority::ALL.into_iter().zip(waits).map(|(priority, wait)| ClassState { priority, wait });
    BucketState { bucket, standing, classes: classes.collect() }
}

fn facts(buckets: Vec<BucketState>) -> Facts {
    Facts { name: "adAccounts/act_12".to_owned(), at_ms: START_MS, buckets, ..Facts::default() }
}

fn spent(calls: i64) -> Spent {
    Spent {
        tenant: "acme".to_owned(),
        caller: "services/insights".to_owned(),
        purpose: "insights.read".to_owned(),
        call: "GET act/insights".to_owned(),
        usage: Usage { calls, points: calls, ..Usage::default() },
    }
}

fn closing() -> Told {
    let event = Event {
        at_ms: START_MS - 60_000,
        app: 7,
        bucket: Scope::ad_account(7, "12", ADS_MANAGEMENT).key(),
        kind: EventKind::Closed,
        code: 80_004,
        blame: Blame { subcode: 2_446_079, trace_id: "AbC".to_owned(), ..Blame::default() },
        until_ms: START_MS + 840_000,
        others: 0,
        percent: 0,
        words: String::new(),
    };
    Told { sequence: 1, event }
}

#[test]
fn nothing_that_holds_back_says_what_is_left() {
    let standing = Standing { own: 100, others: 10, ..Standing::default() };
    let words = facts(vec![bucket(ADS_MANAGEMENT, standing, [None; 5])]).words();
    assert_eq!(
        words.headline,
        "adAccounts/act_12: nothing holds calls back; 190 of 300 ads_management calls are left."
    );
    assert_eq!((words.state, words.until_ms), (State::Open, None));
}

#[test]
fn a_closing_says_until_when_by_which_code_and_what_to_do() {
    let until = START_MS + 840_000;
    let standing = Standing { own: 100, closed_until_ms: Some(until), closed_code: 80_004, ..Standing::default() };
    let wait = Some((minutes(14), Reason::Closed));
    let facts = Facts {
        events: vec![closing()],
        spent: vec![spent(75), Spent { usage: Usage { calls: 25, ..Usage::default() }, ..Spent::default() }],
        ..facts(vec![bucket(ADS_MANAGEMENT, standing, [wait; 5]), bucket(ADS_INSIGHTS, Standing::default(), [None; 5])])
    };
    let Words { state, until_ms, headline, reasons, next_step } = facts.words();
    assert_eq!((state, until_ms), (State::Closed, Some(until)));
    assert_eq!(headline, "adAccounts/act_12: Meta lets no ads_management calls through until 09:14:00 UTC (14 min).");
    assert_eq!(
        reasons,
        [
            "At 08:59:00 UTC Meta's error code 80004, subcode 2446079, closed ads_management calls until 09:14:00 UTC \
             (x-fb-trace-id AbC).",
            "In the hour before, 100 calls were let through, most of them (75 %) by services/insights for insights.read \
             with GET act/insights of tenants/acme.",
        ]
    );
    assert!(next_step.starts_with("Wait until 09:14:00 UTC: no call goes before, also no pause"), "{next_step}");
}

#[test]
fn a_full_ceiling_names_who_to_slow_down() {
    let standing = Standing { own: 291, ..Standing::default() };
    let wait = Some((minutes(3), Reason::Ceiling));
    let state = bucket(ADS_MANAGEMENT, standing, [None, wait, wait, wait, wait]);
    let refused = RefusedRow {
        last_ms: START_MS - 1_000,
        count: 17,
        priority: 2,
        reason: Reason::Ceiling,
        bucket: state.bucket.key.clone(),
        delay_ms: 180_000,
        caller: "services/campaigns".to_owned(),
        call: "POST act/campaigns".to_owned(),
    };
    let words = Facts { spent: vec![spent(291)], refused: vec![refused], ..facts(vec![state]) }.words();
    assert_eq!(
        words.headline,
        "adAccounts/act_12: 291 of 300 of ads_management calls spent; the next call goes at 09:03:00 UTC (3 min)."
    );
    assert_eq!(
        words.reasons[1],
        "17 calls were told to wait, the last at 08:59:59 UTC for 3 min: ads_management calls had no room left for its \
         class."
    );
    assert!(words.next_step.contains("Slow down services/insights"), "{}", words.next_step);
}

#[test]
fn classes_that_wait_are_named_and_who_only_keeps_its_pace_is_not() {
    let standing = Standing { own: 230, ..Standing::default() };
    let wait = Some((minutes(20), Reason::Ceiling));
    let words = facts(vec![bucket(ADS_MANAGEMENT, standing.clone(), [None, None, None, wait, wait])]).words();
    assert_eq!(words.state, State::Reserved);
    assert_eq!(
        words.headline,
        "adAccounts/act_12: 230 of 300 of ads_management calls spent; bulk and backfill calls wait until 09:20:00 UTC \
         (20 min), more urgent ones go."
    );
    assert_eq!(
        words.reasons[0],
        "Of 300 each class may fill only its share: safety 300, interactive 291, sync 270, bulk 225, backfill 180."
    );
    let pace = Some((minutes(1), Reason::Pace));
    let words = facts(vec![bucket(ADS_MANAGEMENT, standing, [None, None, None, pace, pace])]).words();
    assert_eq!(words.state, State::Open);
}

#[test]
fn what_is_held_for_plans_is_told_beside_what_is_spent() {
    let standing = Standing { own: 100, held: 191, ..Standing::default() };
    let wait = Some((minutes(3), Reason::Ceiling));
    let words = facts(vec![bucket(ADS_MANAGEMENT, standing.clone(), [None, wait, wait, wait, wait])]).words();
    assert_eq!(
        words.headline,
        "adAccounts/act_12: 100 and 191 held of 300 of ads_management calls spent; the next call goes at 09:03:00 UTC (3 min)."
    );
    let held = "191 ads_management calls are held for plans under way; they are used, given back or lapse.";
    assert!(words.reasons.iter().any(|reason| reason == held), "{words:?}");
    let words = facts(vec![bucket(ADS_MANAGEMENT, standing, [None; 5])]).words();
    assert!(words.headline.contains("; 9 of 300 ads_management calls are left"), "{}", words.headline);
}

#[test]
fn cpu_time_lost_counters_and_others_each_have_their_words() {
    let gate = Some((Duration::from_secs(50), Reason::Gate));
    let standing = Standing { gate_percent: Some(87), others: 40, ..Standing::default() };
    let words = facts(vec![bucket(ADS_INSIGHTS, standing, [None, None, None, gate, gate])]).words();
    assert_eq!(
        words.headline,
        "adAccounts/act_12: Meta reports 87 % of CPU or wall time used by ads_insights calls; bulk and backfill calls wait \
         until 09:00:50 UTC (50 s)."
    );
    let others = "Others use it beside us: Meta counts 40 ads_insights calls more than we sent.";
    assert!(words.reasons.iter().any(|reason| reason == others), "{words:?}");

    let lost = Some((minutes(61), Reason::CountersLost));
    let standing = Standing { lost_until_ms: Some(START_MS + 3_660_000), ..Standing::default() };
    let mut facts = facts(vec![bucket(ADS_INSIGHTS, standing, [None, lost, lost, lost, lost])]);
    facts.losses = vec![Losses { app: 7, at_ms: START_MS - 30_000, why: "Redis restarted".to_owned() }];
    facts.forgetful = true;
    let words = facts.words();
    assert_eq!(
        words.headline,
        "adAccounts/act_12: the counters of ads_insights calls were lost; only safety calls go until 10:01:00 UTC (61 min)."
    );
    assert_eq!(
        words.reasons,
        [
            "At 08:59:30 UTC the counters of metaApps/7 were rebuilt: Redis restarted.",
            "PostgreSQL does not answer, so who spent the quota is not known now.",
        ]
    );
}

#[test]
fn the_past_is_told_by_what_was_written() {
    let then = Facts { past: true, events: vec![closing()], ..facts(vec![]) };
    let words = then.words();
    assert_eq!(words.state, State::Closed);
    assert_eq!(
        words.headline,
        "adAccounts/act_12: at 09:00:00 UTC Meta let no ads_management calls through, until 09:14:00 UTC."
    );
    let words = Facts { past: true, ..facts(vec![]) }.words();
    assert_eq!((words.state, words.until_ms), (State::Open, None));
}

#[test]
fn only_what_meta_counts_for_can_be_explained() {
    for name in ["adAccounts/act_12", "pages/5", "users/6", "metaApps/7"] {
        assert_eq!(Subject::parse(name).map(|subject| subject.name()), Some(name.to_owned()));
    }
    assert_eq!(Subject::parse("adAccounts/12"), Subject::parse("adAccounts/act_12"));
    for name in
        ["", "act_12", "adAccounts/", "adAccounts/act_x", "campaigns/1", "pages/123456789012345678901", "pages/1:2"]
    {
        assert_eq!(Subject::parse(name), None, "{name}");
    }
}

#[tokio::test]
async fn asking_when_a_call_goes_takes_nothing_and_tells_the_very_moment() {
    let bench = Bench::new().await;
    bench.take(291, Priority::Interactive).await;
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    let goes = async |class| bench.store.goes_in(&bucket, class).await.unwrap();
    assert_eq!(goes(Priority::Safety).await, None);
    let (wait, reason) = goes(Priority::Interactive).await.unwrap();
    assert_eq!(reason, Reason::Ceiling);
    assert_eq!(goes(Priority::Bulk).await.map(|(_, reason)| reason), Some(Reason::Ceiling));
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 291);
    bench.turn(wait.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(goes(Priority::Interactive).await, Some((Duration::from_millis(1), Reason::Ceiling)));
    bench.turn(Duration::from_millis(1));
    assert_eq!(goes(Priority::Interactive).await, None);
    assert!(matches!(bench.take(1, Priority::Interactive).await, Outcome::Admitted(_)));
    let closes = Correction { close: Close::For(600_000), ..Correction::default() };
    bench.correct(bench.account(ADS_MANAGEMENT), closes).await;
    assert_eq!(goes(Priority::Safety).await, Some((minutes(10), Reason::Closed)));
}
