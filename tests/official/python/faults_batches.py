"""Faults in batches: what the SDK gives to the callbacks, what it sends again, and what that does to the world."""

import json

import requests.exceptions
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.api import FacebookAdsApi

import sandbox
from steps import equal, refused, step, walk


class Heard:
    """What the callbacks of a batch were given."""

    def __init__(self):
        self.ids, self.errors = [], []

    def callbacks(self):
        return {
            "success": lambda response: self.ids.append(response.json()["id"]),
            "failure": lambda response: self.errors.append(response.error()),
        }


def campaign(name):
    return {
        "name": name,
        "objective": "OUTCOME_TRAFFIC",
        "status": "PAUSED",
        "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": False,
    }


def names():
    return sorted(row["name"] for row in sandbox.world()["campaigns"])


def three(name):
    """A batch that makes three campaigns, and what is heard of it."""
    batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
    for number in range(3):
        AdAccount(sandbox.ACCOUNT).create_campaign(params=campaign(f"{name} {number}"), batch=batch, **heard.callbacks())
    return batch, heard


def made(name):
    return [other[len(name) + 1:] for other in names() if other.startswith(f"{name} ")]


def second(action):
    sandbox.rule(action, 1, item=True, path="campaigns", nth=2)


@step
def a_null_item_comes_back_as_a_batch_and_is_made_by_it():
    second("null_item")
    batch, heard = three("Null")
    again = batch.execute()
    equal((len(again), len(heard.ids), made("Null")), (1, 2, ["0", "2"]))
    equal(again.execute(), None)
    equal((len(heard.ids), heard.errors, made("Null")), (3, [], ["0", "1", "2"]))


@step
def a_null_item_that_was_done_is_made_twice_by_the_same_advice():
    second({"null_item": {"commit": True}})
    batch, heard = three("Twice")
    again = batch.execute()
    equal((len(again), made("Twice")), (1, ["0", "1", "2"]))
    equal(again.execute(), None)
    equal((len(heard.ids), made("Twice")), (3, ["0", "1", "1", "2"]))


@step
def an_item_may_time_out_before_or_after_its_commit_or_long_before_it():
    for action, found in (
        ("timeout_before_commit", ["0", "2"]),
        ("timeout_after_commit", ["0", "1", "2"]),
        ({"timeout_then_commit": {"commit_seconds": 600}}, ["0", "2"]),
    ):
        name = next(iter(action)) if isinstance(action, dict) else action
        second(action)
        batch, _ = three(name)
        equal((len(batch.execute()), made(name)), (1, found))


@step
def an_item_that_was_aborted_is_an_error_of_its_own_and_not_sent_again():
    second({"error": {"code": 960}})
    batch, heard = three("Aborted")
    equal(batch.execute(), None)
    equal([(error.api_error_code(), error.api_error_type()) for error in heard.errors], [(960, "GraphBatchException")])
    equal(made("Aborted"), ["0", "2"])


@step
def an_item_may_pass_or_be_a_page():
    second({"error": {"code": 2}})
    batch, heard = three("Passing")
    equal(batch.execute(), None)
    equal([(error.api_error_code(), error.api_transient_error()) for error in heard.errors], [(2, True)])
    second({"http": {"status": 503}})
    batch, heard = three("Page")
    equal(batch.execute(), None)
    equal([(error.http_status(), error.api_error_code()) for error in heard.errors], [(503, None)])
    equal(made("Page"), ["0", "2"])


@step
def what_refers_to_a_struck_item_is_aborted_with_it():
    for action in ("null_item", {"error": {"code": 1}}, {"http": {"status": 500}}):
        sandbox.rule(action, 1, item=True, path="campaigns")
        before = len(sandbox.world()["adsets"])
        batch, heard = FacebookAdsApi.get_default_api().new_batch(), Heard()
        parent = batch.add("POST", (sandbox.ACCOUNT, "campaigns"), params=campaign("Parent"))
        parent["name"] = "parent"
        child = {"name": "Child", "campaign_id": "{result=parent:$.id}"}
        batch.add("POST", (sandbox.ACCOUNT, "adsets"), params=child, **heard.callbacks())
        batch.execute()
        equal([error.api_error_code() for error in heard.errors], [960])
        equal((len(sandbox.world()["adsets"]) - before, names().count("Parent")), (0, 0))


@step
def a_storm_that_begins_in_a_batch_refuses_what_follows():
    sandbox.rule({"throttle_storm": {"code": 17, "seconds": 60}}, item=True, nth=2)
    batch, heard = three("Storm")
    equal(batch.execute(), None)
    equal([error.api_error_code() for error in heard.errors], [17, 17])
    usage = [header for header in heard.errors[0].http_headers() if header["name"] == "X-Business-Use-Case-Usage"]
    equal(json.loads(usage[0]["value"])[sandbox.ACCOUNT[len("act_"):]][0]["call_count"], 100)
    equal(made("Storm"), ["0"])
    sandbox.no_faults()


@step
def a_batch_whose_connection_drops_is_done_or_not_as_a_whole():
    for action, found in (("drop", []), ({"timeout_after_commit": {"seconds": 0}}, ["0", "1", "2"])):
        name = "Dropped" if action == "drop" else "Lost"
        sandbox.rule(action, 1, item=False, method="POST")
        batch, heard = three(name)
        try:
            batch.execute()
        except requests.exceptions.ConnectionError:
            equal((heard.ids, heard.errors, made(name)), ([], [], found))
        else:
            raise AssertionError("the connection held")


@step
def a_batch_may_be_refused_as_a_whole():
    sandbox.rule({"error": {"code": 2}}, 1, item=False, method="POST")
    batch, _ = three("Whole")
    equal(refused(2, batch.execute).api_transient_error(), True)
    equal(made("Whole"), [])


sandbox.connect()
walk()
