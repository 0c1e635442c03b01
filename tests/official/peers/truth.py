"""What the sandbox itself says is true, read with nothing but an HTTP client and without the peers' SDK."""

import datetime
import decimal
import json
import urllib.parse
import urllib.request

CALL_SECONDS = 60


class Truth:
    """One ad account of a sandbox, read by its base URL."""

    def __init__(self, base, token, account):
        self.base = base
        self.token = token
        self.account = account

    def rows(self, path, **params):
        """All rows of an edge, page by page."""
        params = {"limit": "500"} | {name: text(value) for name, value in params.items()}
        address = f"{self.base}/v25.0/{path}?{urllib.parse.urlencode(params)}"
        rows = []
        while address:
            request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self.token}"})
            with urllib.request.urlopen(request, timeout=CALL_SECONDS) as response:
                page = json.load(response)
            rows += page["data"]
            address = page.get("paging", {}).get("next")
        return rows

    def edge(self, edge, fields):
        statuses = ["ACTIVE", "PAUSED", "ARCHIVED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "IN_PROCESS", "WITH_ISSUES"]
        params = {} if edge == "adcreatives" else {"effective_status": statuses}
        return {row["id"]: row for row in self.rows(f"{self.account}/{edge}", fields=",".join(fields), **params)}

    def insights(self, since, until, fields, key, **params):
        """Rows of the ads, by their key."""
        span = {"since": since.isoformat(), "until": until.isoformat()}
        rows = self.rows(
            f"{self.account}/insights", level="ad", time_increment=1, time_range=span, fields=",".join(fields), **params
        )
        return {tuple(row[name] for name in key): row for row in rows}

    def total(self, since, until, field):
        """One sum of the whole account, which is computed on another way than the rows of its ads."""
        span = {"since": since.isoformat(), "until": until.isoformat()}
        rows = self.rows(f"{self.account}/insights", level="account", time_range=span, fields=field)
        return decimal.Decimal(rows[0][field])

    def rename(self, key, name):
        form = urllib.parse.urlencode({"name": name}).encode()
        request = urllib.request.Request(
            f"{self.base}/v25.0/{key}", data=form, headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as response:
            assert json.load(response)["success"], key


def text(value):
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def days(count):
    """The last whole days, as the machine of a peer counts them: yesterday and those before it."""
    until = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
    return until - datetime.timedelta(days=count - 1), until


def same(read, true):
    """Whether two values are equal, a number being equal to its text and a time to the same time in another zone."""
    if isinstance(read, dict) and isinstance(true, dict):
        return all(same(value, true.get(name)) for name, value in read.items() if value is not None)
    if isinstance(read, list) and isinstance(true, list):
        return len(read) == len(true) and all(same(*pair) for pair in zip(sorted_rows(read), sorted_rows(true)))
    if read == true:
        return True
    return comparable(read) == comparable(true)


def sorted_rows(rows):
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def comparable(value):
    if value is None or isinstance(value, (bool, dict, list)):
        return value
    try:
        return decimal.Decimal(str(value)).normalize()
    except decimal.InvalidOperation:
        pass
    try:
        return datetime.datetime.fromisoformat(str(value)).astimezone(datetime.timezone.utc)
    except ValueError:
        return str(value)


def differences(name, read, true, fields):
    """What is wrong with the rows that a peer has read, in words; both are rows by key."""
    words = [f"{name}: {key} is missing" for key in true.keys() - read.keys()]
    words += [f"{name}: {key} is too much" for key in read.keys() - true.keys()]
    for key in read.keys() & true.keys():
        for field in fields:
            left, right = read[key].get(field), true[key].get(field)
            if not same(left, right):
                words.append(f"{name}: {key} {field}: read {left!r}, true {right!r}")
    return words
