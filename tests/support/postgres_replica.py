"""A primary and its replica, which lags behind and takes over."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import psycopg

from tests.support.ports import free_port
from tests.support.postgres_keeper import Server

if TYPE_CHECKING:
    from tests.support.postgres_binaries import Binaries

_PATIENCE = 30.0


class Replica(Server):
    """A replica, with asynchronous replication."""

    def __init__(self, binaries: Binaries, primary: Server) -> None:
        super().__init__(binaries)
        self._primary = primary

    def start(self) -> None:
        """Copy the primary, and follow it."""
        copied = self._run(
            "pg_basebackup", "-d", self._primary.url, "-D", self._data, "-R", "-c", "fast"
        ).wait()
        if copied != 0 or not self._started(free_port()):
            raise RuntimeError((self.folder / "output").read_text(errors="replace"))

    def start_again(self) -> None:
        """Start at the same address, after `halt`."""
        if not self._started(int(self.url.rpartition(":")[2].partition("/")[0])):
            raise RuntimeError((self.folder / "output").read_text(errors="replace"))

    def wait_for(self, revision: int) -> None:
        """Wait until the replica has a revision."""
        end = time.monotonic() + _PATIENCE
        while rows_of(self.url, "SELECT max(revision) FROM commits") < [(revision,)]:
            if time.monotonic() > end:
                raise RuntimeError("the replica does not follow")
            time.sleep(0.05)

    def promote(self) -> None:
        """Become the primary."""
        rows_of(self.url, "SELECT pg_promote(true, 60)")


def halt(server: Server) -> None:
    """Stop a server at once, without a checkpoint."""
    process = server._process
    assert process is not None
    process.send_signal(signal.SIGQUIT)
    process.wait()


def rows_of(url: str, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()
