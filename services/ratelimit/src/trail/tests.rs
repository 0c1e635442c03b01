use super::*;
use crate::ceilings::Ceilings;
use crate::demand::Rules;
use crate::priority::Priority;
use crate::scope::{ADS_MANAGEMENT, Kind};
use crate::store::tests::{Bench, START_MS};
use crate::store::{Reason, Refusal, Standing, Viewer};
use crate::usage::Close;

const HOUR: i64 = 3_600_000;

fn asker(call: &str) -> Asker {
    Asker { caller: "services/campaigns".to_owned(), purpose: "campaigns.write".to_owned(), call: call.to_owned() }
}

/// A write to an ad account: a call, three points and a mutation.
fn write(rules: &Rules, app: u64, calls: u32) -> Demand {
    let account = |use_case: &str| Scope::ad_account(app, "2", use_case);
    let mutation = Scope { kind: Kind::Mutation, ..account("") };
    let charges = [
        (Scope::of_app(app, ADS_MANAGEMENT), None, calls),
        (account(ADS_MANAGEMENT), None, calls),
        (account(""), None, 3 * calls),
        (mutation, None, calls),
    ];
    rules.demand(app, Priority::Interactive, charges)
}

fn rules() -> Rules {
    Rules::new(Ceilings::default(), Duration::from_secs(65))
}

fn refusal(binding: i64) -> Refusal {
    Refusal { epoch: 1, wait: Duration::from_secs(60), binding, reason: Reason::Ceiling }
}

#[test]
fn a_write_is_one_call_and_three_points_of_its_ad_account() {
    let (mut sums, demand) = (Sums::default(), write(&rules(), 1, 5));
    let origin = Origin::of("acme", &asker("POST act/campaigns"), &demand);
    assert_eq!((origin.subject.as_str(), origin.use_case.as_str()), ("adAccounts/act_2", ADS_MANAGEMENT));
    for waited in [0, 700] {
        sums.decided(START_MS + 59_999, &origin, &demand, None, Duration::from_millis(waited));
    }
    sums.decided(START_MS + 60_000, &origin, &demand, Some(&refusal(2)), Duration::from_millis(300));
    let at = |minute| sums.usage.iter().find(|(key, _)| key.minute_ms == minute).map(|(_, usage)| *usage).unwrap();
    let first = Usage { calls: 10, points: 30, waited_ms: 700, longest_ms: 700, ..Usage::default() };
    assert_eq!(at(START_MS), first);
    let second = Usage { refused: 1, waited_ms: 300, longest_ms: 300, ..Usage::default() };
    assert_eq!(at(START_MS + 60_000), second);
    let (key, refused) = sums.refused.iter().next().unwrap();
    assert_eq!((key.bucket.as_str(), refused.delay_ms), (demand.bucket(2).unwrap().key.as_str(), 60_000));
}

#[test]
fn what_is_too_much_to_keep_apart_is_summed_up_and_nothing_is_lost_before_that_is_full_too() {
    let (mut sums, demand) = (Sums::default(), write(&rules(), 1, 1));
    let dropped: u64 = (0..12_000)
        .map(|number| {
            let origin = Origin::of("acme", &asker(&format!("GET {number}")), &demand);
            sums.decided(START_MS, &origin, &demand, None, Duration::ZERO)
        })
        .sum();
    let calls: i64 = sums.usage.values().map(|usage| usage.calls).sum();
    let other: i64 =
        sums.usage.iter().filter(|(key, _)| key.origin.call == "other").map(|(_, usage)| usage.calls).sum();
    assert_eq!((dropped, calls, other, sums.usage.len()), (0, 12_000, 2_000, 10_001));
    let dropped: u64 = (0..2_000)
        .map(|number| {
            let origin = Origin::of(&format!("tenant-{number}"), &asker("GET"), &demand);
            sums.decided(START_MS, &origin, &demand, None, Duration::ZERO)
        })
        .sum();
    assert_eq!((dropped, sums.usage.len()), (1_001, 11_000), "one place was taken before");
}

