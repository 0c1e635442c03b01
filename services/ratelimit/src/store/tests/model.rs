//! The script against a model: random demands of two tenants, releases, steps of time, and other ceilings and shares meanwhile.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::policies::{Kept, OPERATORS, Policy, SetCaps, SetCeiling};

const TENANTS: [&str; 2] = ["acme", "other"];
const ADS: [&str; 3] = ["ads_management", "ads_insights", "custom_audience"];
const CLASSES: [Priority; 3] = [Priority::Safety, Priority::Interactive, Priority::Sync];

/// The weights of both, and what may be borrowed.
type Shared = ([u32; 2], u32);

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Per bucket a cost, 0 for none; the class, and the tenant.
    Take([u32; 3], usize, usize),
    GiveBack(usize),
    Turn(u64),
    /// Another policy: a ceiling of each bucket, what sync may fill, and with weights what may be borrowed.
    Set([u32; 3], u32, Option<Shared>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => ([0_u32..90, 0_u32..180, 0_u32..1_500], 0_usize..3, 0_usize..2)
            .prop_map(|(costs, class, tenant)| Step::Take(costs, class, tenant)),
        1 => ([1_u32..600, 1_u32..1_200, 1_u32..9_000], 1_u32..97, proptest::option::of(([1_u32..9, 1_u32..9], 0_u32..101)))
            .prop_map(|(limits, sync, shared)| Step::Set(limits, sync, shared)),
        1 => (0_usize..20).prop_map(Step::GiveBack),
        3 => (0_u64..900_000).prop_map(Step::Turn),
    ]
}

/// A window as anybody would write it: charges by cell, and a sum over those that are kept.
#[derive(Default)]
struct Model {
    /// By key.
    buckets: HashMap<String, BTreeMap<i64, i64>>,
    policies: i64,
}

impl Model {
    fn sum(&self, bucket: &Bucket, head: i64) -> i64 {
        let kept = i64::from(bucket.window.cells);
        self.buckets.get(&bucket.key).map_or(0, |cells| cells.range(head - kept + 1..).map(|(_, cost)| cost).sum())
    }

    fn charge(&mut self, bucket: &Bucket, cell: i64, cost: i64) {
        *self.buckets.entry(bucket.key.clone()).or_default().entry(cell).or_default() += cost;
    }
}

struct Taken {
    permit: Permit,
    buckets: Vec<Bucket>,
    /// Cell and cost of each.
    charged: Vec<(i64, i64)>,
    given_back: bool,
}

async fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let bench = Bench::new().await;
    let mut model = Model::default();
    let mut taken: Vec<Taken> = Vec::new();
    for step in steps {
        match step {
            Step::Turn(ms) => bench.turn(Duration::from_millis(ms)),
            Step::GiveBack(index) => give_back(&bench, &mut model, taken.get_mut(index)).await?,
            Step::Take(costs, class, tenant) => {
                taken.extend(take(&bench, &mut model, costs, (CLASSES[class], TENANTS[tenant])).await?);
            }
            Step::Set(limits, sync, shared) => {
                model.policies += 1;
                set(&bench, model.policies, limits, sync, shared);
            }
        }
    }
    Ok(())
}

fn set(bench: &Bench, version: i64, limits: [u32; 3], sync: u32, shared: Option<Shared>) {
    let ceiling =
        |(use_case, limit): (&str, u32)| SetCeiling { kind: Kind::AdAccount, use_case: use_case.to_owned(), limit };
    let weights = shared.map(|(weights, _)| TENANTS.map(str::to_owned).into_iter().zip(weights).collect());
    let policy = Policy {
        ceilings: ADS.into_iter().zip(limits).map(ceiling).collect(),
        caps: SetCaps { sync: Some(sync), ..SetCaps::default() },
        weights: weights.unwrap_or_default(),
        borrow_max_percent: shared.map(|(_, borrow)| borrow),
        ..Policy::default()
    };
    bench.rules.policies().learn(vec![Kept { policy, version, ..Kept::nothing(OPERATORS, "adAccounts/act_2") }]);
}

async fn take(
    bench: &Bench,
    model: &mut Model,
    costs: [u32; 3],
    (class, tenant): (Priority, &str),
) -> Result<Option<Taken>, TestCaseError> {
    let asked: Vec<(usize, u32)> = costs.into_iter().enumerate().filter(|(_, cost)| *cost > 0).collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let charges = asked.iter().map(|(place, cost)| (bench.account(ADS[*place]), None, *cost));
    let demand = bench.rules.demand_of(&tenant.parse().unwrap(), bench.app, class, charges);
    let now = bench.clock.load(Ordering::SeqCst);
    let fits = demand.charges.iter().all(|(bucket, cost)| {
        let sum = model.sum(bucket, now / bucket.cell_ms()) + i64::from(*cost);
        bucket.cap(class).is_none_or(|cap| sum <= i64::from(cap))
    });
    let outcome = bench.store.acquire(&demand).await.unwrap();
    prop_assert_eq!(matches!(outcome, Outcome::Admitted(_)), fits);
    let Outcome::Admitted(admission) = outcome else { return Ok(None) };
    let mut charged = Vec::new();
    for ((bucket, cost), (cell, sum)) in demand.charges.iter().zip(&admission.cells) {
        prop_assert_eq!(*cell, now / bucket.cell_ms());
        model.charge(bucket, *cell, i64::from(*cost));
        prop_assert_eq!(*sum, model.sum(bucket, *cell));
        charged.push((*cell, i64::from(*cost)));
    }
    let permit = counter::permit(&demand, &admission);
    let buckets = demand.charges.into_iter().map(|(bucket, _)| bucket).collect();
    Ok(Some(Taken { permit, buckets, charged, given_back: false }))
}

async fn give_back(bench: &Bench, model: &mut Model, taken: Option<&mut Taken>) -> Result<(), TestCaseError> {
    let Some(taken) = taken else { return Ok(()) };
    let now = bench.clock.load(Ordering::SeqCst);
    let kept = |bucket: &Bucket, cell: i64| cell > now / bucket.cell_ms() - i64::from(bucket.window.cells);
    let in_window = taken.buckets.iter().zip(&taken.charged).any(|(bucket, (cell, _))| kept(bucket, *cell));
    let released = bench.store.release(&taken.permit, &taken.buckets).await.unwrap();
    prop_assert_eq!(released, in_window && !taken.given_back);
    if released {
        for (bucket, (cell, cost)) in taken.buckets.iter().zip(&taken.charged) {
            model.charge(bucket, *cell, -cost);
        }
    }
    taken.given_back = true;
    Ok(())
}

#[test]
fn the_script_agrees_with_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let result =
        TestRunner::new(config).run(&proptest::collection::vec(step(), 1..80), |steps| runtime.block_on(play(steps)));
    assert!(result.is_ok(), "{}", result.unwrap_err());
}
