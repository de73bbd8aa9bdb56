"""An identity provider: keys, tokens, and a server that publishes the keys."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER = "https://idp.test/"
AUDIENCE = "runsvc"


class Key:
    """A signing key."""

    def __init__(self, key_id: str | None = "k1", algorithm: str = "ES256") -> None:
        self.key_id = key_id
        self.algorithm = algorithm
        self.private: Any = {
            "RS256": lambda: rsa.generate_private_key(65_537, 2_048),
            "PS256": lambda: rsa.generate_private_key(65_537, 2_048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }[algorithm]()

    def published(self, **more: Any) -> dict[str, Any]:
        """The public key as a JWK."""
        to_jwk: Any = get_default_algorithms()[self.algorithm].to_jwk
        public = to_jwk(self.private.public_key(), as_dict=True)
        named = {} if self.key_id is None else {"kid": self.key_id}
        return {**public, "alg": self.algorithm, "use": "sig", **named, **more}

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of the provider. A claim that is None is left out."""
        everything = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "alice",
            "exp": int(time.time()) + 3_600,
            "roles": ["user"],
        } | claims
        present = {name: value for name, value in everything.items() if value is not None}
        named = {} if self.key_id is None else {"kid": self.key_id}
        return jwt.encode(
            present, self.private, self.algorithm, headers={**named, **(headers or {})}
        )


def key_set(*keys: Key) -> bytes:
    """A JWK set."""
    return json.dumps({"keys": [key.published() for key in keys]}).encode()


class Publisher:
    """What a server publishes, and how often it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.status = 200
        self.asked = 0
        self.url = ""
        #: Held back until it is set.
        self.answers = threading.Event()
        self.answers.set()


@contextmanager
def published(*keys: Key) -> Iterator[Publisher]:
    """A server that publishes keys during the block."""
    publisher = Publisher(key_set(*keys))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.asked += 1
            publisher.answers.wait(10)
            self.send_response(publisher.status)
            self.end_headers()
            self.wfile.write(publisher.content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        publisher.url = f"http://127.0.0.1:{server.server_address[1]}/keys"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield publisher
        finally:
            publisher.answers.set()
            server.shutdown()
            thread.join()
