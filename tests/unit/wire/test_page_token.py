"""A page token returns its position, and is valid for its own list only."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.model import RunStatus
from runsvc.store.queries import PageKey
from runsvc.wire import page_token

NO_STATUSES: frozenset[RunStatus] = frozenset()
KEY = PageKey(datetime(2026, 3, 1, 1, 2, 3, 456789, tzinfo=UTC), str(uuid.UUID(int=7)))

times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def token_of(key: PageKey = KEY) -> str:
    return page_token.encode(key, owner="ann", thread_id="t-1", statuses=NO_STATUSES)


def read(token: str) -> PageKey:
    return page_token.decode(token, owner="ann", thread_id="t-1", statuses=NO_STATUSES)


@given(times, st.uuids(), st.text(), st.text(), st.frozensets(st.sampled_from(RunStatus)))
def test_a_token_returns_its_position(
    time: datetime, run_id: uuid.UUID, owner: str, thread_id: str, statuses: frozenset[RunStatus]
) -> None:
    key = PageKey(time, str(run_id))
    token = page_token.encode(key, owner=owner, thread_id=thread_id, statuses=statuses)
    assert token.isascii()
    assert page_token.decode(token, owner=owner, thread_id=thread_id, statuses=statuses) == key


@pytest.mark.parametrize(
    ("owner", "thread_id", "statuses"),
    [
        ("bob", "t-1", NO_STATUSES),
        ("ann", "t-2", NO_STATUSES),
        ("ann", "t-1", frozenset({RunStatus.ERROR})),
        ("annt", "-1", NO_STATUSES),
    ],
)
def test_a_token_of_another_list_is_refused(
    owner: str, thread_id: str, statuses: frozenset[RunStatus]
) -> None:
    with pytest.raises(ValueError, match="another list"):
        page_token.decode(token_of(), owner=owner, thread_id=thread_id, statuses=statuses)


@given(st.text(max_size=60) | st.text("AZaz09-_=", min_size=39, max_size=39))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read(text)


@given(st.binary(min_size=29, max_size=29))
def test_any_bytes_are_refused(forged: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read(base64.urlsafe_b64encode(forged).rstrip(b"=").decode())


@given(st.integers(0, 38), st.sampled_from("AZaz09-_ \n="))
def test_a_changed_character_is_refused(place: int, character: str) -> None:
    token = token_of()
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        with pytest.raises(ValueError):  # noqa: PT011
            read(changed)


def test_a_token_of_another_version_is_refused() -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_of() + "="))
    raw[0] = 2
    with pytest.raises(ValueError, match="version"):
        read(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
