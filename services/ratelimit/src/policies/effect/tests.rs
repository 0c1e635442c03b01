use super::*;
use crate::policies::{Kept, OPERATORS, SetCaps, SetCeiling};

const ACCOUNT: &str = "adAccounts/act_2";
const APP: &str = "metaApps/1";

fn known(rows: &[(&str, &str, Policy)]) -> Known {
    let kept = |(version, (by, name, policy)): (i64, &(&str, &str, Policy))| Kept {
        policy: policy.clone(),
        version,
        ..Kept::nothing(by, name)
    };
    Known::default().with((1..).zip(rows).map(kept))
}

fn capped(use_case: &str, limit: u32) -> Policy {
    let ceilings = vec![SetCeiling { kind: Kind::AdAccount, use_case: use_case.to_owned(), limit }];
    Policy { ceilings, ..Policy::default() }
}

fn management() -> Scope {
    Scope::ad_account(1, "2", ADS_MANAGEMENT)
}

fn ceiling(rows: &[(&str, &str, Policy)], scope: &Scope) -> Ceiling {
    known(rows).ceiling(&Ceilings::default(), scope, None)
}

#[test]
fn an_accounts_policy_goes_before_its_apps_and_that_before_the_settings() {
    let app = (OPERATORS, APP, capped(ADS_MANAGEMENT, 500));
    assert_eq!(ceiling(std::slice::from_ref(&app), &management()).limit, Some(500));
    let both = [app, (OPERATORS, ACCOUNT, capped(ADS_MANAGEMENT, 900))];
    let set = ceiling(&both, &management());
    assert_eq!((set.limit, set.why.as_ref()), (Some(900), "set by the policy of adAccounts/act_2"));
    assert_eq!(ceiling(&both, &Scope::ad_account(1, "2", ADS_INSIGHTS)).limit, Some(600), "nothing is set for it");
    assert_eq!(ceiling(&both, &Scope::ad_account(1, "3", ADS_MANAGEMENT)).limit, Some(500), "another account");
    assert_eq!(ceiling(&both, &Scope::ad_account(9, "3", ADS_MANAGEMENT)).limit, Some(300), "another app");
}

#[test]
fn of_tenants_and_operators_the_stricter_counts_whoever_set_it_last() {
    let tenants = [("acme", ACCOUNT, capped(ADS_MANAGEMENT, 100)), ("other", ACCOUNT, capped(ADS_MANAGEMENT, 200))];
    assert_eq!(ceiling(&tenants, &management()).limit, Some(100));
    let [acme, other] = tenants;
    let lower = [acme, other, (OPERATORS, ACCOUNT, capped(ADS_MANAGEMENT, 50))];
    assert_eq!(ceiling(&lower, &management()).limit, Some(50));
    let first = ceiling(&[("acme", ACCOUNT, capped("", 10))], &Scope::ad_account(1, "2", ""));
    assert_eq!(first.limit, None, "a tenant sets no first ceiling");
}

#[test]
fn shares_are_tightened_one_by_one_and_stay_descending() {
    let caps = |interactive, sync| SetCaps { interactive, sync, ..SetCaps::default() };
    let operators = Policy { caps: caps(Some(99), None), ..Policy::default() };
    let tenant = Policy { caps: caps(None, Some(20)), ..Policy::default() };
    let caps = ceiling(&[(OPERATORS, APP, operators), ("acme", ACCOUNT, tenant)], &management()).caps;
    assert_eq!(caps, ClassCaps { interactive: 99, sync: 20, bulk: 20, backfill: 20 });
}

#[test]
fn a_profile_is_for_accounts_and_users_and_an_apps_own_buckets_keep_that_of_the_settings() {
    let source = Policy { profile: Some(Profile::Source), ..Policy::default() };
    let rows = [(OPERATORS, APP, source)];
    assert_eq!(ceiling(&rows, &management()).limit, Some(200));
    assert_eq!(ceiling(&rows, &Scope { kind: Kind::User, ..Scope::ad_account(1, "7", "") }).limit, Some(200));
    assert_eq!(ceiling(&rows, &Scope::of_app(1, ADS_MANAGEMENT)).limit, None);
    let meta = Policy { profile: Some(Profile::Meta), ..Policy::default() };
    let [app] = rows;
    assert_eq!(ceiling(&[app, (OPERATORS, ACCOUNT, meta)], &management()).limit, Some(300));
}

#[test]
fn whoever_says_that_headers_only_tighten_is_heeded() {
    let rule = |headers| Policy { headers: Some(headers), ..Policy::default() };
    let limit = |rows: &[(&str, &str, Policy)]| {
        known(rows).ceiling(&Ceilings::default(), &management(), Some(Tier::Standard)).limit
    };
    assert_eq!(limit(&[]), Some(100_000));
    assert_eq!(limit(&[("acme", ACCOUNT, rule(TierFromHeaders::Tighten))]), Some(300));
    let loosens = (OPERATORS, ACCOUNT, rule(TierFromHeaders::Follow));
    assert_eq!(limit(&[(OPERATORS, APP, rule(TierFromHeaders::Tighten)), loosens]), Some(100_000));
}

#[test]
fn what_meta_fixes_for_everyone_no_policy_changes() {
    let source = Policy { profile: Some(Profile::Source), ..Policy::default() };
    let mutation = Scope { kind: Kind::Mutation, ..Scope::ad_account(1, "2", "") };
    assert_eq!(ceiling(&[(OPERATORS, ACCOUNT, source)], &mutation).limit, Some(100));
}

#[test]
fn an_older_change_that_is_read_late_undoes_nothing() {
    let policies = crate::policies::Policies::default();
    let row =
        |version, limit| Kept { policy: capped(ADS_MANAGEMENT, limit), version, ..Kept::nothing(OPERATORS, ACCOUNT) };
    assert!(policies.learn(vec![row(2, 20)]));
    assert!(!policies.learn(vec![row(1, 10)]));
    assert_eq!(policies.known().ceiling(&Ceilings::default(), &management(), None).limit, Some(20));
}

#[test]
fn where_calls_wait_a_tenant_has_the_weight_of_the_account_then_of_the_app() {
    let weighed = |weight| Policy { weights: [("acme".to_owned(), weight)].into(), ..Policy::default() };
    let known = known(&[(OPERATORS, APP, weighed(2)), (OPERATORS, ACCOUNT, weighed(5))]);
    let acme = "acme".parse().unwrap();
    let weight = |account: &str| known.weight(&Scope::ad_account(1, account, ADS_MANAGEMENT), &acme);
    assert_eq!([weight("2"), weight("3")], [Some(5), Some(2)]);
    assert_eq!(known.weight(&Scope::of_app(9, ""), &acme), None);
}
