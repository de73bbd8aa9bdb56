"""Run ids sort by creation time."""

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
def test_ids_sort_by_creation_time(time: datetime, passed: timedelta) -> None:
    assert new_id(time) < new_id(time + passed)


@given(times, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_the_upper_bound_of_a_time_is_above_every_id_up_to_that_time(
    time: datetime, passed: timedelta
) -> None:
    assert new_id(time) < upper_bound(time + passed)


@given(times, st.timedeltas(timedelta(milliseconds=1), timedelta(days=9)))
def test_the_upper_bound_of_a_time_is_below_the_ids_of_later_times(
    time: datetime, passed: timedelta
) -> None:
    assert upper_bound(time) < new_id(time + passed)
