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
made=$root/target/clients/python

if [ ! -x "$tools/bin/python" ]; then
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        echo "tests/clients/python needs Python 3 with its venv module (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
    python3 -m venv "$tools"
fi
"$tools/bin/pip" install --quiet --disable-pip-version-check $(grep '^grpcio' "$root/deploy/dev/tools.txt")

rm -rf "$made"
mkdir -p "$made"
find "$root/proto" -name '*.proto' | sort | xargs "$tools/bin/python" -m grpc_tools.protoc \
    -I "$root/proto" --python_out="$made" --grpc_python_out="$made"

PYTHONPATH=$made exec "$tools/bin/python" "$here/walk.py" "$adplane"
