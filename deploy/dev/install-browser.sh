#!/bin/sh
# Installs Chromium and its driver where they are missing, for the test that walks through the log-in as a person does.
# Quiet when nothing is missing.
set -eu

have_driver() {
    command -v chromedriver >/dev/null 2>&1
}

have_browser() {
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    [ -d "/Applications/Chromium.app" ] || [ -d "/Applications/Google Chrome.app" ]
}

have_driver && have_browser && exit 0

give_up() {
    echo "tests/clients/browser needs Chromium and chromedriver, and $1" >&2
    echo "  Debian:  sudo apt-get install chromium chromium-driver" >&2
    echo "  macOS:   brew install --cask chromium chromedriver" >&2
    exit 1
}

echo "installing chromium chromium-driver" >&2
if command -v apt-get >/dev/null 2>&1; then
    root=''
    [ "$(id -u)" = 0 ] || root='sudo'
    {
        $root apt-get update -qq || echo "apt-get update failed; going on with what is known"
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium chromium-driver
    } >&2 || give_up "apt-get failed"
elif command -v brew >/dev/null 2>&1; then
    brew install --cask chromium chromedriver >&2 || give_up "brew failed"
else
    give_up "this machine has neither apt-get nor brew"
fi
have_driver && have_browser || give_up "the packages were installed, but the programs are not on the PATH"
