//! The script against a model: random demands, releases and steps of time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const ADS: [&str; 3] = ["ads_management", "ads_insights", "custom_audience"];
const CLASSES: [Priority; 3] = [Priority::Safety, Priority::Interactive, Priority::Sync];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Per bucket a cost, 0 for none; and the class.
    Take([u32; 3], usize),
    GiveBack(usize),
    Turn(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => ([0_u32..90, 0_u32..180, 0_u32..1_500], 0_usize..3).prop_map(|(costs, class)| Step::Take(costs, class)),
        1 => (0_usize..20).prop_map(Step::GiveBack),
        3 => (0_u64..900_000).prop_map(Step::Turn),
    ]
}

/// A window as anybody would write it: charges by cell, and a sum over those that are kept.
#[derive(Default)]
struct Model {
    buckets: [BTreeMap<i64, i64>; 3],
}

impl Model {
    fn sum(&self, bucket: usize, head: i64, kept: i64) -> i64 {
        self.buckets[bucket].range(head - kept + 1..).map(|(_, cost)| cost).sum()
    }

    fn charge(&mut self, bucket: usize, cell: i64, cost: i64) {
        *self.buckets[bucket].entry(cell).or_default() += cost;
    }
}

struct Taken {
    permit: Permit,
    buckets: Vec<Bucket>,
    /// Bucket, cell, cost.
    charged: Vec<(usize, i64, i64)>,
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
            Step::Take(costs, class) => taken.extend(take(&bench, &mut model, costs, CLASSES[class]).await?),
        }
    }
    Ok(())
}

async fn take(
    bench: &Bench,
    model: &mut Model,
    costs: [u32; 3],
    class: Priority,
) -> Result<Option<Taken>, TestCaseError> {
    let asked: Vec<(usize, u32)> = costs.into_iter().enumerate().filter(|(_, cost)| *cost > 0).collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let charges = asked.iter().map(|(place, cost)| (bench.account(ADS[*place]), None, *cost));
    let demand = bench.rules.demand(bench.app, class, charges);
    let place_of = |bucket: &Bucket| ADS.iter().position(|word| *word == bucket.scope.use_case).unwrap();
    let now = bench.clock.load(Ordering::SeqCst);
    let fits = demand.charges.iter().all(|(bucket, cost)| {
        let cap = i64::from(bucket.ceiling.cap(class).unwrap());
        let head = now / bucket.cell_ms();
        model.sum(place_of(bucket), head, i64::from(bucket.window.cells)) + i64::from(*cost) <= cap
    });
    let outcome = bench.store.acquire(&demand).await.unwrap();
    prop_assert_eq!(matches!(outcome, Outcome::Admitted(_)), fits);
    let Outcome::Admitted(admission) = outcome else { return Ok(None) };
    let mut charged = Vec::new();
    for ((bucket, cost), (cell, sum)) in demand.charges.iter().zip(&admission.cells) {
        let place = place_of(bucket);
        prop_assert_eq!(*cell, now / bucket.cell_ms());
        model.charge(place, *cell, i64::from(*cost));
        prop_assert_eq!(*sum, model.sum(place, *cell, i64::from(bucket.window.cells)));
        charged.push((place, *cell, i64::from(*cost)));
    }
    let permit = counter::permit(&demand, &admission);
    let buckets = demand.charges.into_iter().map(|(bucket, _)| bucket).collect();
    Ok(Some(Taken { permit, buckets, charged, given_back: false }))
}

async fn give_back(bench: &Bench, model: &mut Model, taken: Option<&mut Taken>) -> Result<(), TestCaseError> {
    let Some(taken) = taken else { return Ok(()) };
    let now = bench.clock.load(Ordering::SeqCst);
    let kept = |bucket: &Bucket, cell: i64| cell > now / bucket.cell_ms() - i64::from(bucket.window.cells);
    let in_window = taken.buckets.iter().zip(&taken.charged).any(|(bucket, (_, cell, _))| kept(bucket, *cell));
    let released = bench.store.release(&taken.permit, &taken.buckets).await.unwrap();
    prop_assert_eq!(released, in_window && !taken.given_back);
    if released {
        for (place, cell, cost) in &taken.charged {
            model.charge(*place, *cell, -cost);
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
