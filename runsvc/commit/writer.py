"""The one writer: commands in on the event loop, batches out on a thread of its own, answers back.

Batches do not form by themselves: a transport delivers calls one at a time, and a commit is as quick as a call. So the
loop collects for as long as more keep coming. Once a few of its turns have brought none, it has time to spare and all
who were on their way are here: the busier it is, the larger the batches. A lone caller never waits, unless it said that
it can: the heartbeats of many workers come one by one, and a flush for each would cost more than all else about them.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from runsvc.commit.command import MAX_COMMANDS
from runsvc.core.errors import Overloaded, ServerDraining

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.commit.command import AnyCommand
    from runsvc.commit.group_commit import Committed, GroupCommit, Outcome

T = TypeVar("T")

#: Most bytes of a batch; how many commands is the transaction's to say.
MAX_BYTES: Final = 4 << 20
#: Turns of the loop without a new command after which no more are expected, and the longest wait for that, in seconds.
QUIET_TURNS: Final = 12
PATIENCE: Final = 0.008
#: How long a batch of commands that can wait does so, in seconds.
LINGER: Final = 0.02
#: What may wait for a batch: commands, and bytes.
MAX_WAITING: Final = 10_000
MAX_WAITING_BYTES: Final = 64 << 20


class _Call(NamedTuple):
    command: AnyCommand[Any]
    answer: asyncio.Future[Any]


class Writer:
    """Takes commands and answers each once its batch is durable.

    A command whose caller gave up before its batch began is dropped, unless it outlives its caller; after that it takes
    effect whether or not anyone waits for the answer.
    """

    def __init__(
        self,
        group: GroupCommit,
        publish: Callable[[Committed], None],
        *,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._group = group
        #: Called on the loop before the callers are answered.
        self._publish = publish
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Call] = deque()
        self._waiting_bytes = 0
        #: How many of those that wait cannot do so for long.
        self._pressing = 0
        self._lingering = False
        self._busy = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        #: The last batch was one command, and nobody else came in the meantime.
        self._alone = True
        self._looking = False
        #: Until when, on the loop's clock, more commands are waited for.
        self._patient_until = 0.0
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[list[_Call] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="runsvc-writer", daemon=True)
        self._thread.start()

    async def submit(self, command: AnyCommand[T]) -> T:
        """Have a command carried out; its answer, or what it raised. Overloaded when too many wait, ServerDraining."""
        if self._closing:
            raise ServerDraining
        if len(self._waiting) >= self._max_waiting or self._waiting_bytes > self._max_waiting_bytes:
            raise Overloaded
        answer: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Call(command, answer))
        self._waiting_bytes += command.size
        self._pressing += not command.is_deferrable
        self._collect()
        return await answer

    async def close(self) -> None:
        """Carry out what waits, then stop."""
        self._closing = True
        self._collect()
        await self._idle.wait()
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def _collect(self) -> None:
        if self._busy:
            return
        if self._closing or len(self._waiting) >= MAX_COMMANDS:
            self._hand_over()
        elif not self._pressing:
            self._linger()
        elif self._alone:
            self._hand_over()
        elif not self._looking:
            self._looking = True
            self._patient_until = self._loop.time() + PATIENCE
            self._loop.call_soon(self._look, len(self._waiting), 0)

    def _look(self, seen: int, quiet: int) -> None:
        """Hand over what waits once no more come; until then look again at the loop's next turn."""
        if self._busy or not self._waiting:
            self._looking = False
            return
        found = len(self._waiting)
        quiet = quiet + 1 if found == seen else 0
        if quiet >= QUIET_TURNS or self._loop.time() >= self._patient_until:
            self._looking = False
            self._hand_over()
        else:
            self._loop.call_soon(self._look, found, quiet)

    def _linger(self) -> None:
        if self._waiting and not self._lingering:
            self._lingering = True
            self._loop.call_later(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._lingering = False
        if not self._busy:
            self._hand_over()

    def _hand_over(self) -> None:
        if batch := self._take():
            self._busy = True
            self._idle.clear()
            self._inbox.put(batch)

    def _take(self) -> list[_Call]:
        batch: list[_Call] = []
        size = 0
        while self._waiting and len(batch) < MAX_COMMANDS:
            command, answer = self._waiting[0]
            if command.outlives_caller or not answer.done():
                if batch and (
                    command.is_exclusive
                    or batch[0].command.is_exclusive
                    or size + command.size > MAX_BYTES
                ):
                    break
                size += command.size
                batch.append(self._waiting[0])
            self._waiting.popleft()
            self._waiting_bytes -= command.size
            self._pressing -= not command.is_deferrable
        return batch

    def _work(self) -> None:
        while (batch := self._inbox.get()) is not None:
            committed = self._group.run([call.command for call in batch])
            self._loop.call_soon_threadsafe(self._answer, batch, committed)

    def _answer(self, batch: list[_Call], committed: Committed) -> None:
        try:
            self._publish(committed)
        finally:
            for call, outcome in zip(batch, committed.outcomes, strict=True):
                _settle(call.answer, outcome)
            self._go_on(len(batch))

    def _go_on(self, answered: int) -> None:
        self._busy = False
        self._alone = answered == 1 and not self._waiting
        if self._waiting:
            self._collect()
        if not self._busy:
            self._idle.set()


def _settle(answer: asyncio.Future[Any], outcome: Outcome) -> None:
    if answer.done():
        return
    if outcome.error is not None:
        answer.set_exception(outcome.error)
    else:
        answer.set_result(outcome.answer)
