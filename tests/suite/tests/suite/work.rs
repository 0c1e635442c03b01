//! The steps of the main job, as a caller makes them.

use client::Client;
use harness::{DATASET, PAGE, request_id, within};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use proto::{
    audiences::v1::{
        Audience, CreateAudienceRequest, CreateMemberJobRequest, CustomerList, IdentifierForm, MemberJob, MemberMode,
        audience::Kind, create_audience_response,
    },
    campaigns::v1::{
        Ad, AdSet, BidStrategy, BillingEvent, Campaign, Creative, CreativeRef, GeoLocations, LinkData, ObjectStorySpec,
        Objective, OptimizationGoal, PromotedObject, Targeting, TargetingAutomation, UploadImageHeader,
        UploadImageRequest, upload_image_request::Part,
    },
    conversions::v1::{CustomData, Event, UserData},
    insights::v1::{Level, Query, TimeRange, query::Period},
    operations::v1::{Operation, operation::Outcome},
    plans::v1::{ApplyPlanRequest, CreatePlanRequest, Media, Plan},
};

pub(crate) const MUG: &[u8] = include_bytes!("../../../../deploy/demo/pictures/mug.png");

/// Follows an operation to its end.
pub(crate) async fn ended(client: &Client, operation: &Operation) -> Operation {
    within(&operation.name, client.wait(&operation.name, |_| {})).await.unwrap().unwrap()
}

/// Follows an operation to its end, which must be a good one.
pub(crate) async fn done(client: &Client, operation: Option<Operation>) -> Operation {
    let done = ended(client, &operation.unwrap()).await;
    assert!(matches!(done.outcome, Some(Outcome::Result(_))), "{done:?}");
    done
}

/// Uploads a picture in two parts; its hash.
pub(crate) async fn picture(client: &Client, account: &str) -> String {
    let header = UploadImageHeader {
        parent: account.to_owned(),
        file_name: "mug.png".to_owned(),
        bytes_total: i64::try_from(MUG.len()).unwrap(),
        request_id: request_id(),
        ..UploadImageHeader::default()
    };
    let chunks = MUG.chunks(MUG.len() / 2 + 1).map(|chunk| Part::Chunk(chunk.to_vec()));
    let parts = [Part::Header(header)].into_iter().chain(chunks).map(|part| UploadImageRequest { part: Some(part) });
    let parts: Vec<_> = parts.collect();
    let answer = client.media().upload_image(futures::stream::iter(parts)).await.unwrap().into_inner();
    answer.image.unwrap().hash
}

/// A campaign with two ad sets, each with an ad and its creative, tied together by temporary ids.
pub(crate) fn plan(name: &str, image_hash: &str) -> Plan {
    let one = |at: usize, country: &str| {
        let (ad_set, creative, ad) = (format!("-{at}1"), format!("-{at}2"), format!("-{at}3"));
        (
            self::ad_set(name, &ad_set, country),
            self::creative(name, &creative, country),
            Ad {
                temporary_id: Some(ad),
                name: Some(format!("{name} ad {country}")),
                adset_id: Some(ad_set),
                creative: Some(CreativeRef { creative_id: Some(creative), ..CreativeRef::default() }),
                ..Ad::default()
            },
        )
    };
    let (us, gb) = (one(1, "US"), one(2, "GB"));
    Plan {
        campaign: Some(Campaign { temporary_id: Some("-1".to_owned()), ..campaign(name) }),
        ad_sets: vec![us.0, gb.0],
        media: vec![Media { temporary_id: "-2".to_owned(), image_hash: image_hash.to_owned() }],
        creatives: vec![us.1, gb.1],
        ads: vec![us.2, gb.2],
        ..Plan::default()
    }
}

/// A campaign that Meta takes.
pub(crate) fn campaign(name: &str) -> Campaign {
    Campaign {
        name: Some(name.to_owned()),
        objective: Objective::OutcomeSales.into(),
        bid_strategy: BidStrategy::LowestCostWithoutCap.into(),
        daily_budget: Some(12_000),
        ..Campaign::default()
    }
}

/// An ad set that Meta takes; `-1` is the campaign's temporary id.
pub(crate) fn ad_set(name: &str, id: &str, country: &str) -> AdSet {
    AdSet {
        temporary_id: Some(id.to_owned()),
        name: Some(format!("{name} {country}")),
        campaign_id: Some("-1".to_owned()),
        billing_event: BillingEvent::Impressions.into(),
        optimization_goal: OptimizationGoal::OffsiteConversions.into(),
        targeting: Some(Targeting {
            geo_locations: Some(GeoLocations { countries: vec![country.to_owned()], ..GeoLocations::default() }),
            targeting_automation: Some(TargetingAutomation { advantage_audience: Some(0), ..Default::default() }),
            ..Targeting::default()
        }),
        promoted_object: Some(PromotedObject {
            pixel_id: Some(DATASET.trim_start_matches("datasets/").to_owned()),
            custom_event_type: Some("PURCHASE".to_owned()),
            ..PromotedObject::default()
        }),
        ..AdSet::default()
    }
}

