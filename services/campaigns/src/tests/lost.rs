//! What is lost: looked for, named, and never taken for somebody else's.

use std::time::Duration;

use proto::operations::v1::operation::Outcome as Ended;
use proto::plans::v1::{PlanState, StepState};
use tokio::time::timeout;
use uuid::Uuid;
use vocabulary::names;

use super::{asked, campaign, create, house::House, looking, made, meta::Fault};
use crate::{error::Error, looking::Looked, mirror, mutation::Outcome, plan::samples, settings::Marker};

/// An ad set of this name beneath a campaign, made here.
async fn create_ad_set(house: &House, parent: u64, name: &str) -> Outcome {
    let mut ad_set = samples::ad_set("", name, 1000);
    (ad_set.temporary_id, ad_set.campaign_id) = (None, Some(parent.to_string()));
    let created = house.context.create_ad_set(&house.caller, asked(Uuid::new_v4()), ad_set);
    Box::pin(created).await.unwrap().0.unwrap()
}

#[tokio::test]
async fn an_ad_set_of_a_person_is_neither_adopted_nor_deleted() {
    let house = House::open().await;
    let parent = made(create(&house, Uuid::new_v4(), "Summer").await.unwrap());
    house.meta.put_beneath("adsets", ("campaign_id", parent), "US");
    house.meta.next("adsets", Fault::CommitLate);
    let operation = looking(create_ad_set(&house, parent, "US").await);
    house.work();
    let ended = house.ended(&operation.name).await;
    assert!(matches!(ended.outcome, Some(Ended::Error(_))), "{ended:?}");
    house.sweep_now().await;
    assert_eq!(house.meta.all("adsets").len(), 1);
}

#[tokio::test]
async fn nothing_is_deleted_by_its_name_alone() {
    let house = House::open_with(|settings| settings.marker = Marker::Name).await;
    house.meta.next("campaigns", Fault::CommitLate);
    let operation = looking(create(&house, Uuid::new_v4(), "Summer").await.unwrap());
    house.work();
    assert!(matches!(house.ended(&operation.name).await.outcome, Some(Ended::Error(_))));
    house.meta.commit_late();
    house.sweep_now().await;
    assert_eq!(house.meta.all("campaigns").len(), 1);
}

#[tokio::test]
async fn the_sweep_spares_the_successor_of_what_was_not_made() {
    let house = House::open().await;
    house.meta.next("campaigns", Fault::CommitLate);
    let operation = looking(create(&house, Uuid::new_v4(), "Summer").await.unwrap());
    house.work();
    assert!(matches!(house.ended(&operation.name).await.outcome, Some(Ended::Error(_))));
    house.meta.next("campaigns", Fault::Hang);
    let again = create(&house, Uuid::new_v4(), "Summer");
    assert!(timeout(Duration::from_millis(1500), again).await.is_err());
    assert_eq!(house.meta.all("campaigns").len(), 1);
    house.sweep_now().await;
    assert_eq!(house.meta.all("campaigns").len(), 1);
}

#[tokio::test]
async fn a_create_settles_from_when_its_answer_was_lost() {
    let house = House::open_with(|settings| settings.settle_seconds = 600).await;
    let request = Uuid::new_v4();
    house.meta.next("campaigns", Fault::CommitLate);
    looking(create(&house, request, "Summer").await.unwrap());
    // The row said `sending` an hour before the permit came.
    house.sql("UPDATE intents SET sent_at = sent_at - interval '1 hour'").await;
    let tenant = &house.caller.tenant;
    for _ in 0..4 {
        let intent = house.context.store.intent_of_request(tenant, request).await.unwrap().unwrap();
        let looked = house.context.look(&intent).await.unwrap();
        assert!(matches!(looked, Looked::Again(_)), "{looked:?}");
    }
    house.sql("UPDATE intents SET lost_at = lost_at - interval '1 hour'").await;
    let intent = house.context.store.intent_of_request(tenant, request).await.unwrap().unwrap();
    assert!(matches!(house.context.look(&intent).await.unwrap(), Looked::Absent(_)));
}

