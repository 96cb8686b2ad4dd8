# Needs Python 3.11 or newer and make. Every target first installs what it needs into .venv, once.
# CI runs `make check` and nothing else: what passes here passes there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests wait for sockets more than they compute.
JOBS ?= 4
# The lock files name every package, so pip has nothing to resolve; older versions fail to resolve extras if hashes are
# required. Twice quiet: only errors are shown.
INSTALL_LOCKED = $(PIP) install --require-hashes --no-deps
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Two steps into one .venv, so that people who try the demo don't wait for the developer's tools: running takes 15 MB and
# about 10 s, developing 115 MB and about 23 s (measured; most of it is playwright, mypy, hadolint and ruff).
# If this were set, each process that a test starts would compile the bot again.
unexport PYTHONDONTWRITEBYTECODE

TO_RUN := $(VENV)/.ready-to-run
TO_DEVELOP := $(VENV)/.ready-to-develop

.DEFAULT_GOAL := help
.PHONY: help install demo run test coverage check lint format-check typecheck spelling manifests lint-dockerfile format bench bench-follow chaos fuzz soak screenshots monkey audit licenses lock release clean

help: ## List all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(TO_RUN) ## Install what the bot needs into .venv (the other targets do so, too)

demo: $(TO_RUN) ## Try the bot with a local Slack and a local RealtimeKit
	@$(BIN)/python -m sandbox $(ARGS)

run: $(TO_RUN) ## Run the bot with the settings from the environment and .env
	@$(BIN)/livestream-bot run $(ARGS)

test: $(TO_DEVELOP) ## Run the tests but the longest; ALL=1 runs those, too; ARGS="-k word" selects some
	$(BIN)/pytest --numprocesses $(JOBS) --dist worksteal $(if $(ALL),,-m "not long") $(ARGS) $(if $(COVERAGE),--cov)

coverage check: COVERAGE := 1
coverage check: ALL := 1

coverage: test ## Run all tests, and require enough coverage

# The tests come last, so that their closing line is the last one.
check: lint format-check typecheck spelling lint-dockerfile test ## Run everything that CI runs

lint: $(TO_DEVELOP) ## Check for mistakes
	$(BIN)/ruff check

format-check: $(TO_DEVELOP) ## Check the format
	$(BIN)/ruff format --check

typecheck: $(TO_DEVELOP) ## Check the types
	$(BIN)/mypy

spelling: $(TO_DEVELOP) ## Check the spelling of all files that git tracks
	git ls-files -z | xargs -0 $(BIN)/codespell

manifests: $(TO_DEVELOP) ## Check only the Slack manifests (`make test` does so, too)
	$(BIN)/pytest tests/test_manifests.py

lint-dockerfile: $(TO_DEVELOP) ## Check the Dockerfile
	$(BIN)/hadolint Dockerfile

format: $(TO_DEVELOP) ## Format the code, and fix what can be fixed automatically
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(TO_DEVELOP) ## Measure the bot under load
	$(BIN)/python -m bench $(ARGS)

bench-follow: $(TO_DEVELOP) ## Measure the cost of following thousands of meetings
	@$(BIN)/python -m bench.following $(ARGS)

fuzz: $(TO_DEVELOP) ## Send the bot malformed and hostile input; ARGS="--examples 5000 --seed 8 --database postgresql"
	@$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(TO_DEVELOP) ## Run the bot under mixed load for 20 minutes in each mode; ARGS="--minutes 2 --database postgresql"
	@$(BIN)/python -m bench.soak $(ARGS)

chaos: $(TO_DEVELOP) ## Kill and freeze the bot while its dependencies fail; ARGS="--cycles 200 --seed 7 --database postgresql"
	@$(BIN)/python -m tests.chaos $(ARGS)

LOCK = "$$tmp/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(ARGS)

screenshots: $(TO_DEVELOP) ## Retake the README's screenshots of the real page (needs Chromium)
	$(BIN)/python -m docs.screenshots

monkey: $(TO_DEVELOP) ## Click at random on the real page (needs Chromium); ARGS="--minutes 10"
	$(BIN)/python -m tests.sandbox.page.browser.monkey $(ARGS)

audit: $(TO_DEVELOP) ## Check the dependencies for known vulnerabilities (needs the internet)
	@$(BIN)/python -m tests.dependencies audit

licenses: $(TO_DEVELOP) ## List the dependencies with their licenses
	@$(BIN)/python -m tests.dependencies licenses

lock: ## Rewrite the lock files; ARGS=--upgrade takes newer versions
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && set -e && \
	$(PYTHON) -m venv "$$tmp" && "$$tmp/bin/pip" --disable-pip-version-check -qq install uv && \
	$(LOCK) pyproject.toml --output-file requirements/runtime.txt && \
	$(LOCK) --group build --output-file requirements/build.txt && \
	$(LOCK) pyproject.toml --extra dev --group build --constraint requirements/runtime.txt \
		--constraint requirements/build.txt --output-file requirements/dev.txt

release: $(TO_RUN) ## Build, commit and tag a release; VERSION=1.2.3 is required, and nothing is pushed
	@$(BIN)/python scripts/release.py '$(VERSION)'

clean: ## Remove everything that the other targets made, including .venv
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An existing .venv is used if it works, and replaced if it does not (its Python was removed, or the folder was moved).
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
