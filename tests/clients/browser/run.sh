#!/bin/sh
# A person connects an ad account: a headless Chromium walks through the log-in from its first page to its last.
#
#   sh tests/clients/browser/run.sh target/debug/adplane
set -eu
adplane=$1
here=$(dirname "$0")
root=$(cd "$here/../../.." && pwd)
tools=$root/target/tools/browser

sh "$root/deploy/dev/install-browser.sh"
if [ ! -x "$tools/bin/python" ]; then
    python3 -m venv "$tools"
fi
"$tools/bin/pip" install --quiet --disable-pip-version-check $(grep -E '^(grpcio|selenium)' "$root/deploy/dev/tools.txt")
sh "$root/tests/clients/python/generate.sh" "$tools/bin/python"

PYTHONPATH=$root/target/clients/python:$root/tests/clients/python exec "$tools/bin/python" "$here/connect.py" "$adplane"
