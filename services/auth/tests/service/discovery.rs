//! A connection that reaches thousands of things: all are found, in steps that go on where they failed.

use std::{collections::BTreeSet, time::Duration};

use prost::Message;
use proto::{
    auth::v1 as pb,
    operations::v1::{
        GetOperationRequest, Operation, operation::Outcome, operation_service_client::OperationServiceClient,
    },
};
use serde_json::json;

use crate::world::{First, Registered, World, bearing, uuid};

/// What the world has beside the three of world small.
const ACCOUNTS: u64 = 3_000;
const PAGES: u64 = 450;
/// Far more than anything takes, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_mins(10);

/// A Meta with thousands of ad accounts, and hundreds of pages.
async fn large() -> World {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let named = |first: u64, count: u64| -> Vec<_> {
        (0..count).map(|n| json!({ "id": (first + n).to_string(), "name": format!("Number {n}") })).collect()
    };
    let plan = json!({
        "accounts": (0..ACCOUNTS).map(|n| json!({ "id": format!("act_{}", 1_000_000_100_000 + n) })).collect::<Vec<_>>(),
        "pages": named(3_000_000_001_000, PAGES),
        "datasets": named(2_000_000_001_000, 5),
    });
    std::fs::write(file.path(), plan.to_string()).unwrap();
    let options = sandbox::Options { world: sandbox::World::File(file.path().to_owned()), ..Default::default() };
    // The file is read when the sandbox begins to answer, which is before the first caller is there.
    let world = World::at(options, |_| {}).await;
    world.asked(|_| true).await;
    drop(file);
    world
}

async fn operation(world: &World, first: &First, name: &str) -> Operation {
    let get = bearing(&first.caller, GetOperationRequest { name: name.to_owned() });
    OperationServiceClient::new(world.pool()).get_operation(get).await.unwrap().into_inner().operation.unwrap()
}

/// Waits until an operation is as it should be.
async fn until(world: &World, first: &First, name: &str, wanted: impl Fn(&Operation) -> bool) -> Operation {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = operation(world, first, name).await;
        if wanted(&seen) {
            return seen;
        }
        assert!(!seen.done && tokio::time::Instant::now() < deadline, "it stays {seen:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The names of all assets of a kind, page by page.
async fn assets(world: &World, first: &First, kind: pb::AssetKind) -> BTreeSet<String> {
    let (mut names, mut page_token) = (BTreeSet::new(), String::new());
    loop {
        let list = pb::ListAssetsRequest { kind: kind.into(), page_size: 1_000, page_token };
        let page = world.connections().list_assets(bearing(&first.caller, list)).await.unwrap().into_inner();
        let count = page.assets.len();
        let before = names.len();
        names.extend(page.assets.into_iter().map(|asset| asset.name));
        assert_eq!(names.len(), before + count, "each once");
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

fn count(names: &BTreeSet<String>) -> i64 {
    i64::try_from(names.len()).unwrap()
}

fn result(operation: Operation) -> pb::DiscoverAssetsResult {
    let Some(Outcome::Result(result)) = operation.outcome else { panic!("{operation:#?}") };
    pb::DiscoverAssetsResult::decode(result.value.as_slice()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_are_all_found_and_a_limit_on_the_way_costs_one_step() {
    let world = large().await.registered().await;
    // In the middle of it Meta sets a limit.
    let limit = json!({ "error": { "code": 17, "subcode": 2_446_079, "message": "User request limit reached" } });
    let matcher = json!({ "path": "adspixels", "nth": 1_250 });
    world.0.control("faults", &json!({ "matcher": matcher, "action": limit })).await;
    let (world, first, imported) = world.imported().await;
    let connection = imported.connection.unwrap().name;
    let listed = imported.assets.unwrap();
    let (all, pages) = (i64::try_from(ACCOUNTS).unwrap() + 3, i64::try_from(PAGES).unwrap() + 1);
    assert_eq!((listed.ad_accounts, listed.claimed_total, listed.taken_total), (all, all, 0));
    assert_eq!(listed.claimed_ad_accounts.len(), 1_000, "as many as an answer holds");
    assert!(listed.operation.starts_with("operations/auth-"), "nobody waits for the look into each");

    let waits = |seen: &Operation| seen.metadata.as_ref().is_some_and(|metadata| metadata.waiting_on == "meta");
    let waiting = until(&world, &first, &listed.operation, waits).await.metadata.unwrap();
    assert!(waiting.phase.contains("Meta limits how much we may ask"), "{}", waiting.phase);
    assert_eq!((waiting.steps_done, waiting.steps_total), (1_200, all));
    assert!(waiting.quota_until.is_some());
    // What was stored stands while it waits.
    assert_eq!(count(&assets(&world, &first, pb::AssetKind::AdAccount).await), all);
    assert_eq!(count(&assets(&world, &first, pb::AssetKind::Page).await), pages);

    let due = "UPDATE operations SET due_at = clock_timestamp() WHERE NOT done AND NOT running";
    assert_eq!(world.postgres().await.execute(due, &[]).await.unwrap(), 1);
    let found = result(until(&world, &first, &listed.operation, |seen| seen.done).await);
    assert_eq!((found.ad_accounts, found.pages, found.operation.as_str()), (all, pages, ""));
    assert_eq!(count(&assets(&world, &first, pb::AssetKind::AdAccount).await), all);
    let datasets = assets(&world, &first, pb::AssetKind::Dataset).await;
    assert_eq!(count(&datasets), found.datasets);
    assert!(datasets.contains(crate::world::DATASET), "{datasets:?}");
    let looks = world.asked(|line| line["path"].as_str().is_some_and(|path| path.contains("adspixels"))).await;
    assert!(looks <= 3_003 + 100, "it goes on where it was: {looks} looks");

    // A page that fails for good is told, and nothing of before is lost.
    let broken = json!({ "error": { "code": 100, "message": "Invalid cursors values" } });
    let matcher = json!({ "path": "me/adaccounts", "nth": 9 });
    world.control("faults", &json!({ "matcher": matcher, "action": broken })).await;
    let request = pb::DiscoverAssetsRequest { name: connection, request_id: uuid(), validate_only: false };
    let begun = world.connections().discover_assets(bearing(&first.caller, request)).await.unwrap().into_inner();
    let failed = until(&world, &first, &begun.operation.unwrap().name, |seen| seen.done).await;
    let Some(Outcome::Error(error)) = failed.outcome else { panic!("{failed:#?}") };
    assert!(error.message.contains("Invalid cursors values"), "{error:?}");
    assert_eq!(count(&assets(&world, &first, pb::AssetKind::AdAccount).await), all);
    assert_eq!(assets(&world, &first, pb::AssetKind::Dataset).await, datasets);
}
