"""Faults that meet readers: pages, lags and reports, and what a program of the SDK sees of them."""

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.adobjects.campaign import Campaign

import sandbox
from steps import equal, refused, step, walk

QUERY = {"level": "ad", "date_preset": "last_7d", "time_increment": 1}
STATE = [AdReportRun.Field.async_status, AdReportRun.Field.async_percent_completion]
POLLS = 12


def account():
    return AdAccount(sandbox.ACCOUNT)


def create(name):
    params = {
        "name": name,
        "objective": "OUTCOME_TRAFFIC",
        "status": "PAUSED",
        "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": False,
    }
    return account().create_campaign(params=params)["id"]


def ads(limit):
    return account().get_ads(params={"limit": limit})


def listed():
    return [row["name"] for row in account().get_campaigns(fields=["name"])]


@step
def an_edge_lags_behind_what_was_made():
    sandbox.rule({"lagging_reads": {"seconds": 60}}, path="/campaigns")
    create("Fresh")
    assert "Fresh" not in listed()
    sandbox.turn_clock(61)
    assert "Fresh" in listed()
    sandbox.no_faults()


@step
def a_node_lags_and_is_unknown_before_and_old_after():
    one = create("Old name")
    sandbox.rule({"lagging_reads": {"seconds": 60}}, path=f"/{one}")
    refused(100, Campaign(one).api_get, subcode=33, fields=["name"])
    sandbox.turn_clock(61)
    equal(Campaign(one).api_get(fields=["name"])["name"], "Old name")
    Campaign(one).api_update(params={"name": "New name"})
    equal(Campaign(one).api_get(fields=["name"])["name"], "Old name")
    sandbox.turn_clock(61)
    equal(Campaign(one).api_get(fields=["name"])["name"], "New name")
    sandbox.no_faults()


@step
def pages_with_fewer_rows_than_asked_for_lose_nothing():
    whole = [ad["id"] for ad in ads(100)]
    sandbox.rule({"partial_page": {"rows": 2}}, path="/ads")
    cursor = ads(4)
    equal(len(cursor), 2)
    equal([ad["id"] for ad in cursor], whole)
    equal(cursor.total(), len(whole))
    sandbox.no_faults()


@step
def an_empty_page_ends_a_loop_of_the_sdk_too_early_and_asking_on_gives_the_rest():
    whole = [ad["id"] for ad in ads(100)]
    sandbox.rule({"partial_page": {"rows": 0}}, path="/ads")
    cursor = ads(2)
    equal(len(cursor), 0)
    # A loop goes over the page after the empty one, and ends at the next that is empty.
    equal([ad["id"] for ad in cursor], whole[:2])
    rest = []
    for _ in whole:
        rest.extend(ad["id"] for ad in cursor)
    equal(rest, whole[2:])
    sandbox.no_faults()


@step
def a_cursor_that_expired_ends_the_walk_with_an_error():
    for action, code in (("expired_cursors", 2642), ({"expired_cursors": {"code": 100}}, 100)):
        sandbox.rule(action, 1, path="/ads")
        cursor = ads(2)
        equal(len(cursor), 2)
        refused(code, list, cursor)
        equal(len(list(ads(2))), len(list(ads(100))))


@step
def too_many_rows_are_refused_until_fewer_are_asked_for():
    sandbox.rule({"too_much_data": {"limit_max": 50}}, path="/ads")
    error = refused(1, ads, 100)
    equal(error.http_status(), 500)
    assert "reduce the amount of data" in error.api_error_message(), error
    assert len(list(ads(50)))
    sandbox.no_faults()


def start(action):
    """A report that is struck when it is started."""
    sandbox.rule(action, 1, method="POST", path="/insights")
    return account().get_insights(fields=["ad_id", "spend"], params=QUERY, is_async=True)


def polled(run):
    """Its status and percentage after so many looks that any report of this sandbox is done."""
    for _ in range(POLLS):
        run = run.api_get(fields=STATE)
    return run["async_status"], run["async_percent_completion"]


def rows(run):
    return [(row["ad_id"], row["date_start"], row["spend"]) for row in run.get_result(params={"limit": 500})]


def truth():
    found = account().get_insights(fields=["ad_id", "spend"], params={**QUERY, "limit": 500})
    return [(row["ad_id"], row["date_start"], row["spend"]) for row in found]


@step
def a_stuck_report_is_polled_for_ever():
    run = start({"stuck_report": {"percent": 33}})
    equal(polled(run), ("Job Running", 33))
    sandbox.turn_clock(86_400)
    equal(polled(run), ("Job Running", 33))
    equal(rows(run), [])


@step
def a_report_at_100_percent_may_still_run():
    run = start({"false_report": {"seconds": 600}})
    equal(polled(run), ("Job Running", 100))
    equal(rows(run), [])
    sandbox.turn_clock(601)
    equal(polled(run), ("Job Completed", 100))
    equal(rows(run), truth())


@step
def a_completed_report_may_lack_rows_until_later():
    run = start({"late_rows": {"seconds": 600}})
    equal(polled(run), ("Job Completed", 100))
    whole = truth()
    equal(rows(run), whole[: len(whole) // 2])
    sandbox.turn_clock(601)
    equal(rows(run), whole)


@step
def a_failed_report_says_why():
    run = start({"failed_report": {"code": -3, "subcode": 1504045, "message": "Too large"}})
    equal(polled(run)[0], "Job Failed")
    told = run.api_get(fields=[*STATE, "error_code", "error_subcode", "error_message", "error_user_title", "error_user_msg"])
    equal((told["error_code"], told["error_subcode"], told["error_message"]), (-3, 1504045, "Too large"))
    assert told["error_user_title"] and told["error_user_msg"], told


@step
def a_skipped_report_is_asked_for_again():
    equal(polled(start("skipped_report"))[0], "Job Skipped")
    again = account().get_insights(fields=["ad_id", "spend"], params=QUERY, is_async=True)
    equal(polled(again), ("Job Completed", 100))
    equal(rows(again), truth())


sandbox.connect()
walk()
