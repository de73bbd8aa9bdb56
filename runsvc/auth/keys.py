"""The keys of an identity provider (a JWK set), from a file or a URL."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.request
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import jwt

from runsvc.core.errors import FileRefused
from runsvc.reloaded import read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

#: Seconds after which the keys of a URL are fetched again, and between two attempts at least.
REFRESH: Final = 300.0
COOLDOWN: Final = 30.0
#: The same for a file, which costs next to nothing.
FILE_REFRESH: Final = 1.0
#: Longest wait for an answer of a URL, in seconds, and longest answer in bytes.
_TIMEOUT: Final = 5.0
_LONGEST: Final = 1 << 20
#: Algorithms that verify a token, and the type of their keys. Those with a shared secret are none of them.
ALGORITHMS: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_NO_KEYS: Final = 'it holds no JWK set, such as {"keys": […]}, with a key for RS256, ES256 or EdDSA'
_MALFORMED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Keys:
    """The keys, by their id. They are fetched in a thread, one fetch at a time, and kept while a fetch fails."""

    def __init__(
        self,
        source: str,
        now: Callable[[], float] = monotonic,
        fetch: Callable[[str], bytes] | None = None,
    ) -> None:
        """Read a file now. FileRefused for a bad one, and for a URL that is not encrypted.

        A URL is fetched later: a server starts although the identity provider is down.
        """
        self._source = source
        self._now = now
        self._is_url = "://" in source
        self._fetch = fetch or (_fetched if self._is_url else _content)
        self._keys: dict[str | None, jwt.PyJWK] = {}
        #: Counts the changes.
        self.version = 0
        self._content = b""
        self._pending: asyncio.Task[None] | None = None
        #: When the last fetch began, and the last one that an unknown key asked for.
        self._attempted = self._asked = -REFRESH
        self._failure = ""
        if self._is_url:
            _check_url(source)
        else:
            self._take(self._fetch(source))

    def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of a token. A token without an id has the only key."""
        key = self._keys.get(key_id)
        if key is None and key_id is None and len(self._keys) == 1:
            key = next(iter(self._keys.values()))
        return key if key is not None and key.algorithm_name == algorithm else None

    @property
    def is_empty(self) -> bool:
        """Whether no fetch has succeeded yet."""
        return not self._keys

    def ask(self) -> Awaitable[None] | None:
        """A wait for a fetch, for a token with an unknown key; None if tokens of that kind have just caused one."""
        if self._pending is None:
            pause = COOLDOWN if self._is_url else FILE_REFRESH
            if self._now() - self._asked < pause:
                return None
            self._asked = self._now()
        return self._begin()

    async def reload(self) -> None:
        """Refresh keys that are due. Raise FileRefused if the last attempt has failed."""
        pause = REFRESH if self._is_url and not self._failure else COOLDOWN
        if self._now() - self._attempted >= (pause if self._is_url else FILE_REFRESH):
            await self._begin()
        if self._failure:
            raise FileRefused(self._source, self._failure)

    def _begin(self) -> Awaitable[None]:
        """Fetch the keys unless a fetch is under way, and return a wait for its end. A failure keeps the keys."""
        if self._pending is None:
            self._attempted = self._now()
            self._pending = asyncio.create_task(self._refresh())
        # A caller that leaves must not end the fetch of the others.
        return asyncio.shield(self._pending)

    async def _refresh(self) -> None:
        try:
            content = await asyncio.to_thread(self._fetch, self._source)
            if content != self._content:
                self._take(content)
                logger.info("JWT are verified with %d keys of %s.", len(self._keys), self._source)
            self._failure = ""
        except FileRefused as refused:
            self._failure = refused.detail
        finally:
            self._pending = None

    def _take(self, content: bytes) -> None:
        """Use other keys from now on. FileRefused for bad ones."""
        self._keys = _parsed(self._source, content)
        self._content = content
        self.version += 1


def _parsed(source: str, content: bytes) -> dict[str | None, jwt.PyJWK]:
    """The keys of a set that can verify tokens. FileRefused if there are none."""
    try:
        published = json.loads(content)["keys"]
        found = jwt.PyJWKSet([each for each in published if _is_usable(each)]).keys
    except (*_MALFORMED, jwt.PyJWTError) as error:
        raise FileRefused(source, _NO_KEYS) from error
    keys = {key.key_id: key for key in found if key.algorithm_name in ALGORITHMS}
    if not keys:
        raise FileRefused(source, _NO_KEYS)
    return keys


def _is_usable(published: Any) -> bool:
    return published.get("use", "sig") == "sig" and published.get("kty") in ALGORITHMS.values()


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise FileRefused(url, "use https: whoever can change the keys can make tokens")


def _content(source: str) -> bytes:
    return read(Path(source))


def _fetched(url: str) -> bytes:
    """The content of a URL. It blocks."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            # It may have been redirected.
            _check_url(answer.geturl())
            content: bytes = answer.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        raise FileRefused(url, f"it cannot be fetched: {error}") from error
    if len(content) > _LONGEST:
        raise FileRefused(url, "it is longer than a megabyte")
    return content
