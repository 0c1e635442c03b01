"""Starts a sandbox for each program in turn, and runs the program against it as it would run against Meta.

    python3 official.py ADPLANE TOOLS [WORD...]

TOOLS is the folder in which the SDKs and connectors are installed, each in a place of its own. With words, only the
programs whose names contain one of them run, and only what they need is installed. Ends with 1 where a program failed.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Program:
    """A program of another's SDK, and what it finds when it starts."""

    path: str
    # What is installed for it: a name of `PINNED`.
    tools: str
    # Settings of the sandbox that hold from the start.
    settings: dict = dataclasses.field(default_factory=dict)
    # How long it may take.
    seconds: int = 60


# What each environment is made of; made anew when it changes.
PINNED = {
    "python": "python/requirements.txt",
    "node": "node/package-lock.json",
    "airbyte": "peers/airbyte.txt",
    "singer": "peers/singer.txt",
}

# The Python SDK sends `appsecret_proof` with every call; a call without it is refused here.
PROVEN = {"require_proof": True}

PROGRAMS = [
    Program("python/connection.py", "python", settings=PROVEN),
    Program("python/objects.py", "python", settings=PROVEN),
    Program("python/media.py", "python", settings=PROVEN),
    Program("python/reading.py", "python", settings=PROVEN),
    Program("python/batches.py", "python", settings=PROVEN),
    Program("python/insights.py", "python", settings=PROVEN),
    Program("python/audiences.py", "python", settings=PROVEN),
    Program("python/events.py", "python", settings=PROVEN),
    Program("python/events_async.py", "python", settings=PROVEN),
    Program("python/targeting.py", "python", settings=PROVEN),
    Program("python/errors.py", "python", settings=PROVEN),
    Program("node/objects.js", "node"),
    Program("node/insights.js", "node"),
    Program("node/people.js", "node"),
    # The connectors sleep for 30 and 10 seconds where a report is not done at the first look.
    Program("peers/airbyte.py", "airbyte", settings={"report_polls": 0}, seconds=300),
    Program("peers/singer.py", "singer", settings={"report_polls": 0}, seconds=120),
]


class Sandbox:
    """`adplane sandbox` as a child process on free ports, ready when it says so."""

    def __init__(self, adplane, folder):
        self.log = folder / "sandbox.log"
        command = [adplane, "sandbox", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0", "--proxy-ca", folder / "ca.pem"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        # The first line of its output says where it answers; it ends without one where it cannot start.
        guard = threading.Timer(START_SECONDS, self.process.kill)
        guard.start()
        line = self.process.stdout.readline()
        guard.cancel()
        assert line, f"the sandbox did not start: {self.log.read_text()}"
        self.ready = json.loads(line)

    def change(self, settings):
        request = urllib.request.Request(f"{self.ready['sandbox']}/__sandbox/settings", json.dumps(settings).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def environment(self):
        """How a program finds Meta. `SANDBOX` is not for the SDK: it is where a step looks behind the scenes."""
        proxy = {name: self.ready["proxy"] for name in ("HTTPS_PROXY", "https_proxy")}
        trusted = {name: self.ready["proxy_ca"] for name in ("REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")}
        return {**proxy, **trusted, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "SANDBOX": self.ready["sandbox"]}

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def installed(name, tools):
    """The folder with what is pinned under that name."""
    folder, pinned = tools / name, HERE / PINNED[name]
    mark = folder / "installed"
    if mark.exists() and mark.read_bytes() == pinned.read_bytes():
        return folder
    print(f"installing {pinned.relative_to(HERE)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    if name == "node":
        folder.mkdir(parents=True)
        for part in ["package.json", "package-lock.json", ".npmrc"]:
            shutil.copy(pinned.parent / part, folder)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", pinned]
        subprocess.run(pip, check=True)
    shutil.copy(pinned, mark)
    return folder


def run(program, adplane, tools):
    """Whether the program ended well; its own lines are on the screen by then."""
    print(f"== {program.path}", flush=True)
    folder = installed(program.tools, tools)
    python = [folder / "bin/python", "-B", "-W", "ignore::UserWarning"]
    command = ["node"] if program.tools == "node" else python
    found = {"NODE_PATH": folder / "node_modules", "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory(prefix="official-") as folder:
        sandbox = Sandbox(adplane, pathlib.Path(folder))
        try:
            sandbox.change(program.settings)
            environment = {**os.environ, **found, **sandbox.environment()}
            ended = subprocess.run([*command, HERE / program.path], env=environment, timeout=program.seconds)
            return ended.returncode == 0
        except subprocess.TimeoutExpired:
            print(f"FAILED  {program.path} took more than {program.seconds} s")
            return False
        finally:
            sandbox.stop()


def main(adplane, tools, *words):
    chosen = [program for program in PROGRAMS if not words or any(word in program.path for word in words)]
    if not chosen:
        print(f"no program has one of these words in its name: {' '.join(words)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    failed = [program.path for program in chosen if not run(program, adplane, pathlib.Path(tools))]
    for path in failed:
        print(f"FAILED  {path}")
    print(f"took {time.monotonic() - began:.1f} s")
    print(f"official: {len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
