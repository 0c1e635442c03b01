//! The use cases over a real PostgreSQL, against a small Meta that refuses, loses and delays on demand.

pub(crate) mod house;
mod lost;
mod meta;
mod requests;

use prost::Message;
use proto::campaigns::v1::{Campaign, Objective};
use proto::operations::v1::{Operation, operation::Outcome as Ended};
use proto::plans::v1::{ApplyPlanResult, PlanState, StepState};
use uuid::Uuid;

use crate::{
    creates::Asked, error::Error, freshness::Wanted, mirror, mutation::Outcome, objects::Which, once::Once,
    plan::samples, store::objects::Listing,
};
use graph::objects::Kind;
use house::{ACCOUNT, House};
use meta::Fault;

fn campaign(name: &str) -> Campaign {
    let mut campaign = Campaign { name: Some(name.to_owned()), ..Campaign::default() };
    campaign.set_objective(Objective::OutcomeSales);
    campaign
}

fn asked(request: Uuid) -> Asked {
    Asked { account: ACCOUNT, request, validate_only: false }
}

/// A request of its own.
fn once(method: &'static str) -> Once {
    Once::new(Uuid::new_v4(), method, &())
}

async fn create(house: &House, request: Uuid, name: &str) -> Result<Outcome, Error> {
    let created = house.context.create_campaign(&house.caller, asked(request), campaign(name)).await;
    created.map(|(outcome, _)| outcome.unwrap())
}

fn made(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Made(graph) => mirror::number(&graph, "id").unwrap(),
        Outcome::Looking(operation) => panic!("{operation:?}"),
    }
}

fn looking(outcome: Outcome) -> Operation {
    match outcome {
        Outcome::Looking(operation) => *operation,
        Outcome::Made(graph) => panic!("{graph}"),
    }
}

#[tokio::test]
async fn a_campaign_is_made_once_however_often_it_is_asked_for() {
    let house = House::open().await;
    let request = Uuid::new_v4();
    let first = made(create(&house, request, "Summer").await.unwrap());
    let again = made(create(&house, request, "Summer").await.unwrap());
    assert_eq!(first, again);
    assert!(matches!(create(&house, request, "Winter").await, Err(Error::RequestIdReused(_))));
    assert_eq!(house.meta.all("campaigns").len(), 1);
    assert_eq!(mirror::text(&house.meta.all("campaigns")[0], "status"), "PAUSED");
    let entries = house.audit().await;
    // The label of the week is made at Meta too, once.
    let [(label, _), campaign] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(label, "ad_label.create");
    assert_eq!(*campaign, ("campaign.create".to_owned(), format!("adAccounts/act_1/campaigns/{first}")));
}

#[tokio::test]
async fn validate_only_asks_meta_and_makes_nothing() {
    let house = House::open().await;
    let asked = Asked { validate_only: true, ..asked(Uuid::new_v4()) };
    let (outcome, _) = house.context.create_campaign(&house.caller, asked, campaign("Summer")).await.unwrap();
    assert!(outcome.is_none());
    assert_eq!(house.meta.all("campaigns").len(), 0);
    assert_eq!(house.meta.count("POST campaigns"), 1);
}

#[tokio::test]
async fn a_bad_campaign_never_reaches_meta() {
    let house = House::open().await;
    let bad = Campaign::default();
    let result = house.context.create_campaign(&house.caller, asked(Uuid::new_v4()), bad).await;
    assert!(matches!(result, Err(Error::Invalid(violations)) if violations.len() == 2));
    assert_eq!(house.meta.calls(), 0);
}

