"""Who calls: the app's secret proves every call, people and accounts are read, dead and wrong tokens are told apart."""

import pathlib
import subprocess
import sys

import requests
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi

import sandbox
from steps import equal, refused, step, walk

CRASHES = pathlib.Path(__file__).with_name("crash.py")


@step
def the_person_behind_the_token_is_read():
    me = User("me").api_get(fields=["id", "name"])
    equal(me["name"], "Sandbox System User")
    assert me["id"].isdigit() and me.get_id() == me["id"], me


@step
def all_ad_accounts_are_found_with_their_currencies():
    accounts = list(User("me").get_ad_accounts(fields=["id", "account_id", "name", "currency", "timezone_name"]))
    found = {account["id"]: account["currency"] for account in accounts}
    equal(found, dict(zip(sandbox.ACCOUNTS, ["USD", "EUR", "JPY"])))
    for account in accounts:
        equal(account["id"], "act_" + account["account_id"])


@step
def an_account_keeps_its_prefix_when_it_is_read():
    account = AdAccount(sandbox.ACCOUNT).api_get(fields=["name", "currency", "account_status", "timezone_offset_hours_utc"])
    equal(account.get_id(), sandbox.ACCOUNT)
    equal((account["currency"], account["account_status"]), ("USD", 1))
    # The id that the answer had is that of the next call.
    assert len(list(account.get_campaigns(fields=["name"]))) == 3


@step
def businesses_and_pages_are_found():
    businesses = User("me").get_businesses(fields=["id", "name"])
    equal([business["name"] for business in businesses], ["Sandbox Business"])
    pages = list(User("me").get_accounts(fields=["id", "name", "tasks"]))
    equal([page["id"] for page in pages], [sandbox.PAGE])
    assert "ADVERTISE" in pages[0]["tasks"], pages


@step
def a_call_without_a_proof_is_refused_where_the_app_wants_one():
    bare = sandbox.connect(app_secret=None)
    error = refused(100, AdAccount(sandbox.ACCOUNT, api=bare).api_get, fields=["name"])
    equal(error.api_error_message(), "API calls from the server require an appsecret_proof argument")
    equal(error.api_error_type(), "GraphMethodException")
    sandbox.connect()


@step
def a_wrong_proof_is_refused():
    wrong = sandbox.connect(app_secret="another-secret")
    error = refused(100, AdAccount(sandbox.ACCOUNT, api=wrong).api_get, fields=["name"])
    equal(error.api_error_message(), "Invalid appsecret_proof provided in the API argument")
    sandbox.connect()


@step
def a_token_that_nobody_gave_is_refused():
    nobody = sandbox.connect(access_token="EAAnobody")
    error = refused(190, AdAccount(sandbox.ACCOUNT, api=nobody).api_get, fields=["name"])
    equal((error.api_error_type(), error.api_error_subcode()), ("OAuthException", None))
    sandbox.connect()


@step
def a_token_lives_until_it_expires():
    token = exchanged_for_a_login()
    person = sandbox.connect(access_token=token)
    equal(User("me", api=person).api_get(fields=["name"])["name"], "Sam Sandbox")
    sandbox.turn_clock(61 * 86_400)
    error = refused(190, User("me", api=person).api_get, subcode=463)
    assert "Session has expired on" in error.api_error_message(), error
    sandbox.connect()
    equal(User("me").api_get(fields=["name"])["name"], "Sandbox System User")


def exchanged_for_a_login():
    """The token of a person who went through the login dialog."""
    api = FacebookAdsApi.get_default_api()
    redirect = "https://shop.example/back"
    scope = "ads_management,ads_read"
    dialog = {"client_id": sandbox.APP_ID, "redirect_uri": redirect, "scope": scope, "state": "s"}
    address = "https://www.facebook.com/v26.0/dialog/oauth"
    answer = requests.get(address, params=dialog, allow_redirects=False, timeout=10)
    equal(answer.status_code, 302)
    code = answer.headers["location"].split("code=")[1].split("&")[0]
    given = {"client_id": sandbox.APP_ID, "client_secret": sandbox.APP_SECRET, "redirect_uri": redirect, "code": code}
    return api.call("GET", ["oauth", "access_token"], params=given).json()["access_token"]


@step
def several_objects_are_read_at_once_before_version_26():
    ids = [campaign["id"] for campaign in AdAccount(sandbox.ACCOUNT).get_campaigns(fields=["id"])]
    old = sandbox.connect(api_version="v25.0")
    found = Campaign.get_by_ids(ids[:2], fields=["name"], api=old)
    equal({campaign.get_id() for campaign in found}, set(ids[:2]))
    assert all(campaign["name"] for campaign in found), found
    refused(100, Campaign.get_by_ids, [ids[0], "1"], fields=["name"], api=old)
    refused(100, Campaign.get_by_ids, ids[:2], fields=["name"], api=sandbox.connect())


@step
def the_sdk_s_report_of_a_crash_is_taken():
    ended = subprocess.run([sys.executable, "-B", CRASHES], capture_output=True, text=True, timeout=30)
    equal(ended.returncode, 1)
    assert "FacebookRequestError" in ended.stderr, ended.stderr
    reports = [line for line in sandbox.requests() if line["path"].endswith(f"/{sandbox.APP_ID}/instruments")]
    equal([(line["method"], line["status"]) for line in reports], [("POST", 200)])


sandbox.connect()
walk()
