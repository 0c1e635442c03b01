"""Starts a sandbox for each program in turn, and runs the program against it as it would run against Meta.

    python3 official.py ADPLANE PYTHON NODE_MODULES [WORD...]

PYTHON is the interpreter that has Meta's Python SDK, NODE_MODULES the folder that has the Node SDK. With words, only
the programs whose names contain one of them run. Ends with 1 where a program failed.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Program:
    """A program of another's SDK, and what it finds when it starts."""

    path: str
    # The program speaks to Meta's own hosts, through the proxy. Else it is told the sandbox's address as `GRAPH`.
    through_proxy: bool = True
    # Settings of the sandbox that hold from the start.
    settings: dict = dataclasses.field(default_factory=dict)
    # How long it may take.
    seconds: int = 60


# The Python SDK sends `appsecret_proof` with every call; a call without it is refused here.
PROVEN = {"require_proof": True}

PROGRAMS = [
    Program("python/connection.py", settings=PROVEN),
    Program("python/objects.py", settings=PROVEN),
    Program("python/media.py", settings=PROVEN),
    Program("python/reading.py", settings=PROVEN),
    Program("python/batches.py", settings=PROVEN),
    Program("python/insights.py", settings=PROVEN),
    Program("python/audiences.py", settings=PROVEN),
    Program("python/events.py", settings=PROVEN),
    # The SDK's asynchronous requests look at neither HTTPS_PROXY nor a CA file of the caller's.
    Program("python/events_async.py", through_proxy=False, settings=PROVEN),
    Program("python/errors.py", settings=PROVEN),
    Program("node/objects.js"),
    Program("node/insights.js"),
    Program("node/people.js"),
]


class Sandbox:
    """`adplane sandbox` as a child process on free ports."""

    def __init__(self, adplane, folder):
        self.folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        command = [adplane, "sandbox", "--listen", f"127.0.0.1:{self.port}"]
        self.log = open(folder / "sandbox.log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def wait(self):
        """Until it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.control("GET", "clock")
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, f"the sandbox ended: {(self.folder / 'sandbox.log').read_text()}"
                assert time.monotonic() < deadline, "the sandbox does not answer"
                time.sleep(0.02)

    def control(self, method, name, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/__sandbox/{name}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def environment(self, program):
        """How the program finds Meta: nothing of it is in the program's own text."""
        found = {"SANDBOX": self.base, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return {**found, "GRAPH": self.base}

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def free_port():
    with contextlib.closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def run(program, adplane, python, node_modules):
    """Whether the program ended well; its own lines are on the screen by then."""
    print(f"== {program.path}", flush=True)
    command = [python, "-B", "-W", "ignore::UserWarning"] if program.path.endswith(".py") else ["node"]
    with tempfile.TemporaryDirectory(prefix="official-") as folder:
        sandbox = Sandbox(adplane, pathlib.Path(folder))
        try:
            sandbox.wait()
            if program.settings:
                sandbox.control("POST", "settings", program.settings)
            environment = {**os.environ, "NODE_PATH": node_modules, **sandbox.environment(program)}
            ended = subprocess.run([*command, HERE / program.path], env=environment, timeout=program.seconds)
            return ended.returncode == 0
        except subprocess.TimeoutExpired:
            print(f"FAILED  {program.path} took more than {program.seconds} s")
            return False
        finally:
            sandbox.stop()


def main(adplane, python, node_modules, *words):
    chosen = [program for program in PROGRAMS if not words or any(word in program.path for word in words)]
    if not chosen:
        print(f"no program has one of these words in its name: {' '.join(words)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    failed = [program.path for program in chosen if not run(program, adplane, python, node_modules)]
    for path in failed:
        print(f"FAILED  {path}")
    print(f"took {time.monotonic() - began:.1f} s")
    print(f"official: {len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
