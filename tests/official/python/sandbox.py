"""The sandbox as these programs find it: the names of its world, and its own doors below `/__sandbox`.

Only what a test must see or turn is asked of those doors; everything else goes through Meta's SDK.
"""

import json
import logging
import os
import urllib.request

from facebook_business.api import FacebookAdsApi

APP_ID = "1000000000000001"
APP_SECRET = "sandbox-app-secret"
TOKEN = "sandbox-system-user-token"
ACCOUNT = "act_1000000000001"
ACCOUNTS = ["act_1000000000001", "act_1000000000002", "act_1000000000003"]
DATASET = "2000000000000001"
PAGE = "3000000000000001"

BASE = os.environ["SANDBOX"]

# The SDK warns of its own older calls, which programs still make.
logging.disable(logging.WARNING)


def connect(**options):
    """The SDK as its own guide has it; that it speaks to the sandbox is the work of the environment."""
    given = {"app_id": APP_ID, "app_secret": APP_SECRET, "access_token": TOKEN, "crash_log": False, **options}
    return FacebookAdsApi.init(**given)


def control(method, name, body=None):
    """Calls one of the sandbox's own doors and gives its answer as text."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{BASE}/__sandbox/{name}", data=data, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def settings(**changes):
    """Changes settings of the sandbox; the others stay."""
    return json.loads(control("POST", "settings", changes))


def turn_clock(seconds):
    """Moves the sandbox's time on."""
    control("POST", "clock", {"advance_seconds": seconds})


def fault(action, **matcher):
    """The next call that fits the matcher fails so, once."""
    control("POST", "faults", {"matcher": matcher, "action": action, "count": 1})


def rule(action, count=None, **matcher):
    """Every call that fits the matcher fails so, until `no_faults`; or so many of them. Gives the id of the rule."""
    body = {"matcher": matcher, "action": action, **({"count": count} if count else {})}
    return json.loads(control("POST", "faults", body))["id"]


def no_faults():
    """Ends all rules, and what they had under way."""
    control("DELETE", "faults")


def requests():
    """The log of all calls: one dict each."""
    return [json.loads(line) for line in control("GET", "requests").splitlines()]


def world():
    """What exists, by kind."""
    return json.loads(control("GET", "world"))


def events(dataset=DATASET):
    """The server-side events that a dataset keeps."""
    return [json.loads(line) for line in control("GET", f"events?dataset={dataset}").splitlines()]
