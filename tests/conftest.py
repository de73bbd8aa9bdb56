"""Settings of the whole test run."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.support.postgres", "tests.support.shared_stores"]

# A busy machine may be slow: the time of an example proves nothing.
settings.register_profile("runsvc", deadline=None)
settings.load_profile("runsvc")


def _do_nothing(*_: object) -> None:
    """Handle a signal by doing nothing."""


# In a background job, or under nohup, pytest ignores these signals, and so would every program that a test starts. A
# handler has the same effect here, and a started program gets the default action.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _do_nothing)


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Undo a change of the level of the log: commands in the test's process set it."""
    log = logging.getLogger("runsvc")
    level = log.level
    yield
    log.setLevel(level)
