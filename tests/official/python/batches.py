"""Many calls in one: made and read, one by way of another, with one that fails and one that is left unanswered."""

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.campaign import Campaign
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError

import sandbox
from steps import equal, refused, step, walk

made = {}


def account():
    return AdAccount(sandbox.ACCOUNT)


def campaign(name):
    return {
        "name": name,
        "objective": "OUTCOME_TRAFFIC",
        "status": "PAUSED",
        "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": False,
    }


def ad_set(campaign_id):
    return {
        "name": "Set",
        "campaign_id": campaign_id,
        "daily_budget": 3_000,
        "billing_event": "IMPRESSIONS",
        "optimization_goal": "LINK_CLICKS",
        "targeting": {"geo_locations": {"countries": ["US"]}, "targeting_automation": {"advantage_audience": 0}},
        "status": "PAUSED",
    }


class Heard:
    """What the callbacks of a batch were given."""

    def __init__(self):
        self.answers, self.errors = [], []

    def callbacks(self):
        return {"success": self.answers.append, "failure": lambda response: self.errors.append(response.error())}


@step
def many_campaigns_are_made_in_one_call():
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    before = len(sandbox.world()["campaigns"])
    for number in range(50):
        account().create_campaign(params=campaign(f"Batch {number} & 1=2"), batch=batch, **heard.callbacks())
    equal(batch.execute(), None)
    equal((len(heard.answers), heard.errors), (50, []))
    equal(len(sandbox.world()["campaigns"]) - before, 50)
    made["ids"] = [response.json()["id"] for response in heard.answers]
    equal(len(set(made["ids"])), 50)


@step
def they_are_read_in_one_call_in_the_order_asked_for():
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    for one in made["ids"][:20]:
        Campaign(one).api_get(fields=["name", "status"], batch=batch, **heard.callbacks())
    equal(batch.execute(), None)
    equal([response.json()["id"] for response in heard.answers], made["ids"][:20])
    equal(heard.answers[3].json()["name"], "Batch 3 & 1=2")
    usage = [header for header in heard.answers[0].headers() if header["name"] == "X-Business-Use-Case-Usage"]
    equal(len(usage), 1)


@step
def one_item_fails_alone():
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    Campaign(made["ids"][0]).api_update(params={"name": "Renamed"}, batch=batch, **heard.callbacks())
    Campaign("1").api_get(fields=["name"], batch=batch, **heard.callbacks())
    account().create_campaign(params={"name": "No objective"}, batch=batch, **heard.callbacks())
    Campaign(made["ids"][1]).api_delete(batch=batch, **heard.callbacks())
    equal(batch.execute(), None)
    equal([response.json() for response in heard.answers], [{"success": True}, {"success": True}])
    equal([(error.api_error_code(), error.http_status()) for error in heard.errors], [(100, 400), (100, 400)])
    equal(heard.errors[0].api_error_subcode(), 33)
    assert all(isinstance(error, FacebookRequestError) for error in heard.errors)
    equal(Campaign(made["ids"][0]).api_get(fields=["name"])["name"], "Renamed")


@step
def an_item_uses_the_answer_of_an_earlier_one():
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    first = batch.add("POST", (sandbox.ACCOUNT, "campaigns"), params=campaign("Parent"), **heard.callbacks())
    # Without this the answer is left out, which the SDK takes for an item to send again.
    first.update({"name": "parent", "omit_response_on_success": False})
    batch.add("POST", (sandbox.ACCOUNT, "adsets"), params=ad_set("{result=parent:$.id}"), **heard.callbacks())
    equal(batch.execute(), None)
    equal(heard.errors, [])
    parent, child = (response.json()["id"] for response in heard.answers)
    equal([row["id"] for row in Campaign(parent).get_ad_sets()], [child])


@step
def an_answer_that_was_used_is_left_out_and_comes_back_as_a_batch():
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    first = batch.add("POST", (sandbox.ACCOUNT, "campaigns"), params=campaign("Left out"), **heard.callbacks())
    first["name"] = "parent"
    batch.add("POST", (sandbox.ACCOUNT, "adsets"), params=ad_set("{result=parent:$.id}"), **heard.callbacks())
    again = batch.execute()
    equal((len(again), len(heard.answers), heard.errors), (1, 1, []))
    equal(sum(row["name"] == "Left out" for row in sandbox.world()["campaigns"]), 1)


@step
def what_depends_on_a_failure_is_not_done():
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    first = batch.add("POST", (sandbox.ACCOUNT, "campaigns"), params={"name": "No objective"}, **heard.callbacks())
    first["name"] = "parent"
    batch.add("POST", (sandbox.ACCOUNT, "adsets"), params=ad_set("{result=parent:$.id}"), **heard.callbacks())
    equal(batch.execute(), None)
    equal([error.api_error_code() for error in heard.errors], [100, 960])


@step
def an_item_without_an_answer_is_sent_again():
    sandbox.fault("drop", method="POST", path="campaigns", nth=2)
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    for number in range(3):
        account().create_campaign(params=campaign(f"Again {number}"), batch=batch, **heard.callbacks())
    again = batch.execute()
    equal((len(again), len(heard.answers)), (1, 2))
    equal(again.execute(), None)
    equal((len(heard.answers), heard.errors), (3, []))
    names = sorted(row["name"] for row in sandbox.world()["campaigns"] if row["name"].startswith("Again"))
    equal(names, ["Again 0", "Again 1", "Again 2"])


@step
def an_unchanged_object_is_not_sent_again_inside_of_a_batch():
    api = FacebookAdsApi.get_default_api()
    batch, heard = api.new_batch(), Heard()
    batch.add("GET", f"{sandbox.ACCOUNT}?fields=name", **heard.callbacks())
    equal(batch.execute(), None)
    etag = [header["value"] for header in heard.answers[0].headers() if header["name"].lower() == "etag"]
    equal(len(etag), 1)
    batch, heard = api.new_batch(), Heard()
    batch.add("GET", f"{sandbox.ACCOUNT}?fields=name", headers={"If-None-Match": etag[0]}, **heard.callbacks())
    equal(batch.execute(), None)
    equal([(response.status(), response.body()) for response in heard.answers], [(304, None)])


@step
def more_than_fifty_are_refused_as_a_whole():
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    before = len(sandbox.world()["campaigns"])
    for number in range(51):
        account().create_campaign(params=campaign(f"Too many {number}"), batch=batch, **heard.callbacks())
    error = refused(100, batch.execute)
    assert "50" in error.api_error_message(), error
    equal(len(sandbox.world()["campaigns"]), before)


sandbox.connect()
walk()