#[tokio::test]
async fn what_meta_refuses_can_be_corrected_under_the_same_request() {
    let house = House::open().await;
    let request = Uuid::new_v4();
    house.meta.next("campaigns", Fault::Refuse);
    let refused = create(&house, request, "Summer").await.unwrap_err();
    let status = tonic::Status::from(refused);
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    made(create(&house, request, "Summer too").await.unwrap());
    assert_eq!(house.meta.all("campaigns").len(), 1);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_and_not_sent_again() {
    let house = House::open().await;
    let request = Uuid::new_v4();
    house.meta.next("campaigns", Fault::LoseAnswer);
    let operation = looking(create(&house, request, "Summer").await.unwrap());
    // A repeat continues the same intent, and another request for the same thing waits.
    assert_eq!(looking(create(&house, request, "Summer").await.unwrap()).name, operation.name);
    let other = create(&house, Uuid::new_v4(), "Summer").await;
    assert!(matches!(other, Err(Error::InFlight(_))), "{other:?}");
    house.work();
    let ended = house.ended(&operation.name).await;
    let Some(Ended::Result(any)) = ended.outcome else { panic!("{ended:?}") };
    let found = Campaign::decode(any.value.as_slice()).unwrap();
    assert_eq!(found.name.as_deref(), Some("Summer"));
    assert_eq!(house.meta.all("campaigns").len(), 1);
    assert_eq!(house.meta.count("POST campaigns"), 1);
}

#[tokio::test]
async fn absence_is_concluded_in_time_and_a_late_twin_is_deleted() {
    let house = House::open().await;
    house.meta.next("campaigns", Fault::CommitLate);
    let operation = looking(create(&house, Uuid::new_v4(), "Summer").await.unwrap());
    house.work();
    let ended = house.ended(&operation.name).await;
    let Some(Ended::Error(error)) = ended.outcome else { panic!("{ended:?}") };
    assert_eq!(error.reason, "META_UNAVAILABLE");
    house.meta.commit_late();
    assert_eq!(house.meta.all("campaigns").len(), 1);
    house.sweep_now().await;
    assert_eq!(house.meta.all("campaigns").len(), 0);
    assert!(house.audit().await.iter().any(|(action, _)| action == "campaign.delete_late_twin"));
}

#[tokio::test]
async fn what_a_dead_replica_was_sending_is_looked_for() {
    let house = House::open().await;
    house.meta.next("campaigns", Fault::Hang);
    let (context, caller) = (house.context.clone(), house.caller.clone());
    let request = Uuid::new_v4();
    let sending = async { context.create_campaign(&caller, asked(request), campaign("Summer")).await.map(drop) };
    // The task that sends is aborted with its runtime in a real kill; here its row is what is left.
    assert!(tokio::time::timeout(std::time::Duration::from_millis(1500), sending).await.is_err());
    house.age_intents().await;
    house.context.sweep().await.unwrap();
    house.work();
    let operation = house.only_operation().await;
    let ended = house.ended(&operation).await;
    assert!(matches!(ended.outcome, Some(Ended::Result(_))), "{ended:?}");
    assert_eq!(house.meta.all("campaigns").len(), 1);
}

#[tokio::test]
async fn a_list_shows_what_was_not_made_here_and_pages_by_key() {
    let house = House::open().await;
    for name in ["a", "b", "c"] {
        house.meta.put("campaigns", name);
    }
    let listing = Listing { size: 2, ..Listing::default() };
    let tenant = &house.caller.tenant;
    let first = house.context.list(tenant, ACCOUNT, Kind::Campaign, &listing, &Wanted::Stored).await.unwrap();
    let names: Vec<_> = first.value.iter().map(|row| mirror::text(&row.graph, "name").to_owned()).collect();
    assert_eq!(names, ["c", "b"]);
    let below = mirror::number(&first.value[1].graph, "id");
    let listing = Listing { size: 2, below, ..Listing::default() };
    let second = house.context.list(tenant, ACCOUNT, Kind::Campaign, &listing, &Wanted::Stored).await.unwrap();
    assert_eq!(second.value.len(), 1);
    assert_eq!(house.meta.count("GET campaigns"), 1);
    let other = "other".parse().unwrap();
    let id = mirror::number(&first.value[0].graph, "id").unwrap();
    assert!(house.context.store.object(&other, ACCOUNT, Kind::Campaign, id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_pause_is_written_through_and_an_update_needs_what_the_caller_saw() {
    let house = House::open().await;
    let id = made(create(&house, Uuid::new_v4(), "Summer").await.unwrap());
    let which = Which { account: ACCOUNT, kind: Kind::Campaign, id };
    let graph = house.context.pause(&house.caller, which, "too dear".to_owned(), None, false).await.unwrap();
    assert_eq!(mirror::text(&graph, "status"), "PAUSED");
    let stale = Campaign { etag: "old".to_owned(), ..campaign("Autumn") };
    let mask = || vec!["name".to_owned()];
    let update =
        |campaign| house.context.update_campaign(&house.caller, which, campaign, mask(), once("update"), false);
    assert!(matches!(update(stale).await, Err(Error::EtagMismatch { .. })));
    let graph = update(campaign("Autumn")).await.unwrap();
    assert_eq!(mirror::text(&graph, "name"), "Autumn");
    let remove = |name: &str| {
        let given = (String::new(), name.to_owned());
        house.context.remove(&house.caller, which, given, once("delete"), false)
    };
    assert!(matches!(remove("Summer").await, Err(Error::Invalid(_))));
    remove("Autumn").await.unwrap();
    assert_eq!(house.meta.all("campaigns").len(), 0);
}

#[tokio::test]
async fn a_plan_is_applied_whole_and_reads_back() {
    let house = House::open().await;
    house.meta.put_image(samples::HASH);
    let plan = house.store_plan(samples::plan()).await;
    assert_eq!(house.meta.count("POST"), 0);
    let operation = house.apply(&plan).await;
    house.work();
    let ended = house.ended(&operation).await;
    let Some(Ended::Result(any)) = &ended.outcome else { panic!("{ended:?}") };
    let result = ApplyPlanResult::decode(any.value.as_slice()).unwrap();
    let ids: Vec<_> = result.created.iter().map(|created| created.temporary_id.as_str()).collect();
    assert_eq!(ids, ["-1", "-2", "-3", "-5", "-6", "-7"]);
    assert_eq!(result.differences, []);
    let shown = house.plan(&plan).await;
    assert_eq!(shown.state(), PlanState::Applied);
    assert!(shown.steps.iter().all(|step| step.state() == StepState::Done));
    let metadata = ended.metadata.unwrap();
    assert_eq!((metadata.steps_done, metadata.steps_total), (8, 8));
    // Again makes nothing more.
    let before = house.meta.count("POST");
    let again = house.ended(&house.apply(&plan).await).await;
    assert!(matches!(again.outcome, Some(Ended::Result(_))));
    assert_eq!(house.meta.count("POST"), before);
}

#[tokio::test]
async fn a_half_applied_plan_names_what_was_made_and_goes_on() {
    let house = House::open().await;
    house.meta.put_image(samples::HASH);
    let plan = house.store_plan(samples::plan()).await;
    house.meta.next("adcreatives", Fault::Refuse);
    house.work();
    let ended = house.ended(&house.apply(&plan).await).await;
    let Some(Ended::Error(error)) = ended.outcome else { panic!("{ended:?}") };
    assert_eq!(error.reason, "META_REJECTED_FIELD");
    assert!(error.message.contains("made before"), "{}", error.message);
    assert_eq!(error.field_violations[0].field, "plan.creatives[0].name");
    assert_eq!(house.plan(&plan).await.state(), PlanState::Partial);
    let ended = house.ended(&house.apply(&plan).await).await;
    assert!(matches!(ended.outcome, Some(Ended::Result(_))), "{ended:?}");
    for (edge, count) in [("campaigns", 1), ("adsets", 2), ("adcreatives", 1), ("ads", 2)] {
        assert_eq!(house.meta.all(edge).len(), count, "{edge}");
    }
}

#[tokio::test]
async fn a_batch_of_a_plan_whose_answer_was_lost_is_found_item_by_item() {
    let house = House::open().await;
    house.meta.put_image(samples::HASH);
    let plan = house.store_plan(samples::plan()).await;
    house.meta.next("batch", Fault::LoseAnswer);
    house.meta.next("adsets", Fault::LoseAnswer);
    house.work();
    let ended = house.ended(&house.apply(&plan).await).await;
    assert!(matches!(ended.outcome, Some(Ended::Result(_))), "{ended:?}");
    for (edge, count) in [("campaigns", 1), ("adsets", 2), ("adcreatives", 1), ("ads", 2)] {
        assert_eq!(house.meta.all(edge).len(), count, "{edge}");
    }
}

#[tokio::test]
async fn a_plan_without_its_picture_makes_nothing() {
    let house = House::open().await;
    let plan = house.store_plan(samples::plan()).await;
    house.work();
    let ended = house.ended(&house.apply(&plan).await).await;
    let Some(Ended::Error(error)) = ended.outcome else { panic!("{ended:?}") };
    assert_eq!(error.field_violations[0].field, "plan.media[0].image_hash");
    assert!(error.message.contains("nothing was made"), "{}", error.message);
    assert_eq!(house.meta.all("campaigns").len(), 0);
}

#[tokio::test]
async fn an_upload_in_parts_goes_to_meta_once_it_is_whole() {
    let house = House::open().await;
    let content = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 90]].concat();
    let announced = crate::media::Announced {
        account: ACCOUNT,
        file_name: "shoe.png".to_owned(),
        sha256: Vec::new(),
        bytes_total: 98,
    };
    let id = Uuid::new_v4();
    let upload = house.context.create_upload(&house.caller, announced, id, false).await.unwrap();
    assert_eq!(upload.next_offset, 0);
    let append = async |from: usize, to: usize| {
        let offset = i64::try_from(from).unwrap();
        house.context.append_upload(&house.caller, ACCOUNT, id, offset, &content[from..to], false).await
    };
    assert_eq!(append(0, 50).await.unwrap().next_offset, 50);
    assert_eq!(append(0, 50).await.unwrap().next_offset, 50);
    assert!(matches!(append(60, 98).await, Err(Error::Invalid(_))));
    let image = append(50, 98).await.unwrap().image.unwrap();
    assert_eq!(image.hash.len(), 32);
    assert_eq!(append(50, 98).await.unwrap().image.unwrap(), image);
    assert_eq!(house.meta.count("POST adimages"), 1);
}
