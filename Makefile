# Everything needs only Python 3.11 or newer and make: each target installs what it uses, into .venv and .tools. What is for another
# language's client needs that language's toolchain, and is left out where that is missing.

PYTHON ?= python3
WORKERS ?= 2
BASELINE := protos/.baseline/v1.json

BIN := .venv/bin
BUF := $(BIN)/buf
SHELL := bash
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test bench bench-full check format lint types imports protos baseline soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile clients/clients.mk

run: .venv/.server ## Start a server (options: make run ARGS="--help")
	@$(BIN)/runsvc serve $(ARGS)

test: .venv/.dev ## Run the tests with coverage (a part of them, without: make test ARGS="tests/unit -x")
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(or $(ARGS),--cov)

check: lint types imports protos check-gen test ## Run every check there is: what a change must pass

bench: .venv/.dev ## Measure the speed against the limit and others, some minutes (make bench ARGS="--help")
	@$(BIN)/python -m tests.bench $(ARGS)

bench-full: .venv/.dev ## Measure everything, an hour or more
	@$(BIN)/python -m tests.bench --full --peer $(ARGS)

format: .venv/.dev ## Format the code and the protos, and fix what lint can fix
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format
	@$(BUF) format --write

lint: .venv/.dev ## Check formatting and lint rules
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: .venv/.dev ## Check types
	@$(BIN)/mypy

imports: .venv/.dev ## Check which module may import which
	@$(BIN)/lint-imports

protos: .venv/.dev ## Lint the protos, check their format and that they break no client
	@$(BUF) lint
	@$(BUF) format --diff --exit-code
	@if [ -e $(BASELINE) ]; then $(BUF) breaking --against $(BASELINE); \
	else echo "No $(BASELINE) yet: breaking changes are not checked."; fi

baseline: .venv/.dev ## Make the protos as they are now what later ones may not break (at a release only)
	@mkdir -p $(dir $(BASELINE))
	@$(BUF) build --exclude-source-info --output $(BASELINE)

soak: .venv/.dev ## Run the long forms of the tests
	@$(if $(DRIVERS),$(MAKE) -s --no-print-directory $(DRIVERS))
	@$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

clean: ## Remove everything the other targets made, .venv and .tools included; a store (runsvc.db) stays
	@rm -rf .venv .tools build dist clients/typescript/{dist,node_modules} clients/{java,java/example,rust}/target
	@rm -rf .coverage .coverage.* htmlcov .*_cache .hypothesis .import_linter_cache
	@find runsvc tests clients/python -name __pycache__ -prune -exec rm -rf {} +

include clients/clients.mk

# Set-up. A stamp is older than what it was installed from when that has to be done again.

.venv/.server: pyproject.toml | .venv/bin/pip
	$(call install,runsvc with its server,-e '.[server]')
	@touch $@

# Outside the call, in which a comma would part its arguments.
DEVELOPMENT := -e '.[server,dev]'
.venv/.dev: pyproject.toml | .venv/bin/pip
	$(call install,runsvc and the development tools,$(DEVELOPMENT))
	@touch $@ .venv/.server

.venv/bin/pip .tools/py/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
	  echo "runsvc needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1)."; \
	  echo "Name another one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "$(PYTHON) cannot create virtual environments: venv or ensurepip is missing."; \
	  echo "On Debian and Ubuntu: apt install python3-venv. Then again: make $(MAKECMDGOALS)"; exit 1; } >&2
	@echo "Creating $(@D:/bin=)"
	@$(PYTHON) -m venv --clear $(@D:/bin=)

# $(call install,what,pip's arguments): pip's progress without what is there already.
define install
	@echo "Installing $(1) into $(@D); the first time takes a minute"
	@set -o pipefail; $(@D)/bin/pip install --progress-bar off $(2) | { grep --line-buffered -E '^(Collecting|Successfully)' || true; } || { \
	  echo "$(1) could not be installed: the package index could not be reached, or pip says above what else is wrong."; \
	  echo "Then again: make $(MAKECMDGOALS)"; exit 1; } >&2
endef
