"""From a campaign to an ad that runs: made, read back, changed, copied, labelled, deleted."""

from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adcreative import AdCreative
from facebook_business.adobjects.adcreativelinkdata import AdCreativeLinkData
from facebook_business.adobjects.adcreativeobjectstoryspec import AdCreativeObjectStorySpec
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.targeting import Targeting

import sandbox
from steps import equal, refused, step, walk

made = {}


def account():
    return AdAccount(sandbox.ACCOUNT)


@step
def a_campaign_is_made_and_read_back():
    campaign = account().create_campaign(
        fields=["name", "status"],
        params={
            Campaign.Field.name: "Winter: Größe & Wärme",
            Campaign.Field.objective: Campaign.Objective.outcome_traffic,
            Campaign.Field.status: Campaign.Status.paused,
            Campaign.Field.special_ad_categories: [],
            Campaign.Field.daily_budget: 5_000,
            Campaign.Field.bid_strategy: Campaign.BidStrategy.lowest_cost_without_cap,
        },
    )
    # The fields that were asked for come with the answer to the write.
    equal((campaign["name"], campaign["status"]), ("Winter: Größe & Wärme", "PAUSED"))
    read = Campaign(campaign.get_id()).api_get(
        fields=["account_id", "objective", "daily_budget", "lifetime_budget", "effective_status", "created_time", "special_ad_categories"]
    )
    equal(read["daily_budget"], "5000")
    equal((read["objective"], read["effective_status"]), ("OUTCOME_TRAFFIC", "PAUSED"))
    equal("act_" + read["account_id"], sandbox.ACCOUNT)
    # A budget that is not set is not there; an empty list of categories neither.
    assert "lifetime_budget" not in read, read
    assert read["created_time"][-5] in "+-" and ":" not in read["created_time"][-5:], read
    made["campaign"] = campaign.get_id()


@step
def an_ad_set_is_made_and_read_back():
    targeting = {
        Targeting.Field.geo_locations: {"countries": ["US"]},
        Targeting.Field.age_min: 21,
        Targeting.Field.age_max: 55,
        Targeting.Field.targeting_automation: {"advantage_audience": 0},
    }
    params = {
        AdSet.Field.name: "Hikers",
        AdSet.Field.campaign_id: made["campaign"],
        AdSet.Field.billing_event: AdSet.BillingEvent.impressions,
        AdSet.Field.optimization_goal: AdSet.OptimizationGoal.link_clicks,
        AdSet.Field.targeting: targeting,
        AdSet.Field.status: AdSet.Status.paused,
    }
    ad_set = account().create_ad_set(params=params)
    read = AdSet(ad_set.get_id()).api_get(
        fields=["name", "campaign_id", "targeting", "optimization_goal", "billing_event", "daily_budget", "lifetime_budget", "effective_status"]
    )
    equal((read["name"], read["campaign_id"]), ("Hikers", made["campaign"]))
    equal((read["targeting"]["age_min"], read["targeting"]["age_max"]), (21, 55))
    equal(read["targeting"]["geo_locations"]["countries"], ["US"])
    # The campaign has the budget, so both of the ad set's are zero.
    equal((read["daily_budget"], read["lifetime_budget"]), ("0", "0"))
    made["ad_set"] = ad_set.get_id()


@step
def a_creative_is_made_from_a_spec_object_and_read_back():
    link = AdCreativeLinkData()
    link[AdCreativeLinkData.Field.message] = "Warm to minus ten"
    link[AdCreativeLinkData.Field.link] = "https://shop.example/winter"
    link[AdCreativeLinkData.Field.name] = "Down jacket"
    link[AdCreativeLinkData.Field.call_to_action] = {"type": "LEARN_MORE", "value": {"link": "https://shop.example/winter"}}
    story = AdCreativeObjectStorySpec()
    story[AdCreativeObjectStorySpec.Field.page_id] = sandbox.PAGE
    story[AdCreativeObjectStorySpec.Field.link_data] = link
    creative = account().create_ad_creative(params={"name": "Down jacket", "object_story_spec": story})
    read = AdCreative(creative.get_id()).api_get(
        fields=["name", "object_story_spec", "effective_object_story_id", "call_to_action_type", "title", "body", "status"]
    )
    equal(read["object_story_spec"]["link_data"]["message"], "Warm to minus ten")
    equal(read["object_story_spec"]["page_id"], sandbox.PAGE)
    equal((read["title"], read["body"], read["call_to_action_type"]), ("Down jacket", "Warm to minus ten", "LEARN_MORE"))
    assert read["effective_object_story_id"].startswith(sandbox.PAGE + "_"), read
    made["creative"] = creative.get_id()


@step
def an_ad_is_made_and_read_with_what_hangs_on_it():
    params = {
        Ad.Field.name: "Down jacket",
        Ad.Field.adset_id: made["ad_set"],
        Ad.Field.creative: {"creative_id": made["creative"]},
        Ad.Field.status: Ad.Status.paused,
    }
    ad = account().create_ad(params=params)
    read = Ad(ad.get_id()).api_get(
        fields=["name", "status", "effective_status", "adset{id,name}", "campaign{id,name}", "creative{id,name}", "tracking_specs"]
    )
    equal(read["adset"]["name"], "Hikers")
    equal(read["campaign"]["id"], made["campaign"])
    equal(read["creative"]["id"], made["creative"])
    made["ad"] = ad.get_id()


