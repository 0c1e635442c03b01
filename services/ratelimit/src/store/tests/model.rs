//! The scripts against a model: random demands of two tenants with and without reservations, releases, steps of time, and
//! other ceilings and shares meanwhile.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use super::*;
use crate::policies::{Kept, OPERATORS, Policy, SetCaps, SetCeiling};
use crate::reservation::{ReservationId, Under};

const TENANTS: [&str; 2] = ["acme", "other"];
const ADS: [&str; 3] = ["ads_management", "ads_insights", "custom_audience"];
const CLASSES: [Priority; 3] = [Priority::Safety, Priority::Interactive, Priority::Sync];

/// The weights of both, and what may be borrowed.
type Shared = ([u32; 2], u32);

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Per bucket a cost, 0 for none; the class, the tenant, and its reservation, 0 for none.
    Take([u32; 3], usize, usize, u128),
    GiveBack(usize),
    /// Per bucket what to hold, 0 for none; the class, the tenant, its reservation, and for how many ms.
    Hold([u32; 3], usize, usize, u128, i64),
    /// A tenant's reservation is given back.
    Unhold(usize, u128),
    Turn(u64),
    /// Another policy: a ceiling of each bucket, what sync may fill, and with weights what may be borrowed.
    Set([u32; 3], u32, Option<Shared>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => ([0_u32..90, 0_u32..180, 0_u32..1_500], 0_usize..3, 0_usize..2, 0_u128..4)
            .prop_map(|(costs, class, tenant, name)| Step::Take(costs, class, tenant, name)),
        2 => ([0_u32..90, 0_u32..180, 0_u32..1_500], 1_usize..3, 0_usize..2, 1_u128..4, 1_i64..3_600_000)
            .prop_map(|(costs, class, tenant, name, ms)| Step::Hold(costs, class, tenant, name, ms)),
        1 => (0_usize..2, 1_u128..4).prop_map(|(tenant, name)| Step::Unhold(tenant, name)),
        1 => ([1_u32..600, 1_u32..1_200, 1_u32..9_000], 1_u32..97, proptest::option::of(([1_u32..9, 1_u32..9], 0_u32..101)))
            .prop_map(|(limits, sync, shared)| Step::Set(limits, sync, shared)),
        1 => (0_usize..20).prop_map(Step::GiveBack),
        3 => (0_u64..900_000).prop_map(Step::Turn),
    ]
}

/// A tenant and the name of its reservation.
type Holder = (usize, u128);

/// A window as anybody would write it: charges by cell, and a sum over those that are kept.
#[derive(Default)]
struct Model {
    /// By key.
    buckets: HashMap<String, BTreeMap<i64, i64>>,
    /// When each lapses and what it holds, by key and by tenant and name.
    holds: HashMap<(String, Holder), (i64, i64)>,
    policies: i64,
}

impl Model {
    fn sum(&self, bucket: &Bucket, head: i64) -> i64 {
        let kept = i64::from(bucket.window.cells);
        self.buckets.get(&bucket.key).map_or(0, |cells| cells.range(head - kept + 1..).map(|(_, cost)| cost).sum())
    }

    fn held(&self, bucket: &Bucket, now: i64, counted: impl Fn(Holder) -> bool) -> i64 {
        let holds = self.holds.iter().filter(|((key, holder), _)| *key == bucket.key && counted(*holder));
        holds.filter(|(_, (until, _))| *until > now).map(|(_, (_, points))| points).sum()
    }

    /// Whether a class may take or hold so much: what others hold is no room for it, unless it is safety's.
    fn has_room(&self, (bucket, cost): &(Bucket, u32), class: Priority, holder: Holder, now: i64) -> bool {
        let held = if class == Priority::Safety { 0 } else { self.held(bucket, now, |other| other != holder) };
        let sum = self.sum(bucket, now / bucket.cell_ms()) + held + i64::from(*cost);
        bucket.cap(class).is_none_or(|cap| sum <= i64::from(cap))
    }

