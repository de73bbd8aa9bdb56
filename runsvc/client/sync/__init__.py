"""The client for threads. `make gen` derives admin.py, client.py and runs.py from `runsvc.client.aio`."""