/// A creative that Meta takes; `-2` is the picture's temporary id.
pub(crate) fn creative(name: &str, id: &str, country: &str) -> Creative {
    let link_data = LinkData {
        link: Some("https://shop.example.com/mug".to_owned()),
        message: Some(format!("For {country}")),
        image_hash: Some("-2".to_owned()),
        ..LinkData::default()
    };
    Creative {
        temporary_id: Some(id.to_owned()),
        name: Some(format!("{name} creative {country}")),
        object_story_spec: Some(ObjectStorySpec {
            page_id: Some(PAGE.to_owned()),
            link_data: Some(link_data),
            ..ObjectStorySpec::default()
        }),
        ..Creative::default()
    }
}

/// Stores a plan.
pub(crate) async fn stored(client: &Client, account: &str, plan: Plan) -> Plan {
    let request = create_plan(account, plan);
    client.plans().create_plan(request).await.unwrap().into_inner().plan.unwrap()
}

pub(crate) fn create_plan(account: &str, plan: Plan) -> CreatePlanRequest {
    CreatePlanRequest { parent: account.to_owned(), plan: Some(plan), request_id: request_id(), validate_only: false }
}

/// Applies a plan; its operation, which is under way.
pub(crate) async fn apply(client: &Client, plan: &Plan) -> Option<Operation> {
    let request = ApplyPlanRequest {
        name: plan.name.clone(),
        etag: plan.etag.clone(),
        request_id: request_id(),
        validate_only: false,
    };
    client.plans().apply_plan(request).await.unwrap().into_inner().operation
}

pub(crate) fn create_audience(account: &str, name: &str) -> CreateAudienceRequest {
    CreateAudienceRequest {
        parent: account.to_owned(),
        audience: Some(Audience {
            name: Some(name.to_owned()),
            kind: Some(Kind::CustomerList(CustomerList { customer_file_source: "USER_PROVIDED_ONLY".to_owned() })),
            ..Audience::default()
        }),
        request_id: request_id(),
        validate_only: false,
    }
}

/// Makes an audience.
pub(crate) async fn audience(client: &Client, account: &str, name: &str) -> Audience {
    let answer = client.audiences().create_audience(create_audience(account, name)).await.unwrap().into_inner();
    match answer.outcome.unwrap() {
        create_audience_response::Outcome::Audience(audience) => audience,
        create_audience_response::Outcome::Operation(operation) => panic!("not made at once: {operation:?}"),
    }
}

/// Opens an upload of people as they are written.
pub(crate) async fn member_job(client: &Client, audience: &Audience) -> MemberJob {
    let request = CreateMemberJobRequest {
        audience: audience.resource_name.clone(),
        mode: MemberMode::Add.into(),
        identifiers: IdentifierForm::Raw.into(),
        request_id: request_id(),
        validate_only: false,
    };
    client.members().create_member_job(request).await.unwrap().into_inner().job.unwrap()
}

/// A purchase so many hours ago.
pub(crate) fn purchase(event_id: &str, email: &str, hours_ago: i64) -> Event {
    let time = now() - hours_ago.hours();
    Event {
        event_name: "Purchase".to_owned(),
        event_time: Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 }),
        event_id: event_id.to_owned(),
        action_source: "other".to_owned(),
        user_data: Some(UserData { em: vec![email.to_owned()], ..UserData::default() }),
        custom_data: Some(CustomData {
            value: Some("12.50".to_owned()),
            currency: "USD".to_owned(),
            ..CustomData::default()
        }),
        ..Event::default()
    }
}

/// Spend and impressions of the last seven whole days, a row per campaign and day.
pub(crate) fn last_week() -> Query {
    let until = now().to_zoned(TimeZone::UTC).date().yesterday().unwrap();
    let since = until - 6.days();
    Query {
        level: Level::Campaign.into(),
        fields: ["campaign_id", "spend", "impressions", "clicks"].map(str::to_owned).to_vec(),
        period: Some(Period::TimeRange(TimeRange { since: since.to_string(), until: until.to_string() })),
        time_increment: Some("1".to_owned()),
        ..Query::default()
    }
}

#[expect(clippy::disallowed_methods, reason = "the sandbox runs on the machine's clock, and so does this")]
fn now() -> Timestamp {
    Timestamp::now()
}
