"""The trigger that fires for the alerts of monitors."""

from __future__ import annotations

import asyncio
import logging
import time
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
from airflow_provider_datafold.jobs.alerts import Listed, Look
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


def kept(newest: int, *pending: int, monitor_id: int = 7, host: str = HOST, seen: Any = ()) -> Any:
    """What a store holds of a monitor."""
    progress = {"floor": newest, "pending": [*pending], "seen": [*seen], "last_alert": None}
    return {f"datafold_reported_runs_datafold_default_{monitor_id}": {host: progress}}


# What it is given.


def test_a_name_is_watched_as_soon_as_a_monitor_has_it(alert_log: Log) -> None:
    trigger = make(["orders", 9, "7"])
    assert trigger.serialize()[1]["monitor_ids"] == [7, 9, "orders"]
    look = Look(HOST, {}, 0.0, {1: "Order", 7: None})
    assert trigger._ids(look) == [7, 9]
    (warning,) = alert_log.warnings
    assert warning == (
        "Not watched: monitor_ids: no monitor is called 'orders'; did you mean 'Order' (id 1)? "
        "Pass an id. Nothing was started."
    )
    assert trigger._ids(Look(HOST, {}, 1.0, {8: "Orders"})) == [7, 8, 9]
    # It stays the same monitor.
    assert trigger._ids(Look(HOST, {}, 2.0, {8: "renamed"})) == [7, 8, 9]


def test_a_name_without_a_monitor_is_told_again_only_if_that_changes(alert_log: Log) -> None:
    trigger = make(["orders"])
    other, orders, twice = {1: "other"}, {8: "orders"}, {8: "orders", 9: "orders"}
    told = []
    for names in (other, other, {1: "other", 2: "else"}, twice, twice, orders, other, other):
        before = len(alert_log.warnings)
        trigger._ids(Look(HOST, {}, 0.0, names))
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
    assert trigger._ids(Look(HOST, {}, 0.0, {8: "orders"})) == [8]
    assert trigger._ids(Look(host, {}, 1.0, names)) == ids


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
    assert service.requests == [LIST, RUNS, LIST, LIST, LIST, RUNS, LIST, LIST, LIST]
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
    # The first write is that there are two to be reported.
    assert world.slept == [(3.0, 1), (3.0, 2)]
    assert store.writes == 3
    assert store.kept == kept(1, seen=[2, 3])


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


def first_look() -> Look:
    async def first() -> Look:
        look: Look = await anext(make().open_shared_stream(make().serialize()[1]))
        return look

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
            {1: Listed("a"), 3: Listed()},
        ),
        # It repeats its pages.
        ([{"monitors": [{"id": 1}], "total_pages": 10**9}] * 2, {1: Listed()}),
    ],
)
def test_all_pages_of_the_monitors_are_read(world: World, pages: list[Any], found: Any) -> None:
    world.service.answers = [*pages]
    assert first_look() == Look(HOST, found, 0)
    asked = [{**LIST, "page": page} for page in range(1, len(pages) + 1)]
    assert world.service.requests == asked


def test_a_list_of_monitors_without_an_end(
    world: World, monkeypatch: pytest.MonkeyPatch, alert_log: Log
) -> None:
    monkeypatch.setattr(monitors, "_MOST_PAGES", 3)
    endless = [{"monitors": [{"id": id_}], "total_pages": 10**9} for id_ in range(3)]
    world.service.answers = [*endless, {"monitors": [{"id": 7}], "total_pages": 1}]
    assert first_look() == Look(HOST, {7: Listed()}, 0)
    assert alert_log.warnings == [
        "Could not list the monitors: the list has not ended after 3 pages."
    ]


def test_what_a_look_at_the_list_gives(connections: None, sandbox: Any) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert")
    with DatafoldHook() as hook:
        run_id = hook.run_monitor(4)["run_id"]
    sandbox.state.requests.clear()
    alerted = sandbox.state.monitors.runs[run_id]["started_at"]
    seen = {**dict.fromkeys((1, 2, 3), Listed()), 4: Listed(alerted, alerted, "alert")}
    assert first_look() == Look(sandbox.url, seen, 0)
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
        "Could not read the runs of monitor 7: the connection has another host since the last poll."
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
    store.read_errors = [RuntimeError("a secret")] * 99
    # It reports nothing for ten minutes, then what comes.
    assert world.watch(*[nothing] * 12, lambda: service.end(3)) == [3]
    first, last = alert_log.warnings
    assert "Could not read which alerts of monitor 7 were reported (RuntimeError)" in first
    assert "for 10 minutes" in first
    assert "Still cannot read which alerts of monitor 7 were reported (RuntimeError)" in last
    assert "secret" not in alert_log.text
    store.read_errors = []
    assert world.watch() == [2, 3]


