"""The trigger that fires for the alerts of monitors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import monitors as api
from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAuthenticationError,
    DatafoldInputError,
    DatafoldServerError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.secret import Secret
from dev.sandbox.course import Course
from tests.alerts import HOST, OTHER_HOST, Service, Store, World, nothing
from tests.conftest import Log

try:
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    pytest.skip("Airflow watches assets from 3.0 on", allow_module_level=True)

LIST = {"path": api.LIST.path, "page": 1, "page_size": 100, "order_by": "id", "sort_order": "asc"}
RUNS = {"path": api.LIST_RUNS.path, "monitor_id": 7, "page": 1, "page_size": 100}


@pytest.fixture
def alert_log(log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Everything that is logged: where Airflow sends a trigger's messages differs."""
    trigger = monitors.DatafoldMonitorAlertTrigger
    monkeypatch.setattr(trigger, "log", logging.getLogger("trigger"))
    return log


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, alert_log: Log) -> World:
    """A trigger for alerts, with a service, a store and a clock."""
    return World(monkeypatch)


def make(ids: Any = (7,), **more: Any) -> Any:
    return monitors.DatafoldMonitorAlertTrigger(ids, **more)


def kept(*runs: int, monitor_id: int = 7, host: str = HOST) -> Any:
    """What a store holds of a monitor."""
    reported = {"runs": [*runs], "floor": 0}
    return {f"datafold_reported_runs_datafold_default_{monitor_id}": {host: reported}}


def look(names: dict[int, Any], host: str = HOST) -> Any:
    return monitors.Look(host, {id_: {"id": id_, "name": name} for id_, name in names.items()})


# What it is given.


def test_a_name_is_watched_as_soon_as_a_monitor_has_it(alert_log: Log) -> None:
    trigger = make(["orders", 9, "7"])
    assert trigger.serialize()[1]["monitor_ids"] == [7, 9, "orders"]
    assert trigger._ids(look({1: "Order", 7: None})) == [7, 9]
    (warning,) = alert_log.warnings
    assert warning == (
        "Not watched: monitor_ids: no monitor is called 'orders'; did you mean 'Order' (id 1)? "
        "Pass an id. Nothing was started."
    )
    assert trigger._ids(look({8: "Orders"})) == [7, 8, 9]
    # It stays the same monitor.
    assert trigger._ids(look({8: "renamed"})) == [7, 8, 9]


def test_a_name_without_a_monitor_is_told_again_only_if_that_changes(alert_log: Log) -> None:
    trigger = make(["orders"])
    other, orders, twice = {1: "other"}, {8: "orders"}, {8: "orders", 9: "orders"}
    told = []
    for names in (other, other, {1: "other", 2: "else"}, twice, twice, orders, other, other):
        before = len(alert_log.warnings)
        trigger._ids(look(names))
        told.append(len(alert_log.warnings) - before)
    assert told == [1, 0, 0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("host", "names", "ids"),
    [
        (HOST, {9: "other"}, [8]),
        # It was deleted, and created again.
        (HOST, {9: "other", 12: "orders"}, [12]),
        (OTHER_HOST, {8: "other", 9: "orders"}, [9]),
    ],
)
def test_a_name_is_looked_up_again(host: str, names: dict[int, str], ids: list[int]) -> None:
    trigger = make(["orders"])
    assert trigger._ids(look({8: "orders"})) == [8]
    assert trigger._ids(look(names, host)) == ids


def test_triggers_of_a_connection_share_a_poll() -> None:
    assert make([1]).shared_stream_key() == make([2]).shared_stream_key()
    assert make([1]).shared_stream_key() != make([1], datafold_conn_id="x").shared_stream_key()
    assert make([1]).shared_stream_key() != make([1], poll_interval=9).shared_stream_key()


@pytest.mark.parametrize(
    ("ids", "more", "text"),
    [
        ("7", {}, "monitor_ids: must be a list of ids"),
        ([], {}, "monitor_ids: must name at least one monitor"),
        ([0], {}, r"monitor_ids\[0\]: must be a positive integer"),
        ([7], {"poll_interval": 0}, "poll_interval: must be a number above 0"),
    ],
)
def test_wrong_arguments_are_named(ids: Any, more: dict[str, Any], text: str) -> None:
    with pytest.raises(DatafoldInputError, match=text):
        make(ids, **more)


