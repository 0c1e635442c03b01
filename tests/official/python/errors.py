"""What the SDK makes of a refusal: code, subcode, blame, words for people, and whether to try again."""

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.campaign import Campaign
from facebook_business.exceptions import FacebookRequestError

import sandbox
from steps import equal, refused, step, walk

GOOD = {
    "name": "Refused",
    "objective": "OUTCOME_TRAFFIC",
    "status": "PAUSED",
    "special_ad_categories": [],
    "daily_budget": 5_000,
}


def account():
    return AdAccount(sandbox.ACCOUNT)


def create(**changes):
    return account().create_campaign(params={**GOOD, **changes})


@step
def a_budget_that_is_too_small_is_blamed_in_words_for_people():
    error = refused(100, create, subcode=1885272, daily_budget=1)
    equal(error.api_blame_field_specs(), [["daily_budget"]])
    equal(error.api_error_type(), "OAuthException")
    equal(error.api_transient_error(), False)
    equal(error.http_status(), 400)
    body = error.body()["error"]
    assert body["error_user_title"] and body["error_user_msg"], body


@step
def a_missing_parameter_is_named():
    params = {name: value for name, value in GOOD.items() if name != "special_ad_categories"}
    error = refused(100, account().create_campaign, params=params)
    assert "special_ad_categories" in error.api_error_message(), error.body()


@step
def a_word_that_is_none_of_those_allowed_is_refused():
    error = refused(100, create, objective="CLICKS")
    assert "objective" in str(error.body()), error.body()
    assert "OUTCOME_TRAFFIC" in error.api_error_message(), error.body()


@step
def an_object_that_is_not_there_is_not_told_from_one_that_is_hidden():
    for verb, call in (("get", Campaign("1").api_get), ("post", Campaign("1").api_update), ("delete", Campaign("1").api_delete)):
        error = refused(100, call, subcode=33)
        equal(error.api_error_type(), "GraphMethodException")
        assert error.api_error_message().startswith(f"Unsupported {verb} request. Object with ID '1'"), error


@step
def a_passing_failure_says_so():
    sandbox.fault({"error": {"code": 2, "is_transient": True, "status": 500}}, path="campaigns")
    error = refused(2, create)
    equal((error.api_transient_error(), error.http_status()), (True, 500))
    assert create()["id"]


@step
def a_limit_says_how_long_to_wait():
    sandbox.fault({"error": {"code": 80004, "subcode": 2446079, "is_transient": True}}, path="campaigns")
    error = refused(80004, create, subcode=2446079)
    equal(error.api_transient_error(), True)


@step
def a_page_of_html_is_an_error_without_a_code():
    sandbox.fault({"http": {"status": 503}}, path="campaigns")
    try:
        create()
    except FacebookRequestError as error:
        equal((error.http_status(), error.api_error_code()), (503, None))
        return
    raise AssertionError("a page of HTML was taken for an answer")


@step
def a_version_that_ended_is_answered_by_a_later_one_or_refused():
    old = sandbox.connect(api_version="v18.0")
    headers = old.call("GET", (sandbox.ACCOUNT,), params={"fields": "name"}).headers()
    assert headers["facebook-api-version"] != "v18.0", headers
    assert "auto-upgraded" in headers["x-ad-api-version-warning"], headers
    sandbox.settings(auto_upgrade=False)
    refused(2635, AdAccount(sandbox.ACCOUNT, api=old).api_get, fields=["name"])
    sandbox.connect()


@step
def an_unknown_edge_is_refused():
    api = account().get_api()
    error = refused(2500, api.call, "GET", (sandbox.ACCOUNT, "no_such_edge"))
    assert "no_such_edge" in error.api_error_message(), error


@step
def a_budget_may_change_four_times_an_hour():
    ad_set = account().get_ad_sets(fields=["daily_budget"])[0]
    budget = int(ad_set["daily_budget"])
    for change in range(1, 5):
        AdSet(ad_set["id"]).api_update(params={"daily_budget": budget + change})
    refused(613, AdSet(ad_set["id"]).api_update, subcode=1487632, params={"daily_budget": budget + 5})
    sandbox.turn_clock(3_600)
    AdSet(ad_set["id"]).api_update(params={"daily_budget": budget + 5})
    equal(AdSet(ad_set["id"]).api_get(fields=["daily_budget"])["daily_budget"], str(budget + 5))


sandbox.connect()
walk()
