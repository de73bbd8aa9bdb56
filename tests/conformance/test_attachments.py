"""Attachments, and the runs that are abandoned without them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runsvc.commit.command import Command
from runsvc.store.attachments import (
    Abandoned,
    AnyReleased,
    Attach,
    Detach,
    Release,
    ReleaseOthers,
    Renew,
)
from tests.conformance.driver import SUCCESS, Driver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from runsvc.core.model import Run
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.base import Store

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def make(driver: Driver, *changes: AttachmentChange) -> None:
    driver.carry_out(Command(lambda tx: tx.attach(*changes)))


def attach(name: str, run: Run, server: str = "s", until: float = 10) -> Attach:
    return Attach(name, run.run_id, server, at(until))


def abandoned(driver: Driver, seconds: float, server: str = "s", limit: int = 9) -> Sequence[str]:
    return [each.run_id for each in driver.load(Abandoned(at(seconds), server, limit))]


def released(driver: Driver, server: str = "s") -> bool:
    query = AnyReleased(server)
    driver.store.writing.begin()
    try:
        return bool(driver.store.writing.load([query]).counts[query])
    finally:
        driver.store.writing.rollback()


def test_a_run_without_attachments_is_not_abandoned(driver: Driver) -> None:
    driver.create()
    assert abandoned(driver, 1_000) == []
    assert not released(driver)


def test_a_run_is_abandoned_once_its_last_attachment_expires(driver: Driver) -> None:
    run = driver.create()
    make(driver, attach("a", run), attach("b", run))
    make(driver, Release("a", at(5)), Release("b", at(7)))
    assert released(driver)
    assert abandoned(driver, 6.999_999) == []
    assert abandoned(driver, 7) == [run.run_id]


def test_attachments_that_this_server_holds_do_not_expire(driver: Driver) -> None:
    run, others = driver.create(), driver.create()
    make(driver, attach("a", run), attach("b", others, server="t"))
    assert abandoned(driver, 1_000) == [others.run_id]
    assert abandoned(driver, 9, server="u") == []
    assert set(abandoned(driver, 10, server="u")) == {run.run_id, others.run_id}
    assert released(driver)
    assert released(driver, "u")


def test_one_held_attachment_keeps_a_run_from_being_abandoned(driver: Driver) -> None:
    run = driver.create()
    make(driver, attach("a", run), attach("b", run), Release("a", at(1)))
    assert abandoned(driver, 1_000) == []


def test_releasing_an_unknown_attachment_does_nothing(driver: Driver) -> None:
    make(driver, Release("unknown", at(1)))
    assert not released(driver)


def test_attachments_of_a_lost_server_get_a_new_expiry(driver: Driver) -> None:
    mine, lost, left = (driver.create() for _ in range(3))
    make(driver, attach("m", mine), attach("l", lost, "t"), attach("r", left))
    make(driver, Release("r", at(1)), ReleaseOthers("s", at(60)))
    assert abandoned(driver, 59) == []
    assert set(abandoned(driver, 60)) == {lost.run_id, left.run_id}


def test_renewing_extends_held_attachments_and_removes_expired_ones_of_the_same_run(
    driver: Driver,
) -> None:
    run, alone = driver.create(), driver.create()
    make(driver, attach("a", run), attach("b", run), attach("c", run), attach("d", alone))
    make(driver, Release("b", at(5)), Release("c", at(50)), Release("d", at(5)))
    make(driver, Renew("s", at(20), at(100)))
    # For another server, attachments held here count until they expire.
    assert abandoned(driver, 99, server="t") == [alone.run_id]
    assert set(abandoned(driver, 100, server="t")) == {run.run_id, alone.run_id}
    assert released(driver)


def test_abandoned_runs_are_limited_and_ordered_by_expiry(driver: Driver) -> None:
    late, early = driver.create(), driver.create()
    make(driver, attach("a", late, "t", 20), attach("b", early, "t", 10))
    assert abandoned(driver, 30, limit=1) == [early.run_id]


def test_a_run_with_many_expired_attachments_is_found_once(driver: Driver) -> None:
    often, once = driver.create(), driver.create()
    make(driver, *(attach(f"a{number}", often, "t", 10) for number in range(5)))
    make(driver, attach("b", once, "t", 20))
    assert set(abandoned(driver, 30, limit=2)) == {often.run_id, once.run_id}


def test_nothing_is_released_if_one_server_holds_every_attachment(driver: Driver) -> None:
    run = driver.create()
    make(driver, attach("a", run, "m"), attach("b", run, "m"))
    assert not released(driver, "m")
    assert released(driver, "l")
    assert released(driver, "n")


def test_a_detached_run_has_no_attachments(driver: Driver) -> None:
    run = driver.create()
    make(driver, attach("a", run, "t"), attach("b", run, "t"), Detach(run.run_id))
    assert abandoned(driver, 1_000) == []
    assert not released(driver)


def test_attachments_are_removed_with_their_run(driver: Driver) -> None:
    run = driver.report(driver.create(), SUCCESS)
    make(driver, attach("a", run, "t"))
    assert abandoned(driver, 1_000) == [run.run_id]
    driver.delete(run)
    assert abandoned(driver, 1_000) == []
    assert not released(driver)


async def test_attachments_survive_a_restart(
    driver: Driver, reopen: Callable[[], Awaitable[Store]], case: object
) -> None:
    run = driver.create()
    make(driver, attach("a", run))
    if not getattr(case, "durable", False):
        return
    again = Driver(await reopen())
    assert abandoned(again, 10, server="t") == [run.run_id]
