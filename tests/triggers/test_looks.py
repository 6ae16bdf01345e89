"""What the trigger for alerts asks for, reports and keeps.

tests/triggers/test_lost_alerts.py is about what goes wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import monitors as api
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.alerts import Cursor, Look, Progress
from dev.sandbox.course import Course
from tests.alerts import HOST, OTHER_HOST, Store, World, nothing
from tests.conftest import API_KEY, Log
from tests.waits import defaults

try:
    from airflow_provider_datafold.jobs.alert_store import AlertStore
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    pytest.skip("Airflow watches assets from 3.0 on", allow_module_level=True)

LIST = {
    "path": api.LIST.path,
    "page": 1,
    "page_size": 100,
    "order_by": "id",
    "sort_order": "asc",
}
RUNS = {"path": api.LIST_RUNS.path, "monitor_id": 7, "page": 1, "page_size": 100}
OLD = 12


def make(ids: Any = (7,), **more: Any) -> Any:
    return monitors.DatafoldMonitorAlertTrigger(ids, **more)


def kept(newest: int, *pending: int) -> Any:
    progress = {"newest": newest, "pending": [*pending]}
    return {"datafold_reported_runs_datafold_default_7": {HOST: progress}}


def test_runs_are_read_only_if_there_may_be_an_alert(world: World, alert_log: Log) -> None:
    service = world.service
    service.end(OLD)
    assert world.watch(nothing, nothing, nothing, lambda: service.end(OLD + 1)) == [OLD + 1]
    assert service.requests == [LIST, RUNS, LIST, LIST, LIST, RUNS, LIST, LIST, LIST]
    assert [text for text in alert_log.messages if "onitor 7" in text] == [
        "Watching monitor 7: reporting alerts of runs that end from now on.",
        "Monitor 7 alerts in run 13.",
    ]


def test_the_first_look_follows_the_runs_of_the_newest_page(world: World) -> None:
    service = world.service
    service.start(1)
    service.end(*range(2, 150), state="ok")
    service.start(150)
    assert world.watch(nothing, lambda: service.end(1, 150)) == [150]


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
    assert store.kept == kept(3)


def test_an_alert_that_was_not_kept_as_reported_is_reported_again(world: World) -> None:
    store = world.store = Store()
    store.kept = kept(3, 2)
    world.service.end(1, 2, 3)
    assert world.watch() == [2]
    assert store.kept == kept(3)


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


def test_two_watchers_of_one_asset_share_its_store() -> None:
    store = Store()
    cursors = {
        ("classic", 7): Cursor({HOST: Progress(1)}),
        ("classic", 8): Cursor({HOST: Progress(2)}),
        # Another account's monitor 7.
        ("current", 7): Cursor({OTHER_HOST: Progress(3)}),
    }

    def make_store(conn_id: str) -> AlertStore:
        return AlertStore(store, conn_id, logging.getLogger())

    async def keep() -> list[Any]:
        # All begin before any has something to keep.
        watchers = {watched: make_store(watched[0]) for watched in cursors}
        for (_, monitor_id), watcher in watchers.items():
            await watcher.load(monitor_id)
        for watched, watcher in watchers.items():
            await watcher.keep(watched[1], cursors[watched])
        return [await make_store(conn_id).load(monitor_id) for conn_id, monitor_id in cursors]

    assert asyncio.run(keep()) == [*cursors.values()]


def test_all_pages_of_the_monitors_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [
        {"monitors": [{"id": 1, "last_alert": "a"}, "odd", {"id": "2"}], "total_pages": 2},
        # More were added meanwhile.
        {"monitors": [{"id": 3}], "total_pages": 9},
        {"monitors": [], "total_pages": 9},
    ]
    world.service.answers = [*pages]

    async def first() -> Any:
        return await anext(make().open_shared_stream(make().serialize()[1]))

    assert asyncio.run(first()) == Look(HOST, {1: "a", 3: None}, 0)
    assert world.service.requests == [{**LIST, "page": page} for page in (1, 2, 3)]


def test_a_list_of_monitors_that_repeats_its_pages_has_an_end(world: World) -> None:
    world.service.answers = [{"monitors": [{"id": 1}], "total_pages": 10**9} for _ in range(9)]

    async def first() -> Any:
        return await anext(make().open_shared_stream(make().serialize()[1]))

    assert asyncio.run(first()) == Look(HOST, {1: None}, 0)
    assert len(world.service.requests) == 2


def test_a_list_of_monitors_without_an_end(
    world: World, monkeypatch: pytest.MonkeyPatch, alert_log: Log
) -> None:
    monkeypatch.setattr(monitors, "_MOST_PAGES", 3)
    endless = [{"monitors": [{"id": id_}], "total_pages": 10**9} for id_ in range(3)]
    world.service.answers = [*endless, {"monitors": [{"id": 7}], "total_pages": 1}]

    async def first() -> Any:
        return await anext(make().open_shared_stream(make().serialize()[1]))

    assert asyncio.run(first()) == Look(HOST, {7: None}, 0)
    assert alert_log.warnings == [
        "Could not list the monitors: the list has not ended after 3 pages."
    ]


def test_what_each_look_at_the_list_gives(
    connections: None,
    sandbox: Any,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    alert_log: Log,
) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert")
    with DatafoldHook() as hook:
        run_id = hook.run_monitor(4)["run_id"]
    sandbox.state.requests.clear()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 2:
            raise asyncio.CancelledError
        # A key that is wrong for some time does not end the watch.
        connect("datafold_default", host=sandbox.url, password=API_KEY)

    monkeypatch.setattr(monitors, "asyncio", SimpleNamespace(sleep=sleep))

    async def two() -> list[Any]:
        connect("datafold_default", host=sandbox.url, password="another")
        stream = make().open_shared_stream(make(poll_interval=30).serialize()[1])
        return [await anext(stream), await anext(stream)]

    first, second = asyncio.run(two())
    alerted = sandbox.state.monitors.runs[run_id]["started_at"]
    assert first == second
    assert first == Look(sandbox.url, {**dict.fromkeys((1, 2, 3)), 4: alerted}, 0)
    assert slept == [30.0, 30.0]
    (warning,) = alert_log.warnings
    assert warning.startswith("Could not list the monitors: 401")
    agents = {seen.headers["user-agent"] for seen in sandbox.state.requests}
    assert agents == {f"airflow-provider-datafold/{__version__}"}
    assert {seen.path for seen in sandbox.state.requests} == {"/api/v1/monitors"}


def test_it_runs_alone_where_airflow_shares_no_poll(world: World) -> None:
    trigger = make()
    trigger.asset_state_store = store = Store()
    store.kept = kept(1)
    world.service.end(1, 2)

    async def first() -> Any:
        return await anext(trigger.run())

    payload = {"monitor_id": 7, "run_id": 2, "diff_id": None}
    assert asyncio.run(first()).payload == payload


def test_its_defaults() -> None:
    assert defaults(monitors.DatafoldMonitorAlertTrigger) == {
        "datafold_conn_id": "datafold_default",
        "poll_interval": 60.0,
    }
