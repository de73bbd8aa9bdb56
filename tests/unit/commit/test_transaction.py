"""The working set of a batch: what its commands see of each other, and what they leave behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from runsvc.commit.transaction import MAX_COMMANDS, Command, Transaction
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, RequestIdReused, RunNotFound
from runsvc.core.model import Progress, Request, RequestKey, Run, RunSpec, RunStatus, Stamp
from runsvc.store.base import Changes, Loaded, LogEntry, Now, Record
from runsvc.store.queries import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    DueLeases,
    DueTimeouts,
    NewestActive,
    Orphans,
    Query,
    RawById,
)
from runsvc.wire.codec import RunCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PENDING, RUNNING, SUCCESS, *_ = RunStatus
NOW = Now(datetime(2026, 5, 1, 12, 0, 0, 123_999, tzinfo=UTC), revision=10, commits=4)
TICK = timedelta(microseconds=1)
CODEC = RunCodec()
THREAD = ActiveOnThread("o", "t")
NEWEST = NewestActive("o", "t", MAX_COMMANDS)
COUNT = ActiveCount("o", "t")
REQUEST = Request(RequestKey("o", "Create", "id"), b"hash")


def a_run(run_id: str = "r", status: RunStatus = RUNNING, revision: int = 3) -> Run:
    at = Stamp(revision, NOW.time - timedelta(hours=1))
    run = lifecycle.create(RunSpec(thread_id="t"), run_id=run_id, owner="o", at=at)
    return run if status is PENDING else lifecycle.report(run, status, at, worker_id=None)


def a_record(run: Run, spec_hash: bytes | None = None) -> Record:
    return Record(
        run_id=run.run_id,
        owner=run.owner,
        thread_id=run.thread_id,
        assistant_id=run.assistant_id,
        status=run.status,
        created_at=run.created_at,
        revision=run.revision,
        progress_sequence=run.progress_sequence,
        spec_hash=spec_hash,
        **CODEC.encode(run)._asdict(),
    )


def a_transaction(
    records: Mapping[Query, Sequence[Record]] | None = None, active: int = 0
) -> Transaction:
    return Transaction(NOW, Loaded(records or {}, {COUNT: active}), CODEC)


def creating(run_id: str = "new", request: Request | None = None) -> Command[Run]:
    spec = RunSpec(thread_id="t", assistant_id="a", kwargs=b"input")
    return Command(lambda tx: tx.create(spec, run_id=run_id, owner="o", request=request))


def changing(run_id: str, advance: Callable[[Run, Stamp], Run]) -> Command[Run]:
    def decide(tx: Transaction) -> Run:
        before = tx.run(run_id, "o")
        return tx.save(before, advance(before, tx.stamp()))

    return Command(decide)


def ended(run: Run, at: Stamp) -> Run:
    return lifecycle.report(run, SUCCESS, at, worker_id=None)


def reported(run: Run, at: Stamp) -> Run:
    return lifecycle.report_progress(run, Progress(total_tokens=1), at, worker_id=None)


def saved(transaction: Transaction) -> Changes:
    changes = transaction.changes()
    assert changes is not None
    return changes


def test_a_transaction_in_which_nothing_happened_has_no_changes() -> None:
    transaction = a_transaction()
    assert transaction.apply(Command(lambda tx: tx.stamp())) == Stamp(11, NOW.time + TICK)
    assert transaction.changes() is None


def test_a_creation_is_saved_with_what_is_stored_once() -> None:
    transaction = a_transaction()
    run = transaction.apply(creating(request=REQUEST))
    assert (run.revision, run.created_at) == (11, NOW.time + TICK)
    changes = saved(transaction)
    assert (changes.revision, changes.time) == (11, NOW.time + TICK)
    (only,) = changes.runs
    assert only.run is run
    assert only.encoded == CODEC.encode(run)
    assert only.creation == (b"input", REQUEST)
    assert changes.log == [
        LogEntry(
            11, 11, "new", "o", "t", "a", PENDING, None, deleted=False, body=b"".join(only.encoded)
        )
    ]
    assert transaction.touched == {}


def test_revisions_and_times_go_on_from_one_command_to_the_next() -> None:
    transaction = a_transaction()
    runs = [transaction.apply(creating(name)) for name in "abc"]
    assert [run.revision for run in runs] == [11, 12, 13]
    assert [run.created_at - NOW.time for run in runs] == [TICK, 2 * TICK, 3 * TICK]
    assert [entry.call_end for entry in saved(transaction).log] == [11, 12, 13]


def test_what_one_command_did_shares_its_call_end() -> None:
    transaction = a_transaction()
    transaction.apply(creating("first"))

    def decide(tx: Transaction) -> None:
        for name in "abc":
            tx.create(RunSpec(thread_id="t"), run_id=name, owner="o", request=None)

    transaction.apply(Command(decide))
    entries = saved(transaction).log
    assert [(entry.revision, entry.call_end) for entry in entries] == [
        (11, 11),
        (12, 14),
        (13, 14),
        (14, 14),
    ]


def test_a_change_is_logged_with_the_status_before() -> None:
    transaction = a_transaction({ById("r"): [a_record(a_run())]})
    transaction.apply(changing("r", ended))
    changes = saved(transaction)
    assert changes.runs[0].creation is None
    assert [(entry.previous_status, entry.status) for entry in changes.log] == [(RUNNING, SUCCESS)]


def test_a_change_without_a_revision_is_saved_and_touched_but_not_logged() -> None:
    transaction = a_transaction({ById("r"): [a_record(a_run())]})
    run = transaction.apply(changing("r", reported))
    changes = saved(transaction)
    assert [found.run for found in changes.runs] == [run]
    assert (changes.log, changes.revision) == ([], 10)
    # The clock moves all the same: time only ever grows.
    assert changes.time == NOW.time + TICK
    assert transaction.touched == {"r": run}


def test_saving_what_did_not_change_saves_nothing() -> None:
    transaction = a_transaction({ById("r"): [a_record(a_run())]})
    transaction.apply(changing("r", lambda run, at: run))
    assert transaction.changes() is None


def test_a_run_changed_twice_is_saved_once_as_it_is_in_the_end() -> None:
    transaction = a_transaction({ById("r"): [a_record(a_run())]})
    transaction.apply(changing("r", reported))
    run = transaction.apply(changing("r", ended))
    assert run.progress is not None
    changes = saved(transaction)
    assert [found.run for found in changes.runs] == [run]
    assert len(changes.log) == 1


def test_a_run_created_and_changed_is_still_a_creation() -> None:
    transaction = a_transaction({THREAD: []})
    transaction.apply(creating("new", REQUEST))

    def decide(tx: Transaction) -> Run:
        (run,) = tx.active("o", "t")
        return tx.save(run, ended(run, tx.stamp()))

    run = transaction.apply(Command(decide))
    (only,) = saved(transaction).runs
    assert only.run is run
    assert only.creation == (b"input", REQUEST)
    assert [entry.status for entry in saved(transaction).log] == [PENDING, SUCCESS]


def test_a_command_that_raises_leaves_no_trace() -> None:
    transaction = a_transaction({ById("r"): [a_record(a_run())]})
    transaction.apply(creating("before"))

    def decide(tx: Transaction) -> None:
        tx.create(RunSpec(thread_id="t"), run_id="bad", owner="o", request=REQUEST)
        run = tx.run("r", "o")
        tx.save(run, ended(run, tx.stamp()))
        raise LookupError

    with pytest.raises(LookupError):
        transaction.apply(Command(decide))
    assert transaction.apply(Command(lambda tx: tx.stamp())).revision == 12
    assert transaction.apply(Command(lambda tx: tx.run("r", "o"))).status is RUNNING
    changes = saved(transaction)
    assert [found.run.run_id for found in changes.runs] == ["before"]
    assert len(changes.log) == 1
    assert (changes.revision, changes.time) == (11, NOW.time + TICK)


@pytest.mark.parametrize(
    "act",
    [lambda tx: tx.delete(a_record(a_run())), lambda tx: tx.forget(5)],
    ids=["delete", "forget"],
)
def test_a_removal_that_raises_leaves_no_trace(act: Callable[[Transaction], None]) -> None:
    transaction = a_transaction()

    def decide(tx: Transaction) -> None:
        act(tx)
        raise LookupError

    with pytest.raises(LookupError):
        transaction.apply(Command(decide))
    assert transaction.changes() is None


def test_a_run_of_another_owner_is_not_found() -> None:
    transaction = a_transaction({ById("r"): [a_record(a_run())], ById("none"): []})
    for run_id, owner in (("r", "another"), ("none", "o"), ("never asked for", "o")):
        with pytest.raises(RunNotFound) as caught:
            transaction.run(run_id, owner)
        assert caught.value.run_id == run_id
    assert transaction.run("r", "o") == a_run()


def test_a_run_is_decoded_once() -> None:
    transaction = a_transaction({ById("r"): [a_record(a_run())]})
    assert transaction.run("r", "o") is transaction.run("r", "o")


def test_what_remains_is_given_undecoded() -> None:
    record = a_record(a_run())._replace(body=b"\xff")
    transaction = a_transaction({RawById("r"): [record], RawById("none"): []})
    assert transaction.raw("r") is record
    with pytest.raises(RunNotFound):
        transaction.raw("none")


def test_active_are_the_created_then_the_loaded_newest_first() -> None:
    stored = [a_record(a_run("y")), a_record(a_run("x", PENDING))]
    bare = [record._replace(body=b"") for record in stored]
    transaction = a_transaction({THREAD: stored, NEWEST: bare}, active=2)
    for name in "abc":
        transaction.apply(creating(name))
    assert [run.run_id for run in transaction.active("o", "t")] == ["c", "b", "a", "y", "x"]
    assert transaction.count_active("o", "t") == 5
    transaction.apply(changing("y", ended))

    def decide(tx: Transaction) -> None:
        run = tx.active("o", "t")[1]
        tx.save(run, ended(run, tx.stamp()))

    transaction.apply(Command(decide))
    assert [run.run_id for run in transaction.active("o", "t")] == ["c", "a", "x"]
    assert transaction.count_active("o", "t") == 3


def test_the_newest_active_is_what_earlier_commands_left() -> None:
    stored = [a_record(a_run("y")), a_record(a_run("x"))]
    bare = [record._replace(body=b"") for record in stored]
    transaction = a_transaction({ById("y"): stored[:1], ById("x"): stored[1:], NEWEST: bare})

    def newest() -> str | None:
        found = transaction.newest_active("o", "t")
        return found.run_id if found else None

    assert newest() == "y"
    transaction.apply(changing("y", ended))
    assert newest() == "x"
    new = transaction.apply(creating("new"))
    assert newest() == "new"
    transaction.apply(changing("x", ended))
    transaction.apply(Command(lambda tx: tx.save(new, ended(new, tx.stamp()))))
    assert newest() is None


def test_a_command_that_raises_does_not_count() -> None:
    transaction = a_transaction(active=1)

    def decide(tx: Transaction) -> None:
        tx.create(RunSpec(thread_id="t"), run_id="bad", owner="o", request=None)
        raise RunNotFound("bad")

    with pytest.raises(RunNotFound):
        transaction.apply(Command(decide))
    assert transaction.count_active("o", "t") == 1


def test_orphans_are_what_the_query_found_as_it_is_now() -> None:
    query = Orphans(None, 9)
    transaction = a_transaction({query: [a_record(a_run("a")), a_record(a_run("b"))]})
    assert [run.run_id for run in transaction.orphans(query)] == ["a", "b"]
    transaction.apply(changing("a", ended))
    assert [run.status for run in transaction.orphans(query)] == [SUCCESS, RUNNING]


def test_without_a_request_nothing_is_replayed() -> None:
    assert a_transaction().replay(None) is None


def test_a_request_seen_for_the_first_time_is_not_replayed() -> None:
    assert a_transaction({ByRequest(REQUEST.key): []}).replay(REQUEST) is None


def test_a_stored_request_is_replayed_unless_its_spec_differs() -> None:
    transaction = a_transaction({ByRequest(REQUEST.key): [a_record(a_run(), b"hash")]})
    assert transaction.replay(REQUEST) == a_run()
    with pytest.raises(RequestIdReused) as caught:
        transaction.replay(replace(REQUEST, spec_hash=b"other"))
    assert caught.value.run_id == "r"


def test_a_request_of_the_same_batch_is_replayed_unless_its_spec_differs() -> None:
    transaction = a_transaction({ByRequest(REQUEST.key): []})
    run = transaction.apply(creating(request=REQUEST))
    assert transaction.replay(REQUEST) is run
    with pytest.raises(RequestIdReused):
        transaction.replay(replace(REQUEST, spec_hash=b"other"))


def test_a_deletion_is_an_entry_of_its_own() -> None:
    record = a_record(a_run("r", SUCCESS))
    transaction = a_transaction({RawById("r"): [record]})
    transaction.apply(Command(lambda tx: tx.delete(tx.raw("r"))))
    changes = saved(transaction)
    assert changes.deleted == ["r"]
    assert changes.log == [
        LogEntry(11, 11, "r", "o", "t", None, SUCCESS, None, deleted=True, body=None)
    ]
    assert (changes.revision, changes.time, changes.runs) == (11, NOW.time + TICK, [])


def test_forgetting_alone_is_a_change_without_a_revision() -> None:
    transaction = a_transaction()
    transaction.apply(Command(lambda tx: tx.forget(5)))
    assert saved(transaction) == Changes(NOW.time, 10, [], [], [], 5, [])


def test_run_ids_are_version_7_of_the_stamps_time_and_differ() -> None:
    transaction = a_transaction()
    ids = [UUID(transaction.new_run_id()) for _ in range(50)]
    assert len(set(ids)) == 50
    at = NOW.time + TICK
    for found in ids:
        assert (found.version, found.variant) == (7, "specified in RFC 4122")
        milliseconds, fraction = found.int >> 80, found.int >> 64 & 0xFFF
        assert datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds) == at.replace(
            microsecond=at.microsecond // 1000 * 1000
        )
        assert fraction == at.microsecond % 1000 * 4096 // 1000


def test_run_ids_of_later_stamps_sort_later() -> None:
    times = [NOW.time + number * timedelta(microseconds=1) for number in range(2_100)]
    ids = [
        Transaction(NOW._replace(time=time), Loaded({}, {}), CODEC).new_run_id() for time in times
    ]
    assert ids == sorted(ids)


def test_keeping_the_time_alone_is_a_change_without_a_revision() -> None:
    tx = a_transaction()
    tx.apply(Command(lambda tx: tx.keep_time()))
    changes = tx.changes()
    assert changes is not None
    assert (changes.time, changes.revision) == (NOW.time + TICK, 10)
    assert (list(changes.runs), list(changes.log)) == ([], [])


def test_keeping_the_time_leaves_no_trace_when_the_command_raises() -> None:
    def keep_and_raise(tx: Transaction) -> None:
        tx.keep_time()
        raise LookupError

    tx = a_transaction()
    with pytest.raises(LookupError):
        tx.apply(Command(keep_and_raise))
    assert tx.changes() is None
    assert tx.time == NOW.time


def test_due_are_the_runs_that_any_of_the_queries_found_each_once() -> None:
    leases = DueLeases(NOW.time, timedelta(1), 9)
    timeouts = DueTimeouts(NOW.time, 9)
    one, both, other = a_run("a"), a_run("b"), a_run("c")
    corrupt = a_record(a_run("d"))._replace(body=b"\xff")
    records: dict[Query, Sequence[Record]] = {
        leases: [a_record(one), a_record(both)],
        timeouts: [corrupt, a_record(both), a_record(other)],
    }
    first, second, broken, third = a_transaction(records).due(leases, timeouts)
    assert (first, second, third) == (one, both, other)
    assert isinstance(broken, CorruptRow)
    assert broken.run_id == "d"
