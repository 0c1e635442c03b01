"""Lists: over many pages, counted, filtered, with nested fields."""

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.campaign import Campaign
from facebook_business.exceptions import FacebookUnavailablePropertyException

import sandbox
from steps import equal, refused, step, walk

MADE = 57
names = [f"Row {number:02}" for number in range(MADE)]


def account():
    return AdAccount(sandbox.ACCOUNTS[1])


@step
def rows_are_there_to_be_read():
    for name in names:
        account().create_campaign(
            params={
                "name": name,
                "objective": "OUTCOME_AWARENESS",
                "status": "PAUSED",
                "special_ad_categories": [],
                "is_adset_budget_sharing_enabled": False,
            }
        )
    equal(sum(row["name"] in names for row in sandbox.world()["campaigns"]), MADE)


@step
def a_cursor_goes_over_all_pages_and_knows_the_total():
    before = len(sandbox.requests())
    cursor = account().get_campaigns(fields=["name"], params={"limit": 10})
    equal(len(cursor), 10)
    equal(cursor.total(), MADE)
    found = [campaign["name"] for campaign in cursor]
    equal(sorted(found), names)
    equal(len(sandbox.requests()) - before, 6)


@step
def a_page_has_25_rows_where_no_limit_is_given():
    cursor = account().get_campaigns(fields=["name"])
    equal(len(cursor), 25)
    equal(len(list(cursor)), MADE)


@step
def rows_that_are_made_meanwhile_are_not_read_twice():
    cursor = account().get_campaigns(fields=["name"], params={"limit": 20})
    first = [next(cursor)["name"] for _ in range(20)]
    made = account().create_campaign(
        params={
            "name": "Meanwhile",
            "objective": "OUTCOME_AWARENESS",
            "status": "PAUSED",
            "special_ad_categories": [],
            "is_adset_budget_sharing_enabled": False,
        }
    )
    rest = [campaign["name"] for campaign in cursor]
    equal(sorted(name for name in first + rest if name != "Meanwhile"), names)
    made.api_delete()


@step
def a_list_is_filtered_by_status_and_by_field():
    equal(account().get_campaigns(params={"effective_status": ["ACTIVE"]}).total(), 0)
    equal(account().get_campaigns(params={"effective_status": ["PAUSED", "ACTIVE"]}).total(), MADE)
    some = account().get_campaigns(
        fields=["name"], params={"filtering": [{"field": "name", "operator": "CONTAIN", "value": "Row 1"}]}
    )
    equal(sorted(campaign["name"] for campaign in some), names[10:20])


@step
def an_empty_list_has_no_rows_and_no_next_page():
    cursor = account().get_ads(fields=["name"])
    equal((list(cursor), cursor.total()), ([], 0))


@step
def nested_lists_come_with_their_own_limit():
    sales = AdAccount(sandbox.ACCOUNT).get_campaigns(
        fields=["name", "adsets.limit(1){name,ads{name}}"],
        params={"filtering": [{"field": "name", "operator": "CONTAIN", "value": "sales"}]},
    )
    ad_sets = sales[0]["adsets"]
    # The SDK makes objects of nested rows.
    equal(len(ad_sets), 1)
    assert ad_sets[0]["name"] in ("Prospects US", "Returning US"), ad_sets
    assert ad_sets[0]["ads"][0]["name"], ad_sets


@step
def a_cursor_that_was_made_up_is_refused():
    refused(2642, account().get_campaigns, params={"after": "made-up"})


@step
def a_field_that_does_not_exist_is_refused_by_name():
    error = refused(100, Campaign(sandbox.world()["campaigns"][0]["id"]).api_get, fields=["no_such_field"])
    assert "Tried accessing nonexisting field (no_such_field)" in error.api_error_message(), error


@step
def insights_have_no_total():
    cursor = AdAccount(sandbox.ACCOUNT).get_insights(fields=["spend"])
    try:
        cursor.total()
    except FacebookUnavailablePropertyException:
        return
    raise AssertionError("insights were counted")


@step
def an_unchanged_object_is_not_sent_again():
    api = account().get_api()
    path = (sandbox.ACCOUNT,)
    first = api.call("GET", path, params={"fields": "name,currency"})
    again = api.call("GET", path, params={"fields": "name,currency"}, headers={"If-None-Match": first.etag()})
    equal((again.status(), again.body()), (304, ""))


sandbox.connect()
walk()
