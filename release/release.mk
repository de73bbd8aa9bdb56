# The packages of a release: their version, their build, and a test of each. See docs/releasing.md.

.PHONY: dist test-dist docs-api check-version set-version

# The version that runsvc/__init__.py names.
RELEASE = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' runsvc/__init__.py)

dist: .venv/.dev ## Build the packages of a release into dist/
	@rm -rf dist
	@$(MAKE) -s --no-print-directory $(foreach language,$(PRESENT),$($(language).dist))
	@$(call absent,package not built,$(ABSENT))

test-dist: dist ## Build the packages, then install and use each in an empty project
	@$(BIN)/pytest tests/dist -m dist $(ARGS)

docs-api: .venv/.dev ## Build the API reference pages into build/docs/
	@rm -rf build/docs
	@$(foreach language,$(PRESENT),$(if $($(language).docs),$(call build_docs,$(language)) &&)) true
	@$(call absent,reference pages not built,$(ABSENT))

# $(call build_docs,language): run the language's own target, and check its result.
define build_docs
echo "Building the reference pages for $(1)" && $(MAKE) -s --no-print-directory $($(1).docs) && \
  { [ -e build/docs/$(1)/index.html ] || { echo "$($(1).docs) did not build build/docs/$(1)/index.html."; false; }; }
endef

check-version: .venv/.dev ## Check that every package has the same version
	@$(BIN)/python release/version.py

set-version: .venv/.dev ## Set the version of every package: make set-version VERSION=1.2.3
	@[ -n "$(VERSION)" ] || { echo "Name the version: make set-version VERSION=1.2.3" >&2; exit 1; }
	@$(BIN)/python release/version.py "$(VERSION)"
