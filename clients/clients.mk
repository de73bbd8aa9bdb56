# What is the same for every client. Each has a clients/<language>/client.mk, which sets, for a language named go:
#
#   CLIENTS += go
#   go.needs       the toolchain, in words for whoever lacks it
#   go.present     a command that succeeds where it is there
#   go.generated   directories that hold its generated files and nothing else
#   go.generators  targets that make the plugins which buf.gen.yaml names
#   go.check       a target that runs the client's formatter, linter and own tests
#
# and says how to build .tools/drivers/go, what the conformance suite runs (clients/conformance/README.md).
#
# Generators, drivers and caches are made inside .tools, with pinned versions, by the language's ordinary package client.

include $(sort $(wildcard clients/*/client.mk))

# The languages whose toolchain is here. Asked when a recipe needs it, for it takes a moment.
PRESENT = $(foreach language,$(CLIENTS),$(shell { $($(language).present); } > /dev/null 2>&1 && echo $(language)))
ABSENT = $(filter-out $(PRESENT),$(CLIENTS))

# $(call absent,what is not done,languages): says so, and fails where everything is required.
define absent
$(foreach language,$(2),echo "$(language): $(1), for there is no $($(language).needs)."; ) \
  [ -z "$(strip $(2))" ] || [ "$${RUNSVC_REQUIRE_ALL:-0}" != 1 ]
endef

TESTED = $(foreach language,$(CLIENTS),$(if $($(language).check),$(language)))
DRIVERS = $(patsubst %,.tools/drivers/%,$(filter $(TESTED),$(PRESENT)))

.PHONY: gen check-gen .tools/fresh test-clients $(CLIENTS:%=test-client-%)

gen: .tools/fresh ## Generate code from the protos
	@set -e; for dir in $(foreach language,$(PRESENT),$($(language).generated)); do \
	  rm -rf $$dir && mkdir -p $$dir && cp -R .tools/fresh/$$dir/. $$dir; done
	@$(call absent,not generated,$(ABSENT))

check-gen: .tools/fresh ## Check that the generated code is what the protos say
	@for dir in $(foreach language,$(PRESENT),$($(language).generated)); do \
	  diff -rq -x __pycache__ $$dir .tools/fresh/$$dir; done > .tools/stale 2>&1; \
	if [ -s .tools/stale ]; then \
	  sed -E -e 's|^Files (.*) and .* differ$$|  stale:      \1|' -e 's|^Only in \.tools/fresh/(.*): |  missing:    \1/|' \
	    -e 's|^Only in (.*): |  left over:  \1/|' .tools/stale; \
	  echo "The generated code is not what the protos say. Run make gen."; exit 1; fi
	@$(call absent,generated code not checked,$(ABSENT))

.tools/fresh: .venv/.dev
	@$(MAKE) -s --no-print-directory $(foreach language,$(PRESENT),$($(language).generators))
	@rm -rf $@
	@$(if $(ABSENT),,EVERY_GENERATOR=1) $(BUF) generate --output $@

test-clients: .venv/.dev ## Test every client whose toolchain is here; one of them: make test-client-go
	@$(call test_clients,$(filter $(TESTED),$(PRESENT)))
	@$(call absent,not tested,$(filter $(TESTED),$(ABSENT)))

$(CLIENTS:%=test-client-%): test-client-%: .venv/.dev
	@$(call test_clients,$(filter $*,$(PRESENT)))
	@$(call absent,not tested,$(filter $*,$(ABSENT)))

# $(call test_clients,languages): their own checks, then the suite that all pass.
define test_clients
$(if $(1),$(MAKE) -s --no-print-directory $(foreach language,$(1),$($(language).check) .tools/drivers/$(language)) && \
  $(BIN)/pytest tests/clients -m clients --languages "$(strip $(1))" $(ARGS))
endef
