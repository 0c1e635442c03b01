"""Server-side events: sent, normalised and hashed by the SDK, counted once, refused as a whole."""

import hashlib
import time

from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.content import Content
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.gender import Gender
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.adobjects.adaccount import AdAccount

import sandbox
from steps import equal, refused, step, walk


def person(mail="Mary@Example.com"):
    return UserData(
        email=mail,
        phone="+1 (650) 555-1212",
        gender=Gender.FEMALE,
        first_name="Mary",
        country_code="US",
        client_ip_address="192.0.2.7",
        client_user_agent="Mozilla/5.0",
        fbp="fb.1.1558571054389.1098115397",
    )


def purchase(event_id, **changes):
    fields = {
        "event_name": "Purchase",
        "event_time": int(time.time()),
        "event_id": event_id,
        "event_source_url": "https://shop.example/thanks",
        "action_source": ActionSource.WEBSITE,
        "user_data": person(),
        "custom_data": CustomData(
            value=12.9, currency="usd", order_id=event_id, contents=[Content(product_id="p1", quantity=2, item_price=6.45)]
        ),
    }
    return Event(**{**fields, **changes})


def request(*events, **options):
    return EventRequest(pixel_id=sandbox.DATASET, events=list(events), **options)


def received():
    return {event["event_id"]: event for event in sandbox.events()}


@step
def events_are_received():
    answer = request(purchase("a-1"), purchase("a-2"), test_event_code="TEST1", partner_agent="official-1").execute()
    equal((answer.events_received, answer.messages), (2, []))
    assert answer.fbtrace_id, answer
    kept = received()
    equal((kept["a-1"]["event_name"], kept["a-1"]["value"], kept["a-1"]["currency"].upper()), ("Purchase", "12.9", "USD"))
    equal(kept["a-1"]["test_event_code"], "TEST1")


@step
def the_person_went_out_hashed():
    sent = request(purchase("never sent")).get_params()["data"][0]
    assert hashlib.sha256(b"mary@example.com").hexdigest() in sent, sent
    assert "@" not in sent and "6505551212" not in sent, sent


@step
def the_same_event_counts_once():
    request(purchase("b-1")).execute()
    equal(request(purchase("b-1")).execute().events_received, 1)
    kept = [event for event in sandbox.events() if event["event_id"] == "b-1"]
    equal([event["effective"] for event in kept], [True, False])
    # Another name is another event.
    request(purchase("b-1", event_name="Lead")).execute()
    kept = [event for event in sandbox.events() if event["event_id"] == "b-1"]
    equal([event["effective"] for event in kept], [True, False, True])


@step
def one_bad_event_refuses_all():
    old = purchase("c-2", event_time=int(time.time()) - 8 * 86_400)
    error = refused(100, request(purchase("c-1"), old).execute, subcode=2804003)
    assert "1" in error.body()["error"]["error_user_msg"], error.body()
    assert not {"c-1", "c-2"} & set(received())


@step
def a_shop_may_tell_late():
    old = int(time.time()) - 30 * 86_400
    answer = request(purchase("d-1", event_time=old, action_source=ActionSource.PHYSICAL_STORE)).execute()
    equal(answer.events_received, 1)


@step
def a_person_nobody_could_find_is_refused():
    weak = UserData(client_ip_address="192.0.2.7", client_user_agent="Mozilla/5.0")
    refused(100, request(purchase("e-1", user_data=weak)).execute, subcode=2804050)


@step
def a_thousand_are_taken_and_one_more_is_not():
    many = [purchase(f"f-{number}") for number in range(1_001)]
    refused(100, request(*many).execute)
    equal(request(*many[:1_000]).execute().events_received, 1_000)


@step
def a_dataset_that_is_not_there_is_refused():
    refused(100, EventRequest(pixel_id="1", events=[purchase("g-1")]).execute, subcode=33)


@step
def a_new_dataset_takes_events_of_its_own():
    dataset = AdAccount(sandbox.ACCOUNT).create_ads_pixel(params={"name": "Second"})["id"]
    EventRequest(pixel_id=dataset, events=[purchase("h-1")]).execute()
    equal([event["event_id"] for event in sandbox.events(dataset)], ["h-1"])
    equal(AdsPixel(dataset).api_get(fields=["name"])["name"], "Second")


@step
def what_was_received_is_seen_in_the_dataset_s_statistics():
    rows = AdsPixel(sandbox.DATASET).get_stats(params={"aggregation": "event"})
    counts = {}
    for hour in rows:
        for row in hour["data"]:
            counts[row["value"]] = counts.get(row["value"], 0) + int(row["count"])
    purchases = sum(event["event_name"] == "Purchase" for event in sandbox.events())
    equal((counts["Purchase"], counts["Lead"]), (purchases, 1))


sandbox.connect()
walk()