fn told(
    noticed: &mut Noticed,
    bucket: &Bucket,
    said: &Correction,
    standing: &Standing,
    now: Instant,
) -> Vec<EventKind> {
    if noticed::is_notable(said) {
        noticed.tell(bucket, said, Some(&Blame { tenant: "acme".to_owned(), ..Blame::default() }), now);
    }
    let asked = noticed.take(now);
    let standings: Vec<_> = asked.iter().map(|(bucket, _)| (bucket.key.clone(), standing.clone())).collect();
    noticed.events(START_MS, &asked, &standings).into_iter().map(|event| event.kind).collect()
}

#[test]
fn each_thing_that_happens_to_a_bucket_is_told_once() {
    let (mut noticed, now) = (Noticed::default(), Instant::now());
    let bucket = rules().bucket(Scope::ad_account(1, "2", ADS_MANAGEMENT), None);
    let open = Standing::default();
    let closed = Standing { closed_until_ms: Some(START_MS + HOUR), ..open.clone() };
    let closes = Correction { close: Close::BackOff, code: 80_004, ..Correction::default() };
    assert_eq!(told(&mut noticed, &bucket, &closes, &closed, now), [EventKind::Closed]);
    assert_eq!(told(&mut noticed, &bucket, &closes, &closed, now), [], "the same closing says nothing new");
    let through = Correction { let_through_ms: Some(1), ..Correction::default() };
    assert_eq!(told(&mut noticed, &bucket, &through, &open, now), [EventKind::Reopened]);
    let gate = |percent| Correction { gate_percent: Some(percent), ..Correction::default() };
    assert_eq!(told(&mut noticed, &bucket, &gate(74), &open, now), []);
    assert_eq!(told(&mut noticed, &bucket, &gate(80), &open, now), [EventKind::Gate]);
    assert_eq!(told(&mut noticed, &bucket, &gate(84), &open, now), [], "no further class stops");
    assert_eq!(told(&mut noticed, &bucket, &gate(92), &open, now), [EventKind::Gate]);
}

#[test]
fn others_are_told_of_when_they_use_a_percent_more() {
    let mut noticed = Noticed::default();
    let bucket = rules().bucket(Scope::ad_account(1, "2", ADS_MANAGEMENT), None);
    let said = Correction { used_percent: Some(40), ..Correction::default() };
    let others = |others| Standing { others, ..Standing::default() };
    let now = Instant::now();
    let later = |seconds| now + Duration::from_secs(seconds);
    assert_eq!(told(&mut noticed, &bucket, &said, &others(100), now), [EventKind::Drift]);
    assert_eq!(told(&mut noticed, &bucket, &said, &others(200), later(29)), [], "it was looked at just now");
    assert_eq!(told(&mut noticed, &bucket, &said, &others(102), later(30)), [], "less than a percent of 300");
    assert_eq!(told(&mut noticed, &bucket, &said, &others(103), later(60)), [EventKind::Drift]);
}

#[test]
fn a_flood_of_buckets_waits_and_closings_go_first() {
    let mut noticed = Noticed::default();
    let now = Instant::now();
    let bucket = |id: usize| rules().bucket(Scope::ad_account(1, &id.to_string(), ADS_MANAGEMENT), None);
    let said = Correction { used_percent: Some(40), ..Correction::default() };
    for id in 0..3_000 {
        noticed.tell(&bucket(id), &said, None, now);
    }
    let closes = Correction { close: Close::BackOff, ..Correction::default() };
    noticed.tell(&bucket(9_999), &closes, None, now);
    let taken = noticed.take(now);
    assert_eq!((taken.len(), &taken[0].0.key), (100, &bucket(9_999).key));
    let rest: usize = std::iter::repeat_with(|| noticed.take(now).len()).take_while(|taken| *taken > 0).sum();
    assert_eq!(rest, 1_901);
}

