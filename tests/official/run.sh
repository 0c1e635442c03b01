#!/bin/sh
# Runs programs of Meta's own SDKs against the sandbox. With words, only those whose names contain one of them.
#
#   sh tests/official/run.sh target/debug/adplane [WORD...]
set -eu
adplane=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=$root/target/tools/official

missing() {
    echo "tests/official needs $1 (Debian: apt-get install $2)" >&2
    exit 1
}
python3 -c 'import ensurepip, venv' 2>/dev/null || missing "Python 3 with venv" python3-venv
command -v npm >/dev/null || missing npm npm

# Each SDK has a folder of its own, made anew when what is pinned changes.
mkdir -p "$tools"
pinned=$here/python/requirements.txt
if ! cmp -s "$pinned" "$tools/python/requirements.txt"; then
    rm -rf "$tools/python"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$pinned"
    cp "$pinned" "$tools/python/"
fi
if ! cmp -s "$here/node/package-lock.json" "$tools/node/node_modules/package-lock.json"; then
    rm -rf "$tools/node"
    mkdir -p "$tools/node"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$here/node/.npmrc" "$tools/node/"
    (cd "$tools/node" && npm ci --silent)
    cp "$here/node/package-lock.json" "$tools/node/node_modules/"
fi

exec python3 -B "$here/official.py" "$adplane" "$tools/python/bin/python" "$tools/node/node_modules" "$@"
