"""Starts a sandbox for each program in turn, and runs the program against it as it would run against Meta.

    python3 official.py ADPLANE TOOLS [WORD...]

TOOLS is the folder in which the SDKs and connectors are installed, each in a place of its own. With words, only the
programs whose names contain one of them run, and only what they need is installed. Ends with 1 where a program failed.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
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
    Program("python/automation.py", "python", settings=PROVEN),
    Program("python/errors.py", "python", settings=PROVEN),
    Program("python/faults.py", "python", settings=PROVEN),
    Program("python/faults_batches.py", "python", settings=PROVEN),
    Program("python/faults_reading.py", "python", settings=PROVEN),
    Program("node/objects.js", "node"),
    Program("node/insights.js", "node"),
    Program("node/people.js", "node"),
    # The connectors sleep for 30 and 10 seconds where a report is not done at the first look.
    Program("peers/airbyte.py", "airbyte", settings={"report_polls": 0}, seconds=300),
    Program("peers/singer.py", "singer", settings={"report_polls": 0}, seconds=120),
]

# The sandbox's own page: each of its examples prints what stands under it.
PAGE = HERE.parents[1] / "services/sandbox/README.md"
EXAMPLE = re.compile(r"^```(python|javascript)\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"python": "python", "javascript": "node"}


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
    return started(program, HERE / program.path, adplane, tools).returncode == 0


def started(program, path, adplane, tools, **options):
    """Runs a program with a sandbox of its own, and gives how it ended."""
    folder = installed(program.tools, tools)
    python = [folder / "bin/python", "-B", "-W", "ignore::UserWarning"]
    command = ["node"] if program.tools == "node" else python
    found = {"NODE_PATH": folder / "node_modules", "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory(prefix="official-") as folder:
        sandbox = Sandbox(adplane, pathlib.Path(folder))
        try:
            sandbox.change(program.settings)
            environment = {**os.environ, **found, **sandbox.environment()}
            return subprocess.run([*command, path], env=environment, timeout=program.seconds, **options)
        except subprocess.TimeoutExpired:
            print(f"FAILED  {path.name} took more than {program.seconds} s")
            return subprocess.CompletedProcess([], 1, "")
        finally:
            sandbox.stop()


def run_example(number, language, text, expected, adplane, tools):
    """Whether an example of the page prints what the page says."""
    print(f"== {PAGE.name} example {number}, {language}", flush=True)
    with tempfile.TemporaryDirectory(prefix="example-") as folder:
        path = pathlib.Path(folder) / f"example.{'py' if language == 'python' else 'cjs'}"
        path.write_text(text, encoding="utf-8")
        program = Program(path.name, LANGUAGES[language])
        ended = started(program, path, adplane, tools, stdout=subprocess.PIPE, text=True)
    if ended.stdout != expected:
        print(f"printed:\n{ended.stdout}instead of:\n{expected}", end="")
        return False
    print("ok      prints what stands under it")
    return ended.returncode == 0


def main(adplane, tools, *words):
    tools = pathlib.Path(tools)
    runs = {program.path: functools.partial(run, program, adplane, tools) for program in PROGRAMS}
    for number, (language, text, expected) in enumerate(EXAMPLE.findall(PAGE.read_text(encoding="utf-8")), 1):
        example = functools.partial(run_example, number, language, text, expected, adplane, tools)
        runs[f"page/{number}"] = example
    chosen = [path for path in runs if not words or any(word in path for word in words)]
    if not chosen:
        print(f"no program has one of these words in its name: {' '.join(words)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    failed = [path for path in chosen if not runs[path]()]
    for path in failed:
        print(f"FAILED  {path}")
    print(f"took {time.monotonic() - began:.1f} s")
    print(f"official: {len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
