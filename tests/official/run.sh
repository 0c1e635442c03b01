#!/bin/sh
# Runs programs of Meta's own SDKs, and others' connectors, against the sandbox. With words, only those whose names contain one of them.
#
#   sh tests/official/run.sh target/debug/adplane [WORD...]
set -eu
adplane=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

missing() {
    echo "tests/official needs $1 (Debian: apt-get install $2)" >&2
    exit 1
}
python3 -c 'import ensurepip, venv' 2>/dev/null || missing "Python 3 with venv" python3-venv
command -v npm >/dev/null || missing npm npm

exec python3 -B "$here/official.py" "$adplane" "$root/target/tools/official" "$@"
