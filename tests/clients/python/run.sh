#!/bin/sh
# Generates a Python client from proto/ alone, starts the stack, and walks through the suite with it; then kills the
# stack and walks on in its successor.
#
#   sh tests/clients/python/run.sh target/debug/adplane
set -eu
adplane=$1
here=$(dirname "$0")
root=$(cd "$here/../../.." && pwd)
tools=$root/target/tools/python

if [ ! -x "$tools/bin/python" ]; then
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        echo "tests/clients/python needs Python 3 with its venv module (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
    python3 -m venv "$tools"
fi
"$tools/bin/pip" install --quiet --disable-pip-version-check $(grep '^grpcio' "$root/deploy/dev/tools.txt")

sh "$here/generate.sh" "$tools/bin/python"

PYTHONPATH=$root/target/clients/python exec "$tools/bin/python" "$here/walk.py" "$adplane"
