"""No alert is lost: the trigger against a service and a store that do what is told.

The time of these tests is the trigger's own: it passes while the trigger sleeps.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold.client.aio import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldServerError
from airflow_provider_datafold.redaction.secret import Secret
from tests.conftest import Log

try:
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    pytest.skip("Airflow watches assets from 3.0 on", allow_module_level=True)

HOST = "https://app.datafold.com"
INTERVAL = 60.0
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


class Service:
    """A Datafold with one monitor, 7.

    :param time_of_alerts: whether ``last_alert`` is the time of the alert, or its run's start.
    """

    def __init__(self, *, time_of_alerts: bool = False) -> None:
        self.runs: dict[int, dict[str, Any]] = {}
        self.last_alert: datetime | None = None
        self.errors: list[Any] = []
        """What the next requests are answered with, or raise."""
        self.requests: list[Any] = []
        self.is_newest_first = True
        self.largest_page = 100
        self.hides: set[int] = set()
        """Runs that are not in their list yet."""
        self._time_of_alerts = time_of_alerts

    def start(self, *run_ids: int, at: float = 0) -> None:
        for run_id in run_ids:
            started = (START + timedelta(minutes=run_id, seconds=at)).isoformat()
            self.runs[run_id] = {"run_id": run_id, "started_at": started, "state": "checking"}

    def end(self, *run_ids: int, state: str = "alert", at: int = 0) -> None:
        for run_id in run_ids:
            if run_id not in self.runs:
                self.start(run_id)
            self.runs[run_id]["state"] = state
            if state == "alert":
                moment = datetime.fromisoformat(self.runs[run_id]["started_at"])
                if self._time_of_alerts:
                    moment = START + timedelta(days=1, minutes=at or run_id)
                self.last_alert = max(self.last_alert or moment, moment)

    def show_all(self) -> None:
        self.hides = set()

    def answer(self, path: str, page: int, page_size: int) -> Any:
        self.requests.append((path, page))
        if self.errors:
            error = self.errors.pop(0)
            if isinstance(error, Exception):
                raise error
            return error
        if path.endswith("/runs"):
            listed = sorted(set(self.runs) - self.hides, reverse=self.is_newest_first)
            name, items = "runs", [{**self.runs[run_id]} for run_id in listed]
        else:
            alerted = self.last_alert and self.last_alert.isoformat()
            name, items = "monitors", [{"id": 7, "last_alert": alerted}]
        size = min(page_size, self.largest_page)
        return {
            name: items[(page - 1) * size : page * size],
            "total_pages": math.ceil(len(items) / size),
        }


class Store:
    """An asset's store, which outlives the trigger."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.read_errors: list[Exception] = []
        self.write_errors: list[Exception] = []

    async def aget(self, key: str) -> Any:
        if self.read_errors:
            raise self.read_errors.pop(0)
        return self.kept.get(key)

    async def aset(self, key: str, value: Any) -> None:
        if self.write_errors:
            raise self.write_errors.pop(0)
        self.kept[key] = value


Step = Callable[[], None]


def nothing() -> None:
    pass