# What it asks for, reports and keeps.


def test_runs_are_read_only_if_there_may_be_an_alert(world: World, alert_log: Log) -> None:
    service = world.service
    service.end(12)
    assert world.watch(nothing, nothing, nothing, lambda: service.end(13)) == [13]
    # Twice, as the list of runs may be behind.
    twice = [LIST, RUNS, LIST, RUNS]
    assert service.requests == [*twice, LIST, *twice, LIST, LIST]
    assert [text for text in alert_log.messages if "onitor 7" in text] == [
        "Watching monitor 7: reporting alerts of runs that end from now on.",
        "Monitor 7 alerts in run 13.",
    ]


def test_an_alert_is_kept_as_reported_three_seconds_after_the_event(world: World) -> None:
    # Until then, a triggerer that is killed reports it again. And events that come sooner than
    # three seconds after each other would wait for a later run of the DAG.
    store = world.store = Store()
    store.kept = kept(1)
    world.service.end(1, 2, 3)
    assert world.watch(polls_after=1) == [2, 3]
    assert world.slept == [(3.0, 0), (3.0, 1)]
    assert store.kept == kept(1, 2, 3)


def test_without_a_store_nothing_is_kept(world: World, alert_log: Log) -> None:
    world.store = None
    service = world.service
    service.end(1)
    assert world.watch(nothing, lambda: service.end(2)) == [2]
    service.end(3)
    assert world.watch() == []
    assert alert_log.warnings == []
    assert "The asset has no store" in alert_log.text


def test_two_assets_with_one_trigger_have_no_store(world: World, alert_log: Log) -> None:
    store = world.store = Store()
    store.read_errors = [ValueError("Task has 2 concrete inlets and outlets")]
    service = world.service
    assert world.watch(nothing, lambda: service.end(1)) == [1]
    (warning,) = alert_log.warnings
    assert "no usable store (ValueError)" in warning
    assert store.kept == {}


def test_it_runs_alone_where_airflow_shares_no_poll(connections: None, sandbox: Any) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert", {"diff_id": 9})
    with DatafoldHook() as hook:
        reported, new = (hook.run_monitor(3)["run_id"] for _ in range(2))
    trigger = make(["orders keep their columns"])
    trigger.asset_state_store = store = Store()
    store.kept = kept(reported, monitor_id=3, host=sandbox.url)

    async def first() -> Any:
        return await anext(trigger.run())

    payload = {"monitor_id": 3, "run_id": new, "diff_id": 9}
    assert asyncio.run(first()).payload == payload


# The list of monitors.


def first_look() -> Any:
    async def first() -> Any:
        return await anext(make().open_shared_stream(make().serialize()[1]))

    return asyncio.run(first())


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        (
            [
                {"monitors": [{"id": 1, "last_alert": "a"}, "odd", {"id": "2"}], "total_pages": 2},
                # More were added meanwhile.
                {"monitors": [{"id": 3}], "total_pages": 9},
                {"monitors": [], "total_pages": 9},
            ],
            [1, 3],
        ),
        # It repeats its pages.
        ([{"monitors": [{"id": 1}], "total_pages": 10**9}] * 2, [1]),
    ],
)
def test_all_pages_of_the_monitors_are_read(world: World, pages: list[Any], found: Any) -> None:
    world.service.answers = [*pages]
    assert [*first_look().monitors] == found
    asked = [{**LIST, "page": page} for page in range(1, len(pages) + 1)]
    assert world.service.requests == asked


def test_a_list_of_monitors_without_an_end(
    world: World, monkeypatch: pytest.MonkeyPatch, alert_log: Log
) -> None:
    monkeypatch.setattr(monitors, "_MOST_PAGES", 3)
    endless = [{"monitors": [{"id": id_}], "total_pages": 10**9} for id_ in range(3)]
    world.service.answers = [*endless, {"monitors": [{"id": 7}], "total_pages": 1}]
    assert [*first_look().monitors] == [7]
    assert alert_log.warnings == [
        "Could not list the monitors: the list has not ended after 3 pages."
    ]


