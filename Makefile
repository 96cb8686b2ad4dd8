# Needs Python 3.11 or newer and make. Every target first installs what it needs into .venv, once.
# CI runs `make check` and nothing else: what passes here passes there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests wait for sockets more than they compute.
JOBS ?= 4
# The lock files name all that is needed, so nothing is to be resolved; older pips trip over that where hashes are
# required and an extra is asked for by another package. Twice quiet: errors are shown, the rest is not.
INSTALL_LOCKED = $(PIP) install --require-hashes --no-deps
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Two steps into one .venv, since whoever tries the demo should not wait for the developer's tools:
# to run takes 15 MB and about 10 s, to develop 115 MB and about 23 s (measured; most of it is playwright, mypy, hadolint and ruff).
# Where this is set, each process that a test starts would compile the bot anew.
unexport PYTHONDONTWRITEBYTECODE

TO_RUN := $(VENV)/.ready-to-run
TO_DEVELOP := $(VENV)/.ready-to-develop

.DEFAULT_GOAL := help
.PHONY: help install demo run test coverage check lint format-check types spelling manifests dockerfile fmt bench bench-following chaos fuzz soak screenshots monkey audit licences lock clean

help: ## Say what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(TO_RUN) ## Get what the bot needs, into .venv (the other targets do it too)

demo: $(TO_RUN) ## Try the bot here, against a local Slack and a local RealtimeKit
	@$(BIN)/livestream-bot demo $(ARGS)

run: $(TO_RUN) ## Run the bot, with the settings of the environment and of .env
	@$(BIN)/livestream-bot run $(ARGS)

test: $(TO_DEVELOP) ## Run the tests; ARGS="-k word" chooses some, COVERAGE=1 measures and demands coverage
	$(BIN)/pytest --numprocesses $(JOBS) $(ARGS) $(if $(COVERAGE),--cov)

coverage check: COVERAGE := 1

coverage: test ## Run the tests, measure their coverage and demand enough of it

# The tests come last, so that their closing line is the last one.
check: lint format-check types spelling dockerfile test ## Run all that CI runs

lint: $(TO_DEVELOP) ## Look for mistakes
	$(BIN)/ruff check

format-check: $(TO_DEVELOP) ## Look for what `make fmt` would change
	$(BIN)/ruff format --check

types: $(TO_DEVELOP) ## Check the types
	$(BIN)/mypy

spelling: $(TO_DEVELOP) ## Check the spelling of all files that git tracks
	git ls-files -z | xargs -0 $(BIN)/codespell

manifests: $(TO_DEVELOP) ## Check the Slack manifests alone (`make test` does it too)
	$(BIN)/pytest tests/test_manifests.py

dockerfile: $(TO_DEVELOP) ## Check the Dockerfile
	$(BIN)/hadolint Dockerfile

fmt: $(TO_DEVELOP) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(TO_DEVELOP) ## Measure the bot under load
	$(BIN)/python -m bench $(ARGS)

bench-following: $(TO_DEVELOP) ## Measure what it costs to follow thousands of meetings
	@$(BIN)/python -m bench.following $(ARGS)

fuzz: $(TO_DEVELOP) ## Send the bot what nobody should send; ARGS="--examples 5000 --seed 8 --database postgresql"
	@$(BIN)/python -m tests.hostile $(ARGS)

soak: $(TO_DEVELOP) ## Run the bot under mixed load for 20 minutes in each mode; ARGS="--minutes 2 --database postgresql"
	@$(BIN)/python -m bench.soak $(ARGS)

chaos: $(TO_DEVELOP) ## Kill the bot while everything goes wrong; ARGS="--cycles 200 --seed 7 --database postgresql"
	@$(BIN)/python -m tests.chaos $(ARGS)

LOCK = "$$tmp/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(ARGS)

screenshots: $(TO_DEVELOP) ## Take the README's pictures anew, from the real page (needs Chromium)
	$(BIN)/python -m docs.screenshots

monkey: $(TO_DEVELOP) ## Click at random on the real page (needs Chromium); ARGS="--minutes 10"
	$(BIN)/python -m tests.sandbox.page.browser.monkey $(ARGS)

audit: $(TO_DEVELOP) ## Ask whether a vulnerability of what the bot needs is known (needs the internet)
	@$(BIN)/python -m tests.dependencies audit

licences: $(TO_DEVELOP) ## List what the bot needs, with its licences
	@$(BIN)/python -m tests.dependencies licences

lock: ## Write the lock files anew; ARGS=--upgrade takes newer versions
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && set -e && \
	$(PYTHON) -m venv "$$tmp" && "$$tmp/bin/pip" --disable-pip-version-check -qq install uv && \
	$(LOCK) pyproject.toml --output-file requirements/runtime.txt && \
	$(LOCK) --group build --output-file requirements/build.txt && \
	$(LOCK) pyproject.toml --extra dev --group build --constraint requirements/runtime.txt \
		--constraint requirements/build.txt --output-file requirements/dev.txt

clean: ## Remove what the other targets made, .venv included
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An existing .venv is used if it works, and made anew if it does not (its Python was removed, or the folder was moved).
$(TO_RUN): requirements/runtime.txt requirements/build.txt pyproject.toml
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		command -v '$(PYTHON)' >/dev/null || { \
			echo "'$(PYTHON)' was not found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }; \
		'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "'$(PYTHON)' is $$('$(PYTHON)' --version 2>&1), and Python 3.11 or newer is needed. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }; \
		'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
		'$(PYTHON)' -m venv --clear $(VENV); \
	}
	@echo "Installing what the bot needs into $(VENV) ..."
	@$(INSTALL_LOCKED) -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(TO_DEVELOP): requirements/dev.txt $(TO_RUN)
	@echo "Installing what its developers need into $(VENV) ..."
	@$(INSTALL_LOCKED) -r requirements/dev.txt
	@touch $@
