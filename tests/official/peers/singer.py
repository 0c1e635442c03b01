"""The Singer tap for Facebook against the sandbox: discovery and a sync of ads_insights.

The tap runs unchanged, as a process of its own; the way to the sandbox is in its environment (HTTPS_PROXY and
REQUESTS_CA_BUNDLE). Its rows must be equal to the sandbox's own truth.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import truth

DAYS = 10
SYNC_SECONDS = 600
TOKEN = "sandbox-system-user-token"
ACCOUNT = "act_1000000000001"
STREAM = "ads_insights"
KEY = ["ad_id", "date_start"]
METRICS = ["impressions", "clicks", "reach", "spend", "cpc", "cpm", "ctr", "frequency"]
#: What the tap asks for beside the fields.
ASKED = {
    "action_breakdowns": ["action_type", "action_target_id", "action_destination"],
    "action_attribution_windows": ["1d_click", "7d_click", "28d_click", "1d_view", "7d_view", "28d_view"],
}


def main(tap):
    since, until = truth.days(DAYS)
    sandbox = truth.Truth(os.environ["SANDBOX"], TOKEN, ACCOUNT)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config = folder / "config.json"
        config.write_text(json.dumps(settings(since, until)), encoding="utf-8")
        catalog = folder / "catalog.json"
        catalog.write_text(json.dumps(selected(discover(tap, config))), encoding="utf-8")
        rows = sync(tap, config, catalog)
    read = {(row["ad_id"], row["date_start"][:10]): row for row in rows}
    true = sandbox.insights(since, until, ["ad_id", *METRICS, "actions"], KEY, **ASKED)
    faults = truth.differences(STREAM, read, true, [*METRICS, "actions"])
    if len(read) != len(rows):
        faults.append(f"{STREAM}: {len(rows)} rows, but only {len(read)} keys")
    summed = sum(truth.comparable(row["spend"]) for row in rows)
    total = sandbox.total(since, until, "spend")
    if summed != total:
        faults.append(f"{STREAM}: spend sums up to {summed}, the account has {total}")
    for fault in faults[:20]:
        print(f"  {fault}")
    print(f"{'failed' if faults else 'ok    '}  sync: {len(rows)} {STREAM}")
    return 1 if faults else 0


def settings(since, until):
    # The tap begins a day before its start date: what was restated within its shortest attribution window.
    return {
        "account_id": ACCOUNT.removeprefix("act_"),
        "access_token": TOKEN,
        "start_date": f"{since + datetime.timedelta(days=1)}T00:00:00Z",
        "end_date": f"{until}T00:00:00Z",
        "insights_buffer_days": "1",
    }


def discover(tap, config):
    catalog = json.loads(run(tap, "--config", config, "--discover"))
    if STREAM not in {stream["tap_stream_id"] for stream in catalog["streams"]}:
        raise SystemExit(f"failed  discover: {STREAM} is missing")
    print(f"ok      discover: {len(catalog['streams'])} streams")
    return catalog


def selected(catalog):
    """The stream with all its fields, and none of the others."""
    for stream in catalog["streams"]:
        chosen = stream["tap_stream_id"] == STREAM
        stream["schema"]["selected"] = chosen
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = chosen
    return catalog


def sync(tap, config, catalog):
    messages = [json.loads(line) for line in run(tap, "--config", config, "--properties", catalog).splitlines()]
    return [message["record"] for message in messages if message["type"] == "RECORD"]


def run(tap, *words):
    done = subprocess.run([tap, *map(str, words)], capture_output=True, text=True, timeout=SYNC_SECONDS, check=False)
    if done.returncode != 0:
        raise SystemExit("\n".join(["failed  exit code " + str(done.returncode), *done.stderr.splitlines()[-20:]]))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main("tap-facebook"))
