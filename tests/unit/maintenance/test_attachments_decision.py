"""The decision of an attachment update as a pure function."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runsvc.commit.exclusive import ExclusiveTransaction
from runsvc.core import lifecycle
from runsvc.core.model import RunSpec, RunStatus, Stamp
from runsvc.maintenance.attachments import RENEWAL, Update
from runsvc.maintenance.elapsed import Elapsed
from runsvc.maintenance.lease_clock import TOLERANCE, Reading
from runsvc.store.attachments import (
    Abandoned,
    AnyReleased,
    Detach,
    Release,
    ReleaseOthers,
    Renew,
)
from runsvc.store.values import Loaded, Now, Record
from tests.conformance.driver import CODEC
from tests.support.machine import NOON

if TYPE_CHECKING:
    from runsvc.maintenance.attachments import UpdateResult
    from runsvc.store.values import Changes

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ANY_RELEASED = AnyReleased("s")
ABANDONED = Abandoned(NOON, "s", 9)
RUN = lifecycle.create(RunSpec(thread_id="t"), run_id="r", owner="o", at=Stamp(1, NOON - HOUR))
RECORD = Record(
    run_id=RUN.run_id,
    owner=RUN.owner,
    thread_id=RUN.thread_id,
    assistant_id=None,
    status=RUN.status,
    created_at=RUN.created_at,
    revision=RUN.revision,
    progress_sequence=None,
    spec_hash=None,
    **CODEC.encode(RUN)._asdict(),
)


def an_update(**facts: Any) -> Update:
    defaults: dict[str, Any] = {
        "server": "s",
        "left": {},
        "is_first": False,
        "is_renewal": False,
        "reconnect_grace": MINUTE,
        "elapsed": Elapsed(NOON, HOUR, HOUR),
        "any_released": ANY_RELEASED,
        "abandoned": ABANDONED,
    }
    return Update(**defaults | facts)


def decide(
    update: Update,
    *,
    has_released: bool = True,
    in_outage: bool = False,
    later: timedelta = timedelta(0),
) -> tuple[UpdateResult, Changes | None]:
    """Decide in a transaction at noon, or later, on a store with one abandoned run."""
    time = NOON + later
    loaded = Loaded({ABANDONED: [RECORD]}, {ANY_RELEASED: int(has_released)})
    transaction = ExclusiveTransaction(Now(time, revision=5, commits=2), loaded, CODEC)
    reading = Reading(time, 1.0, timedelta(0), in_outage)
    result = transaction.apply(lambda tx: update.decide(tx, reading))
    return result, transaction.changes()


def test_an_abandoned_run_is_cancelled_and_loses_its_attachments() -> None:
    result, changes = decide(an_update())
    assert changes is not None
    (saved,) = changes.runs
    assert result == (True, 1, [], [saved.run])
    assert [saved.run.status for saved in changes.runs] == [RunStatus.INTERRUPTED]
    assert changes.attachments == [Detach("r")]


def test_during_an_outage_no_run_is_cancelled() -> None:
    assert decide(an_update(), in_outage=True) == ((True, 0, (), ()), None)


def test_after_a_wait_for_the_transaction_no_run_is_cancelled() -> None:
    # The wait may be the beginning of an outage.
    late = TOLERANCE + timedelta(microseconds=1)
    assert decide(an_update(), later=late) == ((True, 0, (), ()), None)
    assert decide(an_update(), later=TOLERANCE)[0].abandoned == 1


def test_before_the_first_beat_no_run_is_cancelled() -> None:
    assert decide(an_update(elapsed=None)) == ((True, 0, (), ()), None)
    assert decide(an_update(abandoned=None)) == ((True, 0, (), ()), None)


def test_the_first_update_releases_the_attachments_of_other_servers() -> None:
    update = an_update(is_first=True, abandoned=None)
    result, changes = decide(update)
    assert result.has_released
    assert changes is not None
    assert changes.attachments == [ReleaseOthers("s", NOON + MINUTE)]
    assert decide(update, has_released=False) == ((False, 0, (), ()), None)


def test_ended_streams_are_released_and_held_ones_are_renewed() -> None:
    update = an_update(left={"a": HOUR}, is_renewal=True, abandoned=None)
    result, changes = decide(update, has_released=False)
    assert result.has_released
    assert changes is not None
    assert changes.attachments == [
        Release("a", NOON + HOUR),
        Renew("s", NOON, NOON + MINUTE + RENEWAL),
    ]
