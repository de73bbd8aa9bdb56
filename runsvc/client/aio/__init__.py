"""The client for asyncio. `make gen` derives parts of `runsvc.client.sync` from it."""
