"""Every fault that meets a single call, and what the SDK makes of it: what is raised, and what was done all the same."""

import json
import time

import requests.exceptions
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.user import User
from facebook_business.exceptions import FacebookRequestError

import sandbox
from steps import equal, refused, step, walk

# How long the SDK waits for an answer where a step asks for it, and how long such an answer is held.
PATIENCE_SECONDS = 0.5
HELD = {"seconds": 2}


def create(name, **options):
    params = {
        "name": name,
        "objective": "OUTCOME_TRAFFIC",
        "status": "PAUSED",
        "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": False,
    }
    return AdAccount(sandbox.ACCOUNT).create_campaign(params=params, **options)


def ids(name):
    """What exists under that name, whatever the SDK was told."""
    return [row["id"] for row in sandbox.world()["campaigns"] if row["name"] == name]


def struck(action, **matcher):
    """The next create is struck so."""
    sandbox.rule(action, 1, method="POST", path="campaigns", **matcher)


def raised(kind, call, *arguments, **options):
    """The exception of that kind which the call must end with."""
    try:
        answer = call(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"nothing was raised: {answer!r}")


def impatient():
    return sandbox.connect(timeout=PATIENCE_SECONDS)


@step
def a_dropped_connection_is_an_error_of_the_connection_and_nothing_was_done():
    struck("drop")
    error = raised(requests.exceptions.ConnectionError, create, "Dropped")
    assert not isinstance(error, FacebookRequestError)
    equal(ids("Dropped"), [])


@step
def a_timeout_before_the_commit_left_nothing():
    impatient()
    struck({"timeout_before_commit": HELD})
    raised(requests.exceptions.ReadTimeout, create, "Before")
    equal(ids("Before"), [])


@step
def a_timeout_after_the_commit_looks_the_same_and_left_a_campaign():
    impatient()
    struck({"timeout_after_commit": HELD})
    raised(requests.exceptions.ReadTimeout, create, "After")
    found = [row["id"] for row in AdAccount(sandbox.ACCOUNT).get_campaigns(fields=["name"]) if row["name"] == "After"]
    equal(len(found), 1)
    lost = [line for line in sandbox.requests() if line["method"] == "POST"][-1]
    equal((lost["status"], lost["committed_ids"]), (0, found))


@step
def a_commit_long_after_the_timeout_comes_when_nobody_looks_any_more():
    impatient()
    struck({"timeout_then_commit": {**HELD, "commit_seconds": 600}})
    raised(requests.exceptions.ReadTimeout, create, "Late")
    sandbox.turn_clock(599)
    equal(ids("Late"), [])
    sandbox.turn_clock(1)
    until = time.monotonic() + 10
    while not ids("Late"):
        assert time.monotonic() < until, "it never came"
    equal(len(ids("Late")), 1)
    sandbox.connect()


@step
def a_slow_answer_is_a_timeout_for_the_impatient_and_an_answer_for_others():
    for connect, made in ((impatient, False), (sandbox.connect, True)):
        connect()
        struck({"slow": {"milliseconds": 1_500}})
        if made:
            equal([create("Slow")["id"]], ids("Slow")[1:])
        else:
            raised(requests.exceptions.ReadTimeout, create, "Slow")
            equal(len(ids("Slow")), 1)


@step
def a_body_that_breaks_off_is_no_answer_though_all_was_done():
    struck("cut_body")
    raised((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError), create, "Cut")
    equal(len(ids("Cut")), 1)


@step
def a_wrong_content_type_does_not_matter_to_it():
    struck("wrong_content_type")
    equal([create("Mislabelled")["id"]], ids("Mislabelled"))


@step
def the_log_knows_who_asked_which_way_and_what_came_of_it():
    struck({"error": {"code": 2}})
    refused(2, create, "Logged")
    made = create("Logged")["id"]
    refusal, success = (line for line in sandbox.requests()[-2:])
    for line in (refusal, success):
        assert line["user_agent"].startswith("fbbizsdk-python-v26"), line
        equal(line["proxy"], True)
    equal((refusal["code"], refusal["committed"], refusal["fault"]), (2, False, True))
    equal((success["committed_ids"], success.get("rule")), ([made], None))
    assert sandbox.TOKEN not in json.dumps(sandbox.requests())


@step
def an_unknown_error_has_status_500_and_says_nothing_of_passing():
    struck({"error": {"code": 1}})
    error = refused(1, create, "Unknown")
    equal((error.http_status(), error.api_transient_error(), ids("Unknown")), (500, False, []))


@step
def an_error_that_passes_says_so_and_the_next_call_works():
    struck({"error": {"code": 2}})
    error = refused(2, create, "Passing")
    equal((error.http_status(), error.api_transient_error(), ids("Passing")), (500, True, []))
    equal([create("Passing")["id"]], ids("Passing"))


@step
def an_error_may_have_any_words_and_blame_any_fields():
    words = {"user_title": "Not today", "user_message": "Come back tomorrow.", "message": "Invalid parameter"}
    blame = ["daily_budget", "targeting.geo_locations"]
    struck({"error": {"code": 100, "subcode": 1885272, "is_transient": True, "status": 418, "blame": blame, **words}})
    error = refused(100, create, "Blamed", subcode=1885272)
    equal(error.api_blame_field_specs(), [["daily_budget"], ["targeting", "geo_locations"]])
    equal((error.api_transient_error(), error.http_status()), (True, 418))
    equal(error.api_error_message(), "Invalid parameter")
    body = error.body()["error"]
    equal((body["error_user_title"], body["error_user_msg"]), ("Not today", "Come back tomorrow."))


