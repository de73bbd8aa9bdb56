"""The keys of an identity provider: from files and URLs, fetched once at a time, kept on a failure."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from runsvc.auth.keys import COOLDOWN, REFRESH, Keys
from runsvc.core.errors import FileRefused
from tests.support.identity_provider import Key, key_set, published

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """Seconds that pass by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_url_is_fetched_when_it_is_due(clock: Clock) -> None:
    with published(Key("a")) as publisher:
        keys = Keys(publisher.url, clock)
        assert keys.is_empty
        await keys.reload()
        await keys.reload()
        assert publisher.asked == 1
        assert keys.find("a", "ES256")
        clock.seconds += REFRESH
        publisher.content = key_set(Key("b"))
        await keys.reload()
        assert (keys.find("a", "ES256"), publisher.asked) == (None, 2)
        assert keys.find("b", "ES256")


async def test_callers_share_one_fetch_and_one_that_leaves_does_not_end_it(clock: Clock) -> None:
    with published(Key("a")) as publisher:
        publisher.answers.clear()
        keys = Keys(publisher.url, clock)
        waits = [asyncio.ensure_future(asked) for _ in range(5) if (asked := keys.ask())]
        await asyncio.sleep(0)
        waits[0].cancel()
        await asyncio.sleep(0.01)
        # The event loop is free meanwhile.
        publisher.answers.set()
        await asyncio.gather(*waits[1:])
        assert publisher.asked == 1
        assert keys.find("a", "ES256")


async def test_unknown_keys_cause_a_fetch_at_most_every_half_a_minute(clock: Clock) -> None:
    with published(Key("a")) as publisher:
        keys = Keys(publisher.url, clock)
        await keys.reload()
        # A regular fetch a moment ago is no reason to refuse a new key.
        asked = keys.ask()
        assert asked
        await asked
        assert keys.ask() is None
        clock.seconds += COOLDOWN - 1
        assert keys.ask() is None
        clock.seconds += 1
        asked = keys.ask()
        assert asked
        await asked
        assert publisher.asked == 3


async def test_a_failure_keeps_the_keys_and_is_reported(clock: Clock) -> None:
    with published(Key("a")) as publisher:
        keys = Keys(publisher.url, clock)
        await keys.reload()
        for status, content in ((503, b""), (200, b"<html>"), (200, b'{"keys": []}')):
            publisher.status, publisher.content = status, content
            clock.seconds += REFRESH
            with pytest.raises(FileRefused, match=publisher.url):
                await keys.reload()
            assert keys.find("a", "ES256")
        publisher.content = key_set(Key("b"))
        with pytest.raises(FileRefused):
            await keys.reload()
        # Sooner than after a success.
        clock.seconds += COOLDOWN
        await keys.reload()
        assert keys.find("b", "ES256")


async def test_a_long_answer_is_refused(clock: Clock) -> None:
    with published(Key("a")) as publisher:
        publisher.content = b" " * (1 << 20) + publisher.content
        with pytest.raises(FileRefused, match="longer than a megabyte"):
            await Keys(publisher.url, clock).reload()


async def test_a_file_is_read_again(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(Key("a")))
    keys = Keys(str(file), clock)
    assert keys.find("a", "ES256")
    file.write_bytes(key_set(Key("b")))
    clock.seconds += 1
    await keys.reload()
    assert keys.find("b", "ES256")
    file.unlink()
    clock.seconds += 1
    with pytest.raises(FileRefused, match="no such file"):
        await keys.reload()
    assert keys.find("b", "ES256")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"keys": 3}',
        b'{"keys": [3]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        b"[" * 100_000,
        json.dumps({"keys": [Key().published(use="enc")]}).encode(),
        key_set(Key("a", "PS256")),
    ],
    ids=range(8),
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(content)
    with pytest.raises(FileRefused, match="it holds no JWK set"):
        Keys(str(file))


@pytest.mark.parametrize("url", ["http://idp.test/keys", "ftp://idp.test/keys", "file:///etc/keys"])
def test_a_url_must_be_encrypted(url: str) -> None:
    with pytest.raises(FileRefused, match="use https"):
        Keys(url)


def test_a_token_without_key_id_has_the_only_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(Key("a")))
    assert Keys(str(file)).find(None, "ES256")
    assert Keys(str(file)).find(None, "RS256") is None
    file.write_bytes(key_set(Key("a"), Key("b")))
    assert Keys(str(file)).find(None, "ES256") is None