def test_a_store_that_cannot_be_written_for_a_while(world: World, alert_log: Log) -> None:
    service, store = world.service, world.store
    store.write_errors = [RuntimeError("a secret")] * 3
    assert world.watch(nothing, nothing, lambda: service.end(1)) == [1]
    (warning,) = alert_log.warnings
    assert "Could not store which alerts were reported (RuntimeError)" in warning
    assert world.watch() == []
    assert "secret" not in alert_log.text


def test_too_many_runs_in_a_restart(world: World, alert_log: Log) -> None:
    service = world.service
    service.end(1, state="ok")
    service.start(2)
    world.watch()
    service.end(*range(3, 2000), state="ok")
    service.end(500, 1500)
    assert world.watch() == [1500]
    cut, open_run = alert_log.warnings
    assert cut == (
        "Monitor 7 has more than 1000 runs since run 2. Alerts of those before run 1000 are not "
        "reported."
    )
    assert open_run == (
        "Run 2 of monitor 7 had not ended, and is no longer among its last 1000 runs. An alert of "
        "this run is not reported."
    )
    assert world.watch(lambda: service.end(2000)) == [2000]


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
    what = "list the monitors" if at_the_list else "read the runs of monitor 7"
    assert warning.startswith(f"Could not {what}: ")
    assert "secret" not in alert_log.text


# A monitor whose runs cannot be read holds up the alerts of no other.

STALLS, WORKS = 1, 2
OLD, NEW = "2024-01-01T00:01:00+00:00", "2024-01-01T00:02:00+00:00"


class Stalling:
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
        alerted = {id_: Listed(OLD if n == 1 else NEW) for id_, n in self.newest.items()}
        return Look(HOST, alerted, time.monotonic() - age)


@pytest.fixture
def stalling(monkeypatch: pytest.MonkeyPatch, alert_log: Log) -> Stalling:
    monkeypatch.setattr(monitors, "_WRITE_AFTER", 0.0)
    monkeypatch.setattr(monitors, "_PATIENCE", 0.05)
    return Stalling(monkeypatch)


class Watch:
    """A trigger that gets the looks which a test gives it."""

    def __init__(self) -> None:
        self.reported: list[tuple[int, int]] = []
        self._looks: asyncio.Queue[Look] = asyncio.Queue()
        self._wants_more = asyncio.Event()
        self._trigger = make([STALLS, WORKS])

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def see(self, *looks: Look) -> None:
        """Give it some looks, and wait until it asks for another one."""
        self._wants_more.clear()
        for look in looks:
            self._looks.put_nowait(look)
        await asyncio.wait_for(self._wants_more.wait(), 20.0)

    async def _follow(self) -> None:
        async for event in self._trigger.filter_shared_stream(self._stream()):
            self.reported.append((event.payload["monitor_id"], event.payload["run_id"]))

    async def _stream(self) -> AsyncIterator[Look]:
        while True:
            if self._looks.empty():
                self._wants_more.set()
            yield await self._looks.get()


def test_a_monitor_that_stalls_holds_up_no_other(stalling: Stalling) -> None:
    async def watch() -> None:
        async with Watch() as found:
            await found.see(stalling.look())
            stalling.stalled.clear()
            stalling.alert(STALLS)
            await found.see(stalling.look())
            stalling.alert(WORKS)
            await found.see(stalling.look())
            assert found.reported == [(WORKS, 2)]
            # It is not read again meanwhile, and its alert is reported when that is done.
            assert len(stalling.retries) == 2
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


def test_only_the_newest_look_counts(stalling: Stalling) -> None:
    async def watch() -> None:
        async with Watch() as found:
            await found.see(stalling.look())
            stalling.alert(WORKS)
            # While it reported something, others came.
            await found.see(stalling.look(age=120.0), stalling.look(age=61.0))
            assert found.reported == []
            await found.see(stalling.look(age=59.0))
            assert found.reported == [(WORKS, 2)]

    asyncio.run(watch())


def test_a_monitor_that_fails_is_read_without_retries_from_then_on(stalling: Stalling) -> None:
    async def watch() -> None:
        stalling.fails = {STALLS}
        async with Watch() as found:
            await found.see(stalling.look())
            # The service asked for five seconds.
            await found.see(stalling.look())
            assert len(stalling.retries) == 1
            stalling.alert(STALLS)
            await found.see(stalling.look())
            stalling.fails = set()
            stalling.newest[STALLS] = 1
            await found.see(stalling.look())
            stalling.alert(STALLS)
            await found.see(stalling.look())
            assert found.reported == [(STALLS, 2)]

    asyncio.run(watch())
    first, second, third, last = stalling.retries
    assert (second, third) == (0, 0)
    assert first == last > 0
