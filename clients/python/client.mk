# Python's client is runsvc.client; here is what its code is generated with.
CLIENTS += python
python.present := true
python.generated := runsvc/v1
python.generators := .tools/py/.ready

.tools/py/.ready: protos/requirements.txt | .tools/py/bin/pip
	$(call install,the code generators for Python,-r $<)
	@touch $@
