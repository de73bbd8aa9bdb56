"""The sweeper: runs maintenance jobs at fixed intervals."""

from __future__ import annotations

import asyncio
import logging
from random import uniform
from typing import TYPE_CHECKING, NamedTuple

from runsvc.core.errors import RunsvcError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """Work to repeat."""

    #: Subject of log messages, such as "Log compaction".
    name: str
    #: Pause between the end of one run of the work and the start of the next.
    interval: timedelta
    work: Callable[[], Awaitable[None]]


class Sweeper:
    """Runs each job in its own task."""

    def __init__(self, jobs: Sequence[Job], *, stagger: float = 0.0) -> None:
        """stagger: each pause is longer or shorter, by up to this part of it, so that servers do not work at once."""
        self._jobs = jobs
        self._stagger = stagger

    async def run(self) -> None:
        """Run the jobs again and again, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for job in self._jobs:
                tasks.create_task(_repeat(job, self._stagger))


async def _repeat(job: Job, stagger: float) -> None:
    """Repeat a job whatever it raises. Of equal failures in a row, log the first."""
    failure = ""
    while True:
        try:
            await job.work()
            if failure:
                _log.warning("%s works again.", job.name)
            failure = ""
        except RunsvcError as error:
            if failure != str(error):
                _log.warning("%s failed: %s", job.name, error)
            failure = str(error)
        except Exception as error:  # noqa: BLE001 - no error may end the maintenance.
            if failure != repr(error):
                _log.exception("%s failed.", job.name)
            failure = repr(error)
        await asyncio.sleep(job.interval.total_seconds() * uniform(1 - stagger, 1 + stagger))
