# Python's client is runsvc.client; here are its page, its examples and its driver, and what its code is generated with.
CLIENTS += python
python.present := true
python.generated := runsvc/v1
python.generators := .tools/py/.ready

.tools/py/.ready: protos/requirements.txt | .tools/py/bin/pip
	$(call install,the code generators for Python,-r $<)
	@touch $@

python.check := check-client-python
.PHONY: check-client-python
check-client-python: .venv/.dev ## The Python client's own tests; lint and types are everyone's
	@$(BIN)/pytest tests/unit/client tests/clients/python -n $(WORKERS)

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
