"""A person connects ad accounts: a headless Chromium walks from our page that says who asks, through Meta's dialog, played
by the sandbox, to the page that says what came of it. What the page says is held against what the service then knows.

Ends with a line `N passed, N failed`.
"""

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import urllib.request
import uuid

import grpc
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from ports import free_port_base

from adplane.auth.v1 import connection_pb2, connection_service_pb2, connection_service_pb2_grpc

CALL_SECONDS = 30
PAGE_SECONDS = 30
SCOPES = ["ads_management", "ads_read", "business_management"]
# Its only pages are this machine's; nothing else is to be looked up or fetched.
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
]


class Stack:
    """`adplane dev` as a child process, its sandbox set to ask the person."""

    def __init__(self, adplane, log):
        command = [adplane, "dev", "--port-base", str(free_port_base())]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the stack did not start")
        self.ready = json.loads(line)
        self.channel = grpc.insecure_channel(self.ready["gateway"].removeprefix("http://"))
        self.stub = connection_service_pb2_grpc.ConnectionServiceStub(self.channel)
        self.settings({"dialog": "ask"})

    def settings(self, settings):
        self.control("settings", settings)

    def control(self, door, body):
        request = urllib.request.Request(
            f"{self.ready['sandbox']}/__sandbox/{door}",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as answer:
            assert answer.status == 200

    def call(self, method, request):
        metadata = [("authorization", "Bearer " + self.ready["token"])]
        return getattr(self.stub, method)(request, timeout=CALL_SECONDS, metadata=metadata)

    def begin(self):
        request = connection_service_pb2.BeginConnectionRequest(
            meta_app="metaApps/1000000000000001", scopes=SCOPES, request_id=str(uuid.uuid4())
        )
        return self.call("BeginConnection", request)

    def dialog(self, begun):
        """Meta's own dialog, past our page."""
        request = connection_service_pb2.GetLoginRequest(state=begun.state)
        return self.stub.GetLogin(request, timeout=CALL_SECONDS).login.dialog_url

    def people(self):
        """The connections that came from a person's log-in."""
        listed = self.call("ListConnections", connection_service_pb2.ListConnectionsRequest()).connections
        return [one for one in listed if one.kind == connection_pb2.CONNECTION_KIND_USER]

    def stop(self):
        self.channel.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


class Walk:
    """The steps, in order; each begins a log-in of its own."""

    def __init__(self, stack, browser):
        self.stack = stack
        self.browser = browser

    def a_person_reads_who_asks_before_meta_does(self):
        begun = self.stack.begin()
        assert begun.authorization_url.startswith(self.stack.ready["gateway"] + "/oauth/begin?"), begun.authorization_url
        self.browser.get(begun.authorization_url)
        self.reads("Connect your ad accounts?", "asks for access")
        tenant, caller, *_ = [one.text for one in self.browser.find_elements(By.CSS_SELECTOR, "p b")]
        assert tenant and caller, self.browser.page_source
        # A script cannot read what ties the log-in to this browser.
        assert self.browser.execute_script("return document.cookie") == ""
        (shown,) = self.cookies()
        assert shown["httpOnly"] and shown["path"] == "/oauth" and shown["sameSite"] == "Strict", shown
        self.go_on()
        self.browser.get(self.callback())
        (gone_on,) = self.cookies()
        assert gone_on["httpOnly"] and gone_on["sameSite"] == "Lax" and gone_on["value"] == begun.state, gone_on
        assert not self.stack.people()

    def a_person_who_was_sent_straight_to_meta_gives_their_consent_to_nobody(self):
        """Somebody begins a log-in and sends the dialog itself to somebody else, who says yes to Meta."""
        begun = self.stack.begin()
        self.browser.delete_all_cookies()
        self.browser.get(self.stack.dialog(begun))
        self.decide("grant")
        self.reads("Nothing was connected", "not begun in this browser")
        assert not self.stack.people()
        # Nothing of it is used up: whoever opens the link as it was meant is connected by it.
        self.browser.get(begun.authorization_url)
        self.reads("Connect your ad accounts?", "asks for access")

    def a_button_of_another_site_goes_nowhere(self):
        begun = self.stack.begin()
        # Our page was shown, so its cookie is there; it is not sent along.
        self.browser.get(begun.authorization_url)
        form = f"<form method=post action='{self.stack.ready['gateway']}/oauth/begin'>"
        form += f"<input name=state value='{begun.state}'><button>win a prize</button></form>"
        self.browser.get("data:text/html," + urllib.parse.quote(form))
        self.browser.find_element(By.TAG_NAME, "button").click()
        self.reads("Open the link again", "cookie")

    def a_person_who_says_no_connects_nothing(self):
        self.open_dialog()
        self.decide("deny")
        self.reads("Nothing was connected", "connect again")
        assert not self.stack.people()

    def a_person_who_leaves_something_out_is_told_what(self):
        self.open_dialog()
        self.browser.find_element(By.CSS_SELECTOR, "input[value=ads_management]").click()
        self.decide("grant")
        self.reads("Connected, but not enough", "ads_management")
        (connection,) = self.stack.people()
        assert connection.state == connection_pb2.CONNECTION_STATE_NEEDS_CONSENT, connection
        assert list(connection.missing_scopes) == ["ads_management"], connection

    def a_person_who_allows_all_is_connected(self):
        self.open_dialog()
        shown = {box.get_attribute("value") for box in self.browser.find_elements(By.NAME, "sandbox_scope[]")}
        assert shown >= set(SCOPES), shown
        self.decide("grant")
        self.reads("Connected", "close this page")
        (connection,) = self.stack.people()
        assert connection.state == connection_pb2.CONNECTION_STATE_ACTIVE, connection
        assert set(connection.scopes) >= set(SCOPES), connection
        assert connection.HasField("expire_time"), "a person's token ends"

    def the_same_page_loaded_again_connects_nothing_twice(self):
        versions = [one.etag for one in self.stack.people()]
        self.browser.refresh()
        self.reads("This log-in was used already", "all is well")
        assert [one.etag for one in self.stack.people()] == versions

    def a_state_that_nobody_began_is_refused(self):
        state = "made-up-and-as-long-as-one-of-auths-states-"
        self.browser.get(f"{self.stack.ready['gateway']}/oauth/begin?state={state}")
        self.reads("Nobody here began this log-in", "connect again")
        self.browser.get(self.callback(state=state, code="made-up"))
        self.reads("Nothing was connected", "not begun in this browser")

    def a_code_that_meta_refuses_is_no_mystery(self):
        begun = self.open_dialog()
        self.browser.get(self.callback(state=begun.state, code="made-up"))
        self.reads("Meta refused the log-in", "connect again")

    def a_page_opened_by_hand_says_so(self):
        self.browser.get(self.callback())
        self.reads("This page was opened without a log-in", "connect again")

    def meta_that_is_away_is_said_to_be_busy(self):
        self.stack.control("faults", {"matcher": {"path": "oauth/access_token"}, "action": {"http": {"status": 503}}, "count": 50})
        self.open_dialog()
        self.decide("grant")
        self.reads("This did not work just now", "few minutes")

    def callback(self, **query):
        return f"{self.stack.ready['gateway']}/oauth/callback?{urllib.parse.urlencode(query)}"

    def cookies(self):
        return [one for one in self.browser.get_cookies() if one["name"].startswith("adplane_login_")]

    def open_dialog(self):
        begun = self.stack.begin()
        self.browser.get(begun.authorization_url)
        self.go_on()
        return begun

    def go_on(self):
        """From our page to Meta's."""
        self.browser.find_element(By.TAG_NAME, "button").click()
        WebDriverWait(self.browser, PAGE_SECONDS).until(
            lambda browser: browser.current_url.startswith(self.stack.ready["sandbox"])
        )
        assert "wants to reach your ad accounts" in self.text("h1"), self.browser.page_source

    def decide(self, decision):
        self.browser.find_element(By.CSS_SELECTOR, f"button[value={decision}]").click()
        arrived = f"{self.stack.ready['gateway']}/oauth/callback"
        WebDriverWait(self.browser, PAGE_SECONDS).until(lambda browser: browser.current_url.startswith(arrived))

    def reads(self, title, words):
        """What a person reads, and that the page passes nothing of its address on."""
        with contextlib.suppress(TimeoutException):
            WebDriverWait(self.browser, PAGE_SECONDS).until(lambda _: self.text("h1") == title)
        assert self.text("h1") == title, f"{self.text('h1')!r} instead of {title!r}: {self.text('p')}"
        assert words in self.text("p"), self.text("p")
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(self.browser.current_url).query).get("code", ["there is none"])[0]
        assert code not in self.browser.page_source, "the code stands in the page"
        loaded = self.browser.execute_script("return performance.getEntriesByType('resource').length")
        assert loaded == 0, "the page fetches something"

    def text(self, selector):
        found = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return found[0].text if found else ""


def chromium(folder):
    options = webdriver.ChromeOptions()
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            options.binary_location = path
            break
    for flag in [*FLAGS, f"--user-data-dir={folder}"]:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def main(adplane):
    passed = failed = 0
    with contextlib.ExitStack() as ending:
        folder = pathlib.Path(ending.enter_context(tempfile.TemporaryDirectory()))
        log = ending.enter_context(open(folder / "dev.log", "w", encoding="utf-8"))
        stack = Stack(adplane, log)
        ending.callback(stack.stop)
        browser = chromium(folder / "profile")
        ending.callback(browser.quit)
        walk = Walk(stack, browser)
        steps = [name for name, step in vars(Walk).items() if callable(step) and name.startswith(("a_", "the_", "meta_"))]
        for step in steps:
            began = time.monotonic()
            try:
                getattr(walk, step)()
            except Exception:  # one step's failure must not hide the others
                failed += 1
                traceback.print_exc()
                print(f"FAILED {step}")
            else:
                passed += 1
                print(f"ok     {step} ({time.monotonic() - began:.1f} s)")
        if failed:
            print((folder / "dev.log").read_text(encoding="utf-8")[-4_000:], file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
