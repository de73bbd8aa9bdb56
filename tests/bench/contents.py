"""The sections of the benchmark, in the order of their measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.bench import (
    authentication,
    claims,
    clients,
    floor,
    payload,
    resources,
    sections,
    terms,
    watching,
)
from tests.bench.systems import PEERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.figures import Figure
    from tests.bench.plan import Plan
    from tests.bench.session import Session


class Section(NamedTuple):
    """A section of the benchmark."""

    name: str
    measure: Callable[[Session], Awaitable[list[Figure]]]
    #: The number of progress steps that it reports.
    steps: Callable[[Plan], int]


def _systems(plan: Plan) -> int:
    return 2 + len(PEERS) * plan.peers


SECTIONS: Final = (
    Section(
        "unary",
        sections.unary,
        lambda plan: plan.rounds * len(sections.unary_cases(plan)) * _systems(plan),
    ),
    Section("open", sections.open_loop, lambda plan: plan.rounds * _systems(plan)),
    Section("mixed", sections.mixed, lambda plan: plan.rounds * _systems(plan)),
    Section("list", sections.long_thread, lambda plan: plan.rounds * 2),
    Section(
        "finished",
        sections.finished,
        lambda plan: plan.rounds * len(sections.finished_cases(plan)) * (1 + len(plan.finished)),
    ),
    Section("seed", sections.seed, lambda plan: plan.rounds * 6),
    Section("floor", floor.floor, lambda plan: plan.rounds * 3),
    Section("memory", resources.memory, lambda plan: 4),
    Section("start", resources.start, lambda plan: plan.rounds * (1 + len(plan.finished))),
    Section("terms", terms.terms, terms.steps),
    Section("claims", claims.claims, claims.steps),
    Section("payload", payload.payload, payload.steps),
    Section("watch", watching.watch, watching.steps),
    Section("authentication", authentication.authentication, authentication.steps),
    Section("clients", clients.clients, clients.steps),
)
