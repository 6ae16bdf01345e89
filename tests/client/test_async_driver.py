"""The client of the triggerer, in an event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import traceback
from typing import Any

import pytest

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client.async_driver import AsyncClient
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldConfigurationError, DatafoldConnectionError
from airflow_provider_datafold.redaction.secret import Secret, conceal
from dev.faults.behaviours import FOR_EVER, INTEGRATION, answer, answers, drips, head, says
from dev.faults.server import Behaviour
from tests.conftest import API_KEY, TOKEN
from tests.drivers import BODY, UPDATE, call_async, fails, update
from tests.tunnel import Tunnel


async def opened() -> AsyncClient:
    """Make a client for the default connection."""
    return AsyncClient(await fetch_settings_async("datafold_default"), "mine/1.0")


async def send(client: AsyncClient, number: int = 7) -> Any:
    return await client.call(UPDATE, conceal(BODY), bi_datasource_id=number)


async def once() -> Any:
    async with await opened() as client:
        return await send(client)


async def gone(task: asyncio.Task[Any]) -> type[BaseException]:
    try:
        await task
    except asyncio.CancelledError as error:
        return type(error)
    raise AssertionError("It ended by itself.")


def test_each_request_has_a_connection_of_its_own(serve: Any) -> None:
    async def calls() -> list[Any]:
        async with await opened() as client:
            return [await send(client, number) for number in (1, 2, 3)]

    server = serve(answers())
    assert asyncio.run(calls()) == [INTEGRATION] * 3
    assert server.connections == 3
    assert {sent.headers["connection"] for sent in server.requests} == {"close"}


def test_other_tasks_go_on_meanwhile(serve: Any) -> None:
    async def calls() -> tuple[Any, Any]:
        async with await opened() as slow, await opened() as fast:
            waiting = asyncio.create_task(send(slow))
            while not server.requests:
                await asyncio.sleep(0.01)
            return await send(fast), waiting.cancel() and await gone(waiting)

    server = serve(says(FOR_EVER), answers())
    assert asyncio.run(calls()) == (INTEGRATION, asyncio.CancelledError)


def test_what_libraries_log_shows_no_secret(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    serve(answers(200, b"{}", {"Set-Cookie": "session=planted-cookie"}))
    asyncio.run(once(), debug=True)
    assert [secret for secret in (API_KEY, TOKEN, "planted-cookie") if secret in caplog.text] == []


def test_address_that_cannot_be_used() -> None:
    async def get() -> Any:
        settings = Settings("mine", "https://datafold.test:port", Secret(API_KEY))
        return await AsyncClient(settings, "mine/1.0").call(bi.GET, bi_datasource_id=7)

    with pytest.raises(DatafoldConfigurationError, match="the address cannot be used"):
        asyncio.run(get())


@pytest.mark.parametrize(
    ("act", "others"),
    [
        pytest.param(answers(503, b"{}", {"Retry-After": "25"}), {"asyncio"}, id="pause"),
        pytest.param(says(FOR_EVER), set(), id="silent"),
        pytest.param(drips(head(200), b" " * 100), set(), id="drip"),
    ],
)
def test_cancelled_call_sends_nothing_more_and_leaves_no_frame_that_shows_it(
    serve: Any, act: Behaviour, others: set[str]
) -> None:
    async def cancelled() -> BaseException:
        client = await opened()
        task = asyncio.create_task(send(client))
        while not server.requests:
            await asyncio.sleep(0.01)
        # Time for the response to come, and for a pause to begin.
        await asyncio.sleep(0.2)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            assert len(server.requests) == 1
            assert await send(client) == INTEGRATION
            return error
        raise AssertionError("It ended by itself.")

    server = serve(act, answers(), extra={"timeout": 30, "max_retries": 1})
    error: BaseException | None = asyncio.run(cancelled())
    modules = set()
    # Before Python 3.11 each await of a task that was cancelled adds an error to the chain.
    while error is not None:
        assert sys.version_info < (3, 11) or error.__context__ is None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            modules.add(frame.f_globals["__name__"].partition(".")[0])
            assert API_KEY not in repr(frame.f_locals)
        error = error.__context__
    assert modules <= {"tests", "airflow_provider_datafold"} | others


def test_socks_needs_a_library(serve: Any, to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    service = serve(answers())
    # All else works.
    assert update(call_async) == INTEGRATION
    with Tunnel(service.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        to()
        fails(call_async, DatafoldConfigurationError, "install requests[socks] and socksio")
        assert proxy.asked == []


def test_calls_at_once_do_not_wait_for_each_other(serve: Any) -> None:
    async def calls() -> list[Any]:
        async with await opened() as client:
            return await asyncio.gather(*(send(client) for _ in range(20)))

    serve(says(0.3, answer()), extra={"timeout": 4})
    assert asyncio.run(calls()) == [INTEGRATION] * 20


def test_exception_that_nobody_foresaw(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # In an event loop only: in a task's own thread a signal handler may raise anything.
    def fail(*_: Any, **__: Any) -> None:
        raise ArithmeticError(API_KEY)

    serve(answers())
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    fails(call_async, DatafoldConnectionError, "an unexpected error (ArithmeticError)")