def test_what_a_look_at_the_list_gives(connections: None, sandbox: Any) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert")
    with DatafoldHook() as hook:
        run_id = hook.run_monitor(4)["run_id"]
    sandbox.state.requests.clear()
    alerted = sandbox.state.monitors.runs[run_id]["started_at"]
    found = first_look()
    assert [*found.monitors] == [1, 2, 3, 4]
    assert found.shown(4) == (sandbox.url, alerted, alerted, "alert")
    (request,) = sandbox.state.requests
    assert request.path == "/api/v1/monitors"
    assert request.headers["user-agent"] == f"airflow-provider-datafold/{__version__}"


# No alert is lost, whatever hosts, the store and errors do. Runs: tests/jobs/test_alerts.py.


def test_a_host_that_changes_between_two_requests(
    world: World, alert_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.service, Service()
    second.end(3)
    answer = first.answer

    def then_move(*args: Any, **values: Any) -> Any:
        found = answer(*args, **values)
        world.host, world.service = OTHER_HOST, second
        return found

    monkeypatch.setattr(first, "answer", then_move)
    assert world.watch(nothing, nothing, lambda: second.end(4)) == [4]
    assert alert_log.warnings == [
        "Could not look for alerts of monitor 7: the connection has another host since the last "
        "poll. Trying again at the next poll."
    ]


def test_a_store_that_fails_once_at_the_start(world: World) -> None:
    service, store = world.service, world.store
    service.end(1)
    world.watch()
    service.end(2)
    store.read_errors = [RuntimeError("down")]
    assert world.watch() == [2]
    assert world.watch() == []


def test_a_store_that_stays_unreadable_is_not_overwritten(world: World, alert_log: Log) -> None:
    service, store = world.service, world.store
    service.end(1)
    world.watch()
    service.end(2)
    store.read_errors = [RuntimeError("a secret")] * 9
    assert world.watch(*[nothing] * 9, polls_after=0) == []
    assert {*alert_log.warnings} == {
        "Could not look for alerts of monitor 7: RuntimeError. Trying again at the next poll."
    }
    assert world.watch() == [2]


def test_a_store_that_cannot_be_written_for_a_while(world: World, alert_log: Log) -> None:
    service, store = world.service, world.store
    store.write_errors = [RuntimeError("a secret")] * 3
    assert world.watch(nothing, nothing, lambda: service.end(1)) == [1]
    (warning,) = alert_log.warnings
    assert "Could not store which alerts were reported (RuntimeError)" in warning
    assert world.watch() == []
    assert "secret" not in alert_log.text


def test_of_too_many_runs_in_a_restart_the_newest_count(world: World) -> None:
    service = world.service
    service.end(1, state="ok")
    world.watch()
    service.end(*range(2, 300), state="ok")
    service.end(100, 250)
    assert world.watch() == [250]


def test_a_monitor_that_is_not_there_is_an_error_in_the_log(
    world: World, alert_log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    service = world.service
    service.end(1)
    service.lists = {"id": 8}
    assert world.watch(nothing, nothing, service.lists.clear, lambda: service.end(2)) == [2]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == [
        "There is no monitor 7 in the list of monitors of the connection 'datafold_default': no "
        "alert of it is reported. Check monitor_ids."
    ]
    assert [each["path"] for each in service.requests[:3]] == [LIST["path"]] * 3


TROUBLE: list[Any] = [
    {"runs": None, "total_pages": 1},
    {"monitors": [], "total_pages": None},
    TypeError("a secret"),
    DatafoldServerError("503: not now"),
    # A key that is wrong for some time.
    DatafoldAuthenticationError("401"),
]


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("at_the_list", [True, False])
def test_trouble_that_ends_nothing(
    world: World, alert_log: Log, trouble: Any, at_the_list: bool
) -> None:
    service = world.service
    service.end(1)

    def happen() -> None:
        service.end(2)
        good = {"monitors": [{"id": 7, "last_alert": "2030-01-01"}], "total_pages": 1}
        service.answers = [trouble] if at_the_list else [good, trouble]

    assert world.watch(nothing, happen) == [2]
    (warning,) = alert_log.warnings
    what = "list the monitors" if at_the_list else "look for alerts of monitor 7"
    assert warning.startswith(f"Could not {what}: ")
    assert "secret" not in alert_log.text


# A monitor whose runs cannot be read holds up the alerts of no other.

STALLS, WORKS = 1, 2
OLD, NEW = "2024-01-01T00:01:00+00:00", "2024-01-01T00:02:00+00:00"


class Stalling:
    """Two monitors; the runs of one of them cannot be read while it stalls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stalled = asyncio.Event()
        self.readings = 0
        """Of the first monitor's runs."""
        self.newest = {STALLS: 1, WORKS: 1}

        async def fetch(conn_id: str) -> Settings:
            return Settings(conn_id, HOST, Secret("key"))

        async def call(client: Any, operation: Any, **values: Any) -> Any:
            assert operation is api.LIST_RUNS
            monitor_id = values["monitor_id"]
            if monitor_id == STALLS:
                self.readings += 1
                await self.stalled.wait()
            newest = self.newest[monitor_id]
            run = {"run_id": newest, "state": "alert", "started_at": OLD if newest == 1 else NEW}
            return {"runs": [run], "total_pages": 1}

        monkeypatch.setattr(monitors, "fetch_settings_async", fetch)
        monkeypatch.setattr(AsyncClient, "call", call)
        self.stalled.set()

    def alert(self, monitor_id: int) -> None:
        self.newest[monitor_id] += 1

    def look(self) -> Any:
        alerted = {id_: {"last_alert": OLD if n == 1 else NEW} for id_, n in self.newest.items()}
        return monitors.Look(HOST, alerted)


@pytest.fixture
def stalling(monkeypatch: pytest.MonkeyPatch, alert_log: Log) -> Stalling:
    monkeypatch.setattr(monitors, "_WRITE_AFTER", 0.0)
    monkeypatch.setattr(monitors, "_PATIENCE", 0.05)
    return Stalling(monkeypatch)


class Watch:
    """A trigger that gets the looks which a test gives it."""

    def __init__(self) -> None:
        self.reported: list[tuple[int, int]] = []
        self._looks: asyncio.Queue[Any] = asyncio.Queue()
        self._wants_more = asyncio.Event()
        self._trigger = make([STALLS, WORKS])

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def see(self, *looks: Any) -> None:
        """Give it some looks, and wait until it asks for another one."""
        self._wants_more.clear()
        for look in looks:
            self._looks.put_nowait(look)
        await asyncio.wait_for(self._wants_more.wait(), 20.0)

    async def _follow(self) -> None:
        async for event in self._trigger.filter_shared_stream(self._stream()):
            self.reported.append((event.payload["monitor_id"], event.payload["run_id"]))

    async def _stream(self) -> AsyncIterator[Any]:
        while True:
            if self._looks.empty():
                self._wants_more.set()
            yield await self._looks.get()


def test_a_monitor_that_stalls_holds_up_no_other(stalling: Stalling) -> None:
    async def watch() -> None:
        async with Watch() as found:
            await found.see(stalling.look(), stalling.look())
            stalling.stalled.clear()
            stalling.alert(STALLS)
            await found.see(stalling.look())
            stalling.alert(WORKS)
            await found.see(stalling.look())
            assert found.reported == [(WORKS, 2)]
            # It is not read again meanwhile, and its alert is reported when that is done.
            assert stalling.readings == 3
            stalling.stalled.set()
            await found.see(stalling.look())
            assert found.reported == [(WORKS, 2), (STALLS, 2)]

    asyncio.run(watch())


def test_what_is_read_ends_with_the_trigger(stalling: Stalling) -> None:
    async def watch() -> set[Any]:
        stalling.stalled.clear()
        async with Watch() as found:
            await found.see(stalling.look())
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(watch()) == set()
