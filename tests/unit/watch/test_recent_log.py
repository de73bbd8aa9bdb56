"""The recent log: the entries that it keeps, and its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.core.model import RunStatus
from runsvc.store.values import LogEntry, Topic, TopicKind
from runsvc.watch.recent_log import ENTRY_COST, RecentLog, name_of, names_of
from tests.conformance.driver import ALL, thread_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

BODY = bytes(24)
COST = ENTRY_COST + len(BODY)


def entry(
    revision: int,
    run_id: str = "r",
    *,
    call_end: int = 0,
    assistant_id: str | None = None,
    body: bytes | None = BODY,
    deleted: bool = False,
) -> LogEntry:
    return LogEntry(
        revision=revision,
        call_end=call_end or revision,
        run_id=run_id,
        owner="o",
        thread_id="t",
        assistant_id=assistant_id,
        status=RunStatus.PENDING,
        previous_status=None,
        deleted=deleted,
        body=body,
    )


def entries(*revisions: int) -> list[LogEntry]:
    return [entry(revision) for revision in revisions]


def revisions(found: Sequence[LogEntry]) -> list[int]:
    return [each.revision for each in found]


# Topics.


def test_a_change_belongs_to_topics_of_its_owner_and_of_every_owner() -> None:
    run, thread = Topic(TopicKind.RUN, "o", "r"), thread_topic("t")
    everything = Topic(TopicKind.ALL, None)
    assert names_of(entry(1)) == list(map(name_of, [run, thread, ALL, everything]))
    assistants = [Topic(TopicKind.ASSISTANT, scope, "a") for scope in ("o", None)]
    names = list(map(name_of, [run, thread, ALL, everything, *assistants]))
    assert names_of(entry(1, assistant_id="a")) == names
    assert len(set(names)) == len(names)


def test_topics_of_different_scopes_have_different_names_unless_they_are_of_one_run() -> None:
    for kind in (TopicKind.ASSISTANT, TopicKind.ALL):
        names = {name_of(Topic(kind, scope, "x")) for scope in ("", "o", None)}
        assert len(names) == 3
    assert len({name_of(Topic(TopicKind.RUN, scope, "r")) for scope in ("o", None)}) == 1


# Entries.


def test_the_entries_of_a_topic_after_a_revision() -> None:
    log = RecentLog(4)
    log.extend(entries(5, 6, 7))
    assert (log.floor, log.revision) == (4, 7)
    assert revisions(log.after(name_of(ALL), 4, 9)) == [5, 6, 7]
    assert revisions(log.after(name_of(ALL), 4, 2)) == [5, 6]
    assert revisions(log.after(name_of(ALL), 6, 9)) == [7]
    assert log.after(name_of(ALL), 7, 9) == ()
    assert log.after(name_of(thread_topic("unknown")), 4, 9) == ()


def test_a_full_log_evicts_its_oldest_entries_by_bytes() -> None:
    log = RecentLog(0, capacity=3 * COST)
    log.extend(entries(1, 2, 3))
    assert log.floor == 0
    log.extend(entries(4))
    assert (log.floor, log.revision) == (1, 4)
    log.extend([entry(5, body=bytes(24 + COST))])
    assert (log.floor, log.revision) == (3, 5)
    assert revisions(log.after(name_of(ALL), 3, 9)) == [4, 5]
    log.extend(entries(6))
    assert log.floor == 4


def test_an_entry_larger_than_the_log_leaves_it_empty() -> None:
    log = RecentLog(0, capacity=COST - 1)
    log.extend(entries(1, 2))
    assert (log.floor, log.revision) == (2, 2)
    assert log.after(name_of(ALL), 2, 9) == ()
    assert log._index == {}
    assert log._size == 0


def test_an_evicted_topic_is_removed_from_the_index() -> None:
    log = RecentLog(0, capacity=COST)
    log.extend([entry(1, "a"), entry(2, "b")])
    assert name_of(Topic(TopicKind.RUN, "o", "a")) not in log._index
    assert revisions(log.after(name_of(Topic(TopicKind.RUN, "o", "b")), 1, 9)) == [2]


def test_a_topic_with_many_entries_returns_the_newest_of_them() -> None:
    log = RecentLog(0, capacity=50 * COST)
    for last in range(1, 121):
        log.extend(entries(last))
        newest = list(range(max(1, last - 49), last + 1))
        assert revisions(log.after(name_of(ALL), log.floor, 999)) == newest
        assert revisions(log.after(name_of(ALL), last - 1, 999)) == [last]


def test_a_gap_empties_the_log_first() -> None:
    log = RecentLog(0)
    log.extend(entries(1, 2))
    log.extend(entries(5, 6))
    assert (log.floor, log.revision) == (4, 6)
    assert revisions(log.after(name_of(ALL), 4, 9)) == [5, 6]
    assert log._size == 2 * COST


def test_redacting_removes_the_bodies_from_the_entries_of_a_run() -> None:
    log = RecentLog(0)
    log.extend([entry(1, "a"), entry(2, "b", assistant_id="x"), entry(3, "a", assistant_id="x")])
    topic = name_of(Topic(TopicKind.RUN, "o", "a"))
    for _ in range(2):
        log.redact(topic)
        assert log._size == 3 * COST - 2 * len(BODY)
    for found in (ALL, thread_topic("t")):
        assert [each.body for each in log.after(name_of(found), 0, 9)] == [None, BODY, None]
    bare = log.after(name_of(Topic(TopicKind.ASSISTANT, "o", "x")), 0, 9)
    assert [each.body for each in bare] == [BODY, None]
    assert [each.body for each in log.after(topic, 0, 9)] == [None, None]
    assert [each.body for each in log._entries.values()] == [None, BODY, None]
    log.redact(name_of(Topic(TopicKind.RUN, "o", "unknown")))
