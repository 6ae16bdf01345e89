"""Calls of one client in a row: nothing that a response leaves behind reaches the next one."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.client.conversation import converse
from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.client.worker import Client
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError, DatafoldTransientError
from dev.faults.behaviours import answer, says
from dev.faults.server import FaultServer, Then
from tests.drivers import settings_for

Driver = Callable[[Settings], AbstractContextManager[Callable[[Any], Any]]]
"""What carries the conversations of one client."""


@contextmanager
def in_a_thread(settings: Settings) -> Iterator[Any]:
    client = Client(settings, "tests")
    yield client.run
    client.close()


@contextmanager
def in_a_loop(settings: Settings) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    client = AsyncClient(settings, "tests")
    loop.run_until_complete(client.__aenter__())
    yield lambda conversation: loop.run_until_complete(client.run(conversation))
    loop.run_until_complete(client.__aexit__())
    loop.close()


def calls(
    driver: Driver, settings: Settings, times: int, *, pause: float = 0.0, on_error: Any = type
) -> list[Any]:
    """Call the API some times in a row; return what each call gave: a number, or an error."""
    found: list[Any] = []
    with driver(settings) as run:
        for _ in range(times):
            try:
                found.append(run(conversation(settings))["n"])
            except DatafoldError as error:
                found.append(on_error(error))
            time.sleep(pause)
    return found


def conversation(settings: Settings) -> Any:
    return converse(data_diffs.GET.request(datadiff_id=7), settings, logging.getLogger("tests"))


def response(number: int, headers: dict[str, str] | None = None) -> bytes:
    return answer(200, json.dumps({"id": 7, "n": number}).encode(), headers)


each_driver = pytest.mark.parametrize("driver", [in_a_thread, in_a_loop])


@each_driver
def test_calls_share_a_connection(driver: Driver) -> None:
    with FaultServer([says(response(1), Then.KEEP)]) as server:
        assert calls(driver, settings_for(server.port), 3) == [1, 1, 1]
        assert server.connections == 1


def test_cookies_are_neither_kept_nor_sent_back() -> None:
    cookie = {"Set-Cookie": "session=" + "x" * 60_000}
    with FaultServer([says(response(1, cookie), Then.KEEP)]) as server:
        settings = settings_for(server.port)
        client = Client(settings, "tests")
        for _ in range(2):
            client.run(conversation(settings))
        assert len(client.session.cookies) == 0
        client.close()

    assert not any("cookie" in request.headers for request in server.requests)


@each_driver
@pytest.mark.parametrize("scheme", ["direct", "http", "socks5h"])
def test_a_connection_that_stalls_is_closed_and_not_waited_for(
    driver: Driver, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_after: list[int] = []

    with FaultServer([says(60.0)], reads=False) as server:
        here = f"127.0.0.1:{server.port}"
        if scheme != "direct":
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{here}")
        host = here if scheme == "direct" else "datafold.test"

        def count(error: DatafoldError) -> type[DatafoldError]:
            # Our thread closes it a moment after the call has ended.
            time.sleep(0.1)
            open_after.append(len(os.listdir("/dev/fd")))
            return type(error)

        gc.disable()
        try:
            stalls = settings_for(f"https://{host}", timeout=0.3)
            found = calls(driver, stalls, 4, pause=0.1, on_error=count)
        finally:
            gc.enable()
        assert server.connections == 4

    assert all(issubclass(error, DatafoldTransientError) for error in found)
    # The service holds the other ends, in this very process, and PySocks takes a moment to close.
    assert open_after[-1] - open_after[0] <= 4