    fn use_hold(&mut self, bucket: &Bucket, holder: Holder, cost: i64, now: i64) {
        if let Some((until, points)) = self.holds.get_mut(&(bucket.key.clone(), holder)) {
            *points -= if *until > now { cost.min(*points) } else { 0 };
        }
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
            Step::Take(costs, class, tenant, name) => {
                taken.extend(take(&bench, &mut model, costs, (CLASSES[class], (tenant, name))).await?);
            }
            Step::Hold(costs, class, tenant, name, ms) => {
                hold(&bench, &mut model, costs, (CLASSES[class], (tenant, name)), ms).await?;
            }
            Step::Unhold(tenant, name) => unhold(&bench, &mut model, (tenant, name)).await,
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

fn id((tenant, name): Holder) -> ReservationId {
    let id = || ReservationId::of(&TENANTS[tenant].parse().unwrap(), Uuid::from_u128(name));
    if name == 0 { ReservationId::default() } else { id() }
}

fn demand(bench: &Bench, costs: [u32; 3], class: Priority, holder: Holder) -> Option<Demand> {
    let asked: Vec<(usize, u32)> = costs.into_iter().enumerate().filter(|(_, cost)| *cost > 0).collect();
    let charges = asked.iter().map(|(place, cost)| (bench.account(ADS[*place]), None, *cost));
    let demand = bench.rules.demand_of(&TENANTS[holder.0].parse().unwrap(), bench.app, class, charges);
    (!asked.is_empty()).then(|| Demand { reservation: Under::new(id(holder), Vec::new()), ..demand })
}

async fn hold(
    bench: &Bench,
    model: &mut Model,
    costs: [u32; 3],
    (class, holder): (Priority, Holder),
    ms: i64,
) -> Result<(), TestCaseError> {
    let Some(demand) = demand(bench, costs, class, holder) else { return Ok(()) };
    let now = bench.clock.load(Ordering::SeqCst);
    let limited: Vec<_> = demand.charges.iter().filter(|(bucket, _)| bucket.cap(class).is_some()).collect();
    let fits = limited.iter().all(|charge| model.has_room(charge, class, holder, now));
    let refusal = bench.store.hold(&demand, now + ms).await.unwrap();
    prop_assert_eq!(refusal.is_none(), fits);
    let replaced: Vec<&String> = limited.iter().map(|(bucket, _)| &bucket.key).collect();
    model.holds.retain(|(key, other), _| *other != holder || !replaced.contains(&key));
    if fits {
        for (bucket, points) in limited {
            model.holds.insert((bucket.key.clone(), holder), (now + ms, i64::from(*points)));
        }
    }
    same_held(bench, model, &demand, now).await
}

/// As it is done by whoever has the reservation: in all buckets where it may hold something.
async fn unhold(bench: &Bench, model: &mut Model, holder: Holder) {
    let keys: Vec<String> =
        model.holds.keys().filter(|(_, other)| *other == holder).map(|(key, _)| key.clone()).collect();
    let buckets: Vec<Bucket> =
        keys.iter().filter_map(|key| Scope::from_key(key)).map(|scope| bench.rules.bucket(scope, None)).collect();
    bench.store.unhold(bench.app, id(holder), &buckets).await.unwrap();
    model.holds.retain(|(_, other), _| *other != holder);
}

async fn same_held(bench: &Bench, model: &Model, demand: &Demand, now: i64) -> Result<(), TestCaseError> {
    let buckets: Vec<Bucket> = demand.charges.iter().map(|(bucket, _)| bucket.clone()).collect();
    for (bucket, standing) in buckets.iter().zip(bench.store.look(bench.app, &buckets).await.unwrap()) {
        prop_assert_eq!(standing.held, model.held(bucket, now, |_| true));
    }
    Ok(())
}

async fn take(
    bench: &Bench,
    model: &mut Model,
    costs: [u32; 3],
    (class, holder): (Priority, Holder),
) -> Result<Option<Taken>, TestCaseError> {
    let Some(demand) = demand(bench, costs, class, holder) else { return Ok(None) };
    let now = bench.clock.load(Ordering::SeqCst);
    let fits = demand.charges.iter().all(|charge| model.has_room(charge, class, holder, now));
    let outcome = bench.store.acquire(&demand).await.unwrap();
    prop_assert_eq!(matches!(outcome, Outcome::Admitted(_)), fits);
    let Outcome::Admitted(admission) = outcome else { return Ok(None) };
    let mut charged = Vec::new();
    for ((bucket, cost), (cell, sum)) in demand.charges.iter().zip(&admission.cells) {
        prop_assert_eq!(*cell, now / bucket.cell_ms());
        model.charge(bucket, *cell, i64::from(*cost));
        prop_assert_eq!(*sum, model.sum(bucket, *cell));
        model.use_hold(bucket, holder, i64::from(*cost), now);
        charged.push((*cell, i64::from(*cost)));
    }
    same_held(bench, model, &demand, now).await?;
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
