//! Launching the campaign: pictures up, the plan shown as a diff, then made, PAUSED.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use prost::Message;
use proto::{
    campaigns::v1::{
        Ad, AdSet, BidStrategy, BillingEvent, CallToAction, CallToActionValue, Campaign, Creative, CreativeRef,
        GeoLocations, LinkData, ObjectStorySpec, Objective, OptimizationGoal, PromotedObject, Targeting,
        TargetingAutomation, UploadImageHeader, UploadImageRequest, upload_image_request::Part,
    },
    plans::v1::{
        ApplyPlanRequest, ApplyPlanResult, CreatePlanRequest, DiffPlanRequest, DiffPlanResponse, GetPlanRequest, Media,
        Plan,
    },
};
use vocabulary::{Currency, Money};

use super::{
    Target,
    brief::{Brief, Picture},
    step::Step,
};

/// How much of a picture goes in one message.
const CHUNK_BYTES: usize = 256 << 10;

/// What was launched.
pub(crate) struct Launched {
    /// With every step's state and resource.
    pub(crate) plan: Plan,
    pub(crate) result: ApplyPlanResult,
}

/// Uploads the pictures; the hashes come in the order of the ads.
pub(crate) async fn upload(target: &Target, pictures: Vec<Picture>, step: &Step) -> Result<Vec<String>> {
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
        hashes.push(image.map(|image| image.hash).unwrap_or_default());
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
pub(crate) async fn apply(target: &Target, plan: &Plan, step: &Step) -> Result<Launched> {
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
    if let Some(error) = super::failure(&done) {
        let made: Vec<&str> =
            plan.steps.iter().map(|step| step.resource.as_str()).filter(|name| !name.is_empty()).collect();
        let made = if made.is_empty() {
            "nothing was made before".to_owned()
        } else {
            format!("made before: {}", made.join(", "))
        };
        bail!(
            "the plan {} could not be applied in full: {}; {made}. Apply it again to go on.",
            plan.name,
            error.message
        );
    }
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
    let mut media: HashMap<&str, Media> = HashMap::new();
    let (mut creatives, mut ads) = (Vec::new(), Vec::new());
    for ((at, ad), hash) in brief.ads().zip(hashes) {
        let image = media.entry(hash).or_insert_with(|| Media { temporary_id: id(), image_hash: hash.clone() });
        let creative_id = id();
        creatives.push(creative(target, ad, &creative_id, &image.temporary_id));
        ads.push(Ad {
            temporary_id: Some(id()),
            name: Some(ad.name.clone()),
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
    let budget = Money::from_decimal(brief.campaign.daily_budget.get_ref(), currency)?;
    let word = brief.campaign.objective.get_ref();
    let objective = Objective::from_str_name(&format!("OBJECTIVE_{word}"));
    Ok(Campaign {
        temporary_id: Some(id),
        name: Some(brief.campaign.name.clone()),
        objective: objective.with_context(|| format!("`{word}` is no objective of Meta's"))?.into(),
        bid_strategy: BidStrategy::LowestCostWithoutCap.into(),
        daily_budget: Some(budget.minor()),
        special_ad_categories: brief.campaign.special_ad_categories.clone(),
        ..Campaign::default()
    })
}

fn ad_set(target: &Target, set: &super::brief::AdSet, id: &str, campaign: &str) -> Result<AdSet> {
    let word = set.optimization_goal.get_ref();
    let goal = OptimizationGoal::from_str_name(&format!("OPTIMIZATION_GOAL_{word}"));
    Ok(AdSet {
        temporary_id: Some(id.to_owned()),
        name: Some(set.name.clone()),
        campaign_id: Some(campaign.to_owned()),
        billing_event: BillingEvent::Impressions.into(),
        optimization_goal: goal.with_context(|| format!("`{word}` is no optimisation goal of Meta's"))?.into(),
        targeting: Some(Targeting {
            geo_locations: Some(GeoLocations { countries: set.countries.get_ref().clone(), ..GeoLocations::default() }),
            age_min: Some(set.age_min),
            age_max: Some(set.age_max),
            targeting_automation: Some(TargetingAutomation { advantage_audience: Some(0), ..Default::default() }),
            ..Targeting::default()
        }),
        promoted_object: Some(PromotedObject {
            pixel_id: Some(target.dataset_id()),
            custom_event_type: Some(set.event.clone()),
            ..PromotedObject::default()
        }),
        // The European Union wants to be told who pays and who profits; Meta refuses ad sets there without both.
        dsa_beneficiary: Some("The shop".to_owned()),
        dsa_payor: Some("The shop".to_owned()),
        ..AdSet::default()
    })
}

fn creative(target: &Target, ad: &super::brief::Ad, id: &str, image: &str) -> Creative {
    let link = ad.link.get_ref().clone();
    Creative {
        temporary_id: Some(id.to_owned()),
        name: Some(format!("{} creative", ad.name)),
        object_story_spec: Some(ObjectStorySpec {
            page_id: Some(target.page_id.clone()),
            link_data: Some(LinkData {
                link: Some(link.clone()),
                message: Some(ad.text.clone()),
                name: Some(ad.headline.clone()),
                image_hash: Some(image.to_owned()),
                call_to_action: Some(CallToAction {
                    r#type: Some(ad.call_to_action.clone()),
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
