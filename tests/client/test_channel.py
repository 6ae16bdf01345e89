"""A service or a proxy that sends fast holds up neither the event loop nor the deadline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

import pytest
import trustme

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client import channel
from airflow_provider_datafold.client.async_driver import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldConnectionError,
    DatafoldTimeoutError,
)
from airflow_provider_datafold.redaction.secret import Secret
from dev.faults.behaviours import answer, head, says
from dev.faults.server import Behaviour, FaultServer, Step
from tests.certificates import tls
from tests.drivers import settings_for

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
CHUNKED = head(200, {"Transfer-Encoding": "chunked"})
CHUNK = b"1\r\n \r\n"
TIMES = 2_000
"""Of a piece: one that is read is 4 to 64 KiB."""
PIECES = 200
"""They last longer than any deadline here, and still end if nothing stops them."""


def floods(start: bytes, piece: bytes) -> Behaviour:
    """Send a piece again and again, as fast as it is read."""

    def act(_: Any) -> Iterable[Step]:
        return chain([start], repeat(piece * TIMES, PIECES))

    return act


class Ticks:
    """Counts how often the event loop comes round to others during a call."""

    def __init__(self) -> None:
        self.count = 0

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.count += 1

    async def during(self, settings: Settings) -> Any:
        ticking = asyncio.create_task(self._tick())
        try:
            async with AsyncClient(settings, "tests") as client:
                return await client.call(bi.GET, bi_datasource_id=7)
        finally:
            ticking.cancel()


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only the deadline end a flood."""
    monkeypatch.setattr(channel, "_MOST_INTERIM", 10**9)
    monkeypatch.setattr(channel, "_MOST_CHUNKS", 10**9)


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("flood", [floods(b"", INTERIM), floods(CHUNKED, CHUNK)])
def test_deadline_holds_during_a_flood(
    flood: Behaviour, scheme: str, authority: trustme.CA, bundle: str
) -> None:
    ticks = Ticks()
    with FaultServer([flood], tls=tls(authority) if scheme == "https" else None) as server:
        url = f"{scheme}://127.0.0.1:{server.port}"
        settings = settings_for(url, timeout=0.5, verify=bundle)
        with pytest.raises(DatafoldTimeoutError, match=r"no complete response within 0\.5 s"):
            asyncio.run(ticks.during(settings))
    assert ticks.count > 5


@pytest.mark.usefixtures("unlimited")
def test_deadline_holds_while_a_proxy_floods() -> None:
    ticks = Ticks()
    with FaultServer([floods(b"", INTERIM)]) as proxy:
        url = Secret(f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(DatafoldTimeoutError):
            asyncio.run(ticks.during(settings_for("https://datafold.test", timeout=0.5, proxy=url)))
    assert ticks.count > 5


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(CHUNKED + CHUNK * 20_000 + b"2\r\n{}\r\n0\r\n\r\n", id="chunks"),
        pytest.param(
            b"HTTP/1.1 103 Early\r\n" + b"A: b\r\n" * 101 + b"\r\n" + answer(),
            id="fields of an interim response",
        ),
        pytest.param(INTERIM * 100 + answer(407), id="interim responses of a proxy"),
    ],
)
def test_response_of_too_many_parts(parts: bytes) -> None:
    with FaultServer([says(parts)]) as server:
        settings = settings_for(server.port, timeout=60)
        if parts.startswith(INTERIM):
            url = Secret(f"http://127.0.0.1:{server.port}")
            settings = settings_for("https://datafold.test", proxy=url, timeout=60)
        with pytest.raises(DatafoldConnectionError, match="the connection broke"):
            asyncio.run(Ticks().during(settings))


def test_small_chunks_are_read() -> None:
    content = json.dumps({"id": 7, "text": "x" * 9_000}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in content) + b"0\r\n\r\n"
    with FaultServer([says(CHUNKED + chunks)]) as server:
        read = asyncio.run(Ticks().during(settings_for(server.port)))
    assert read == json.loads(content)
