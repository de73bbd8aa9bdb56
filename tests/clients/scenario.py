"""The list of scenarios, each a function that acts on a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clients.environment import Stage

Scenario: TypeAlias = "Callable[[Stage], Awaitable[None]]"

#: By name: the topic, which is the module's, and the function.
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Add a scenario to the suite."""
    topic = function.__module__.rpartition(".")[2]
    SCENARIOS[f"{topic}/{function.__name__}"] = function
    return function