class World:
    """A trigger, its connection, and what it has reported."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service = Service()
        self.host = HOST
        self.store: Store | None = Store()
        self.time = 1000.0
        self.lookup_errors: list[Exception] = []

        async def sleep(seconds: float) -> None:
            self.time += seconds

        monkeypatch.setattr(monitors, "asyncio", SimpleNamespace(sleep=sleep))
        monkeypatch.setattr("time.monotonic", lambda: self.time)
        monkeypatch.setattr(monitors, "fetch_settings_async", self._fetch)

        async def call(client: Any, operation: Any, **values: Any) -> Any:
            return self.service.answer(operation.path, values.get("page") or 1, values["page_size"])

        monkeypatch.setattr(AsyncClient, "call", call)

    async def _fetch(self, conn_id: str) -> Settings:
        if self.lookup_errors:
            raise self.lookup_errors.pop(0)
        return Settings(conn_id, self.host, Secret("key"))

    def watch(self, *steps: Step, polls_after: int = 3) -> list[int]:
        """Start a triggerer, and stop it after some polls.

        :param steps: what happens before each poll.
        :param polls_after: how many more polls there are.
        :return: the runs that were reported.
        """
        reported: list[int] = []
        trigger = monitors.DatafoldMonitorAlertTrigger([7], poll_interval=INTERVAL)
        if self.store:
            trigger.asset_state_store = self.store

        async def follow() -> None:
            pending = [*steps, *[nothing] * polls_after]

            async def stepped() -> Any:
                while pending:
                    pending.pop(0)()
                    yield await anext(stream)

            stream = trigger.open_shared_stream(trigger.serialize()[1])
            async for event in trigger.filter_shared_stream(stepped()):
                reported.append(event.payload["run_id"])

        asyncio.run(follow())
        return reported


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, log: Log) -> World:
    monkeypatch.setattr(monitors.DatafoldMonitorAlertTrigger, "log", logging.getLogger("trigger"))
    return World(monkeypatch)


def test_a_run_that_alerts_after_a_newer_one(world: World) -> None:
    service = world.service
    assert world.watch(
        nothing,
        lambda: service.start(10),
        lambda: service.end(11),
        nothing,
        lambda: service.end(10),
    ) == [11, 10]
    assert world.watch() == []


def test_a_run_that_alerts_after_a_newer_one_and_a_restart(world: World) -> None:
    service = world.service
    service.end(9)
    assert world.watch() == []
    service.start(10)
    service.end(11)
    assert world.watch() == [11]
    service.end(10)
    assert world.watch() == [10]
    assert world.watch() == []


def test_another_host_with_lower_ids(world: World) -> None:
    first = world.service
    first.end(1000)
    world.watch()
    world.host, world.service = "https://us.datafold.com", Service()
    second = world.service
    second.end(3)
    assert world.watch(nothing, lambda: second.end(4)) == [4]
    # Back again: nothing is told twice, and what happened meanwhile is told.
    world.host, world.service = HOST, first
    first.end(1001)
    assert world.watch() == [1001]


def test_a_host_that_changes_while_it_watches(world: World) -> None:
    world.service.end(1000)
    other = Service()
    other.end(3)

    def move() -> None:
        world.host, world.service = "https://us.datafold.com", other

    assert world.watch(nothing, move, lambda: other.end(4)) == [4]


def test_a_store_that_fails_once_at_the_start(world: World) -> None:
    service, store = world.service, world.store
    assert store
    service.end(1)
    world.watch()
    service.end(2)
    store.read_errors = [RuntimeError("down")]
    assert world.watch() == [2]
    assert world.watch() == []


def test_a_store_that_stays_unreadable_is_not_overwritten(world: World, log: Log) -> None:
    service, store = world.service, world.store
    assert store
    service.end(1)
    world.watch()
    service.end(2)
    store.read_errors = [RuntimeError("a secret")] * 99
    # It reports nothing for ten minutes, then what comes.
    assert world.watch(*[nothing] * 12, lambda: service.end(3)) == [3]
    first, last = log.warnings
    assert "Could not read which alerts of monitor 7 were reported (RuntimeError)" in first
    assert "Still cannot read" in last
    assert "secret" not in log.text
    store.read_errors = []
    assert world.watch() == [2, 3]


def test_a_store_that_cannot_be_written_for_a_while(world: World, log: Log) -> None:
    service, store = world.service, world.store
    assert store
    store.write_errors = [RuntimeError("a secret")] * 3
    assert world.watch(nothing, nothing, lambda: service.end(1)) == [1]
    (warning,) = log.warnings
    assert "Could not store which alerts were reported (RuntimeError)" in warning
    assert world.watch() == []


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("largest_page", [100, 30])
def test_hundreds_of_runs_in_a_restart(
    world: World, is_newest_first: bool, largest_page: int
) -> None:
    service = world.service
    service.is_newest_first, service.largest_page = is_newest_first, largest_page
    service.end(*range(1, 300), state="ok")
    world.watch()
    service.end(*range(300, 550), state="ok")
    service.end(425)
    assert world.watch() == [425]


def test_too_many_runs_in_a_restart(world: World, log: Log) -> None:
    service = world.service
    service.end(1, state="ok")
    service.start(2)
    world.watch()
    service.end(*range(3, 2000), state="ok")
    service.end(500, 1500)
    assert world.watch() == [1500]
    cut, open_run = log.warnings
    assert cut == (
        "Monitor 7 has more than 1000 runs since run 2. Alerts of those before run 1000 are not "
        "reported."
    )
    assert "Run 2 of monitor 7 had not ended" in open_run
    assert world.watch(lambda: service.end(2000)) == [2000]


@pytest.mark.parametrize("time_of_alerts", [False, True])
def test_two_alerts_between_two_looks_with_a_list_that_is_behind(
    world: World, time_of_alerts: bool
) -> None:
    world.service = service = Service(time_of_alerts=time_of_alerts)

    def both() -> None:
        service.end(10, 11)
        service.hides = {11}

    assert world.watch(nothing, both, nothing, nothing, service.show_all) == [10, 11]
    assert world.watch() == []


@pytest.mark.parametrize("time_of_alerts", [False, True])
def test_a_list_that_is_behind_for_hours(world: World, time_of_alerts: bool) -> None:
    world.service = service = Service(time_of_alerts=time_of_alerts)
    world.store = None

    def both() -> None:
        service.end(10, 11)
        service.hides = {11}

    hours = [nothing] * 180
    assert world.watch(nothing, both, *hours, service.show_all, polls_after=20) == [10, 11]
    reads = [path for path, _ in service.requests if path.endswith("/runs")]
    # It looks less often, the longer it has waited.
    assert len(reads) < 60


def test_a_run_that_never_ends_is_asked_for_less_and_less(world: World) -> None:
    service = world.service
    service.start(1)
    world.watch(polls_after=1000)
    reads = [path for path, _ in service.requests if path.endswith("/runs")]
    assert len(reads) < 70


TROUBLE: list[Any] = [
    {"runs": None, "total_pages": 1},
    {"runs": []},
    {"runs": [], "total_pages": True},
    TypeError("a secret"),
    DatafoldServerError("503: not now"),
]


@pytest.mark.parametrize("odd", TROUBLE)
@pytest.mark.parametrize("at_the_list", [True, False])
def test_trouble_that_ends_nothing(world: World, log: Log, odd: Any, at_the_list: bool) -> None:
    service = world.service
    service.end(1)

    def trouble() -> None:
        service.end(2)
        good = {"monitors": [{"id": 7, "last_alert": "2030-01-01"}], "total_pages": 1}
        service.errors = [odd] if at_the_list else [good, odd]

    assert world.watch(nothing, trouble) == [2]
    (warning,) = log.warnings
    what = "list the monitors" if at_the_list else "read the runs of monitor 7"
    assert warning.startswith(f"Could not {what}: ")
    assert "secret" not in log.text


def test_a_lookup_of_the_connection_that_fails(world: World, log: Log) -> None:
    service = world.service
    service.end(1)

    def trouble() -> None:
        service.end(2)
        world.lookup_errors = [RuntimeError("a secret"), KeyError("another")]

    assert world.watch(nothing, trouble) == [2]
    assert log.warnings == [
        "Could not list the monitors: RuntimeError.",
        "Could not list the monitors: KeyError.",
    ]
