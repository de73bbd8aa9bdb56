"""Calls with one answer: each kind of work on each system in turn, round by round, against a reference."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, of_samples
from tests.bench.load import Sample, closed_loop, open_loop
from tests.bench.systems import GrpcCaller, Limit
from tests.bench.work import CREATE_OR_REJECT, GET, Stock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.bench.systems import Caller, System
    from tests.bench.work import Operation

    Stretch = Callable[["Contender"], Awaitable[Sample]]

#: Calls a second for which work is made ready; a faster system ends its stretch early.
_READY: Final = 5_000
#: Rate of the open loop, as a share of the reference's in a closed one.
_OPEN: Final = 0.5
#: Callers where no other number is asked for.
MANY: Final = 64


class Contender:
    """A system under load."""

    def __init__(self, system: System, caller: Caller) -> None:
        self.system = system
        self.caller = caller
        self.stock = Stock(caller)


@dataclass
class Contest:
    """Systems that are measured against each other and against a reference, which may be the limit."""

    section: str
    reference: Contender
    #: The first one's answers are what the limit answers.
    contenders: Sequence[Contender]
    rounds: int
    seconds: float
    #: Called before each stretch of load with what it is.
    step: Callable[[str], None]

    @property
    def everyone(self) -> list[Contender]:
        """Whom it measures, the reference first."""
        return [self.reference, *self.contenders]

    @property
    def ready(self) -> int:
        """Calls for which work is made ready before a stretch."""
        return int(_READY * self.seconds)

    async def closed(self, operation: Operation, in_flight: int = MANY) -> list[Figure]:
        """As many calls as so many callers get answered."""

        async def stretch(contender: Contender) -> Sample:
            call = await operation.prepare(contender.stock, in_flight + self.ready)
            return await closed_loop(contender.system.server, call, in_flight, self.seconds)

        await self.teach(operation)
        samples = await self.take_turns(f"{operation.name}, {in_flight} in flight", stretch)
        return self.figures(operation.name, in_flight, samples)

    async def open(self, operation: Operation) -> list[Figure]:
        """Calls at half of the rate that the reference reaches with 64 callers."""
        await self.teach(operation)
        call = await operation.prepare(self.reference.stock, MANY + self.ready)
        fastest = await closed_loop(self.reference.system.server, call, MANY, self.seconds)
        rate = _OPEN * fastest.rate

        async def stretch(contender: Contender) -> Sample:
            call = await operation.prepare(contender.stock, int(rate * self.seconds) + 1)
            return await open_loop(contender.system.server, call, rate, self.seconds)

        work = f"{operation.name} at a fixed rate"
        return self.figures(work, 0, await self.take_turns(work, stretch))

    async def get_beside_creators(self) -> list[Figure]:
        """Get, one at a time, while 64 callers create."""

        async def stretch(contender: Contender) -> Sample:
            get = await GET.prepare(contender.stock, self.ready)
            create = await CREATE_OR_REJECT.prepare(contender.stock, self.ready)
            server = contender.system.server
            mine, beside = await asyncio.gather(
                closed_loop(server, get, 1, self.seconds),
                closed_loop(server, create, MANY, self.seconds),
            )
            mine.beside = beside
            return mine

        await self.teach(GET, CREATE_OR_REJECT)
        reads = await self.take_turns("Get while 64 create", stretch)
        creates = [[each.beside or Sample() for each in mine] for mine in reads]
        return [
            *map(Figure.without_cpu, self.figures("Get while 64 create", 1, reads)),
            *map(Figure.without_cpu, self.figures("CreateOrReject beside a Get", MANY, creates)),
        ]

    async def take_turns(self, what: str, stretch: Stretch) -> list[list[Sample]]:
        """The samples of everyone: a stretch for each in each round."""
        everyone = list(enumerate(self.everyone))
        samples: list[list[Sample]] = [[] for _ in everyone]
        for number in range(self.rounds):
            # Whoever comes first in one round comes last in the next.
            for index, contender in reversed(everyone) if number % 2 else everyone:
                self.step(f"{what}: {contender.system.name}")
                samples[index].append(await stretch(contender))
        return samples

    async def teach(self, *operations: Operation) -> None:
        """Have the limit, if it is the reference, answer as the first contender does."""
        limit, caller = self.reference.system, self.contenders[0].caller
        if isinstance(limit, Limit) and isinstance(caller, GrpcCaller):
            for operation in operations:
                await (await operation.prepare(self.contenders[0].stock, 1))()
            await limit.learn(caller.answers)

    def figures(
        self, work: str, in_flight: int, samples: Sequence[Sequence[Sample]]
    ) -> list[Figure]:
        """Everyone's figures of one kind of work."""
        return [
            Figure(
                self.section,
                work,
                contender.system.name,
                in_flight,
                of_samples(mine, samples[0]),
                failures_of(mine),
            )
            for contender, mine in zip(self.everyone, samples, strict=True)
        ]


def failures_of(samples: Sequence[Sample]) -> dict[str, int]:
    """What went wrong in all of them."""
    return dict(sum((sample.failures for sample in samples), Counter()))
