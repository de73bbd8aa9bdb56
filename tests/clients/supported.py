"""The check that the README's table names the topics that the clients support."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients import table
from tests.clients.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable

#: The properties of a test's report, from which this process counts what its workers found.
LANGUAGE: Final = "language"
SCENARIO: Final = "scenario"


class Supported:
    """A plugin that compares the table with the reports of all scenarios, also of those that ran in other processes."""

    def __init__(self, rewrite: bool) -> None:
        self._rewrite = rewrite
        #: By language and scenario; False means that the client does not support it.
        self._passed: dict[str, dict[str, bool]] = defaultdict(dict)
        self._stale: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if report.when == "call" and SCENARIO in properties and not report.failed:
            language, scenario = str(properties[LANGUAGE]), str(properties[SCENARIO])
            self._passed[language][scenario] = report.passed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        for language, passed in self._passed.items():
            # If only a part of the scenarios ran, or one failed, a row is unknown.
            if len(passed) == len(SCENARIOS):
                self._check(table.row(language, passed), language)
        if self._stale:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for row in self._stale:
            terminalreporter.line(
                f"The README's table is out of date: update it with --rewrite. Found: {row.rstrip()}",
                red=True,
            )

    def _check(self, row: str, language: str) -> None:
        if self._rewrite:
            table.replace_row(language, row)
        if row not in table.rows():
            self._stale.append(row)


def name_scenario(
    record_property: Callable[[str, object], None], language: str, scenario: str
) -> None:
    """Name the scenario in the report of the present test."""
    record_property(LANGUAGE, language)
    record_property(SCENARIO, scenario)
