"""The ring: what it keeps, and how that is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.core.model import RunStatus
from runsvc.store.base import LogEntry, Topic, TopicKind
from runsvc.watch.recent_log import ENTRY_COST, Ring, name_of, names_of
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
    return [one.revision for one in found]


# Topics.


def test_a_change_belongs_to_its_run_thread_assistant_and_owner() -> None:
    topics = [Topic(TopicKind.RUN, "o", "r"), thread_topic("t"), ALL]
    assert names_of(entry(1)) == list(map(name_of, topics))
    assistant = Topic(TopicKind.ASSISTANT, "o", "a")
    assert names_of(entry(1, assistant_id="a")) == list(map(name_of, [*topics, assistant]))


# The ring.


def test_a_ring_gives_what_came_after_a_revision() -> None:
    ring = Ring(4)
    ring.extend(entries(5, 6, 7))
    assert (ring.floor, ring.revision) == (4, 7)
    assert revisions(ring.after(name_of(ALL), 4, 9)) == [5, 6, 7]
    assert revisions(ring.after(name_of(ALL), 4, 2)) == [5, 6]
    assert revisions(ring.after(name_of(ALL), 6, 9)) == [7]
    assert ring.after(name_of(ALL), 7, 9) == ()
    assert ring.after(name_of(thread_topic("unknown")), 4, 9) == ()


def test_a_full_ring_evicts_its_oldest_by_bytes() -> None:
    ring = Ring(0, capacity=3 * COST)
    ring.extend(entries(1, 2, 3))
    assert ring.floor == 0
    ring.extend(entries(4))
    assert (ring.floor, ring.revision) == (1, 4)
    ring.extend([entry(5, body=bytes(24 + COST))])
    assert (ring.floor, ring.revision) == (3, 5)
    assert revisions(ring.after(name_of(ALL), 3, 9)) == [4, 5]
    ring.extend(entries(6))
    assert ring.floor == 4


def test_an_entry_larger_than_the_ring_leaves_it_empty() -> None:
    ring = Ring(0, capacity=COST - 1)
    ring.extend(entries(1, 2))
    assert (ring.floor, ring.revision) == (2, 2)
    assert ring.after(name_of(ALL), 2, 9) == ()
    assert ring._index == {}
    assert ring._size == 0


def test_evicted_topics_leave_the_index() -> None:
    ring = Ring(0, capacity=COST)
    ring.extend([entry(1, "a"), entry(2, "b")])
    assert name_of(Topic(TopicKind.RUN, "o", "a")) not in ring._index
    assert revisions(ring.after(name_of(Topic(TopicKind.RUN, "o", "b")), 1, 9)) == [2]


def test_a_topic_of_many_entries_is_found_like_one_of_few() -> None:
    ring = Ring(0, capacity=50 * COST)
    for last in range(1, 121):
        ring.extend(entries(last))
        newest = list(range(max(1, last - 49), last + 1))
        assert revisions(ring.after(name_of(ALL), ring.floor, 999)) == newest
        assert revisions(ring.after(name_of(ALL), last - 1, 999)) == [last]


def test_after_a_gap_the_ring_starts_anew() -> None:
    ring = Ring(0)
    ring.extend(entries(1, 2))
    ring.extend(entries(5, 6))
    assert (ring.floor, ring.revision) == (4, 6)
    assert revisions(ring.after(name_of(ALL), 4, 9)) == [5, 6]
    assert ring._size == 2 * COST


def test_redacting_takes_the_bodies_out_of_a_runs_entries() -> None:
    ring = Ring(0)
    ring.extend([entry(1, "a"), entry(2, "b", assistant_id="x"), entry(3, "a", assistant_id="x")])
    topic = name_of(Topic(TopicKind.RUN, "o", "a"))
    for _ in range(2):
        ring.redact(topic)
        assert ring._size == 3 * COST - 2 * len(BODY)
    for found in (ALL, thread_topic("t")):
        assert [one.body for one in ring.after(name_of(found), 0, 9)] == [None, BODY, None]
    bare = ring.after(name_of(Topic(TopicKind.ASSISTANT, "o", "x")), 0, 9)
    assert [one.body for one in bare] == [BODY, None]
    assert [one.body for one in ring.after(topic, 0, 9)] == [None, None]
    assert [one.body for one in ring._entries.values()] == [None, BODY, None]
    ring.redact(name_of(Topic(TopicKind.RUN, "o", "unknown")))
