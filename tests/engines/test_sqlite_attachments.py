"""Cost of attachments in SQLite, in steps of its virtual machine: linear in their number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from runsvc.commit.command import Command
from runsvc.core.model import RunSpec
from runsvc.store.attachments import Abandoned, AnyReleased, Attach, Release, Renew
from tests.conformance.driver import OWNER, Driver
from tests.support.steps import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.commit.transaction import Transaction
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.sqlite import SqliteStore

MANY = 1_000
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


def _create(driver: Driver, count: int) -> Sequence[str]:
    def decide(tx: Transaction) -> Sequence[str]:
        run_ids = [tx.new_run_id() for _ in range(count)]
        for number, run_id in enumerate(run_ids):
            spec = RunSpec(thread_id=f"t{number}")
            tx.create(spec, run_id=run_id, owner=OWNER, request=None)
        return run_ids

    return driver.carry_out(Command(decide))


def _make(driver: Driver, *changes: AttachmentChange) -> None:
    driver.carry_out(Command(lambda tx: tx.attach(*changes)))


def _reconnect(driver: Driver, count: int) -> None:
    """Attach `count` clients to a run each. Each has reconnected once, so its first attachment was released."""
    run_ids = _create(driver, count)
    for name in ("first", "second"):
        _make(driver, *(Attach(f"{name}-{each}", each, "s", LATER) for each in run_ids))
    _make(driver, *(Release(f"first-{each}", NOON) for each in run_ids))


async def test_the_cost_of_a_renewal_is_linear_in_the_held_attachments(store: SqliteStore) -> None:
    driver = Driver(store)
    _reconnect(driver, MANY)
    renew = Renew("s", NOON, LATER + timedelta(minutes=1))
    assert steps(store, partial(_make, driver, renew)) < 200 * MANY
    (left,) = store.writing._connected().execute("SELECT count(*) FROM attachments").fetchone()
    assert left == MANY


async def test_the_cost_of_any_released_does_not_depend_on_the_number_of_attachments(
    store: SqliteStore,
) -> None:
    driver = Driver(store)
    _reconnect(driver, MANY)

    def ask(server: str) -> None:
        store.writing.begin()
        store.writing.load([AnyReleased(server)])
        store.writing.rollback()

    for server in ("s", "a", "z"):
        assert steps(store, partial(ask, server)) < 200


async def test_the_cost_of_finding_abandoned_runs_is_linear_in_the_runs_found(
    store: SqliteStore,
) -> None:
    driver = Driver(store)
    (often,), others = _create(driver, 1), _create(driver, MANY)
    _make(driver, *(Attach(f"{number}", often, "", NOON) for number in range(MANY)))
    _make(driver, *(Attach(each, each, "", LATER) for each in others))
    # The expired attachments of one run do not count towards the limit, and are read twice at most.
    query = Abandoned(LATER, "s", 50)
    assert len(driver.load(query)) == 50
    assert steps(store, partial(driver.load, query)) < 50 * MANY
    # With one held attachment, the run's expired attachments are read once, not once for each.
    _make(driver, Attach("held", often, "s", LATER))
    assert often not in {run.run_id for run in driver.load(query)}
    assert steps(store, partial(driver.load, query)) < 50 * MANY
