"""A monitor whose runs cannot be read holds up the alerts of no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_datafold.api import monitors as api
from airflow_provider_datafold.client.async_driver import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldServerError
from airflow_provider_datafold.jobs.alerts import Look
from airflow_provider_datafold.redaction.secret import Secret
from tests.alerts import HOST
from tests.conftest import Log

try:
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    pytest.skip("Airflow watches assets from 3.0 on", allow_module_level=True)

STALLS, WORKS = 1, 2
OLD, NEW = "2024-01-01T00:01:00+00:00", "2024-01-01T00:02:00+00:00"


class Service:
    """Two monitors; the runs of one of them cannot be read while it stalls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stalled = asyncio.Event()
        self.fails: set[int] = set()
        self.retries: list[int] = []
        """For each reading of the first monitor's runs, how often the client may retry."""
        self.newest = {STALLS: 1, WORKS: 1}

        async def fetch(conn_id: str) -> Settings:
            return Settings(conn_id, HOST, Secret("key"))

        async def call(client: Any, operation: Any, **values: Any) -> Any:
            assert operation is api.LIST_RUNS
            monitor_id = values["monitor_id"]
            if monitor_id == STALLS:
                self.retries.append(client._settings.max_retries)
                await self.stalled.wait()
            if monitor_id in self.fails:
                raise DatafoldServerError("503: not now", retry_after=5.0)
            newest = self.newest[monitor_id]
            run = {"run_id": newest, "state": "alert", "started_at": OLD if newest == 1 else NEW}
            return {"runs": [run], "total_pages": 1}

        monkeypatch.setattr(monitors, "fetch_settings_async", fetch)
        monkeypatch.setattr(AsyncClient, "call", call)
        self.stalled.set()

    def alert(self, monitor_id: int) -> None:
        self.newest[monitor_id] += 1

    def look(self, age: float = 0.0) -> Look:
        alerted = {id_: OLD if newest == 1 else NEW for id_, newest in self.newest.items()}
        return Look(HOST, alerted, time.monotonic() - age)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, alert_log: Log) -> Service:
    monkeypatch.setattr(monitors, "_WRITE_AFTER", 0.0)
    monkeypatch.setattr(monitors, "_PATIENCE", 0.05)
    return Service(monkeypatch)


class Watch:
    """A trigger that gets the looks which a test gives it."""

    def __init__(self, poll_interval: float = 60.0) -> None:
        self.reported: list[tuple[int, int]] = []
        self._looks: asyncio.Queue[Look] = asyncio.Queue()
        self._trigger: Any = monitors.DatafoldMonitorAlertTrigger(
            [STALLS, WORKS], poll_interval=poll_interval
        )

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def see(self, *looks: Look) -> None:
        for look in looks:
            self._looks.put_nowait(look)
        await asyncio.sleep(0.2)

    async def _follow(self) -> None:
        async for event in self._trigger.filter_shared_stream(self._stream()):
            self.reported.append((event.payload["monitor_id"], event.payload["run_id"]))

    async def _stream(self) -> AsyncIterator[Look]:
        while True:
            yield await self._looks.get()


def test_a_monitor_that_stalls_holds_up_no_other(service: Service) -> None:
    async def watch() -> None:
        async with Watch() as found:
            await found.see(service.look())
            service.stalled.clear()
            service.alert(STALLS)
            await found.see(service.look())
            service.alert(WORKS)
            await found.see(service.look())
            assert found.reported == [(WORKS, 2)]
            # It is not read again meanwhile, and its alert is reported when that is done.
            assert len(service.retries) == 2
            service.stalled.set()
            await found.see(service.look())
            assert found.reported == [(WORKS, 2), (STALLS, 2)]

    asyncio.run(watch())


def test_what_is_read_ends_with_the_trigger(service: Service) -> None:
    async def watch() -> set[Any]:
        service.stalled.clear()
        async with Watch() as found:
            await found.see(service.look())
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(watch()) == set()


def test_only_the_newest_look_counts(service: Service) -> None:
    async def watch() -> None:
        async with Watch() as found:
            await found.see(service.look())
            service.alert(WORKS)
            # While it reported something, others came.
            await found.see(service.look(age=120.0), service.look(age=61.0))
            assert found.reported == []
            await found.see(service.look(age=59.0))
            assert found.reported == [(WORKS, 2)]

    asyncio.run(watch())


def test_a_monitor_that_fails_is_read_without_retries_from_then_on(service: Service) -> None:
    async def watch() -> None:
        service.fails = {STALLS}
        async with Watch() as found:
            await found.see(service.look())
            # The service asked for five seconds.
            await found.see(service.look())
            assert len(service.retries) == 1
            service.alert(STALLS)
            await found.see(service.look())
            service.fails = set()
            service.newest[STALLS] = 1
            await found.see(service.look())
            service.alert(STALLS)
            await found.see(service.look())
            assert found.reported == [(STALLS, 2)]

    asyncio.run(watch())
    first, second, third, last = service.retries
    assert (second, third) == (0, 0)
    assert first == last > 0
