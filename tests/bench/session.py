"""What a section has to work with: the plan, files, servers that end with it, and word of how far it is."""

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
from tests.bench.unary import Contender, Contest
from tests.support import filling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.bench.plan import Plan
    from tests.bench.systems import System

_PACKAGE: Final = Path(runsvc.__file__).parent
#: What the rows of a filled file depend on.
_FORMAT: Final = (
    *sorted((_PACKAGE / "store" / "migrations" / "sqlite").glob("*.sql")),
    _PACKAGE / "store" / "rows.py",
    _PACKAGE / "wire" / "codec.py",
    _PACKAGE / "v1" / "run_pb2.py",
    Path(filling.__file__),
)
#: Rows between two words about them.
_OFTEN: Final = 5_000


class Watcher(Protocol):
    """Someone who wants to know what is measured now."""

    def step(self, what: str) -> None:
        """A stretch begins."""
        ...

    def making(self, what: str, done: int, total: int) -> None:
        """Something that the measurement needs is being made."""
        ...


@dataclass
class Session:
    """One benchmark on its way."""

    plan: Plan
    #: For files that are used again next time.
    cache: Path
    watcher: Watcher
    section: str = ""
    _folder: Path = field(default_factory=Path)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """A folder for the files of the servers, on the same disk as the cache."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="servers-") as folder:
            self._folder = Path(folder)
            yield

    def file(self) -> Path:
        """A name for a store of its own."""
        return self._folder / f"{next(self._numbers)}.db"

    async def filled(self, count: int, *, every: int = 10) -> Path:
        """A copy of a store with so many finished runs; every tenth is on the long thread."""
        original = await asyncio.to_thread(self._original, count, every)
        return Path(await asyncio.to_thread(shutil.copy, original, self.file()))

    def _original(self, count: int, every: int) -> Path:
        version = hashlib.sha256(b"".join(file.read_bytes() for file in _FORMAT)).hexdigest()[:12]
        original = self.cache / f"finished-{count}-{every}-{version}.db"
        if original.exists():
            return original
        unfinished = self.file()

        def progress(number: int) -> None:
            if number % _OFTEN == 0 or number == count:
                self.watcher.making(f"A store with {count:,} finished runs", number, count)

        filling.fill(unfinished, count, every=every, progress=progress)
        return unfinished.rename(original)

    @asynccontextmanager
    async def contest(self, reference: System, *systems: System) -> AsyncIterator[Contest]:
        """The systems, up and connected, for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            everyone = [await self._joined(system, stack) for system in (reference, *systems)]
            plan = self.plan
            yield Contest(
                self.section,
                everyone[0],
                everyone[1:],
                plan.rounds,
                plan.seconds,
                self.watcher.step,
            )

    async def _joined(self, system: System, stack: AsyncExitStack) -> Contender:
        stack.push_async_callback(system.stop)
        await system.start()
        caller = await system.connect()
        stack.callback(caller.close)
        return Contender(system, caller)
