//! A plan for tests: one campaign, two ad sets, a picture, a creative, an ad in each ad set.

use proto::campaigns::v1::{
    Ad, AdSet, BillingEvent, Campaign, Creative, CreativeRef, GeoLocations, LinkData, ObjectStorySpec, Objective,
    OptimizationGoal, Targeting,
};
use proto::plans::v1::{Media, Plan};

pub(crate) const HASH: &str = "c8b4c8b4c8b4c8b4c8b4c8b4c8b4c8b4";

pub(crate) fn plan() -> Plan {
    let mut campaign = Campaign { temporary_id: id("-1"), name: id("Summer"), ..Campaign::default() };
    campaign.set_objective(Objective::OutcomeTraffic);
    let link = LinkData { link: id("https://shop.example"), image_hash: id("-4"), ..LinkData::default() };
    let story = ObjectStorySpec { page_id: id("3"), link_data: Some(link), ..ObjectStorySpec::default() };
    Plan {
        campaign: Some(campaign),
        ad_sets: vec![ad_set("-2", "US", 1000), ad_set("-3", "DE", 2000)],
        media: vec![Media { temporary_id: "-4".to_owned(), image_hash: HASH.to_owned() }],
        creatives: vec![Creative {
            temporary_id: id("-5"),
            name: id("K"),
            object_story_spec: Some(story),
            ..Creative::default()
        }],
        ads: vec![ad("-6", "A one", "-2"), ad("-7", "A two", "-3")],
        ..Plan::default()
    }
}

pub(crate) fn ad_set(temporary_id: &str, name: &str, daily_budget: i64) -> AdSet {
    let geo = GeoLocations { countries: vec!["US".to_owned()], ..GeoLocations::default() };
    let mut ad_set = AdSet {
        temporary_id: id(temporary_id),
        name: id(name),
        campaign_id: id("-1"),
        daily_budget: Some(daily_budget),
        targeting: Some(Targeting { geo_locations: Some(geo), ..Targeting::default() }),
        ..AdSet::default()
    };
    ad_set.set_billing_event(BillingEvent::Impressions);
    ad_set.set_optimization_goal(OptimizationGoal::LinkClicks);
    ad_set
}

fn ad(temporary_id: &str, name: &str, ad_set: &str) -> Ad {
    let creative = CreativeRef { creative_id: id("-5"), ..CreativeRef::default() };
    Ad {
        temporary_id: id(temporary_id),
        name: id(name),
        adset_id: id(ad_set),
        creative: Some(creative),
        ..Ad::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every scalar of a mirror is optional")]
fn id(text: &str) -> Option<String> {
    Some(text.to_owned())
}
