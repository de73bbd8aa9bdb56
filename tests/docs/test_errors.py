"""The tables of errors, status reasons and events are complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from runsvc.core.model import StatusReason
from runsvc.rpc.status import TABLE
from runsvc.v1.error_reason_pb2 import ErrorReason
from runsvc.watch.event import StatusEvent

DOCS: Final = Path(__file__).parents[2] / "docs"
#: The words in capitals in a column of a table.
CAPITALS: Final = re.compile(r"\b[A-Z]+(?:_[A-Z]+)*\b")


def rows_after(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a line of a page, without its head."""
    _, _, rest = (DOCS / page).read_text("utf-8").partition(f"\n{heading}\n")
    table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert table is not None
    return [line.strip("| ").split(" | ") for line in table[0].splitlines()[2:]]


def test_the_table_of_errors_lists_every_reason_that_the_server_sends() -> None:
    rows = rows_after("callers.md", "## Errors")
    listed = [name for reason, *_ in rows for name in CAPITALS.findall(reason)]
    sent = [ErrorReason.Name(row.reason).removeprefix("ERROR_REASON_") for row in TABLE.values()]
    assert sorted(listed) == sorted(sent)


def test_the_table_of_status_reasons_lists_every_reason() -> None:
    line = "`status_reason` gives the cause when the server ended the run:"
    listed = [reason for _, reason, _ in rows_after("concepts.md", line)]
    set_by_server = set(StatusReason) - {StatusReason.UNSPECIFIED}
    assert sorted(listed) == sorted(reason.name for reason in set_by_server)


def test_the_table_of_events_lists_every_event() -> None:
    rows = rows_after("concepts.md", "## Watches")
    listed = [name for event, *_ in rows for name in CAPITALS.findall(event)]
    assert sorted(listed) == sorted(event.name for event in StatusEvent)
