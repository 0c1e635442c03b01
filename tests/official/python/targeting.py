"""What can be aimed at: searches, estimates of reach and delivery, and previews of what people would see."""

from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adpreview import AdPreview
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.targetingsearch import TargetingSearch

import sandbox
from steps import equal, refused, step, walk

Types = TargetingSearch.TargetingSearchTypes
US = {"geo_locations": {"countries": ["US"]}, "targeting_automation": {"advantage_audience": 0}}

made = {}


def account():
    return AdAccount(sandbox.ACCOUNT)


@step
def interests_are_found_by_a_word():
    rows = TargetingSearch.search(params={"q": "basketball", "type": Types.interest, "limit": 5})
    assert rows and any("basketball" in row["name"].lower() for row in rows), rows
    assert rows[0]["audience_size_lower_bound"] <= rows[0]["audience_size_upper_bound"], rows[0]
    equal(rows[0]["path"][0], "Interests")
    again = TargetingSearch.search(params={"q": "basketball", "type": Types.interest, "limit": 5})
    equal([row["id"] for row in again], [row["id"] for row in rows])
    made["interest"] = {"id": rows[0]["id"], "name": rows[0]["name"]}


@step
def interests_are_suggested_and_checked():
    name = made["interest"]["name"]
    suggested = TargetingSearch.search(params={"interest_list": [name], "type": Types.interest_suggestion})
    assert suggested and name not in [row["name"] for row in suggested], suggested
    checked = TargetingSearch.search(params={"interest_list": [name, "zzqx"], "type": Types.interest_validate})
    equal({row["name"]: row["valid"] for row in checked}, {name: True, "zzqx": False})


@step
def places_languages_and_countries_are_found():
    cities = TargetingSearch.search(params={"q": "Seattle", "type": Types.geolocation, "location_types": ["city"]})
    equal((cities[0]["name"], cities[0]["type"], cities[0]["country_code"]), ("Seattle", "city", "US"))
    locales = TargetingSearch.search(params={"q": "English", "type": Types.locale})
    assert any(row["name"].startswith("English") and isinstance(row["key"], int) for row in locales), locales
    countries = TargetingSearch.search(params={"q": "Germany", "type": Types.country})
    assert any(row["country_code"] == "DE" for row in countries), countries


@step
def categories_of_people_are_listed():
    rows = TargetingSearch.search(params={"class": "behaviors", "type": Types.targeting_category})
    assert rows and all(row["type"] == "behaviors" for row in rows), rows


@step
def an_account_searches_all_kinds_at_once():
    rows = list(account().get_targeting_search(params={"q": "basketball"}))
    assert made["interest"]["id"] in [row["id"] for row in rows], rows
    valid = list(account().get_targeting_valid_a_t_i_on(params={"targeting_list": [{"type": "interests", "id": made["interest"]["id"]}]}))
    equal([row["valid"] for row in valid], [True])


@step
def a_sentence_says_whom_the_targeting_reaches():
    sentence = account().get_targeting_sentence_lines(params={"targeting_spec": {**US, "age_min": 21, "age_max": 55}})
    lines = sentence[0]["targetingsentencelines"]
    assert any("United States" in " ".join(line["children"]) for line in lines), lines


@step
def what_was_found_is_aimed_at():
    campaign = account().create_campaign(
        params={
            "name": "Aimed",
            "objective": "OUTCOME_TRAFFIC",
            "status": "PAUSED",
            "special_ad_categories": [],
            "is_adset_budget_sharing_enabled": False,
        }
    )
    params = {
        "name": "Players",
        "campaign_id": campaign["id"],
        "daily_budget": 3_000,
        "billing_event": "IMPRESSIONS",
        "optimization_goal": "LINK_CLICKS",
        "targeting": {**US, "flexible_spec": [{"interests": [made["interest"]]}]},
        "status": "PAUSED",
    }
    made["ad_set"] = account().create_ad_set(params=params)["id"]
    read = AdSet(made["ad_set"]).api_get(fields=["targeting"])
    equal(read["targeting"]["flexible_spec"][0]["interests"][0]["id"], made["interest"]["id"])


@step
def delivery_is_estimated_and_grows_with_the_audience():
    asked = {"optimization_goal": "LINK_CLICKS", "targeting_spec": US}
    broad = account().get_delivery_estimate(params=asked)[0]
    narrow_spec = {**US, "age_min": 30, "age_max": 35}
    narrow = account().get_delivery_estimate(params={**asked, "targeting_spec": narrow_spec})[0]
    equal(broad["estimate_ready"], True)
    assert narrow["estimate_mau_upper_bound"] < broad["estimate_mau_upper_bound"], (narrow, broad)
    of_set = AdSet(made["ad_set"]).get_delivery_estimate()[0]
    assert of_set["estimate_mau_lower_bound"] <= of_set["estimate_mau_upper_bound"], of_set
    refused(100, account().get_delivery_estimate, params={"targeting_spec": US})


@step
def reach_is_estimated():
    reach = account().get_reach_estimate(params={"targeting_spec": US})[0]
    equal(reach["estimate_ready"], True)
    assert 1_000 <= reach["users_lower_bound"] <= reach["users_upper_bound"], reach


@step
def an_ad_a_creative_and_a_draft_are_previewed():
    ad = next(iter(account().get_ads(fields=["id", "creative"])))
    formats = AdPreview.AdFormat
    of_ad = Ad(ad["id"]).get_previews(params={"ad_format": formats.desktop_feed_standard})
    assert of_ad[0]["body"].startswith("<iframe src=\"https://www.facebook.com/ads/api/preview_iframe.php"), of_ad
    story = {"page_id": sandbox.PAGE, "link_data": {"link": "https://shop.example", "message": "Draft"}}
    drafts = account().get_generate_previews(
        params={"creative": {"object_story_spec": story}, "ad_format": formats.mobile_feed_standard}
    )
    assert "</iframe>" in drafts[0]["body"], drafts
    refused(100, Ad(ad["id"]).get_previews, params={"ad_format": "NO_SUCH_FORMAT"})


sandbox.connect()
walk()
