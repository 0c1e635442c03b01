"""Reports, read at once and asked for: levels, days and breakdowns add up to the same account."""

import decimal

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.adobjects.adsinsights import AdsInsights
from facebook_business.adobjects.campaign import Campaign

import sandbox
from steps import equal, refused, step, walk

POLLS_MAX = 10
PERIOD = {"date_preset": AdsInsights.DatePreset.last_14d}
FIELDS = [AdsInsights.Field.spend, AdsInsights.Field.impressions, AdsInsights.Field.clicks]

made = {}


def account():
    return AdAccount(sandbox.ACCOUNT)


def total(rows, field):
    return sum(decimal.Decimal(row[field]) for row in rows)


def totals(rows):
    return {field: total(rows, field) for field in FIELDS}


def finished(run):
    """Polls a report as Meta's own examples do, until it is complete."""
    seen = []
    for _ in range(POLLS_MAX):
        run = run.api_get()
        seen.append((run[AdReportRun.Field.async_status], run[AdReportRun.Field.async_percent_completion]))
        if seen[-1] == ("Job Completed", 100):
            return run, seen
    raise AssertionError(f"not complete: {seen}")


@step
def an_account_has_one_row_for_the_period():
    rows = list(account().get_insights(fields=FIELDS + ["account_id", "account_currency"], params=PERIOD))
    equal(len(rows), 1)
    equal(("act_" + rows[0]["account_id"], rows[0]["account_currency"]), (sandbox.ACCOUNT, "USD"))
    # Every number is text.
    assert all(isinstance(rows[0][field], str) for field in FIELDS), rows[0]
    assert total(rows, "spend") > 0
    made["totals"] = totals(rows)


@step
def every_level_adds_up_to_the_account():
    for level, name in (("campaign", "campaign_name"), ("adset", "adset_name"), ("ad", "ad_name")):
        rows = list(account().get_insights(fields=FIELDS + [name], params={**PERIOD, "level": level, "limit": 2}))
        assert len({row[name] for row in rows}) == len(rows) > 1, rows
        equal(totals(rows), made["totals"])


@step
def days_add_up_to_the_account():
    rows = list(account().get_insights(fields=FIELDS, params={**PERIOD, "time_increment": 1, "limit": 5}))
    equal(len(rows), 14)
    equal(len({row["date_start"] for row in rows}), 14)
    assert all(row["date_start"] == row["date_stop"] for row in rows)
    equal(totals(rows), made["totals"])
    weeks = list(account().get_insights(fields=FIELDS, params={**PERIOD, "time_increment": 7}))
    equal((len(weeks), totals(weeks)), (2, made["totals"]))


@step
def breakdowns_add_up_to_the_account_and_stand_in_every_row():
    for breakdowns in (["age", "gender"], ["country"], ["publisher_platform", "platform_position"], ["device_platform"]):
        rows = list(account().get_insights(fields=FIELDS, params={**PERIOD, "breakdowns": breakdowns, "limit": 100}))
        assert all(row[name] for row in rows for name in breakdowns), rows
        equal(totals(rows), made["totals"])


@step
def conversions_are_told_by_action_type_and_window():
    params = {**PERIOD, "action_attribution_windows": ["1d_click", "7d_click"]}
    row = list(account().get_insights(fields=["actions", "action_values", "purchase_roas", "cost_per_action_type"], params=params))[0]
    actions = {action["action_type"]: action for action in row["actions"]}
    assert int(actions["link_click"]["value"]) > 0, actions
    purchase = actions["offsite_conversion.fb_pixel_purchase"]
    # The same purchase goes by several names.
    equal(actions["purchase"]["value"], purchase["value"])
    assert int(purchase["1d_click"]) <= int(purchase["7d_click"]), purchase
    # What one click became is part of what the page had.
    assert int(actions["page_engagement"]["value"]) >= int(actions["link_click"]["value"]), actions


@step
def rows_are_sorted_filtered_and_summed():
    params = {**PERIOD, "level": "ad", "sort": ["spend_descending"], "default_summary": True}
    cursor = account().get_insights(fields=FIELDS, params=params)
    assert '"spend"' in cursor.summary(), cursor.summary()
    spends = [decimal.Decimal(row["spend"]) for row in cursor]
    equal(spends, sorted(spends, reverse=True))
    above = {"field": "spend", "operator": "GREATER_THAN", "value": float(spends[1])}
    rows = list(account().get_insights(fields=FIELDS, params={**PERIOD, "level": "ad", "filtering": [above]}))
    equal([decimal.Decimal(row["spend"]) for row in rows], spends[:1])


@step
def what_did_not_deliver_has_no_rows():
    campaign = account().create_campaign(
        params={
            "name": "New",
            "objective": "OUTCOME_TRAFFIC",
            "status": "PAUSED",
            "special_ad_categories": [],
            "daily_budget": 5_000,
        }
    )
    equal(list(Campaign(campaign["id"]).get_insights(fields=FIELDS, params=PERIOD)), [])


@step
def every_answer_says_how_much_of_the_limit_is_used():
    headers = account().get_insights(fields=FIELDS, params=PERIOD).headers()
    assert "acc_id_util_pct" in headers["x-fb-ads-insights-throttle"], headers
    assert sandbox.ACCOUNT[4:] in headers["x-business-use-case-usage"], headers


@step
def a_report_is_asked_for_polled_and_read():
    run = account().get_insights(fields=FIELDS + ["ad_id"], params={**PERIOD, "level": "ad", "time_increment": 1}, is_async=True)
    equal(run.get_id(), run["report_run_id"])
    run, seen = finished(run)
    assert len(seen) > 1 and seen[0][0] in ("Job Not Started", "Job Started", "Job Running"), seen
    percents = [percent for _, percent in seen]
    equal(percents, sorted(percents))
    assert run["time_completed"] >= run["time_ref"], run
    rows = list(run.get_result(params={"limit": 10}))
    equal(len({(row["ad_id"], row["date_start"]) for row in rows}), len(rows))
    equal(totals(rows), made["totals"])


@step
def a_report_of_one_campaign_has_its_breakdown():
    sales = next(one for one in account().get_campaigns(fields=["name"]) if one["name"] == "Always on: sales")
    run = sales.get_insights(fields=FIELDS, params={**PERIOD, "breakdowns": ["age"]}, is_async=True)
    rows = list(finished(run)[0].get_insights())
    at_once = list(sales.get_insights(fields=FIELDS, params=PERIOD))
    assert len(rows) > 1 and all(row["age"] for row in rows), rows
    equal(totals(rows), totals(at_once))


@step
def an_impossible_question_is_refused():
    refused(100, account().get_insights, fields=["spend", "no_such_metric"])
    refused(100, account().get_insights, params={"breakdowns": ["country", "age", "product_id"]})
    long_ago = {"time_range": {"since": "2019-01-01", "until": "2019-01-31"}}
    refused(3018, account().get_insights, params=long_ago)


sandbox.connect()
walk()
