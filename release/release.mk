# The packages of a release: their version, their build, and a test of each. See docs/releasing.md.

.PHONY: dist test-dist docs-api check-version set-version

# The version that runsvc/__init__.py names.
RELEASE = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' runsvc/__init__.py)

dist: .venv/.dev ## Build the packages of a release into dist/
	@rm -rf dist
	@set -e; for target in $(foreach language,$(PRESENT),$($(language).dist)); do \
	  $(MAKE) -s --no-print-directory $$target; done
	@$(call absent,package not built,$(ABSENT))

test-dist: dist ## Build the packages, then install and use each in an empty project
	@$(BIN)/pytest tests/dist -m dist $(ARGS)

docs-api: .venv/.dev ## Build the API reference pages into build/docs/
	@rm -rf build/docs
	@set -e; for target in $(foreach language,$(PRESENT),$($(language).docs)); do \
	  $(MAKE) -s --no-print-directory $$target; done
	@$(call absent,reference pages not built,$(ABSENT))

check-version: .venv/.dev ## Check that every package has the same version
	@$(BIN)/python release/version.py

set-version: .venv/.dev ## Set the version of every package: make set-version VERSION=1.2.3
	@[ -n "$(VERSION)" ] || { echo "Name the version: make set-version VERSION=1.2.3" >&2; exit 1; }
	@$(BIN)/python release/version.py "$(VERSION)"
