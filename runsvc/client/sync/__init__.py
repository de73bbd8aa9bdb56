"""The client for threads. Its twin for asyncio is runsvc.client.aio: what changes here changes there."""
