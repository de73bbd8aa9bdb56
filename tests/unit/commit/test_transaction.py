"""The transaction of a batch: visibility of earlier commands, staged effects, and the changes to save."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from runsvc.commit.command import MAX_COMMANDS
from runsvc.commit.exclusive import ExclusiveTransaction
from runsvc.commit.transaction import Transaction
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, RequestIdReused, RunNotFound
from runsvc.core.model import Progress, Request, RequestKey, Run, RunSpec, RunStatus, Stamp
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
from runsvc.store.values import Changes, Loaded, LogEntry, Now, Record
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


def an_exclusive_transaction(
    records: Mapping[Query, Sequence[Record]] | None = None,
) -> ExclusiveTransaction:
    return ExclusiveTransaction(NOW, Loaded(records or {}, {}), CODEC)


def creating(run_id: str = "new", request: Request | None = None) -> Callable[[Transaction], Run]:
    spec = RunSpec(thread_id="t", assistant_id="a", kwargs=b"input")
    return lambda tx: tx.create(spec, run_id=run_id, owner="o", request=request)


def changing(run_id: str, advance: Callable[[Run, Stamp], Run]) -> Callable[[Transaction], Run]:
    query = ById(run_id, None)

    def decide(tx: Transaction) -> Run:
        before = tx.run(query)
        return tx.save(before, advance(before, tx.stamp()))

    return decide


def ended(run: Run, at: Stamp) -> Run:
    return lifecycle.report(run, SUCCESS, at, worker_id=None)


def reported(run: Run, at: Stamp) -> Run:
    return lifecycle.report_progress(run, Progress(total_tokens=1), at, worker_id=None)


def saved(transaction: Transaction) -> Changes:
    changes = transaction.changes()
    assert changes is not None
    return changes


def test_a_transaction_without_effects_has_no_changes() -> None:
    transaction = a_transaction()
    assert transaction.apply(lambda tx: tx.stamp()) == Stamp(11, NOW.time + TICK)
    assert transaction.changes() is None


def test_a_new_run_is_saved_with_its_kwargs_and_request() -> None:
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
    assert transaction.effects.progressed == {}


def test_each_command_continues_the_revisions_and_times_of_the_previous_one() -> None:
    transaction = a_transaction()
    runs = [transaction.apply(creating(name)) for name in "abc"]
    assert [run.revision for run in runs] == [11, 12, 13]
    assert [run.created_at - NOW.time for run in runs] == [TICK, 2 * TICK, 3 * TICK]
    assert [entry.call_end for entry in saved(transaction).log] == [11, 12, 13]


def test_all_entries_of_one_command_share_their_call_end() -> None:
    transaction = a_transaction()
    transaction.apply(creating("first"))

    def decide(tx: Transaction) -> None:
        for name in "abc":
            tx.create(RunSpec(thread_id="t"), run_id=name, owner="o", request=None)

    transaction.apply(decide)
    entries = saved(transaction).log
    assert [(entry.revision, entry.call_end) for entry in entries] == [
        (11, 11),
        (12, 14),
        (13, 14),
        (14, 14),
    ]


def test_a_log_entry_records_the_previous_status() -> None:
    transaction = a_transaction({ById("r", None): [a_record(a_run())]})
    transaction.apply(changing("r", ended))
    changes = saved(transaction)
    assert changes.runs[0].creation is None
    assert [(entry.previous_status, entry.status) for entry in changes.log] == [(RUNNING, SUCCESS)]


def test_a_progress_change_is_saved_and_reported_but_not_logged() -> None:
    transaction = a_transaction({ById("r", None): [a_record(a_run())]})
    run = transaction.apply(changing("r", reported))
    changes = saved(transaction)
    assert [found.run for found in changes.runs] == [run]
    assert (changes.log, changes.revision) == ([], 10)
    # The time grows with every change, also with one that has no revision.
    assert changes.time == NOW.time + TICK
    assert transaction.effects.progressed == {"r": run}


def test_saving_an_unchanged_run_has_no_effect() -> None:
    transaction = a_transaction({ById("r", None): [a_record(a_run())]})
    transaction.apply(changing("r", lambda run, at: run))
    assert transaction.changes() is None


def test_a_run_changed_twice_is_saved_once_in_its_final_state() -> None:
    transaction = a_transaction({ById("r", None): [a_record(a_run())]})
    transaction.apply(changing("r", reported))
    run = transaction.apply(changing("r", ended))
    assert run.progress is not None
    changes = saved(transaction)
    assert [found.run for found in changes.runs] == [run]
    assert len(changes.log) == 1


def test_a_run_created_and_changed_in_one_batch_is_still_saved_as_new() -> None:
    transaction = a_transaction({THREAD: []})
    transaction.apply(creating("new", REQUEST))

    def decide(tx: Transaction) -> Run:
        (run,) = tx.active(THREAD)
        return tx.save(run, ended(run, tx.stamp()))

    run = transaction.apply(decide)
    (only,) = saved(transaction).runs
    assert only.run is run
    assert only.creation == (b"input", REQUEST)
    assert [entry.status for entry in saved(transaction).log] == [PENDING, SUCCESS]


def test_a_command_that_raises_has_no_effect() -> None:
    transaction = a_transaction({ById("r", None): [a_record(a_run())]})
    transaction.apply(creating("before"))

    def decide(tx: Transaction) -> None:
        tx.create(RunSpec(thread_id="t"), run_id="bad", owner="o", request=REQUEST)
        run = tx.run(ById("r", None))
        tx.save(run, ended(run, tx.stamp()))
        raise LookupError

    with pytest.raises(LookupError):
        transaction.apply(decide)
    assert transaction.apply(lambda tx: tx.stamp()).revision == 12
    assert transaction.apply(lambda tx: tx.run(ById("r", None))).status is RUNNING
    changes = saved(transaction)
    assert [found.run.run_id for found in changes.runs] == ["before"]
    assert len(changes.log) == 1
    assert (changes.revision, changes.time) == (11, NOW.time + TICK)


@pytest.mark.parametrize(
    "act",
    [lambda tx: tx.delete(a_record(a_run())), lambda tx: tx.forget(5)],
    ids=["delete", "forget"],
)
def test_a_removal_that_raises_has_no_effect(act: Callable[[ExclusiveTransaction], None]) -> None:
    transaction = an_exclusive_transaction()

    def decide(tx: ExclusiveTransaction) -> None:
        act(tx)
        raise LookupError

    with pytest.raises(LookupError):
        transaction.apply(decide)
    assert transaction.changes() is None


def test_a_run_that_the_store_did_not_find_in_the_scope_is_not_found() -> None:
    transaction = a_transaction({ById("r", "o"): [a_record(a_run())], ById("none", "o"): []})
    with pytest.raises(RunNotFound) as caught:
        transaction.run(ById("none", "o"))
    assert caught.value.run_id == "none"
    assert transaction.run(ById("r", "o")) == a_run()


def test_a_query_that_the_command_did_not_declare_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        a_transaction().run(ById("not loaded", None))


def test_a_run_is_decoded_once() -> None:
    transaction = a_transaction({ById("r", None): [a_record(a_run())]})
    assert transaction.run(ById("r", None)) is transaction.run(ById("r", None))


def test_raw_returns_a_corrupt_record_undecoded() -> None:
    record = a_record(a_run())._replace(body=b"\xff")
    transaction = an_exclusive_transaction({RawById("r"): [record], RawById("none"): []})
    assert transaction.raw(RawById("r")) is record
    with pytest.raises(RunNotFound):
        transaction.raw(RawById("none"))


def test_active_runs_are_newest_first_and_include_those_of_the_batch() -> None:
    stored = [a_record(a_run("y")), a_record(a_run("x", PENDING))]
    bare = [record._replace(body=b"") for record in stored]
    transaction = a_transaction(
        {ById("y", None): stored[:1], THREAD: stored, NEWEST: bare}, active=2
    )
    for name in "abc":
        transaction.apply(creating(name))
    assert [run.run_id for run in transaction.active(THREAD)] == ["c", "b", "a", "y", "x"]
    assert transaction.count_active(COUNT) == 5
    transaction.apply(changing("y", ended))

    def decide(tx: Transaction) -> None:
        run = tx.active(THREAD)[1]
        tx.save(run, ended(run, tx.stamp()))

    transaction.apply(decide)
    assert [run.run_id for run in transaction.active(THREAD)] == ["c", "a", "x"]
    assert transaction.count_active(COUNT) == 3


def test_the_newest_active_run_reflects_earlier_commands() -> None:
    stored = [a_record(a_run("y")), a_record(a_run("x"))]
    bare = [record._replace(body=b"") for record in stored]
    transaction = a_transaction(
        {ById("y", None): stored[:1], ById("x", None): stored[1:], NEWEST: bare}
    )

    def newest() -> str | None:
        found = transaction.newest_active(NEWEST)
        return found.run_id if found else None

    assert newest() == "y"
    transaction.apply(changing("y", ended))
    assert newest() == "x"
    new = transaction.apply(creating("new"))
    assert newest() == "new"
    transaction.apply(changing("x", ended))
    transaction.apply(lambda tx: tx.save(new, ended(new, tx.stamp())))
    assert newest() is None


def test_a_command_that_raises_does_not_change_the_active_count() -> None:
    transaction = a_transaction(active=1)

    def decide(tx: Transaction) -> None:
        tx.create(RunSpec(thread_id="t"), run_id="bad", owner="o", request=None)
        raise RunNotFound("bad")

    with pytest.raises(RunNotFound):
        transaction.apply(decide)
    assert transaction.count_active(COUNT) == 1


def test_orphans_are_returned_in_their_current_state() -> None:
    query = Orphans(None, 9)
    stored = [a_record(a_run("a")), a_record(a_run("b"))]
    transaction = an_exclusive_transaction({ById("a", None): stored[:1], query: stored})
    assert [run.run_id for run in transaction.orphans(query)] == ["a", "b"]
    transaction.apply(changing("a", ended))
    assert [run.status for run in transaction.orphans(query)] == [SUCCESS, RUNNING]


def test_a_new_request_is_not_replayed() -> None:
    assert (
        a_transaction({ByRequest(REQUEST.key): []}).replay(ByRequest(REQUEST.key), b"hash") is None
    )


def test_a_stored_request_is_replayed_unless_its_spec_differs() -> None:
    transaction = a_transaction({ByRequest(REQUEST.key): [a_record(a_run(), b"hash")]})
    assert transaction.replay(ByRequest(REQUEST.key), b"hash") == a_run()
    with pytest.raises(RequestIdReused) as caught:
        transaction.replay(ByRequest(REQUEST.key), b"other")
    assert caught.value.run_id == "r"


def test_a_request_of_the_same_batch_is_replayed_unless_its_spec_differs() -> None:
    transaction = a_transaction({ByRequest(REQUEST.key): []})
    run = transaction.apply(creating(request=REQUEST))
    assert transaction.replay(ByRequest(REQUEST.key), b"hash") is run
    with pytest.raises(RequestIdReused):
        transaction.replay(ByRequest(REQUEST.key), b"other")


def test_a_deletion_adds_a_log_entry() -> None:
    record = a_record(a_run("r", SUCCESS))
    transaction = an_exclusive_transaction({RawById("r"): [record]})
    transaction.apply(lambda tx: tx.delete(tx.raw(RawById("r"))))
    changes = saved(transaction)
    assert changes.deleted == ["r"]
    assert changes.log == [
        LogEntry(11, 11, "r", "o", "t", None, SUCCESS, None, deleted=True, body=None)
    ]
    assert (changes.revision, changes.time, changes.runs) == (11, NOW.time + TICK, [])


def test_forgetting_log_entries_is_a_change_without_a_revision() -> None:
    transaction = an_exclusive_transaction()
    transaction.apply(lambda tx: tx.forget(5))
    assert saved(transaction) == Changes(NOW.time, 10, [], [], [], 5, [], [])


def test_run_ids_are_distinct_uuids_of_version_7_with_the_stamps_time() -> None:
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


def test_keep_time_is_a_change_without_a_revision() -> None:
    tx = an_exclusive_transaction()
    tx.apply(lambda tx: tx.keep_time())
    changes = tx.changes()
    assert changes is not None
    assert (changes.time, changes.revision) == (NOW.time + TICK, 10)
    assert (list(changes.runs), list(changes.log)) == ([], [])


def test_keep_time_has_no_effect_when_the_command_raises() -> None:
    def keep_and_raise(tx: ExclusiveTransaction) -> None:
        tx.keep_time()
        raise LookupError

    tx = an_exclusive_transaction()
    with pytest.raises(LookupError):
        tx.apply(keep_and_raise)
    assert tx.changes() is None
    assert tx.apply(lambda tx: tx.time) == NOW.time


def test_due_yields_each_run_found_by_any_query_once() -> None:
    leases = DueLeases(NOW.time, timedelta(1), 9)
    timeouts = DueTimeouts(NOW.time, 9)
    one, both, other = a_run("a"), a_run("b"), a_run("c")
    corrupt = a_record(a_run("d"))._replace(body=b"\xff")
    records: dict[Query, Sequence[Record]] = {
        leases: [a_record(one), a_record(both)],
        timeouts: [corrupt, a_record(both), a_record(other)],
    }
    first, second, error, third = an_exclusive_transaction(records).due(leases, timeouts)
    assert (first, second, third) == (one, both, other)
    assert isinstance(error, CorruptRow)
    assert error.run_id == "d"
