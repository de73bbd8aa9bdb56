"""The cost of authentication: calls with a bearer token, a JWT and a client certificate, and calls without them."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final

from tests.bench import http2
from tests.bench.systems import CONNECTIONS, SERVICE, GrpcCaller, Refused, Runsvc
from tests.bench.work import CREATE_OR_REJECT, GET
from tests.support.identity_provider import AUDIENCE, ISSUER, Key, key_set
from tests.support.secure import TlsFolder, replace, service, write_tokens

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.figures import Figure
    from tests.bench.plan import Plan
    from tests.bench.session import Session

TOKEN_NAME: Final = "bearer token"
JWT_NAME: Final = "JWT"
CERTIFICATE_NAME: Final = "client certificate"
_OPERATIONS: Final = (CREATE_OR_REJECT, GET)
_TOKEN: Final = "runsvc_" + 43 * "x"


def steps(plan: Plan) -> int:
    """The number of progress steps of `authentication`."""
    return plan.rounds * len(_OPERATIONS) * 5


async def authentication(session: Session) -> list[Figure]:
    """A token and a JWT against no authentication, and a client certificate against TLS without one."""
    folder = session.file().with_suffix("")
    folder.mkdir()
    tls = TlsFolder(folder / "tls")
    groups = (
        (Runsvc(session.file()), _with_token(session, folder), _with_jwt(session, folder)),
        (_with_tls(session, tls), _with_certificate(session, folder, tls)),
    )
    figures = []
    for group in groups:
        async with session.comparison(*group) as comparison:
            for operation in _OPERATIONS:
                figures += await comparison.closed(operation)
    return figures


class _Caller(GrpcCaller):
    """Sends further headers with each call."""

    def __init__(
        self, connections: list[http2.Connection], headers: tuple[tuple[str, str], ...]
    ) -> None:
        super().__init__(connections)
        self._headers = headers

    async def call(self, method: str, request: bytes) -> bytes:
        connection = next(self._turn)
        status, answer = await connection.unary(SERVICE + method, request, self._headers)
        if status:
            raise Refused(f"{method}: gRPC status {status}")
        return answer


class _Authenticated(Runsvc):
    """runsvc with further options, whose callers send a credential."""

    def __init__(
        self,
        db: Path,
        name: str,
        options: tuple[str, ...],
        credential: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(db, name, options)
        self._headers = (("authorization", f"Bearer {credential}"),) if credential else ()
        self._tls = tls

    async def connect(self) -> GrpcCaller:
        opening = (http2.Connection.open(self.address, tls=self._tls) for _ in range(CONNECTIONS))
        return _Caller(list(await asyncio.gather(*opening)), self._headers)


def _with_token(session: Session, folder: Path) -> Runsvc:
    file = write_tokens(folder / "tokens.txt", {_TOKEN: service("bench")})
    return _Authenticated(session.file(), TOKEN_NAME, ("--auth-tokens", str(file)), _TOKEN)


def _with_jwt(session: Session, folder: Path) -> Runsvc:
    key = Key()
    file = replace(folder / "keys.json", key_set(key))
    issued = ("--auth-issuer", ISSUER, "--auth-audience", AUDIENCE)
    token = key.token(roles=["service"])
    return _Authenticated(session.file(), JWT_NAME, ("--auth-jwks", str(file), *issued), token)


def _with_tls(session: Session, tls: TlsFolder) -> Runsvc:
    return _Authenticated(session.file(), "TLS", _files(tls), tls=_context(tls))


def _with_certificate(session: Session, folder: Path, tls: TlsFolder) -> Runsvc:
    file = replace(folder / "certs.txt", b"bench * service dns:bench.test\n")
    identity = tls.identity("bench.test")
    chain = replace(folder / "bench.pem", identity["tls_cert"])
    key = replace(folder / "bench.key", identity["tls_key"])
    context = _context(tls)
    context.load_cert_chain(chain, key)
    options = (*_files(tls), "--tls-client-ca", str(tls.client_ca), "--auth-certs", str(file))
    return _Authenticated(session.file(), CERTIFICATE_NAME, options, tls=context)


def _files(tls: TlsFolder) -> tuple[str, ...]:
    return ("--tls-cert", str(tls.cert), "--tls-key", str(tls.key))


def _context(tls: TlsFolder) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=tls.trusted.decode())
    context.set_alpn_protocols(["h2"])
    return context
