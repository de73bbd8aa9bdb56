"""The client for asyncio. Its twin for threads is runsvc.client.sync: what changes here changes there."""
