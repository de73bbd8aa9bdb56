"""The server's configuration of TLS is replaced after a change only: gRPC rebuilds its state with each replacement."""

from __future__ import annotations

from typing import Any

from runsvc.rpc.tls import Changes


def test_a_configuration_is_given_once_after_each_change() -> None:
    first: Any = object()
    second: Any = object()
    present = [first]
    changes = Changes(lambda: present[0], first)
    assert [changes() for _ in range(3)] == [None, None, None]
    present[0] = second
    assert [changes() for _ in range(3)] == [second, None, None]
    present[0] = first
    assert [changes() for _ in range(2)] == [first, None]
