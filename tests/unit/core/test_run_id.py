"""Ids sort by the time they were made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.run_id import new_id, upper_bound

times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(times)
def test_an_id_is_a_uuid_of_version_7(time: datetime) -> None:
    assert UUID(new_id(time)).version == 7


@given(times, st.timedeltas(timedelta(microseconds=2), timedelta(days=9)))
def test_ids_sort_by_time(time: datetime, passed: timedelta) -> None:
    assert new_id(time) < new_id(time + passed)


@given(times, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_what_is_beyond_a_time_is_beyond_every_id_up_to_it(
    time: datetime, passed: timedelta
) -> None:
    assert new_id(time) < upper_bound(time + passed)


@given(times, st.timedeltas(timedelta(milliseconds=1), timedelta(days=9)))
def test_what_is_beyond_a_time_is_not_beyond_a_later_one(time: datetime, passed: timedelta) -> None:
    assert upper_bound(time) < new_id(time + passed)
