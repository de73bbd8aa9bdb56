"""Unary calls: each operation on each system in turn, round by round, relative to a reference."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, of_samples
from tests.bench.load import Sample, closed_loop, open_loop
from tests.bench.systems import GrpcCaller, Limit
from tests.bench.work import CREATE_OR_REJECT, GET, PreparedRuns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.bench.systems import Caller, System
    from tests.bench.work import Operation

    Measure = Callable[["Participant"], Awaitable[Sample]]

#: Calls a second for which runs are prepared; a faster system ends its measurement early.
_PREPARED_RATE: Final = 5_000
#: Rate of the open loop, as a share of the reference's rate in a closed loop.
_OPEN: Final = 0.5
#: Default number of callers.
MANY: Final = 64


class Participant:
    """A system in a comparison, with its caller and its prepared runs."""

    def __init__(self, system: System, caller: Caller) -> None:
        self.system = system
        self.caller = caller
        self.runs = PreparedRuns(caller)


@dataclass
class Comparison:
    """Systems to measure in turn, relative to a reference, which may be the limit."""

    section: str
    reference: Participant
    #: The limit returns the answers of the first one.
    candidates: Sequence[Participant]
    rounds: int
    seconds: float
    #: Called with a description before each measurement.
    step: Callable[[str], None]

    @property
    def participants(self) -> list[Participant]:
        """The reference and the candidates, in this order."""
        return [self.reference, *self.candidates]

    @property
    def prepared_calls(self) -> int:
        """Calls for which runs are prepared before a measurement."""
        return int(_PREPARED_RATE * self.seconds)

    async def closed(self, operation: Operation, in_flight: int = MANY) -> list[Figure]:
        """Measure an operation with this many callers, each with one call at a time."""

        async def measure(participant: Participant) -> Sample:
            call = await operation.prepare(participant.runs, in_flight + self.prepared_calls)
            return await closed_loop(participant.system.server, call, in_flight, self.seconds)

        await self.copy_answers(operation)
        samples = await self.take_turns(f"{operation.name}, {in_flight} in flight", measure)
        return self.figures(operation.name, in_flight, samples)

    async def open(self, operation: Operation) -> list[Figure]:
        """Measure an operation at half of the rate that the reference reaches with 64 callers."""
        await self.copy_answers(operation)
        call = await operation.prepare(self.reference.runs, MANY + self.prepared_calls)
        fastest = await closed_loop(self.reference.system.server, call, MANY, self.seconds)
        rate = _OPEN * fastest.rate

        async def measure(participant: Participant) -> Sample:
            call = await operation.prepare(participant.runs, int(rate * self.seconds) + 1)
            return await open_loop(participant.system.server, call, rate, self.seconds)

        work = f"{operation.name} at a fixed rate"
        return self.figures(work, 0, await self.take_turns(work, measure))

    async def get_beside_creators(self) -> list[Figure]:
        """Measure Get, one at a time, while 64 callers create runs."""

        async def measure(participant: Participant) -> Sample:
            get = await GET.prepare(participant.runs, self.prepared_calls)
            create = await CREATE_OR_REJECT.prepare(participant.runs, self.prepared_calls)
            server = participant.system.server
            mine, creates = await asyncio.gather(
                closed_loop(server, get, 1, self.seconds),
                closed_loop(server, create, MANY, self.seconds),
            )
            mine.concurrent = creates
            return mine

        await self.copy_answers(GET, CREATE_OR_REJECT)
        reads = await self.take_turns("Get while 64 create", measure)
        creates = [[each.concurrent or Sample() for each in mine] for mine in reads]
        return [
            *map(Figure.without_cpu, self.figures("Get while 64 create", 1, reads)),
            *map(Figure.without_cpu, self.figures("CreateOrReject beside a Get", MANY, creates)),
        ]

    async def take_turns(self, description: str, measure: Measure) -> list[list[Sample]]:
        """Measure every participant once in each round, and return the samples of each."""
        participants = list(enumerate(self.participants))
        samples: list[list[Sample]] = [[] for _ in participants]
        for number in range(self.rounds):
            # The order is reversed in every other round.
            for index, participant in reversed(participants) if number % 2 else participants:
                self.step(f"{description}: {participant.system.name}")
                samples[index].append(await measure(participant))
        return samples

    async def copy_answers(self, *operations: Operation) -> None:
        """Have the limit, if it is the reference, return the answers of the first candidate."""
        limit, caller = self.reference.system, self.candidates[0].caller
        if isinstance(limit, Limit) and isinstance(caller, GrpcCaller):
            for operation in operations:
                await (await operation.prepare(self.candidates[0].runs, 1))()
            await limit.set_answers(caller.answers)

    def figures(
        self, work: str, in_flight: int, samples: Sequence[Sequence[Sample]]
    ) -> list[Figure]:
        """The figures of every participant for one operation."""
        return [
            Figure(
                self.section,
                work,
                participant.system.name,
                in_flight,
                of_samples(mine, samples[0]),
                failures_of(mine),
            )
            for participant, mine in zip(self.participants, samples, strict=True)
        ]


def failures_of(samples: Sequence[Sample]) -> dict[str, int]:
    """The failures of all samples, counted."""
    return dict(sum((sample.failures for sample in samples), Counter()))
