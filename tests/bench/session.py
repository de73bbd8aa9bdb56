"""A benchmark session: the plan, files, started servers, and progress reports."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import shutil
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import runsvc
from tests.bench.unary import Comparison, Participant
from tests.support import filling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.bench.plan import Plan
    from tests.bench.systems import System

_PACKAGE: Final = Path(runsvc.__file__).parent
#: Files on which the contents of a filled store depend; a change of one makes cached stores stale.
_FORMAT: Final = (
    *sorted((_PACKAGE / "store" / "migrations" / "sqlite").glob("*.sql")),
    _PACKAGE / "store" / "rows.py",
    _PACKAGE / "wire" / "codec.py",
    _PACKAGE / "v1" / "run_pb2.py",
    Path(filling.__file__),
)
#: Rows between two progress reports.
_REPORT_EVERY: Final = 5_000


class Observer(Protocol):
    """A receiver of progress reports."""

    def step(self, description: str) -> None:
        """A measurement begins."""
        ...

    def preparing(self, description: str, done: int, total: int) -> None:
        """Files for the measurement are being created."""
        ...


@dataclass
class Session:
    """A benchmark in progress."""

    plan: Plan
    #: Folder of files that later benchmarks reuse.
    cache: Path
    observer: Observer
    section: str = ""
    _folder: Path = field(default_factory=Path)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Provide a temporary folder for the servers' files, on the same disk as the cache."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="servers-") as folder:
            self._folder = Path(folder)
            yield

    def file(self) -> Path:
        """The path of a new store."""
        return self._folder / f"{next(self._numbers)}.db"

    async def filled(self, count: int, *, every: int = 10) -> Path:
        """A copy of a store with this many finished runs; by default every tenth is on the long thread."""
        original = await asyncio.to_thread(self._original, count, every)
        return Path(await asyncio.to_thread(shutil.copy, original, self.file()))

    def _original(self, count: int, every: int) -> Path:
        version = hashlib.sha256(b"".join(file.read_bytes() for file in _FORMAT)).hexdigest()[:12]
        original = self.cache / f"finished-{count}-{every}-{version}.db"
        if original.exists():
            return original
        unfinished = self.file()

        def progress(number: int) -> None:
            if number % _REPORT_EVERY == 0 or number == count:
                self.observer.preparing(f"A store with {count:,} finished runs", number, count)

        filling.fill(unfinished, count, every=every, progress=progress)
        return unfinished.rename(original)

    @asynccontextmanager
    async def comparison(self, reference: System, *systems: System) -> AsyncIterator[Comparison]:
        """Start and connect the systems, and stop them at the end of the block."""
        async with AsyncExitStack() as stack:
            participants = [await self._start(system, stack) for system in (reference, *systems)]
            plan = self.plan
            yield Comparison(
                self.section,
                participants[0],
                participants[1:],
                plan.rounds,
                plan.seconds,
                self.observer.step,
            )

    async def _start(self, system: System, stack: AsyncExitStack) -> Participant:
        stack.push_async_callback(system.stop)
        await system.start()
        caller = await system.connect()
        stack.callback(caller.close)
        return Participant(system, caller)