@step
def a_page_that_says_service_unavailable_is_an_error_without_a_code():
    struck({"http": {"status": 503}})
    error = raised(FacebookRequestError, create, "Unavailable")
    equal((error.http_status(), error.api_error_code(), ids("Unavailable")), (503, None, []))
    assert error.body().startswith("<html>"), error.body()


@step
def any_other_page_is_taken_for_an_answer_and_fails_where_it_is_used():
    struck({"http": {"status": 500}})
    error = raised(Exception, create, "Page")
    assert not isinstance(error, FacebookRequestError), error
    equal(ids("Page"), [])


@step
def a_storm_refuses_every_call_of_the_account_and_counts_down():
    sandbox.control("POST", "clock", {"frozen": True})
    storm = sandbox.rule({"throttle_storm": {"code": 80004, "seconds": 150}}, account=sandbox.ACCOUNT)
    for seconds, minutes in ((0, 3), (60, 2), (60, 1)):
        sandbox.turn_clock(seconds)
        error = refused(80004, create, "Throttled", subcode=2446079)
        usage = json.loads(error.http_headers()["x-business-use-case-usage"])[sandbox.ACCOUNT[len("act_"):]][0]
        equal((usage["call_count"], usage["estimated_time_to_regain_access"]), (100, minutes))
        equal(json.loads(error.http_headers()["x-ad-account-usage"])["acc_id_util_pct"], 100)
    AdAccount(sandbox.ACCOUNTS[1]).get_campaigns()
    sandbox.turn_clock(30)
    equal([create("Throttled")["id"]], ids("Throttled"))
    rules = json.loads(sandbox.control("GET", "faults"))
    equal([rule["under_way"]["refused"] for rule in rules if rule["id"] == storm], [3])
    sandbox.control("POST", "clock", {"frozen": False})


@step
def every_code_of_a_limit_may_storm():
    for code, subcode in ((4, None), (17, 2446079), (32, None), (613, 1487742), (80000, 2446079), (80014, 2446079)):
        action = {"throttle_storm": {"code": code, "calls": 2, **({"subcode": subcode} if code == 613 else {})}}
        sandbox.rule(action, path="campaigns")
        for _ in range(2):
            error = refused(code, create, f"Storm {code}", subcode=subcode)
            equal(error.api_error_type(), "OAuthException")
        if code == 4:
            equal((json.loads(error.http_headers()["x-app-usage"])["call_count"], error.http_status()), (100, 403))
        equal([create(f"Storm {code}")["id"]], ids(f"Storm {code}"))


@step
def a_token_that_died_stays_dead():
    for death, code, subcode in (({"subcode": 463}, 190, 463), ({"subcode": 460}, 190, 460), ({"code": 102}, 102, None)):
        sandbox.rule({"dead_token": death}, method="POST", path="campaigns")
        assert User("me").api_get()["id"]
        error = refused(code, create, "Dead", subcode=subcode)
        equal((error.api_transient_error(), error.api_error_subcode()), (False, subcode))
        sandbox.no_faults()
        refused(code, User("me").api_get, subcode=subcode)
        sandbox.control("POST", "reset")
    assert User("me").api_get()["id"]


@step
def a_removed_version_is_refused_until_it_is_back():
    sandbox.rule("removed_version", path="campaigns")
    for _ in range(2):
        refused(2635, create, "Old")
    older = sandbox.connect(api_version="v25.0")
    equal([create("Old")["id"]], ids("Old"))
    assert older.get_num_requests_succeeded(), "another version lives on"
    sandbox.connect()
    sandbox.no_faults()
    create("Old")
    equal(len(ids("Old")), 2)


@step
def ids_that_come_as_numbers_are_numbers_and_still_lead_on():
    sandbox.rule("ids_as_numbers")
    campaign = create("Number")
    assert isinstance(campaign["id"], int), campaign
    equal([str(campaign["id"])], ids("Number"))
    read = Campaign(campaign["id"]).api_get(fields=["name", "account_id"])
    equal((read["name"], read["account_id"]), ("Number", int(sandbox.ACCOUNT[len("act_"):])))
    sandbox.no_faults()


@step
def a_probability_strikes_the_same_calls_again():
    def run():
        sandbox.no_faults()
        sandbox.control("POST", "reset")
        seen = []
        sandbox.rule({"error": {"code": 2}}, probability=0.5)
        for _ in range(30):
            try:
                User("me").api_get()
                seen.append(True)
            except FacebookRequestError:
                seen.append(False)
        return seen

    first = run()
    equal(run(), first)
    assert True in first and False in first, first
    sandbox.no_faults()


@step
def a_rule_that_is_mistyped_is_refused_in_words_that_help():
    try:
        sandbox.rule({"timeout_aftercommit": {}})
    except OSError as error:
        text = error.read().decode()
        assert text.endswith("did you mean `timeout_after_commit`?"), text
        return
    raise AssertionError("it was taken")


sandbox.connect()
walk()