#[tokio::test]
async fn a_create_whose_permit_never_comes_was_never_said_to_be_sent() {
    let house = House::open().await;
    made(create(&house, Uuid::new_v4(), "Spring").await.unwrap());
    house.priorities();
    let held = house.permits.lock().await;
    let asked = async {
        while house.priorities().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let summer = Uuid::new_v4();
    let mut waiting = std::pin::pin!(create(&house, summer, "Summer"));
    tokio::select! {
        outcome = &mut waiting => panic!("made without a permit: {outcome:?}"),
        () = asked => {}
    }
    assert_eq!((house.intents(&["prepared"]).await, house.intents(&["sending"]).await), (1, 0));
    // Its replica died: what was not sent is forgotten, and nobody looks for it.
    house.age_intents().await;
    house.context.sweep().await.unwrap();
    assert_eq!(house.intents(&["prepared", "sending", "unknown"]).await, 0);
    // It was only slow: the permit comes when the row is another's, and nothing is sent.
    drop(held);
    let late = waiting.await;
    assert!(matches!(late, Err(Error::InFlight(_))), "{late:?}");
    assert_eq!(house.meta.count("POST campaigns"), 1);
}

#[tokio::test]
async fn a_look_that_never_works_ends_and_says_that_nobody_knows() {
    let house = House::open_with(|settings| settings.sweep_seconds = 0).await;
    house.meta.next("campaigns", Fault::LoseAnswer);
    house.meta.close("campaigns", true);
    let operation = looking(create(&house, Uuid::new_v4(), "Summer").await.unwrap());
    house.work();
    let ended = house.ended(&operation.name).await;
    let Some(Ended::Error(error)) = ended.outcome else { panic!("{ended:?}") };
    assert_eq!(error.reason, "OUTCOME_UNKNOWN");
    assert_eq!(house.intents(&["unknown"]).await, 0);
}

/// Somebody asks for an end.
fn stop() -> storage::audit::Entry<'static> {
    storage::audit::Entry {
        tenant: "acme",
        actor: "callers/ada",
        action: rpc::CANCEL,
        resource: "operations/1",
        request_id: None,
        detail: serde_json::json!({}),
    }
}

#[tokio::test]
async fn a_cancelled_plan_ends_once_it_is_sure_what_was_made() {
    let house = House::open_with(|settings| settings.settle_seconds = 3).await;
    house.meta.put_image(samples::HASH);
    let plan = house.store_plan(samples::plan()).await;
    house.meta.next("adsets", Fault::CommitLate);
    let operation = house.apply(&plan).await;
    house.work();
    let lost = async {
        while house.intents(&["unknown"]).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), lost).await.unwrap();
    let id = names::operation(&operation).unwrap().id;
    house.context.store.operations.cancel(id, stop()).await.unwrap();
    let ended = house.ended(&operation).await;
    let Some(Ended::Error(error)) = ended.outcome else { panic!("{ended:?}") };
    assert_eq!(error.reason, "CANCELLED");
    assert_eq!(house.intents(&["prepared", "sending", "unknown"]).await, 0);
    assert!(error.message.contains("/campaigns/"), "{}", error.message);
}

#[tokio::test]
async fn a_plan_that_cannot_look_names_what_is_not_sure_and_the_sweep_finds_it() {
    let house = House::open().await;
    house.meta.put_image(samples::HASH);
    let plan = house.store_plan(samples::plan()).await;
    house.meta.next("campaigns", Fault::LoseAnswer);
    house.meta.close("campaigns", true);
    house.work();
    let ended = house.ended(&house.apply(&plan).await).await;
    let Some(Ended::Error(error)) = ended.outcome else { panic!("{ended:?}") };
    assert!(error.message.contains("campaign \"Summer\" (-1)"), "{}", error.message);
    assert!(!error.message.contains("nothing was made"), "{}", error.message);
    assert_eq!(house.plan(&plan).await.state(), PlanState::Partial);

    house.meta.close("campaigns", false);
    house.age_intents().await;
    house.context.sweep().await.unwrap();
    let found = async {
        while house.intents(&["done"]).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), found).await.unwrap();
    let shown = house.plan(&plan).await;
    let step = shown.steps.iter().find(|step| step.temporary_id == "-1").unwrap();
    assert_eq!(step.state(), StepState::Done);
    assert!(matches!(house.ended(&house.apply(&plan).await).await.outcome, Some(Ended::Result(_))));
    assert_eq!(house.meta.all("campaigns").len(), 1);
}

#[tokio::test]
async fn the_request_of_an_abandoned_answer_is_still_the_same_request() {
    let house = House::open().await;
    let request = Uuid::new_v4();
    house.meta.next("campaigns", Fault::Hang);
    let first = house.context.create_campaign(&house.caller, asked(request), campaign("Summer"));
    assert!(timeout(Duration::from_millis(1500), first).await.is_err());
    // As after a run whose database went away when it was to note what it had sent.
    house.context.store.requests.abandon("acme", request).await.unwrap();
    let other = create(&house, request, "Winter").await;
    assert!(matches!(other, Err(crate::error::Error::RequestIdReused(_))), "{other:?}");
    looking(create(&house, request, "Summer").await.unwrap());
    let names: Vec<_> = house.meta.all("campaigns").iter().map(|it| mirror::text(it, "name").to_owned()).collect();
    assert_eq!(names, ["Summer"]);
    assert_eq!(house.meta.count("POST campaigns"), 1);
}
