# The Python client is runsvc.client. This folder holds its page, its examples, its conformance driver, and the generator of its
# synchronous half.
CLIENTS += python
python.present := true
python.generated := runsvc/v1
python.generators := .tools/py/.ready

.tools/py/.ready: protos/requirements.txt | .tools/py/bin/pip
	$(call install,the code generators for Python,-r $<)
	@touch $@

# The synchronous client is generated from the asynchronous one, which needs no code generators.
.PHONY: sync-client check-sync-client
gen: sync-client
check-gen: check-sync-client
sync-client: .venv/.dev ## Generate the synchronous Python client from the asynchronous one
	@$(BIN)/python clients/python/generate_sync.py

check-sync-client: .venv/.dev ## Check that the synchronous Python client is up to date
	@$(BIN)/python clients/python/generate_sync.py --check || { \
	  echo "The synchronous Python client is not up to date. Run make gen."; exit 1; }

python.check := check-client-python
.PHONY: check-client-python
check-client-python: .venv/.dev ## Run the tests of the Python client; `make check` lints it and checks its types
	@$(BIN)/pytest tests/unit/client tests/clients/python -n $(WORKERS)

# Warnings fail the build: pdoc warns of modules and annotations that it cannot resolve.
python.docs := docs-python
.PHONY: docs-python
docs-python: .venv/.dev ## Build the API reference of the Python client into build/docs/python
	@rm -rf build/docs/python
	@$(BIN)/python -W error -m pdoc --docformat markdown --no-show-source --template-directory clients/python/docs \
	  --output-directory build/docs/python runsvc.client

.PHONY: .tools/drivers/python
.tools/drivers/python: .venv/.dev
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec $(CURDIR)/$(BIN)/python -m clients.python.conformance\n' > $@ && chmod +x $@

# The wheel is built from the sdist, so that both hold the same code.
python.dist := dist-python
.PHONY: dist-python
dist-python: .venv/.dev
	@echo "Building the Python packages"
	@mkdir -p .tools
	@$(BIN)/python -m build --outdir dist/python > .tools/build.log 2>&1 || { cat .tools/build.log; exit 1; }
