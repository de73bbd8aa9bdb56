"""Rotation of every secret of a server, under open watches and load."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import trustme

from runsvc.client import RunError
from tests.support.identity_provider import AUDIENCE, ISSUER, Key, key_set
from tests.support.secure import TlsFolder, caller, replace, service, write_tokens
from tests.support.server import in_process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runsvc.client import AsyncRunClient, AsyncWatch

ROLES = ["service", "admin"]


class Rotation:
    """A server with tokens, JWT and client certificates; callers with each kind of credential."""

    def __init__(self, folder: Path, address: str, tls: TlsFolder) -> None:
        self.folder = folder
        self.address = address
        self.tls = tls
        self.key = Key("k0")
        #: The present credentials of callers by kind: valid at any time.
        self.credentials: dict[str, dict[str, Any]] = {}
        self.trusted = tls.trusted
        self.calls = 0
        #: Connections that callers of each kind have opened.
        self.connections = Counter[str]()
        self.failures: list[str] = []
        self.reconnects: list[str] = []
        self._identity = tls.identity("gw.test")

    def connect(self, kind: str) -> Any:
        """A client with a credential of a kind, on a connection of its own."""
        return caller(self.address, tls_ca=self.trusted, **self.credentials[kind])

    def set_credentials(self, token: str) -> None:
        """Give callers a token, a JWT of the present key, and the present certificate."""
        self.credentials = {
            "token": {"token": token, **self._identity},
            "jwt": {"token": self.key.token(sub="gw", roles=ROLES), **self._identity},
            "certificate": self._identity,
        }

    async def accepted(self, kind: str = "token", **more: Any) -> bool:
        """Whether a credential is accepted."""
        arguments = {"tls_ca": self.trusted, **self.credentials[kind], **more}
        async with caller(self.address, **arguments) as client:
            try:
                await client.get_server_info()
            except RunError:
                return False
        return True

    async def rotate(self, number: int) -> None:
        """Replace every secret once, each with a time in which old and new are valid."""
        old, new = f"token-{number}", f"token-{number + 1}"
        write_tokens(self.folder / "tokens.txt", {old: service("gw"), new: service("gw")})
        await until(lambda: self.accepted(token=new))
        key = Key(f"k{number + 1}")
        replace(self.folder / "keys.json", key_set(self.key, key))
        await until(lambda: self.accepted(token=key.token(sub="gw", roles=ROLES)))
        self.key = key
        await self._rotate_certificates()
        self.set_credentials(new)
        await self._all_have_new_credentials()
        write_tokens(self.folder / "tokens.txt", {new: service("gw")})
        replace(self.folder / "keys.json", key_set(key))
        self.tls.trust_clients(self.tls.client_authority)
        await until(lambda: self._refused(token=old))

    async def _rotate_certificates(self) -> None:
        clients, authority = trustme.CA(), trustme.CA()
        self.tls.trust_clients(self.tls.client_authority, clients)
        self.trusted += authority.cert_pem.bytes()
        identity = self.tls.identity("gw.test", authority=clients)
        await until(lambda: self.accepted(**identity))
        self.tls.issue(authority)
        await until(lambda: self.accepted(tls_ca=authority.cert_pem.bytes()))
        self.tls.client_authority, self.tls.authority = clients, authority
        self._identity = identity

    async def _refused(self, **more: Any) -> bool:
        return not await self.accepted(**more)

    async def _all_have_new_credentials(self) -> None:
        """Wait until each caller has left the connection of its old credential."""
        before = Counter(self.connections)
        await until(
            lambda: all(self.connections[kind] > before[kind] for kind in self.credentials), 60
        )

    async def load(self, kind: str) -> None:
        """Call again and again, on a new connection after every few calls."""
        while True:
            async with self.connect(kind) as client:
                self.connections[kind] += 1
                for _ in range(3):
                    try:
                        await client.has_inflight("t")
                    except RunError as error:
                        self.failures.append(f"{kind}: {error}")
                    self.calls += 1

    def watch(self, client: AsyncRunClient, kind: str) -> AsyncWatch:
        """A watch whose reconnects count."""
        return client.watch(
            all_runs=True,
            heartbeat_interval=1.0,
            on_reconnect=lambda error: self.reconnects.append(f"{kind}: {error}"),
        )


async def rotate_under_load(folder: Path, *, streams: int, rounds: int) -> Rotation:
    """Rotate every secret `rounds` times; return what happened meanwhile."""
    tls = TlsFolder(folder / "tls")
    first = Key("k0")
    write_tokens(folder / "tokens.txt", {"token-0": service("gw")})
    replace(folder / "keys.json", key_set(first))
    replace(folder / "certs.txt", b"gw * service,admin dns:gw.test\n")
    settings: dict[str, Any] = {
        **tls.settings(clients=True),
        "auth_tokens": folder / "tokens.txt",
        "auth_certs": folder / "certs.txt",
        "auth_jwks": str(folder / "keys.json"),
        "auth_issuer": ISSUER,
        "auth_audience": AUDIENCE,
    }
    async with in_process(folder / "runs.db", **settings) as server, AsyncExitStack() as stack:
        rotation = Rotation(folder, server.address, tls)
        rotation.key = first
        rotation.set_credentials("token-0")
        events = await _open(rotation, stack, streams)
        async with asyncio.TaskGroup() as tasks:
            load = [tasks.create_task(rotation.load(kind)) for kind in rotation.credentials]
            for number in range(rounds):
                await rotation.rotate(number)
            # Every watch of the beginning is alive.
            seen = [count() for count in events]
            await until(lambda: all(count() > old for count, old in zip(events, seen, strict=True)))
            for task in load:
                task.cancel()
    return rotation


async def _open(rotation: Rotation, stack: AsyncExitStack, streams: int) -> list[Callable[[], int]]:
    """Open watches of every kind; return the counts of their events."""
    counts = [0] * streams

    async def follow(watch: AsyncWatch, number: int) -> None:
        async for _ in watch:
            counts[number] += 1

    kinds = list(rotation.credentials)
    clients = [await stack.enter_async_context(rotation.connect(kind)) for kind in kinds]
    for number in range(streams):
        watch = rotation.watch(clients[number % len(kinds)], kinds[number % len(kinds)])
        task = asyncio.create_task(follow(watch, number))
        stack.push_async_callback(_ended, task)
    await until(lambda: all(counts))
    return [lambda number=number: counts[number] for number in range(streams)]  # type: ignore[misc]


async def _ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
