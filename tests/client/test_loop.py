"""The client in an event loop: turns, cancels, and what its users share."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

import pytest

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.client import loop
from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldTimeoutError, DatafoldUnreachableError
from airflow_provider_datafold.redaction.secret import Secret, conceal
from dev.faults.behaviours import FOR_EVER, answer, answers, drips, head, says
from dev.faults.server import Behaviour, Call, Door, FaultServer, Step, Then
from tests.conftest import API_KEY
from tests.drivers import BODY, UPDATE, settings_for

FAR = 4e9
"""A time in a hundred years."""

PATIENCE = 20.0
"""Seconds after which a test gives up a call that should have ended."""

Done = TypeVar("Done")
resolve = socket.getaddrinfo


def run(work: Coroutine[Any, Any, Done]) -> Done:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


async def poll(client: AsyncClient, number: int = 7) -> Any:
    return await client.call(data_diffs.GET, datadiff_id=number)


async def send(client: AsyncClient) -> Any:
    return await client.call(UPDATE, conceal(BODY), bi_datasource_id=7)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


others = set[threading.Thread]()
"""What a test that interrupted a client anywhere may have left."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    others.update(threading.enumerate())
    monkeypatch.setattr(loop, "_pools", {})


def our_threads() -> set[threading.Thread]:
    return {
        thread for thread in threading.enumerate() if thread.name.startswith("datafold")
    } - others


@pytest.fixture
def may_respond() -> threading.Event:
    """Whether the service responds."""
    event = threading.Event()
    event.set()
    return event


def number_in(target: str) -> int:
    return int(target.rpartition("/")[2])


