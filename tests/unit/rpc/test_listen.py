"""Addresses that a server accepts, and the causes for refusing others."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core.errors import ListenRefused
from runsvc.rpc.listen import addresses, bind, check_free, check_listen

if TYPE_CHECKING:
    from pathlib import Path


def refusal(listen: str, *, insecure: bool = False) -> str:
    with pytest.raises(ListenRefused) as caught:
        check_listen(listen, insecure=insecure)
    return caught.value.detail


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The host names that resolve, with their addresses."""
    known: dict[str, str] = {}

    def lookup(host: str, *_more: Any, **_named: Any) -> Any:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return known


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:65535", "localhost:50051"])
def test_loopback_addresses_are_allowed(listen: str) -> None:
    check_listen(listen, insecure=False)


@pytest.mark.parametrize("port", ["65536", "99999", "1" * 30])
def test_a_port_out_of_range_is_refused(port: str) -> None:
    assert refusal(f"127.0.0.1:{port}") == "the port must be 0 to 65535"
    assert refusal(f"0.0.0.0:{port}", insecure=True) == "the port must be 0 to 65535"


@pytest.mark.parametrize("listen", ["50051", ":50051", "127.0.0.1:", "127.0.0.1:-1", "h:٣"])
def test_a_malformed_address_is_refused(listen: str) -> None:
    assert refusal(listen).startswith("write it as HOST:PORT")


def test_an_unresolved_name_is_distinguished_from_a_reachable_one(names: dict[str, str]) -> None:
    assert refusal("nowhere:1").startswith("the host name does not resolve")
    names["nowhere"] = "192.0.2.1"
    assert refusal("nowhere:1").startswith("other machines can reach it")


class Deaf:
    """A transport that binds nothing."""

    def add_insecure_port(self, address: str) -> int:
        raise RuntimeError(address)


def obstacle(listen: str) -> str:
    with pytest.raises(ListenRefused) as caught:
        bind(Deaf(), listen)  # type: ignore[arg-type]
    return caught.value.detail


def test_a_port_in_use_is_named_even_if_it_has_become_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert obstacle(f"127.0.0.1:{port}").startswith("it is in use")
    assert obstacle("127.0.0.1:0").startswith("it is in use")


def test_an_address_of_another_machine_is_named(names: dict[str, str]) -> None:
    names["192.0.2.1"] = "192.0.2.1"
    assert obstacle("192.0.2.1:0").startswith("it is not an address of this machine")
    assert obstacle("nowhere:0").startswith("the host name does not resolve")


@pytest.mark.parametrize(
    ("number", "told"), [(errno.EACCES, "this user may not"), (errno.ENOBUFS, "No buffer")]
)
def test_other_causes_are_named(monkeypatch: pytest.MonkeyPatch, number: int, told: str) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, "No buffer space")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert obstacle("127.0.0.1:80").startswith(told)


def test_a_list_of_addresses_has_commas() -> None:
    assert addresses("127.0.0.1:1, unix:r.sock") == ["127.0.0.1:1", "unix:r.sock"]


def test_a_unix_socket_needs_a_path_of_moderate_length() -> None:
    check_listen("unix:/run/r.sock", insecure=False)
    check_listen("unix:///run/r.sock", insecure=False)
    assert refusal("unix:").startswith("write it as unix:PATH")
    assert refusal("unix:/" + "a" * 107) == "the path is longer than 107 bytes"


def free(listen: str) -> str:
    try:
        check_free(listen)
    except ListenRefused as refused:
        return refused.detail
    return ""


def test_a_socket_is_free_unless_a_process_listens_on_it(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    listen = f"unix:{path}"
    assert free(listen) == ""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        # Not yet listening, or not any more.
        assert free(listen) == ""
        server.listen()
        assert free(listen).startswith("it is in use")
    assert free(listen) == ""
    assert free(f"unix:{tmp_path}/none/r.sock") == f"the folder {tmp_path}/none does not exist"
    (tmp_path / "file").touch()
    assert "is no socket" in free(f"unix:{tmp_path}/file")
