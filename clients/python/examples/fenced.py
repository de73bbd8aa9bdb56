"""A worker whose store refuses late writes: python clients/python/examples/fenced.py FILE

A worker of assistant "notes" that stores its input word by word, one text per thread, in a SQLite file. A worker that
was paused for longer than its lease may go on writing when another one has the thread already. The store keeps the
highest fencing token of each thread, and refuses a write with a lower one.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from contextlib import closing

from runsvc.client import RunClient, ThreadExecution, Worker

FILE = sys.argv[1] if len(sys.argv) > 1 else "notes.db"
#: Seconds between two words.
PAUSE = 0.5

_TABLE = "CREATE TABLE IF NOT EXISTS texts (thread_id TEXT PRIMARY KEY, token INTEGER, text TEXT)"
# One statement compares the tokens and writes, so no other writer can come between the two.
_WRITE = """
    INSERT INTO texts (thread_id, token, text) VALUES (?, ?, ?)
    ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token, text = excluded.text
    WHERE excluded.token >= token
"""


class StaleTokenError(Exception):
    """A later run of the thread, or a later attempt, has written already."""


class Texts:
    """One text per thread. Each write names the fencing token of its run."""

    def __init__(self, file: str) -> None:
        self._file = file
        with closing(self._open()) as connection:
            connection.execute(_TABLE)

    def write(self, thread_id: str, token: int, text: str) -> None:
        """Replace the text of a thread. Raise StaleTokenError if the store has seen a higher token."""
        with closing(self._open()) as connection:
            if connection.execute(_WRITE, (thread_id, token, text)).rowcount == 0:
                raise StaleTokenError(f"token {token} of {thread_id} is too old")

    def read(self, thread_id: str) -> str:
        """Return the text of a thread."""
        with closing(self._open()) as connection:
            query = "SELECT text FROM texts WHERE thread_id = ?"
            found = connection.execute(query, (thread_id,)).fetchone()
        return found[0] if found else ""

    def _open(self) -> sqlite3.Connection:
        # Each statement commits by itself.
        return sqlite3.connect(self._file, isolation_level=None)


TEXTS = Texts(FILE)


def note(execution: ThreadExecution) -> dict[str, str]:
    """Store the input word by word. The first write makes the token known before any work is done."""
    run = execution.run
    words = run.kwargs.fields["input"].string_value.split()
    for count in range(len(words) + 1):
        said = " ".join(words[:count])
        try:
            TEXTS.write(run.thread_id, run.fencing_token, said)
        except StaleTokenError as error:
            print("refused", run.run_id, error, flush=True)
            raise
        # A cancel is noticed here. If it comes later, the store has to refuse the next write.
        execution.check()
        print("wrote", run.run_id, count, flush=True)
        time.sleep(PAUSE)
    return {"output": TEXTS.read(run.thread_id)}


def main() -> None:
    """Execute runs until Ctrl-C or SIGTERM."""
    with RunClient() as client:
        worker = Worker(client, note, assistants=["notes"], lease_ttl=5)
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        print(f"worker {worker.worker_id} writes to {FILE}", flush=True)
        worker.run()


if __name__ == "__main__":
    main()
