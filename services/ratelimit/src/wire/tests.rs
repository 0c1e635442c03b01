use rpc::Fault;

use super::*;

fn scope(kind: pb::ScopeKind, id: &str) -> pb::Scope {
    pb::Scope { meta_app: "metaApps/7".to_owned(), kind: kind.into(), id: id.to_owned(), use_case: String::new() }
}

fn charge(scope: pb::Scope, cost: u32) -> pb::Charge {
    pb::Charge { scope: Some(scope), cost }
}

fn request(charges: Vec<pb::Charge>) -> pb::AcquireRequest {
    pb::AcquireRequest { charges, priority: pb::Priority::Sync.into(), ..Default::default() }
}

fn faults(request: pb::AcquireRequest) -> Vec<String> {
    let error = Acquire::try_from(request).unwrap_err();
    error.violations().into_iter().map(|violation| format!("{} {}", violation.field, violation.reason)).collect()
}

#[test]
fn an_ad_account_is_read_with_and_without_act() {
    for id in ["12", "act_12", "adAccounts/act_12"] {
        let scope = Scope::try_from(scope(pb::ScopeKind::AdAccount, id)).unwrap();
        assert_eq!(scope, Scope::ad_account(7, "12", ""));
    }
}

#[test]
fn an_app_has_no_id_of_its_own() {
    let scope = Scope::try_from(scope(pb::ScopeKind::App, "7")).unwrap();
    assert_eq!(scope, Scope::of_app(7, ""));
}

#[test]
fn every_wrong_field_is_named() {
    let mut elsewhere = scope(pb::ScopeKind::User, "1");
    elsewhere.meta_app = "metaApps/8".to_owned();
    let charges = vec![
        charge(scope(pb::ScopeKind::User, "1"), 0),
        charge(scope(pb::ScopeKind::User, "{x}:y"), 1),
        charge(scope(pb::ScopeKind::Unspecified, "1"), 1),
        pb::Charge::default(),
    ];
    let wrong = pb::AcquireRequest { priority: 0, ..request(charges) };
    let expected = [
        "priority REQUIRED",
        "charges[0].cost COST_RANGE",
        "charges[1].scope.id SCOPE_ID",
        "charges[2].scope.kind REQUIRED",
        "charges[3].scope REQUIRED",
    ];
    assert_eq!(faults(wrong), expected);
    let user = || charge(scope(pb::ScopeKind::User, "1"), 1);
    assert_eq!(faults(request(vec![user(), user()])), ["charges SCOPE_TWICE"]);
    assert_eq!(faults(request(vec![user(), charge(elsewhere, 1)])), ["charges ONE_META_APP"]);
    assert_eq!(faults(request(vec![])), ["charges CHARGES_COUNT"]);
    assert_eq!(
        faults(request((0..17).map(|id| charge(scope(pb::ScopeKind::User, &id.to_string()), 1)).collect())),
        ["charges CHARGES_COUNT"]
    );
}

#[test]
fn an_unknown_use_case_is_a_word_and_nothing_that_shapes_a_key() {
    let mut wire = scope(pb::ScopeKind::AdAccount, "1");
    wire.use_case = "catalog_batch".to_owned();
    assert!(Scope::try_from(wire.clone()).is_ok());
    for word in ["a:b", "A", "}", &"x".repeat(41)] {
        wire.use_case = word.to_owned();
        assert!(Scope::try_from(wire.clone()).is_err(), "{word}");
    }
}

#[test]
fn a_closed_bucket_has_no_headroom_and_says_why() {
    let rules = crate::demand::Rules::new(crate::ceilings::Ceilings::default(), Duration::ZERO);
    let bucket = rules.bucket(Scope::ad_account(7, "12", "ads_management"), None);
    let standing = Standing {
        own: 10,
        others: 5,
        closed_until_ms: Some(1_800_000_000_000),
        closed_code: 80_004,
        ..Standing::default()
    };
    let open = quota(&(bucket.clone(), Standing { closed_until_ms: None, ..standing.clone() }));
    assert_eq!((open.limit, open.headroom, open.used, open.others), (Some(300), Some(285), 10, 5));
    let closed = quota(&(bucket, standing));
    assert_eq!(closed.headroom, Some(0));
    assert!(closed.why.contains("development_access") && closed.why.contains("code 80004"), "{}", closed.why);
}

#[test]
fn the_time_of_a_permit_runs_from_its_charge_whether_that_was_after_the_request_or_before() {
    let received = Instant::now() + Duration::from_secs(10);
    let left = |charged| {
        let decision = Decision::Permit { value: Vec::new(), epoch: 1, charged };
        let answer = acquired(decision, received, Duration::from_secs(5));
        let Some(pb::acquire_response::Decision::Permit(permit)) = answer.decision else { panic!("no permit") };
        permit.send_before.unwrap().seconds
    };
    assert_eq!(left(received), 5);
    assert_eq!(left(received + Duration::from_secs(3)), 8, "it waited so long");
    assert_eq!(left(received - Duration::from_secs(2)), 3, "it was charged beside Redis");
    assert_eq!(left(received - Duration::from_secs(9)), 0);
}