/// A trail on a bench.
async fn trail(bench: &Bench) -> Arc<Trail> {
    let history = History::new(storage::Postgres::connect(&bench.postgres).await.unwrap());
    Arc::new(Trail::new(history, Arc::clone(&bench.store), Duration::from_hours(24), TaskTracker::new()))
}

#[tokio::test]
async fn what_two_replicas_write_is_added_up() {
    let bench = Bench::new().await;
    let (one, other) = (trail(&bench).await, trail(&bench).await);
    let demand = write(&bench.rules, bench.app, 2);
    let outcome = bench.store.acquire(&demand).await.unwrap();
    for (trail, tenant) in [(&one, "acme"), (&other, "acme"), (&other, "rival")] {
        let origin = Origin::of(tenant, &asker("POST act/campaigns"), &demand);
        trail.decided(&origin, &demand, &outcome, Duration::from_millis(40));
        trail.write().await.unwrap();
    }
    one.write().await.unwrap();
    let range = (START_MS - HOUR, START_MS + 1);
    let app = ("", Some(bench.app));
    let spent = one.history().spent(&Viewer::Operator, app, range).await.unwrap();
    let sums: Vec<_> =
        spent.iter().map(|spent| (spent.tenant.as_str(), spent.usage.calls, spent.usage.points)).collect();
    assert_eq!(sums, [("acme", 4, 12), ("rival", 2, 6)]);
    // Others are one sum without a name.
    let viewer = Viewer::Tenant("rival".parse().unwrap());
    let spent = one.history().spent(&viewer, app, range).await.unwrap();
    let sums: Vec<_> =
        spent.iter().map(|spent| (spent.tenant.as_str(), spent.caller.as_str(), spent.usage.calls)).collect();
    assert_eq!(sums, [("rival", "services/campaigns", 2), ("", "", 4)]);
}

#[tokio::test]
async fn a_closing_that_two_replicas_noticed_happened_once_and_what_is_over_is_removed() {
    let bench = Bench::new().await;
    let (one, other) = (trail(&bench).await, trail(&bench).await);
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    let closes = Correction { close: Close::For(600_000), code: 80_004, ..Correction::default() };
    bench.correct(bench.account(ADS_MANAGEMENT), closes.clone()).await;
    let blame = Blame { tenant: "acme".to_owned(), subcode: 7, trace_id: "AbC".to_owned() };
    for trail in [&one, &other] {
        trail.told(&bucket, &closes, Some(&blame));
        trail.write().await.unwrap();
    }
    let events = async || {
        let keys = [bucket.key.clone()];
        one.history().events(&keys, START_MS - HOUR, START_MS + HOUR).await.unwrap()
    };
    let told = events().await;
    assert_eq!(told.len(), 1, "{told:?}");
    let Event { kind, code, until_ms, .. } = told[0].event;
    assert_eq!((kind, code, until_ms, &told[0].event.blame), (EventKind::Closed, 80_004, START_MS + 600_000, &blame));
    bench.turn(Duration::from_hours(25));
    one.sweep().await;
    assert_eq!(events().await, []);
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_for_the_next_time() {
    let bench = Bench::new().await;
    let demand = write(&bench.rules, bench.app, 2);
    let outcome = bench.store.acquire(&demand).await.unwrap();
    let nowhere = storage::Postgres::connect(&bench.postgres).await.unwrap();
    nowhere.close();
    let mut trail = trail(&bench).await;
    let well = std::mem::replace(&mut Arc::get_mut(&mut trail).unwrap().history, History::new(nowhere));
    let origin = Origin::of("acme", &asker("POST act/campaigns"), &demand);
    trail.decided(&origin, &demand, &outcome, Duration::ZERO);
    trail.write().await.unwrap_err();
    trail.decided(&origin, &demand, &outcome, Duration::ZERO);
    Arc::get_mut(&mut trail).unwrap().history = well;
    trail.write().await.unwrap();
    let spent = trail.history().spent(&Viewer::Operator, ("", Some(bench.app)), (START_MS - HOUR, START_MS + 1)).await;
    assert_eq!(spent.unwrap()[0].usage.calls, 4);
}
