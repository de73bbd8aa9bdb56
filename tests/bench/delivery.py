"""How long a change takes from its answer by one server to its delivery by another, over one database.

    python -m tests.bench.delivery --db postgresql://… [--poll-only] [--servers 2] [--changes 500] [--rate 50]

The database should be empty: the servers create their tables in it. One client makes changes on the first server, at
light load. Watches of the first and the last server note when they receive them. Times are from the begin of the call,
and in the last line from the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from tests.support.calls import CHANGED, SNAPSHOT_END, created, watching
from tests.support.cluster import cluster

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Seconds in which servers find out whether hints arrive, and connections and caches warm up.
WARM_UP = 3.0


async def follow(stream: Any, changes: int) -> dict[str, float]:
    """When each run was received, by its id."""
    received: dict[str, float] = {}
    while len(received) < changes:
        message = await stream.read()
        if message.event == CHANGED:
            received[message.run.run_id] = time.perf_counter()
    return received


async def measure(options: argparse.Namespace) -> None:
    """Run the servers, make the changes and print the figures."""
    arguments = ["--poll-only"] if options.poll_only else []
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(
            cluster(options.db, *arguments, count=options.servers)
        )
        first, last = servers.clients[0], servers.clients[-1]
        for _ in range(round(WARM_UP * options.rate)):
            await created(first, "warm-up")
            await asyncio.sleep(1 / options.rate)
        streams = [
            await stack.enter_async_context(watching(client, thread_id="measured"))
            for client in (first, last)
        ]
        for stream in streams:
            # Otherwise a snapshot has the first change.
            assert (await stream.read()).event == SNAPSHOT_END
        following = [asyncio.ensure_future(follow(each, options.changes)) for each in streams]
        begun, answered = {}, {}
        for _ in range(options.changes):
            begin = time.perf_counter()
            run = await created(first, "measured")
            begun[run.run_id], answered[run.run_id] = begin, time.perf_counter()
            await asyncio.sleep(1 / options.rate)
        same, other = await asyncio.gather(*following)
    print(f"{options.changes} changes, {options.rate}/s, {options.servers} servers, in ms")
    report("answered", (answered[each] - begun[each] for each in begun))
    report("received from the same server", (same[each] - begun[each] for each in begun))
    report("received from another server", (other[each] - begun[each] for each in begun))
    report("from the answer to another server", (other[each] - answered[each] for each in begun))


def report(name: str, seconds: Iterable[float]) -> None:
    """Print one line."""
    found = sorted(seconds)
    figures = "  ".join(f"{label} {_part(found, part):6.1f}" for label, part in PARTS)
    print(f"  {name:<36}{figures}")


PARTS = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


def _part(found: Sequence[float], part: float) -> float:
    return found[min(int(part * len(found)), len(found) - 1)] * 1_000


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--db", required=True, help="the URL of a PostgreSQL database")
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50, help="changes per second")
    parser.add_argument("--poll-only", action="store_true", help="without LISTEN and NOTIFY")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
