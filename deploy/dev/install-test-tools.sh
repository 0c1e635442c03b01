#!/bin/sh
# Installs what the tests need besides Rust, PostgreSQL and Redis, where it is missing: Python 3 with venv (a client in
# another language, buf) and npm (it carries Helm). Quiet when nothing is missing.
set -eu

missing=''
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3 python3-venv"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
[ -n "$missing" ] || exit 0

give_up() {
    echo "the tests need$missing, and $1" >&2
    echo "  Debian, Ubuntu:  sudo apt-get install$missing" >&2
    echo "  macOS:           brew install python node" >&2
    exit 1
}

echo "installing$missing" >&2
if command -v apt-get >/dev/null 2>&1; then
    root=''
    [ "$(id -u)" = 0 ] || root='sudo'
    # shellcheck disable=SC2086  # lists of words
    { $root apt-get update -q && $root apt-get install -q --yes --no-install-recommends $missing; } >&2 ||
        give_up "apt-get failed"
elif command -v brew >/dev/null 2>&1; then
    brew install python node >&2 || give_up "brew failed"
else
    give_up "this machine has neither apt-get nor brew"
fi
