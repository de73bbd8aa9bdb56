"""The single writer: collects commands on the event loop and commits batches on its own thread.

Batches need help to form, because the transport delivers one call at a time and a commit takes about as long as a call.
The writer therefore waits while commands keep arriving. After a few loop turns without a new command, the loop is idle
and every command under way has arrived, so batches grow with the load. A command that arrives alone never waits, except
a deferrable one: heartbeats of many workers arrive one by one, and a flush for each would be their largest cost.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from runsvc.commit.command import MAX_COMMANDS, HandOut
from runsvc.core.errors import Overloaded, ServerDraining

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.commit.command import AnyCommand
    from runsvc.commit.group_commit import Committed, GroupCommit, Outcome

T = TypeVar("T")

#: Limits of the queue: commands, and bytes.
MAX_WAITING: Final = 10_000
MAX_WAITING_BYTES: Final = 64 << 20
#: Longest time in the queue, in seconds, of the first of several batches that wait. Then the disk is too slow for the
#: load, and the callers of further commands would give up before their answers.
MAX_DELAY: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """When a batch is complete."""

    #: Maximum number of commands of a batch.
    max_commands: int = MAX_COMMANDS
    #: Add the commands that arrived while the batch waited for the store's lock, and do not wait for others before.
    late: bool = False
    #: Maximum bytes of a batch, unless its only command is larger.
    max_bytes: int = 4 << 20
    #: Loop turns without a new command after which no more are expected.
    quiet_turns: int = 12
    #: Longest wait for such a pause, in seconds.
    max_wait: float = 0.008
    #: Wait of a batch that consists of deferrable commands, in seconds.
    linger: float = 0.02


DEFAULT_BATCHING: Final = Batching()
#: For a store that several servers write: the wait for its lock collects the batch.
LATE_BATCHING: Final = Batching(max_commands=4 * MAX_COMMANDS, late=True)


class _Call(NamedTuple):
    command: AnyCommand[Any]
    answer: asyncio.Future[Any]
    #: Monotonic time of the submission.
    at: float


class Writer:
    """Accepts commands and answers each when its batch is durable.

    If the caller gives up before the batch begins, the command is dropped, unless it outlives its caller. Once the
    batch has begun, the command takes effect although no caller waits for the answer.
    """

    def __init__(
        self,
        group: GroupCommit,
        publish: Callable[[Committed], None],
        *,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        max_delay: float = MAX_DELAY,
        batching: Batching = DEFAULT_BATCHING,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        #: Called on the loop before the callers are answered.
        self._publish = publish
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._max_delay = max_delay
        self._batching = batching
        self._monotonic = monotonic
        self._waiting: deque[_Call] = deque()
        self._waiting_bytes = 0
        #: Number of waiting commands that are not deferrable.
        self._urgent = 0
        self._lingering = False
        #: The thread has a batch.
        self._busy = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        #: The last batch was a single command, and none arrived meanwhile.
        self._alone = True
        #: A poll for a pause in arrivals is scheduled.
        self._polling = False
        #: End of the wait for more commands, on the loop's clock.
        self._wait_until = 0.0
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[list[_Call] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="runsvc-writer", daemon=True)
        self._thread.start()

    async def submit(self, command: AnyCommand[T]) -> T:
        """Carry out a command. Return its answer, or raise its error, Overloaded or ServerDraining."""
        if self._closing:
            raise ServerDraining
        now = self._monotonic()
        if self._is_full() or (
            len(self._waiting) >= self._batching.max_commands
            # Heartbeats and background jobs keep runs alive and end them in time.
            and not (command.is_deferrable or command.is_exclusive)
            and now - self._first_at(now) > self._max_delay
        ):
            raise Overloaded
        answer: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Call(command, answer, now))
        self._waiting_bytes += command.size
        self._urgent += not command.is_deferrable
        self._collect()
        return await answer

    async def close(self) -> None:
        """Carry out all waiting commands, then stop the thread."""
        self._closing = True
        self._collect()
        await self._idle.wait()
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def _is_full(self) -> bool:
        waiting = len(self._waiting)
        return waiting >= self._max_waiting or self._waiting_bytes > self._max_waiting_bytes

    def _first_at(self, now: float) -> float:
        """When the first waiting command was submitted. The writer's thread may take it at this moment."""
        try:
            return self._waiting[0].at
        except IndexError:
            return now

    def _collect(self) -> None:
        if self._busy:
            return
        if self._closing or len(self._waiting) >= self._batching.max_commands:
            self._hand_over()
        elif not self._urgent:
            self._linger()
        elif self._alone or self._batching.late:
            self._hand_over()
        elif not self._polling:
            self._polling = True
            self._wait_until = self._loop.time() + self._batching.max_wait
            self._loop.call_soon(self._poll, len(self._waiting), 0)

    def _poll(self, seen: int, quiet_turns: int) -> None:
        """Hand over the waiting commands if arrivals have paused; otherwise poll again in the loop's next turn."""
        if self._busy or not self._waiting:
            self._polling = False
            return
        found = len(self._waiting)
        quiet_turns = quiet_turns + 1 if found == seen else 0
        if quiet_turns >= self._batching.quiet_turns or self._loop.time() >= self._wait_until:
            self._polling = False
            self._hand_over()
        else:
            self._loop.call_soon(self._poll, found, quiet_turns)

    def _linger(self) -> None:
        if self._waiting and not self._lingering:
            self._lingering = True
            self._loop.call_later(self._batching.linger, self._end_linger)

    def _end_linger(self) -> None:
        self._lingering = False
        if not self._busy:
            self._hand_over()

    def _hand_over(self) -> None:
        batch: list[_Call] = []
        self._discount(self._take(batch))
        if batch:
            self._busy = True
            self._idle.clear()
            self._inbox.put(batch)

    def _take(self, batch: list[_Call]) -> list[_Call]:
        """Move waiting commands to a batch. Return all that do not wait any more, with those whose callers have gone.

        The writer's thread does so only while it has a batch, and the loop only while it has none.
        """
        taken: list[_Call] = []
        size = sum(call.command.size for call in batch)
        while self._waiting and len(batch) < self._batching.max_commands:
            command, answer, _ = self._waiting[0]
            if command.outlives_caller or not answer.done():
                if batch and (
                    command.is_exclusive
                    or batch[0].command.is_exclusive
                    or size + command.size > self._batching.max_bytes
                ):
                    break
                size += command.size
                batch.append(self._waiting[0])
            taken.append(self._waiting.popleft())
        return taken

    def _discount(self, taken: list[_Call]) -> None:
        """Subtract commands from the counts, which belong to the loop."""
        for command, _, _ in taken:
            self._waiting_bytes -= command.size
            self._urgent -= not command.is_deferrable

    def _work(self) -> None:
        while (batch := self._inbox.get()) is not None:
            waited = self._monotonic() - batch[0].at
            commands = [call.command for call in batch]
            drawn: list[_Call] = []
            draw = partial(self._draw, batch, drawn) if self._batching.late else None
            committed = self._group.run(commands, waited, draw)
            self._loop.call_soon_threadsafe(self._answer, batch, drawn, committed)

    def _draw(self, batch: list[_Call], drawn: list[_Call]) -> list[AnyCommand[Any]]:
        """Add waiting commands to a batch whose transaction has begun, and return them."""
        present = len(batch)
        drawn += self._take(batch)
        return [call.command for call in batch[present:]]

    def _answer(self, batch: list[_Call], drawn: list[_Call], committed: Committed) -> None:
        self._discount(drawn)
        try:
            self._publish(committed)
        finally:
            for call, outcome in zip(batch, committed.outcomes, strict=True):
                _settle(call, outcome)
            self._start_next(len(batch))

    def _start_next(self, answered: int) -> None:
        self._busy = False
        self._alone = answered == 1 and not self._waiting
        if self._waiting:
            self._collect()
        if not self._busy:
            self._idle.set()


def _settle(call: _Call, outcome: Outcome) -> None:
    answer = call.answer
    if answer.done():
        if isinstance(call.command, HandOut) and call.command.lost and outcome.answer is not None:
            call.command.lost(outcome.answer)
        return
    if outcome.error is not None:
        answer.set_exception(outcome.error)
    else:
        answer.set_result(outcome.answer)
