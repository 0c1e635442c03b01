"""Server-side events by the SDK's asynchronous requests, alone and through its batch processor.

These alone look at neither HTTPS_PROXY nor a CA file of the caller's, so the SDK is told the sandbox's address instead.
"""

import asyncio
import time

from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.batch_processor import BatchProcessor
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request_async import EventRequestAsync
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.session import FacebookSession

import sandbox
from steps import equal, step, walk

EVENTS = 120
BATCH = 50


def lead(event_id):
    user = UserData(email="mary@example.com", client_ip_address="192.0.2.7", client_user_agent="Mozilla/5.0")
    return Event(
        event_name="Lead",
        event_time=int(time.time()),
        event_id=event_id,
        event_source_url="https://shop.example",
        action_source=ActionSource.WEBSITE,
        user_data=user,
    )


def arrived(prefix):
    return sorted(event["event_id"] for event in sandbox.events() if event["event_id"].startswith(prefix))


def posts():
    return [line for line in sandbox.requests() if line["path"].endswith(f"/{sandbox.DATASET}/events")]


@step
def one_request_is_awaited():
    answer = asyncio.run(EventRequestAsync(pixel_id=sandbox.DATASET, events=[lead("a-1"), lead("a-2")]).execute())
    equal((answer.events_received, answer.messages), (2, []))
    equal(arrived("a-"), ["a-1", "a-2"])


@step
def many_events_go_in_batches():
    before = len(posts())
    request = EventRequestAsync(pixel_id=sandbox.DATASET, events=[], test_event_code="T")
    events = [lead(f"b-{number:03}") for number in range(EVENTS)]
    BatchProcessor(batch_size=BATCH, concurrent_requests=4).process_events(request, events)
    equal(arrived("b-"), [event.event_id for event in events])
    equal([line["status"] for line in posts()[before:]], [200] * 3)


@step
def many_requests_go_after_each_other():
    requests = [EventRequestAsync(pixel_id=sandbox.DATASET, events=[lead(f"c-{number}")]) for number in range(9)]
    BatchProcessor(concurrent_requests=2).process_event_requests(requests)
    equal(arrived("c-"), [f"c-{number}" for number in range(9)])


FacebookSession.GRAPH = sandbox.BASE
sandbox.connect()
walk()