@pytest.fixture
def service(may_respond: threading.Event) -> Iterator[FaultServer]:
    """A service that shows the data diff that it is asked for."""

    def shows(call: Call) -> Iterable[Step]:
        assert call.request is not None
        may_respond.wait(PATIENCE)
        shown = {"id": number_in(call.request.target), "status": "processing"}
        return [answer(200, json.dumps(shown).encode()), Then.KEEP]

    with FaultServer([shows]) as server:
        yield server
        may_respond.set()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let look-ups of other hosts hang until the event that is returned."""
    may_end = threading.Event()

    def look_up(host: str, *given: Any, **more: Any) -> Any:
        if host != "127.0.0.1":
            may_end.wait(PATIENCE)
        return resolve("127.0.0.1", *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return may_end


# A cancel.


CANCELS: dict[str, Behaviour] = {
    "look-up": answers(),
    "silence": says(FOR_EVER),
    "drip": drips(head(200), b" " * 100),
    "pause": answers(503, b"{}", {"Retry-After": "25"}),
}


@pytest.mark.parametrize("during", CANCELS)
def test_a_cancel_waits_for_no_thread_sends_nothing_more_and_shows_no_key(
    during: str, hanging: threading.Event
) -> None:
    async def cancelled(server: FaultServer) -> BaseException:
        host = "hangs.test" if during == "look-up" else "127.0.0.1"
        settings = settings_for(f"http://{host}:{server.port}", timeout=600, max_retries=1)
        task = asyncio.create_task(send(AsyncClient(settings, "tests")))
        is_sent = during not in ("look-up", "connect")
        await until(lambda: server.requests if is_sent else our_threads())
        # Time for the response to come, and for a pause to begin.
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert during != "look-up" or our_threads()
        hanging.set()
        await until(lambda: not our_threads())
        assert len(server.requests) == is_sent
        return caught.value

    with FaultServer([CANCELS[during]]) as server:
        error: BaseException | None = run(cancelled(server))
    # Before Python 3.11 each await of a task that was cancelled adds an error to the chain.
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            assert API_KEY not in repr(frame.f_locals)
        error = error.__context__


def test_a_look_up_that_is_given_up_sends_nothing_afterwards(
    hanging: threading.Event, service: FaultServer
) -> None:
    async def given_up() -> None:
        settings = settings_for(f"http://hangs.test:{service.port}", timeout=0.3)
        with pytest.raises(DatafoldUnreachableError, match=r"could not connect \(timed out\)"):
            await poll(AsyncClient(settings, "tests"))
        hanging.set()
        await until(lambda: not our_threads())

    run(given_up())
    assert service.requests == []


# Turns.


def test_waits_take_turns_and_what_is_urgent_takes_none(
    service: FaultServer, may_respond: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MOST_AT_ONCE", 3)
    may_respond.clear()

    async def calls(settings: Settings) -> None:
        async with AsyncClient(settings, "a", waits_until=FAR) as client:
            waiting = [asyncio.create_task(poll(client, number)) for number in range(1, 11)]
            await until(lambda: len(service.requests) == 3)
            last = asyncio.create_task(poll(AsyncClient(settings, "a", is_urgent=True), 99))
            await until(lambda: len(service.requests) == 4)
            assert sorted(asked()) == [1, 2, 3, 99]
            # Nobody waits for it any more, so it is not sent.
            waiting.pop(4).cancel()
            may_respond.set()
            await asyncio.gather(*waiting, last)

    def asked() -> list[int]:
        return [number_in(request.target) for request in service.requests]

    run(calls(settings_for(service.port)))
    assert 5 not in asked()
    assert service.connections == 4


def test_a_turn_is_not_waited_for_longer_than_the_job_may_take(
    service: FaultServer, may_respond: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MOST_AT_ONCE", 1)
    may_respond.clear()

    async def calls(settings: Settings) -> None:
        busy = asyncio.create_task(poll(AsyncClient(settings, "a")))
        await until(lambda: service.requests)
        with pytest.raises(DatafoldTimeoutError, match="because 1 other requests"):
            await poll(AsyncClient(settings, "a", waits_until=0.0))
        may_respond.set()
        await busy

    run(calls(settings_for(service.port)))
    assert len(service.requests) == 1


@pytest.mark.parametrize("where", ["look-up", "connect", "response"])
def test_a_host_that_hangs_holds_up_its_own_waits_only(
    where: str, hanging: threading.Event, service: FaultServer
) -> None:
    async def calls(port: int) -> None:
        host = "hangs.test" if where == "look-up" else "127.0.0.1"
        stuck = settings_for(f"http://{host}:{port}", timeout=600)
        async with (
            AsyncClient(stuck, "a") as hangs,
            AsyncClient(settings_for(service.port), "a") as works,
        ):
            waiting = [asyncio.create_task(poll(hangs, number)) for number in range(1, 201)]
            await until(lambda: len(our_threads()) == loop.MOST_AT_ONCE)
            found = await asyncio.gather(*(poll(works, number) for number in range(1, 201)))
            assert [answer["id"] for answer in found] == [*range(1, 201)]
            # asyncio's own threads are free, too.
            assert await asyncio.to_thread(lambda: 7) == 7
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
        hanging.set()

    with FaultServer([says(FOR_EVER)], door=Door.FULL if where == "connect" else Door.OPEN) as bad:
        run(calls(bad.port))


# What is shared, and how long.


@pytest.mark.parametrize(
    ("change", "connections"),
    [
        # As two triggers read them.
        ({}, 1),
        ({"api_key": Secret("another key")}, 2),
        ({"verify": False}, 2),
        ({"timeout": 5}, 2),
    ],
)
def test_only_equal_settings_share(
    change: dict[str, Any], connections: int, service: FaultServer
) -> None:
    async def calls(settings: Settings, others: Settings) -> None:
        async with AsyncClient(settings, "a") as one, AsyncClient(others, "a") as other:
            for _ in range(2):
                await poll(one)
                await poll(other)

    run(calls(settings_for(service.port), settings_for(service.port, **change)))
    assert service.connections == connections


def test_the_last_user_ends_connections_and_threads(service: FaultServer) -> None:
    async def calls(settings: Settings) -> None:
        one, other = AsyncClient(settings, "a"), AsyncClient(settings, "a")
        async with one:
            async with other:
                await poll(one)
                await poll(other)
            await poll(one)
            assert (service.connections, service.open) == (1, 1)
        await until(lambda: not service.open and not our_threads())
        # A call on its own keeps nothing.
        await poll(one)
        assert service.connections == 2
        await until(lambda: not service.open and not our_threads())

    run(calls(settings_for(service.port)))
    assert loop._pools == {}


def test_another_event_loop_and_a_fork_have_pools_of_their_own(
    service: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(service.port)
    pools: list[int] = []

    async def call(*more: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with AsyncClient(settings, "tests") as client:
            await poll(client)
            for do in more:
                await do()
            pools.append(len(loop._pools))
            await poll(client)

    async def in_another_loop() -> None:
        # Of another thread, while this one's pool lives.
        await asyncio.to_thread(lambda: asyncio.run(call()))

    async def after_a_fork() -> None:
        # Which copies no thread.
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: 1)
            await call()

    run(call(in_another_loop, after_a_fork))
    assert service.connections == 3
    assert pools == [2, 2, 1]