@step
def nothing_is_stored_by_a_check():
    before = len(sandbox.world()["campaigns"])
    params = {
        "name": "Only checked",
        "objective": "OUTCOME_TRAFFIC",
        "status": "PAUSED",
        "special_ad_categories": [],
        "daily_budget": 5_000,
        "execution_options": ["validate_only"],
    }
    account().create_campaign(params=params)
    equal(len(sandbox.world()["campaigns"]), before)
    refused(100, account().create_campaign, params={**params, "objective": "NO_SUCH_OBJECTIVE"})


@step
def a_campaign_is_changed_in_place():
    campaign = Campaign(made["campaign"])
    campaign.api_update(params={"name": "Winter", "daily_budget": 7_500})
    read = Campaign(made["campaign"]).api_get(fields=["name", "daily_budget", "updated_time", "created_time"])
    equal((read["name"], read["daily_budget"]), ("Winter", "7500"))


@step
def an_ad_goes_live_once_all_above_it_are_active_and_it_is_reviewed():
    for thing in (Campaign(made["campaign"]), AdSet(made["ad_set"]), Ad(made["ad"])):
        thing.api_update(params={"status": "ACTIVE"})
    sandbox.turn_clock(600)
    read = Ad(made["ad"]).api_get(fields=["status", "configured_status", "effective_status"])
    equal((read["status"], read["configured_status"], read["effective_status"]), ("ACTIVE", "ACTIVE", "ACTIVE"))
    Campaign(made["campaign"]).api_update(params={"status": "PAUSED"})
    equal(Ad(made["ad"]).api_get(fields=["effective_status"])["effective_status"], "CAMPAIGN_PAUSED")
    equal(AdSet(made["ad_set"]).api_get(fields=["effective_status"])["effective_status"], "CAMPAIGN_PAUSED")


@step
def labels_are_made_attached_and_looked_for():
    label = account().create_ad_label(params={"name": "winter"})
    Campaign(made["campaign"]).create_ad_label(params={"adlabels": [{"id": label["id"]}]})
    by_label = {"ad_label_ids": [label["id"]], "operator": "ALL"}
    found = list(account().get_campaigns_by_labels(fields=["id", "adlabels"], params=by_label))
    equal([campaign["id"] for campaign in found], [made["campaign"]])
    equal(found[0]["adlabels"][0]["name"], "winter")
    other = account().create_ad_label(params={"name": "summer"})
    equal(list(account().get_campaigns_by_labels(params={"ad_label_ids": [other["id"]], "operator": "ANY"})), [])


@step
def what_hangs_below_is_listed_from_above():
    equal([ad_set["id"] for ad_set in Campaign(made["campaign"]).get_ad_sets(fields=["id"])], [made["ad_set"]])
    equal([ad["id"] for ad in AdSet(made["ad_set"]).get_ads(fields=["id"])], [made["ad"]])
    equal([creative["id"] for creative in Ad(made["ad"]).get_ad_creatives(fields=["id"])], [made["creative"]])


@step
def an_ad_is_copied():
    copied = Ad(made["ad"]).create_copy(
        params={
            "adset_id": made["ad_set"],
            "status_option": "PAUSED",
            "rename_options": {"rename_strategy": "ONLY_TOP_LEVEL_RENAME", "rename_suffix": " - again"},
        }
    )
    copy = Ad(copied["copied_ad_id"]).api_get(fields=["name", "status", "adset_id", "creative{id}"])
    equal((copy["name"], copy["status"], copy["adset_id"]), ("Down jacket - again", "PAUSED", made["ad_set"]))
    made["copied_ad"] = copy.get_id()


@step
def a_campaign_is_copied_with_all_below_it():
    copied = Campaign(made["campaign"]).create_copy(
        params={
            "deep_copy": True,
            "status_option": "PAUSED",
            "rename_options": {"rename_strategy": "DEEP_RENAME", "rename_prefix": "New ", "rename_suffix": " (2)"},
        }
    )
    copy = Campaign(copied["copied_campaign_id"])
    equal(copy.api_get(fields=["name"])["name"], "New Winter (2)")
    ad_sets = copy.get_ad_sets(fields=["name"])
    equal([ad_set["name"] for ad_set in ad_sets], ["New Hikers (2)"])
    ads = copy.get_ads(fields=["name"])
    equal(sorted(ad["name"] for ad in ads), ["New Down jacket (2)", "New Down jacket - again (2)"])
    equal([row["id"] for row in Campaign(made["campaign"]).get_copies(fields=["id"])], [copy.get_id()])


@step
def what_is_deleted_leaves_the_lists_and_can_still_be_read():
    Ad(made["ad"]).api_delete()
    ids = [ad["id"] for ad in AdSet(made["ad_set"]).get_ads(fields=["id"])]
    equal(ids, [made["copied_ad"]])
    equal(Ad(made["ad"]).api_get(fields=["effective_status"])["effective_status"], "DELETED")
    Campaign(made["campaign"]).api_delete()
    assert made["campaign"] not in [campaign["id"] for campaign in account().get_campaigns(fields=["id"])]
    # It can be renamed, and nothing else.
    Campaign(made["campaign"]).api_update(params={"name": "Gone"})
    refused(100, Campaign(made["campaign"]).api_update, subcode=1487566, params={"status": "ACTIVE"})


sandbox.connect()
walk()
