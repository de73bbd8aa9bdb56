"""The registry of scenarios, each a function of its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clients.environment import Environment

Scenario: TypeAlias = "Callable[[Environment], Awaitable[None]]"

#: By topic, which is the name of the module, and function, such as `watches/a_run_that_is_over`.
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Register a scenario."""
    topic = function.__module__.rpartition(".")[2]
    SCENARIOS[f"{topic}/{function.__name__}"] = function
    return function
