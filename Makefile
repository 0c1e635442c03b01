# The doors of this tree. `make run` and `make test` need a Rust toolchain, make, and the machine's package manager.

CARGO ?= cargo
ADPLANE = target/debug/adplane
TOOLS = target/tools

.PHONY: run up test test-tools test-rust test-python test-browser test-official test-peers test-chart test-upgrade bench lint servers build help

help:
	@echo "make run    the main job, from an empty machine to its results"
	@echo "make up     the same, and the stack stays up until Ctrl-C"
	@echo "make test   all tests"
	@echo "make test-upgrade OLD=<revision>  an older version beside this one while every key rotates"
	@echo "make bench  the benchmarks, each against its baseline in the same run"
	@echo "make lint   formatting, clippy, buf lint"
	@echo "make build  the program alone: target/debug/adplane"

run: build
	$(ADPLANE) demo --shift-orders

up: build
	$(ADPLANE) demo --shift-orders --stay

build: servers
	$(CARGO) build --locked -p adplane

# PostgreSQL and Redis, installed where they are missing and never started as the machine's own.
servers:
	@sh deploy/dev/install-servers.sh

test: test-tools test-rust test-python test-browser test-official test-peers test-chart

# Python and npm, for the client in another language and for Helm; installed where they are missing.
test-tools:
	@sh deploy/dev/install-test-tools.sh

test-rust: build
	$(CARGO) test --locked --workspace

# A program in another language, with nothing of ours but proto/.
test-python: build
	@sh tests/clients/python/run.sh $(ADPLANE)

# A person in a browser, through Meta's log-in and back.
test-browser: build test-tools
	@sh tests/clients/browser/run.sh $(ADPLANE)

# Meta's own SDKs, against the sandbox.
test-official: build test-tools
	@sh tests/official/run.sh $(ADPLANE) python/ node/ page/

# Airbyte's connector and the Singer tap, against the sandbox.
test-peers: build test-tools
	@sh tests/official/run.sh $(ADPLANE) peers/

# The chart, by a real Helm; the program says whether it takes the settings.
test-chart: build test-tools
	@sh tests/chart/run.sh $(ADPLANE)

# An older version beside this one while every key rotates: `make test-upgrade OLD=<revision>`. No part of `make test`,
# because it builds that revision too.
test-upgrade: build
	@sh tests/faults/upgrade.sh "$(OLD)"

# Into target/bench/*.json and a table. A release build, of what is measured alone. SUITES are those to run; none is all.
# `quota` builds its peer itself, from a crate that is no member of this workspace.
bench:
	$(CARGO) run --locked --release -p bench -- $(SUITES)

lint: $(TOOLS)/buf/bin/buf
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(TOOLS)/buf/bin/buf lint
	$(TOOLS)/buf/bin/buf format --diff --exit-code

$(TOOLS)/buf/bin/buf: deploy/dev/tools.txt | test-tools
	python3 -m venv $(TOOLS)/buf
	$(TOOLS)/buf/bin/pip install --quiet --disable-pip-version-check "$$(grep '^buf-bin==' deploy/dev/tools.txt)"
	touch $@
