"""Work that Meta does by itself: sets of ads made in the background, batches in the background, rules over what runs."""

from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adasyncrequestset import AdAsyncRequestSet
from facebook_business.adobjects.adrule import AdRule
from facebook_business.adobjects.campaign import Campaign

import sandbox
from steps import equal, refused, step, walk

POLLS_MAX = 20

made = {}


def account():
    return AdAccount(sandbox.ACCOUNT)


def polled(set_id):
    """Looks at a set of requests until all of it is done."""
    fields = ["name", "is_completed", "total_count", "success_count", "error_count", "in_progress_count", "initial_count"]
    for _ in range(POLLS_MAX):
        found = AdAsyncRequestSet(set_id).api_get(fields=fields)
        if found["is_completed"]:
            return found
    raise AssertionError(f"not complete: {found}")


@step
def ads_are_made_in_the_background():
    model = next(iter(account().get_ads(fields=["adset_id", "creative"])))
    spec = {"adset_id": model["adset_id"], "creative": {"creative_id": model["creative"]["id"]}, "status": "PAUSED"}
    specs = [{**spec, "name": f"Background {number}"} for number in range(5)] + [{"name": "Nowhere", "adset_id": "1"}]
    made["set"] = account().create_async_ad_request_set(params={"name": "Six", "ad_specs": specs})["id"]
    done = polled(made["set"])
    equal((done["total_count"], done["success_count"], done["error_count"]), (6, 5, 1))
    names = sorted(row["name"] for row in sandbox.world()["ads"] if row["name"].startswith("Background"))
    equal(names, [f"Background {number}" for number in range(5)])


@step
def each_request_tells_what_became_of_it():
    fields = ["id", "scope_object_id", "status", "result", "input"]
    requests = list(AdAsyncRequestSet(made["set"]).get_requests(fields=fields))
    equal(sorted(row["status"] for row in requests), ["ERROR"] + ["SUCCESS"] * 5)
    good = list(AdAsyncRequestSet(made["set"]).get_requests(fields=fields, params={"statuses": ["SUCCESS"]}))
    equal(len(good), 5)
    ids = {row["result"]["id"] for row in good}
    equal(len(ids), 5)
    assert Ad(ids.pop()).api_get(fields=["name"])["name"].startswith("Background")
    assert made["set"] in [row["id"] for row in account().get_async_ad_request_sets(fields=["id"])]


@step
def a_batch_runs_in_the_background():
    batch = [
        {
            "name": "parent",
            "relative_url": f"{sandbox.ACCOUNT}/campaigns",
            "body": "name=Later&objective=OUTCOME_TRAFFIC&status=PAUSED&special_ad_categories=[]&daily_budget=5000",
        },
        {
            "name": "child",
            "relative_url": f"{sandbox.ACCOUNT}/adsets",
            "body": "name=Later&campaign_id={result=parent:$.id}&billing_event=IMPRESSIONS&optimization_goal=LINK_CLICKS"
            '&status=PAUSED&targeting={"geo_locations":{"countries":["US"]},"targeting_automation":{"advantage_audience":0}}',
        },
    ]
    started = account().create_async_batch_request(params={"name": "Two", "adbatch": batch})
    equal(polled(started["id"])["success_count"], 2)
    campaign = next(row for row in sandbox.world()["campaigns"] if row["name"] == "Later")
    equal([ad_set["name"] for ad_set in Campaign(campaign["id"]).get_ad_sets(fields=["name"])], ["Later"])


@step
def a_rule_is_kept_changed_and_run():
    filters = [
        {"field": "entity_type", "operator": "EQUAL", "value": "AD"},
        {"field": "time_preset", "operator": "EQUAL", "value": "LAST_7_DAYS"},
        {"field": "spent", "operator": "GREATER_THAN", "value": 1},
    ]
    params = {
        AdRule.Field.name: "Stop what spends",
        AdRule.Field.evaluation_spec: {"evaluation_type": "SCHEDULE", "filters": filters},
        AdRule.Field.execution_spec: {"execution_type": "PAUSE"},
        AdRule.Field.schedule_spec: {"schedule_type": "DAILY"},
        AdRule.Field.status: AdRule.Status.enabled,
    }
    rule = account().create_ad_rules_library(params=params)
    read = AdRule(rule["id"]).api_get(fields=["name", "status", "evaluation_spec", "execution_spec"])
    equal((read["name"], read["status"]), ("Stop what spends", "ENABLED"))
    equal(read["evaluation_spec"]["filters"][2]["field"], "spent")
    AdRule(rule["id"]).api_update(params={"name": "Stop it all"})
    assert "Stop it all" in [row["name"] for row in account().get_ad_rules_library(fields=["name"])]
    AdRule(rule["id"]).create_execute()
    statuses = {row["effective_status"] for row in sandbox.world()["ads"] if row["name"] == "Rain jacket"}
    equal(statuses, {"PAUSED"})
    assert list(AdRule(rule["id"]).get_history()), "nothing was noted"
    AdRule(rule["id"]).api_delete()
    refused(100, account().create_ad_rules_library, params={**params, "execution_spec": {"execution_type": "NO_SUCH"}})


@step
def what_changed_in_the_account_is_told():
    activities = list(account().get_activities(fields=["event_type", "event_time", "object_id", "object_name", "extra_data"]))
    assert any(row["event_type"] == "create_ad" and row["object_name"].startswith("Background") for row in activities), activities
    times = [row["event_time"] for row in activities]
    equal(times, sorted(times, reverse=True))


sandbox.connect()
walk()
