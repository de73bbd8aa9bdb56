# The targets that every client shares. Each client has a clients/<language>/client.mk that sets, for a language named go:
#
#   CLIENTS += go
#   go.needs       name of the toolchain, for messages
#   go.present     command that succeeds if the toolchain is installed
#   go.generated   directories that hold generated files only
#   go.generators  targets that install the plugins named in buf.gen.yaml
#   go.check       target that runs the client's formatter, linter and own tests
#   go.dist        target that builds the client's release packages into dist/go (optional)
#   go.docs        target that builds the API reference pages into build/docs/go (optional)
#
# and that has a rule for .tools/drivers/go, the driver that the conformance suite runs (clients/conformance/README.md).
#
# Generators, drivers and caches live in .tools. Their versions are pinned, and the package client of the language installs them.

include $(sort $(wildcard clients/*/client.mk))

# The languages with an installed toolchain. Expanded in recipes only, because the commands take a second.
PRESENT = $(foreach language,$(CLIENTS),$(shell { $($(language).present); } > /dev/null 2>&1 && echo $(language)))
ABSENT = $(filter-out $(PRESENT),$(CLIENTS))

# $(call absent,consequence,languages): report each skipped language, and fail if RUNSVC_REQUIRE_ALL=1.
define absent
$(foreach language,$(2),echo "$(language): $(1). Install $($(language).needs)."; ) \
  [ -z "$(strip $(2))" ] || [ "$${RUNSVC_REQUIRE_ALL:-0}" != 1 ]
endef

# Processes that run the suite that all clients share. One more than two processors, because many scenarios wait.
CLIENT_WORKERS ?= 3

TESTED = $(foreach language,$(CLIENTS),$(if $($(language).check),$(language)))
DRIVERS = $(patsubst %,.tools/drivers/%,$(filter $(TESTED),$(PRESENT)))

.PHONY: gen check-gen .tools/fresh test-clients $(CLIENTS:%=test-client-%)

gen: .tools/fresh ## Generate code from the protos
	@set -e; for dir in $(foreach language,$(PRESENT),$($(language).generated)); do \
	  rm -rf $$dir && mkdir -p $$dir && cp -R .tools/fresh/$$dir/. $$dir; done
	@$(call absent,code not generated,$(ABSENT))

check-gen: .tools/fresh ## Check that the generated code matches the protos
	@for dir in $(foreach language,$(PRESENT),$($(language).generated)); do \
	  diff -rq -x __pycache__ $$dir .tools/fresh/$$dir; done > .tools/stale 2>&1; \
	if [ -s .tools/stale ]; then \
	  sed -E -e 's|^Files (.*) and .* differ$$|  outdated:   \1|' -e 's|^Only in \.tools/fresh/(.*): |  missing:    \1/|' \
	    -e 's|^Only in (.*): |  left over:  \1/|' .tools/stale; \
	  echo "The generated code does not match the protos. Run make gen."; exit 1; fi
	@$(call absent,generated code not checked,$(ABSENT))

.tools/fresh: .venv/.dev
	@$(MAKE) -s --no-print-directory $(foreach language,$(PRESENT),$($(language).generators))
	@rm -rf $@
	@$(if $(ABSENT),,EVERY_GENERATOR=1) $(BUF) generate --output $@

test-clients: .venv/.dev ## Test the client of every installed language (one language: make test-client-go)
	@$(call test_clients,$(filter $(TESTED),$(PRESENT)))
	@$(call absent,client not tested,$(filter $(TESTED),$(ABSENT)))

$(CLIENTS:%=test-client-%): test-client-%: .venv/.dev
	@$(call test_clients,$(filter $*,$(PRESENT)))
	@$(call absent,client not tested,$(filter $*,$(ABSENT)))

# $(call test_clients,languages): run each client's own checks, then the suite that all clients share.
define test_clients
$(if $(1),$(MAKE) -s --no-print-directory $(foreach language,$(1),$($(language).check) .tools/drivers/$(language)) && \
  $(BIN)/pytest tests/clients -m clients -n $(CLIENT_WORKERS) --dist worksteal --languages "$(strip $(1))" $(ARGS))
endef
