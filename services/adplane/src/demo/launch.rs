//! Launching the campaign: pictures up, the plan shown as a diff, then made, PAUSED.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use prost::Message;
use proto::{
    campaigns::v1::{
        Ad, AdSet, BidStrategy, BillingEvent, CallToAction, CallToActionValue, Campaign, Creative, CreativeRef,
        GeoLocations, LinkData, ObjectStorySpec, Objective, OptimizationGoal, PromotedObject, Targeting,
        TargetingAutomation, UploadImageHeader, UploadImageRequest, upload_image_request::Part,
    },
    plans::v1::{
        ApplyPlanRequest, ApplyPlanResult, CreatePlanRequest, DiffPlanRequest, DiffPlanResponse, GetPlanRequest, Media,
        NodeKind, Plan,
    },
};
use vocabulary::{Currency, Money};

use super::{
    OperationFailed, Target,
    brief::{self, Brief, Picture},
    made::Made,
    step::Step,
};

/// How much of a picture goes in one message.
const CHUNK_BYTES: usize = 256 << 10;
/// Stands for every picture until they are uploaded; while a plan is only checked, a hash has to look like one.
const PLACEHOLDER_HASH: &str = "00000000000000000000000000000000";

/// What was launched.
pub(crate) struct Launched {
    /// With every step's state and resource.
    pub(crate) plan: Plan,
    pub(crate) result: ApplyPlanResult,
}

/// Has the service check the plan by all of Meta's rules that it knows. Nothing is stored, nothing reaches Meta.
pub(crate) async fn check(target: &Target, brief: &Brief) -> Result<()> {
    let hashes = vec![PLACEHOLDER_HASH.to_owned(); brief.ads().count()];
    let request = CreatePlanRequest {
        parent: target.account(),
        plan: Some(plan(target, brief, &hashes)?),
        request_id: String::new(),
        validate_only: true,
    };
    target.client.plans().create_plan(request).await.map_err(|status| brief.refused(status))?;
    Ok(())
}

