"""Airbyte's connector for Facebook Marketing against the sandbox: check, discover, and a read of six streams.

The connector runs unchanged, as a process of its own; the way to the sandbox is in its environment (HTTPS_PROXY and
REQUESTS_CA_BUNDLE), as it would be for a program of anyone. Its rows must be equal to the sandbox's own truth.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import truth

DAYS = 10
READ_SECONDS = 600
TOKEN = "sandbox-system-user-token"
ACCOUNT = "act_1000000000001"
WINDOWS = ["1d_click", "7d_click", "28d_click", "1d_view"]
METRICS = ["impressions", "clicks", "reach", "spend", "cpc", "cpm", "ctr", "frequency", "inline_link_clicks"]
LISTS = ["actions", "action_values", "purchase_roas", "outbound_clicks"]
EDGES = {
    "campaigns": ("campaigns", ["id", "name", "objective", "status", "effective_status", "created_time", "buying_type"]),
    "ad_sets": ("adsets", ["id", "name", "campaign_id", "daily_budget", "effective_status", "targeting", "updated_time"]),
    "ads": ("ads", ["id", "name", "adset_id", "campaign_id", "effective_status", "bid_type", "updated_time"]),
    "ad_creatives": ("adcreatives", ["id", "name", "status", "object_type", "actor_id", "object_story_spec"]),
}
INSIGHTS = {
    "ads_insights": ([], ["action_type", "action_target_id", "action_destination"]),
    "ads_insights_age_and_gender": (["age", "gender"], ["action_type", "action_target_id", "action_destination"]),
}


def main(connector):
    since, until = truth.days(DAYS)
    sandbox = truth.Truth(os.environ["SANDBOX"], TOKEN, ACCOUNT)
    touch(sandbox)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config = folder / "config.json"
        config.write_text(json.dumps(settings(since, until)), encoding="utf-8")
        check(connector, config)
        catalog = folder / "catalog.json"
        catalog.write_text(json.dumps(configured(discover(connector, config))), encoding="utf-8")
        records = read(connector, config, catalog)
    faults = [fault for name in EDGES for fault in edge_faults(sandbox, name, records.get(name, []))]
    for name in INSIGHTS:
        faults += insights_faults(sandbox, name, records.get(name, []), since, until)
    for fault in faults[:20]:
        print(f"  {fault}")
    print(f"{'failed' if faults else 'ok    '}  read: {', '.join(f'{len(rows)} {name}' for name, rows in records.items())}")
    return 1 if faults else 0


def touch(sandbox):
    """Changes every campaign, ad set and ad: the connector leaves out what was not changed since its start date."""
    for edge in ["campaigns", "adsets", "ads"]:
        for key, row in sandbox.edge(edge, ["id", "name"]).items():
            sandbox.rename(key, row["name"] + ", read by Airbyte")


def settings(since, until):
    return {
        "account_ids": [ACCOUNT.removeprefix("act_")],
        "credentials": {"auth_type": "Service", "access_token": TOKEN},
        "start_date": f"{since}T00:00:00Z",
        "end_date": f"{until}T00:00:00Z",
    }


def check(connector, config):
    answers = messages(connector, "check", "--config", config)
    status = next(answer["connectionStatus"] for answer in answers if answer["type"] == "CONNECTION_STATUS")
    if status["status"] != "SUCCEEDED":
        raise SystemExit(f"failed  check: {status}")
    print("ok      check")


def discover(connector, config):
    answers = messages(connector, "discover", "--config", config)
    streams = next(answer["catalog"]["streams"] for answer in answers if answer["type"] == "CATALOG")
    missing = (EDGES.keys() | INSIGHTS.keys()) - {stream["name"] for stream in streams}
    if missing:
        raise SystemExit(f"failed  discover: {missing} are missing")
    print(f"ok      discover: {len(streams)} streams")
    return streams


def configured(streams):
    wanted = [stream for stream in streams if stream["name"] in EDGES or stream["name"] in INSIGHTS]
    return {
        "streams": [
            {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"} for stream in wanted
        ]
    }


def read(connector, config, catalog):
    records = {}
    for answer in messages(connector, "read", "--config", config, "--catalog", catalog):
        if answer["type"] == "RECORD":
            records.setdefault(answer["record"]["stream"], []).append(answer["record"]["data"])
        elif answer["type"] == "TRACE" and answer["trace"]["type"] == "ERROR":
            raise SystemExit(f"failed  read: {answer['trace']['error']['message']}")
    return records


def messages(connector, *words):
    """What the connector says on its standard output, a JSON message a line; others are its log."""
    done = subprocess.run(
        [connector, *map(str, words)], capture_output=True, text=True, timeout=READ_SECONDS, check=False
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0:
        tail = done.stdout.splitlines()[-20:] + done.stderr.splitlines()[-20:]
        raise SystemExit("\n".join([f"failed  {words[0]}: exit code {done.returncode}", *tail]))
    return answers


def edge_faults(sandbox, name, rows):
    edge, fields = EDGES[name]
    true = sandbox.edge(edge, fields)
    if not true:
        return [f"{name}: the sandbox has none, so nothing is shown"]
    return truth.differences(name, {row["id"]: row for row in rows}, true, fields)


def insights_faults(sandbox, name, rows, since, until):
    breakdowns, action_breakdowns = INSIGHTS[name]
    key = ["ad_id", "date_start", *breakdowns]
    true = sandbox.insights(
        since,
        until,
        ["ad_id", *METRICS, *LISTS],
        key,
        breakdowns=breakdowns,
        action_breakdowns=action_breakdowns,
        action_attribution_windows=WINDOWS,
    )
    read_rows = {tuple(row[part] for part in key): row for row in rows}
    faults = truth.differences(name, read_rows, true, METRICS + LISTS)
    if len(read_rows) != len(rows):
        faults.append(f"{name}: {len(rows)} rows, but only {len(read_rows)} keys")
    for metric in ["spend", "impressions", "clicks"]:
        summed = sum(truth.comparable(row[metric]) for row in rows)
        total = sandbox.total(since, until, metric)
        if summed != total:
            faults.append(f"{name}: {metric} sums up to {summed}, the account has {total}")
    return faults


if __name__ == "__main__":
    sys.exit(main("source-facebook-marketing"))
