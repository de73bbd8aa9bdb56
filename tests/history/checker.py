"""Checks a recording: every answer is the state after one commit, between the call's begin and its end.

The log is the order of writes. A point is a revision at which a call's changes are complete. Every answer must fit a
point that is not before the point of any call that had ended when this one began. The earliest such point is chosen for
each: since later calls only need to be at or after it, this finds an order whenever there is one.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tests.history.recording import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.history.recording import Operation, Write

_ACTIVE = (1, 2)

#: Runs of a thread, newest first.
Runs = tuple[Seen, ...]


class Version(NamedTuple):
    """The runs of a thread from a point on."""

    point: int
    runs: Runs


def violations(operations: Sequence[Operation], writes: Sequence[Write]) -> list[str]:
    """Descriptions of the operations that fit no order."""
    return list(_Check(writes).run(operations))


class _Check:
    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = {write.revision: write for write in writes}
        #: First and last revision of the call that made a change, by that revision.
        self._calls: dict[int, tuple[int, int]] = {}
        #: The creations, by the name of their operation.
        self._created: dict[str, list[Write]] = defaultdict(list)
        self._thread_of: dict[str, str] = {}
        self._versions = _versions(writes)
        first = 1
        for write in writes:
            self._calls[write.revision] = first, write.call_end
            if write.revision == write.call_end:
                first = write.revision + 1
            if write.previous_status is None:
                self._created[write.assistant_id or ""].append(write)
                self._thread_of[write.run_id] = write.thread_id

    def run(self, operations: Sequence[Operation]) -> Iterator[str]:
        ended: list[tuple[int, int]] = []
        least = 0
        for operation in sorted(operations, key=lambda each: each.begin):
            while ended and ended[0][0] < operation.begin:
                least = max(least, heapq.heappop(ended)[1])
            point = self._point(operation, least)
            if isinstance(point, str):
                yield f"{operation.name}: {point} (at or after {least}): {operation}"
            elif point is not None:
                heapq.heappush(ended, (operation.end, point))

    def _point(self, operation: Operation, least: int) -> int | str | None:
        """The earliest point that an operation fits, None if it has no answer, or the reason why there is none."""
        if operation.method == "create":
            return self._creation(operation, least)
        if operation.outcome != "answered":
            return None
        if operation.method in ("set_status", "cancel"):
            return self._change(operation, least)
        return self._read(operation, least)

    def _creation(self, operation: Operation, least: int) -> int | str | None:
        made = self._created.get(operation.name, [])
        if len(made) > 1:
            return "created more than one run"
        if made and self._calls[made[0].revision][0] <= least:
            return "created a run before it began"
        match operation.outcome:
            case "answered" if not made or made[0].run_id != operation.runs[0].run_id:
                return "its run is not in the log"
            case "answered":
                return self._change(operation, least)
            case "busy" if not made:
                (busy,) = operation.runs
                newest = self._fits(operation.thread_id, least, lambda runs: _is_newest(runs, busy))
                return newest or "its thread was not busy with that run"
            case "unknown":
                return None
        return "was refused, and yet created a run" if made else None

    def _change(self, operation: Operation, least: int) -> int | str:
        """The point of an acknowledged write. One that changed nothing is a read of its run."""
        runs = operation.runs
        for seen in runs:
            write = self._writes.get(seen.revision)
            if write is None or (write.run_id, write.status) != (seen.run_id, seen.status):
                return "an acknowledged change is not in the log"
        first, last = self._calls[runs[0].revision]
        if operation.method == "create" and len(runs) != last - first + 1:
            return "an answer lacks changes of its call"
        if any(self._calls[seen.revision] != (first, last) for seen in runs):
            return "an answer has changes of several calls"
        if operation.method == "create" or operation.changed:
            return last if first > least else "was acknowledged before it began"
        fits = self._fits(self._thread_of[runs[0].run_id], least, lambda now: runs[0] in now)
        return "the run had changed before the call" if fits is None else fits

    def _read(self, operation: Operation, least: int) -> int | str:
        runs, size = operation.runs, operation.page_size
        if operation.method == "get":
            thread_id = self._thread_of.get(runs[0].run_id, "")
            fits = self._fits(thread_id, least, lambda now: runs[0] in now)
        elif operation.method == "page":
            fits = self._fits(operation.thread_id, least, lambda now: now[:size] == runs)
        else:
            ids = [seen.run_id for seen in runs]
            fits = self._fits(operation.thread_id, least, lambda now: _active(now) == ids)
        return "the answer was never the state" if fits is None else fits

    def _fits(self, thread_id: str, least: int, matches: Callable[[Runs], bool]) -> int | None:
        """The earliest point, at or after `least`, at which the runs of a thread match."""
        versions = self._versions.get(thread_id) or [Version(0, ())]
        at = bisect_right(versions, least, key=lambda version: version.point) - 1
        for version in versions[at:]:
            if matches(version.runs):
                return max(least, version.point)
        return None


def _versions(writes: Sequence[Write]) -> dict[str, list[Version]]:
    """The versions of each thread, by its id. Changes of one call are one version."""
    current: dict[str, dict[str, Seen]] = defaultdict(dict)
    versions: dict[str, list[Version]] = defaultdict(lambda: [Version(0, ())])
    changed: set[str] = set()
    for write in writes:
        current[write.thread_id][write.run_id] = Seen(write.run_id, write.status, write.revision)
        changed.add(write.thread_id)
        if write.revision == write.call_end:
            for thread_id in changed:
                # Insertion is the order of creation.
                runs = tuple(reversed(current[thread_id].values()))
                versions[thread_id].append(Version(write.revision, runs))
            changed.clear()
    return versions


def _active(runs: Runs) -> list[str]:
    return [seen.run_id for seen in runs if seen.status in _ACTIVE]


def _is_newest(runs: Runs, busy: Seen) -> bool:
    active = [seen for seen in runs if seen.status in _ACTIVE][:1]
    return [(seen.run_id, seen.status) for seen in active] == [(busy.run_id, busy.status)]
