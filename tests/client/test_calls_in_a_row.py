"""Calls of one client in a row: nothing that a response leaves behind reaches the next one."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.client import exchange
from airflow_provider_datafold.client.conversation import converse
from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.client.worker import Client
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldTransientError,
)
from dev.faults.behaviours import answer, says
from dev.faults.server import FaultServer, Then
from tests.drivers import settings_for

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
SWITCHES = b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"

Calls = Callable[..., list[Any]]
"""Calls the API some times in a row, and returns what each call gave: a number, or an error."""


def in_a_thread(
    settings: Settings, times: int, *, pause: float = 0.0, on_error: Any = type
) -> list[Any]:
    client = Client(settings, "tests")
    found: list[Any] = []
    for _ in range(times):
        try:
            found.append(client.run(conversation(settings))["n"])
        except DatafoldError as error:
            found.append(on_error(error))
        time.sleep(pause)
    client.close()
    return found


def in_a_loop(
    settings: Settings, times: int, *, pause: float = 0.0, on_error: Any = type
) -> list[Any]:
    async def call() -> list[Any]:
        found: list[Any] = []
        async with AsyncClient(settings, "tests") as client:
            for _ in range(times):
                try:
                    found.append((await client.run(conversation(settings)))["n"])
                except DatafoldError as error:
                    found.append(on_error(error))
                await asyncio.sleep(pause)
        return found

    return asyncio.run(call())


def conversation(settings: Settings) -> Any:
    return converse(data_diffs.GET.request(datadiff_id=7), settings, logging.getLogger("tests"))


def response(number: int, headers: dict[str, str] | None = None) -> bytes:
    return answer(200, json.dumps({"id": 7, "n": number}).encode(), headers)


each_driver = pytest.mark.parametrize("calls", [in_a_thread, in_a_loop])


@each_driver
@pytest.mark.parametrize(
    "interim", [EARLY_HINTS, PROCESSING * 3 + EARLY_HINTS], ids=["one", "four"]
)
def test_each_call_gets_its_own_final_response(calls: Calls, interim: bytes) -> None:
    behaviours = [says(interim + response(number), Then.KEEP) for number in (1, 2, 3)]

    with FaultServer(behaviours) as server:
        assert calls(settings_for(server.port), 3) == [1, 2, 3]


@each_driver
@pytest.mark.parametrize("late", [0.0, 0.05], ids=["at once", "later"])
def test_bytes_after_a_response_are_not_the_next_one(calls: Calls, late: float) -> None:
    behaviours = [
        says(response(number), late, response(666) * 2, Then.KEEP) for number in (1, 2, 3)
    ]

    with FaultServer(behaviours) as server:
        # No client can distinguish bytes that arrive after the next request from its response.
        assert calls(settings_for(server.port), 3, pause=0.3) == [1, 2, 3]


@each_driver
def test_calls_share_a_connection_for_a_while(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([says(response(1), Then.KEEP)]) as server:
        assert calls(settings_for(server.port), 3) == [1, 1, 1]
        assert server.connections == 1
        monkeypatch.setattr(exchange, "_OLDEST", 0.0)
        assert calls(settings_for(server.port), 3) == [1, 1, 1]
        assert server.connections == 4


@each_driver
def test_cookies_are_not_sent_back(calls: Calls) -> None:
    cookie = {"Set-Cookie": "session=" + "x" * 60_000}

    with FaultServer([says(response(1, cookie), Then.KEEP)]) as server:
        assert calls(settings_for(server.port), 3) == [1, 1, 1]

    assert not any("cookie" in request.headers for request in server.requests)


def with_cookies(number: int) -> bytes:
    """A response with so many large cookies."""
    fields = b"".join(b"Set-Cookie: c%d=" % n + b"x" * 60_000 + b"\r\n" for n in range(number))
    return response(1).replace(b"\r\n", b"\r\n" + fields, 1)


def test_cookies_are_not_kept() -> None:
    with FaultServer([says(with_cookies(8), Then.KEEP)]) as server:
        settings = settings_for(server.port)
        client = Client(settings, "tests")
        for _ in range(5):
            client.run(conversation(settings))
        assert len(client.session.cookies) == 0
        client.close()


@each_driver
@pytest.mark.parametrize("scheme", ["direct", "http", "socks5h"])
def test_a_connection_that_stalls_is_closed_and_not_waited_for(
    calls: Calls, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme == "socks5h":
        pytest.importorskip("socks")
    open_after: list[int] = []

    with FaultServer([says(60.0)], reads=False) as server:
        here = f"127.0.0.1:{server.port}"
        if scheme != "direct":
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{here}")
        stalls = settings_for(
            f"https://{here}" if scheme == "direct" else "https://datafold.test",
            timeout=0.3,
        )

        def count(error: DatafoldError) -> type[DatafoldError]:
            # Our thread closes it a moment after the call has ended.
            time.sleep(0.1)
            open_after.append(len(os.listdir("/dev/fd")))
            return type(error)

        gc.disable()
        try:
            found = calls(stalls, 4, pause=0.1, on_error=count)
        finally:
            gc.enable()
        assert server.connections == 4

    assert all(issubclass(error, DatafoldTransientError) for error in found)
    # The service holds the other ends, in this very process, and PySocks takes a moment to close.
    assert open_after[-1] - open_after[0] <= 4
