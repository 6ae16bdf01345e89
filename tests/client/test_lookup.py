"""Look-ups of hosts in an event loop: they hold up nobody else, and are shared."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client import lookup, stream
from airflow_provider_datafold.client.async_driver import AsyncClient
from airflow_provider_datafold.exceptions import DatafoldUnreachableError
from dev.faults.behaviours import INTEGRATION, answers
from dev.faults.server import Door, FaultServer
from tests.drivers import settings_for

PATIENCE = 20.0
resolve = socket.getaddrinfo


class Resolver:
    """Knows hosts by name, and notes which it was asked for.

    :param hosts: for each name what finds its ports on this machine, which is where it leads.
    """

    def __init__(self, **hosts: Callable[[], list[int]]) -> None:
        self.asked: list[str] = []
        self._hosts = hosts

    def __call__(self, host: str, *given: Any, **more: Any) -> Any:
        if host == "127.0.0.1":
            return resolve(host, *given, **more)
        self.asked.append(host)
        ports = self._hosts[host.partition(".")[0]]()
        return [resolve("127.0.0.1", port, **more)[0] for port in ports]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resolver]:
    def install(**hosts: Callable[[], list[int]]) -> Resolver:
        installed = Resolver(**hosts)
        monkeypatch.setattr(socket, "getaddrinfo", installed)
        return installed

    return install


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer([answers()]) as running:
        yield running


async def get(name: str, timeout: float = PATIENCE) -> Any:
    settings = settings_for(f"http://{name}.test", timeout=timeout)
    return await AsyncClient(settings, "tests").call(bi.GET, bi_datasource_id=7)


def test_a_look_up_that_hangs_holds_up_nobody_else(resolver: Any, server: FaultServer) -> None:
    may_end = threading.Event()

    def hang() -> list[int]:
        may_end.wait(PATIENCE)
        return [server.port]

    asked = resolver(hangs=hang, works=lambda: [server.port]).asked

    async def calls() -> None:
        hanging = [asyncio.create_task(get("hangs")) for _ in range(100)]
        while not asked:
            await asyncio.sleep(0.01)
        # Those of asyncio and of other libraries, too.
        assert await asyncio.to_thread(lambda: 7) == 7
        assert await get("works") == INTEGRATION
        assert not any(task.done() for task in hanging)
        may_end.set()
        assert await asyncio.gather(*hanging) == [INTEGRATION] * 100

    asyncio.run(calls())
    assert asked == ["hangs.test", "works.test"]


def test_a_look_up_that_hangs_is_given_up_in_time(resolver: Any, server: FaultServer) -> None:
    may_end = threading.Event()

    def hang() -> list[int]:
        may_end.wait(PATIENCE)
        return [server.port]

    asked = resolver(hangs=hang).asked

    async def calls() -> None:
        with pytest.raises(DatafoldUnreachableError, match=r"could not connect \(timed out\)"):
            await get("hangs", timeout=0.3)
        may_end.set()
        # It is the same look-up, though nobody waited for it any more.
        assert await get("hangs") == INTEGRATION

    asyncio.run(calls())
    assert asked == ["hangs.test"]


def test_addresses_are_remembered_for_a_while(
    resolver: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolver(works=lambda: [server.port]).asked

    async def calls() -> None:
        for _ in range(2):
            await get("works")
        monkeypatch.setattr(lookup, "REMEMBERED", -1.0)
        lookup._known.clear()
        for _ in range(2):
            await get("works")

    asyncio.run(calls())
    assert asked == ["works.test"] * 3


def test_a_failure_is_not_remembered(resolver: Any, server: FaultServer) -> None:
    answers_to_come = [socket.gaierror(socket.EAI_AGAIN, "Try again"), [server.port]]

    def find() -> Any:
        found = answers_to_come.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    resolver(works=find)

    async def calls() -> None:
        with pytest.raises(DatafoldUnreachableError, match="there is no such host"):
            await get("works")
        assert await get("works") == INTEGRATION

    asyncio.run(calls())


@pytest.mark.parametrize("door", [Door.CLOSED, Door.FULL], ids=["refuses", "drops packets"])
def test_another_address_of_the_host_is_tried(
    door: Door, resolver: Any, server: FaultServer
) -> None:
    with FaultServer([], door=door) as other:
        resolver(works=lambda: [other.port, server.port])
        assert asyncio.run(get("works")) == INTEGRATION


def test_the_first_address_that_accepts_is_used(
    resolver: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_HEAD_START", 0.0)
    connect = stream._connect
    asked: list[Any] = []
    all_are_asked = asyncio.Event()

    async def connect_later(address: Any) -> socket.socket:
        asked.append(address)
        if len(asked) == 3:
            all_are_asked.set()
        await all_are_asked.wait()
        return await connect(address)

    monkeypatch.setattr(stream, "_connect", connect_later)
    with FaultServer([], door=Door.CLOSED) as other:
        # All are tried at once, and two of them accept.
        resolver(works=lambda: [other.port, server.port, server.port])
        assert asyncio.run(get("works")) == INTEGRATION
    assert len(server.requests) == 1


def test_all_addresses_refuse(resolver: Any) -> None:
    with FaultServer([], door=Door.CLOSED) as one, FaultServer([], door=Door.CLOSED) as other:
        resolver(works=lambda: [one.port, other.port])
        with pytest.raises(DatafoldUnreachableError, match=r"could not connect \(refused\)"):
            asyncio.run(get("works"))
