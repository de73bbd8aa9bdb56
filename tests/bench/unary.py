"""Calls with one answer: each kind of work on each system in turn, round by round, against the limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, of_samples
from tests.bench.load import Sample, closed_loop, open_loop
from tests.bench.work import CREATE_OR_REJECT, GET, LIST_MANY, Stock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.systems import Caller, Limit, System
    from tests.bench.work import Operation

#: Calls a second that no system here exceeds: so much work is made ready.
_FASTEST: Final = 9_000
#: Rate of the open loop, as a share of the limit's in a closed one.
_OPEN: Final = 0.5
_CREATORS: Final = 64


class Contender:
    """A system under load."""

    def __init__(self, system: System, caller: Caller) -> None:
        self.system = system
        self.caller = caller
        self.stock = Stock(caller)


@dataclass
class Contest:
    """Systems that are measured against each other and against the limit."""

    limit: Contender
    #: The first one's answers are what the limit answers.
    contenders: Sequence[Contender]
    rounds: int
    seconds: float
    #: Called after each stretch of load.
    advance: Callable[[], None]

    async def closed(self, operation: Operation, in_flight: int) -> list[Figure]:
        """As many calls as so many callers get answered."""
        count = in_flight + int(_FASTEST * self.seconds)

        async def stretch(contender: Contender) -> Sample:
            call = await operation.prepare(contender.stock, count)
            return await closed_loop(contender.system.server, call, in_flight, self.seconds)

        samples = await self._rounds(operation, stretch)
        return self._figures("unary", operation.name, in_flight, samples)

    async def open(self, operation: Operation, in_flight: int) -> list[Figure]:
        """Calls at half of the rate that the limit reaches with so many callers."""
        await self._teach(operation)
        call = await operation.prepare(self.limit.stock, int(_FASTEST * self.seconds))
        fastest = await closed_loop(self.limit.system.server, call, in_flight, self.seconds)
        rate = _OPEN * fastest.rate

        async def stretch(contender: Contender) -> Sample:
            call = await operation.prepare(contender.stock, int(rate * self.seconds) + 1)
            return await open_loop(contender.system.server, call, rate, self.seconds)

        samples = await self._rounds(operation, stretch)
        return self._figures("open loop", operation.name, int(rate), samples)

    async def get_beside_creators(self) -> list[Figure]:
        """Get, one at a time, while 64 callers create."""

        async def stretch(contender: Contender) -> Sample:
            get = await GET.prepare(contender.stock, 1)
            create = await CREATE_OR_REJECT.prepare(contender.stock, 1)
            server = contender.system.server
            reads, _ = await asyncio.gather(
                closed_loop(server, get, 1, self.seconds),
                closed_loop(server, create, _CREATORS, self.seconds),
            )
            return reads

        samples = await self._rounds(GET, stretch, CREATE_OR_REJECT)
        return self._figures("mixed", "Get while 64 create", 1, samples)

    async def _rounds(
        self, operation: Operation, stretch: Stretch, *others: Operation
    ) -> list[list[Sample]]:
        for each in (operation, *others):
            await self._teach(each)
        samples: list[list[Sample]] = [[] for _ in range(1 + len(self.contenders))]
        for number in range(self.rounds):
            every = list(enumerate((self.limit, *self.contenders)))
            # Whoever comes first in one round comes last in the next.
            for index, contender in reversed(every) if number % 2 else every:
                samples[index].append(await stretch(contender))
                self.advance()
        return samples

    async def _teach(self, operation: Operation) -> None:
        first = self.contenders[0]
        call = await operation.prepare(first.stock, 1)
        await call()
        limit: Limit = self.limit.system  # type: ignore[assignment]
        await limit.learn(first.caller.answers)  # type: ignore[attr-defined]

    def _figures(
        self, section: str, work: str, in_flight: int, samples: list[list[Sample]]
    ) -> list[Figure]:
        limits = samples[0]
        return [
            Figure(
                section,
                work,
                contender.system.name,
                in_flight,
                of_samples(mine, limits),
                dict(sum((sample.failures for sample in mine), Counter())),
            )
            for contender, mine in zip((self.limit, *self.contenders), samples, strict=True)
        ]


if TYPE_CHECKING:
    from collections.abc import Awaitable

    Stretch = Callable[[Contender], Awaitable[Sample]]

__all__ = ["LIST_MANY", "Contender", "Contest"]