/// Uploads the pictures; the hashes come in the order of the ads.
pub(crate) async fn upload(
    target: &Target,
    pictures: Vec<Picture>,
    step: &Step,
    made: &mut Made,
) -> Result<Vec<String>> {
    step.length(pictures.len());
    let mut hashes = Vec::with_capacity(pictures.len());
    for picture in pictures {
        let header = UploadImageHeader {
            parent: target.account(),
            file_name: picture.file_name.clone(),
            sha256: Vec::new(),
            bytes_total: i64::try_from(picture.content.len())?,
            request_id: uuid::Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let mut parts = vec![UploadImageRequest { part: Some(Part::Header(header)) }];
        parts.extend(
            picture
                .content
                .chunks(CHUNK_BYTES)
                .map(|chunk| UploadImageRequest { part: Some(Part::Chunk(chunk.to_vec())) }),
        );
        let answer = target.client.media().upload_image(futures::stream::iter(parts)).await;
        let image = answer.with_context(|| format!("the picture {}", picture.file_name))?.into_inner().image;
        let hash = image.map(|image| image.hash).unwrap_or_default();
        made.add(format!("picture {hash} ({})", picture.file_name));
        hashes.push(hash);
        step.advance(1);
    }
    Ok(hashes)
}

/// Stores the plan and shows what applying it would change.
pub(crate) async fn propose(target: &Target, brief: &Brief, hashes: &[String]) -> Result<(Plan, DiffPlanResponse)> {
    let request = CreatePlanRequest {
        parent: target.account(),
        plan: Some(plan(target, brief, hashes)?),
        request_id: uuid::Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let plan = target.client.plans().create_plan(request).await?.into_inner().plan.unwrap_or_default();
    let diff = target.client.plans().diff_plan(DiffPlanRequest { name: plan.name.clone() }).await?;
    Ok((plan, diff.into_inner()))
}

/// Makes the plan and reads it back.
pub(crate) async fn apply(target: &Target, plan: &Plan, step: &Step, made: &mut Made) -> Result<Launched> {
    let request = ApplyPlanRequest {
        name: plan.name.clone(),
        etag: plan.etag.clone(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..ApplyPlanRequest::default()
    };
    let operation = target.client.plans().apply_plan(request).await?.into_inner().operation.unwrap_or_default();
    let done = target.client.wait(&operation.name, |operation| step.follow(operation)).await?;
    let plan = target.client.plans().get_plan(GetPlanRequest { name: plan.name.clone() }).await?;
    let plan = plan.into_inner().plan.unwrap_or_default();
    for step in plan.steps.iter().filter(|step| step.kind() != NodeKind::Image && !step.resource.is_empty()) {
        made.add(&step.resource);
    }
    let failed = OperationFailed::check(&done, "the plan could not be applied in full");
    if failed.is_err() && target.lasts {
        made.hint(format!("To go on, call adplane.plans.v1.PlanService/ApplyPlan with the name\n  {}", plan.name));
    }
    failed?;
    let result =
        super::result(&done).map(|bytes| ApplyPlanResult::decode(bytes.as_slice())).transpose()?.unwrap_or_default();
    Ok(Launched { plan, result })
}

/// The brief as a tree of nodes that name each other by temporary ids.
fn plan(target: &Target, brief: &Brief, hashes: &[String]) -> Result<Plan> {
    let mut ids = (1..).map(|number: u32| format!("-{number}"));
    let mut id = || ids.next().unwrap_or_default();
    let campaign_id = id();
    let ad_set_ids: Vec<String> = brief.ad_sets.iter().map(|_| id()).collect();
    let mut media: BTreeMap<&str, Media> = BTreeMap::new();
    let (mut creatives, mut ads) = (Vec::new(), Vec::new());
    for ((at, set, ad), hash) in brief.ads().zip(hashes) {
        let image = media.entry(hash).or_insert_with(|| Media { temporary_id: id(), image_hash: hash.clone() });
        let creative_id = id();
        creatives.push(creative(target, set, ad, &creative_id, &image.temporary_id));
        ads.push(Ad {
            temporary_id: Some(id()),
            name: Some(ad.name.get_ref().clone()),
            adset_id: ad_set_ids.get(at).cloned(),
            creative: Some(CreativeRef { creative_id: Some(creative_id), ..CreativeRef::default() }),
            ..Ad::default()
        });
    }
    let ad_sets = brief.ad_sets.iter().zip(&ad_set_ids).map(|(set, id)| ad_set(target, set, id, &campaign_id));
    Ok(Plan {
        ad_sets: ad_sets.collect::<Result<_>>()?,
        campaign: Some(campaign(target, brief, campaign_id)?),
        media: media.into_values().collect(),
        creatives,
        ads,
        ..Plan::default()
    })
}

fn campaign(target: &Target, brief: &Brief, id: String) -> Result<Campaign> {
    let currency: Currency = target.currency.parse()?;
    let budget = Money::from_decimal(brief.campaign.daily_budget.get_ref(), currency)
        .map_err(|error| brief.wrong_budget(error.to_string()))?;
    let categories = brief.campaign.special_ad_categories.as_ref();
    let word = brief.campaign.objective.get_ref();
    let objective = Objective::from_str_name(&format!("OBJECTIVE_{word}"));
    Ok(Campaign {
        temporary_id: Some(id),
        name: Some(brief.campaign.name.get_ref().clone()),
        objective: objective.with_context(|| format!("`{word}` is no objective of Meta's"))?.into(),
        bid_strategy: BidStrategy::LowestCostWithoutCap.into(),
        daily_budget: Some(budget.minor()),
        special_ad_categories: categories.map(|words| words.get_ref().clone()).unwrap_or_default(),
        ..Campaign::default()
    })
}

fn ad_set(target: &Target, set: &brief::AdSet, id: &str, campaign: &str) -> Result<AdSet> {
    let word = set.optimization_goal.get_ref();
    let goal = OptimizationGoal::from_str_name(&format!("OPTIMIZATION_GOAL_{word}"));
    Ok(AdSet {
        temporary_id: Some(id.to_owned()),
        name: Some(set.name.get_ref().clone()),
        campaign_id: Some(campaign.to_owned()),
        billing_event: BillingEvent::Impressions.into(),
        optimization_goal: goal.with_context(|| format!("`{word}` is no optimisation goal of Meta's"))?.into(),
        targeting: Some(Targeting {
            geo_locations: Some(GeoLocations { countries: set.countries.get_ref().clone(), ..GeoLocations::default() }),
            age_min: Some(*set.age_min.get_ref()),
            age_max: Some(*set.age_max.get_ref()),
            targeting_automation: Some(TargetingAutomation { advantage_audience: Some(0), ..Default::default() }),
            ..Targeting::default()
        }),
        promoted_object: Some(PromotedObject {
            pixel_id: Some(target.dataset_id()),
            custom_event_type: Some(set.event.get_ref().clone()),
            ..PromotedObject::default()
        }),
        // The European Union wants to be told who pays and who profits; Meta refuses ad sets there without both.
        dsa_beneficiary: Some("The shop".to_owned()),
        dsa_payor: Some("The shop".to_owned()),
        ..AdSet::default()
    })
}

fn creative(target: &Target, set: &brief::AdSet, ad: &brief::Ad, id: &str, image: &str) -> Creative {
    let link = ad.link.get_ref().clone();
    Creative {
        temporary_id: Some(id.to_owned()),
        // Unique in the account's plan, though two ad sets may have an ad of the same name.
        name: Some(format!("{}: {}", set.name.get_ref(), ad.name.get_ref())),
        object_story_spec: Some(ObjectStorySpec {
            page_id: Some(target.page_id.clone()),
            link_data: Some(LinkData {
                link: Some(link.clone()),
                message: Some(ad.text.get_ref().clone()),
                name: Some(ad.headline.get_ref().clone()),
                image_hash: Some(image.to_owned()),
                call_to_action: Some(CallToAction {
                    r#type: Some(ad.call_to_action.get_ref().clone()),
                    value: Some(CallToActionValue { link: Some(link), ..CallToActionValue::default() }),
                    ..CallToAction::default()
                }),
                ..LinkData::default()
            }),
            ..ObjectStorySpec::default()
        }),
        ..Creative::default()
    }
}
