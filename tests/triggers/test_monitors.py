"""The trigger that fires for the alerts of monitors, against the sandbox."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import time
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from dev.sandbox.course import Course, Step
from tests import documents
from tests.conftest import ROOT
from tests.test_data_diffs_page import default

try:
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    monitors = None  # type: ignore[assignment]

needs_events = pytest.mark.skipif(monitors is None, reason="Airflow watches assets from 3.0 on")

ALERT = Course((), "alert", {"diff_id": 9})
OK = Course((), "ok")
INTERVAL = 0.05


class Store:
    """An asset's store, as Airflow passes it to a trigger."""

    def __init__(self, kept: Any = None, error: Exception | None = None) -> None:
        self.kept = kept
        self.error = error
        self.notes: list[Any] = []
        self.keys: set[str] = set()

    async def aget(self, key: str) -> Any:
        self.keys.add(key)
        if self.error:
            raise self.error
        return self.kept

    async def aset(self, key: str, value: Any) -> None:
        self.keys.add(key)
        if self.error:
            raise self.error
        self.kept = value
        self.notes.append(value)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch, connections: None) -> None:
    if monitors is not None:
        monkeypatch.setattr(monitors, "_WRITE_AFTER", 0.1)


@pytest.fixture
def start_run(sandbox: Any) -> Callable[..., int]:
    """Start a run of a monitor, as its schedule would."""
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

    def start(monitor_id: int, course: Course = ALERT) -> int:
        sandbox.state.monitors.courses.coming.append(course)
        with DatafoldHook() as hook:
            return int(hook.run_monitor(monitor_id)["run_id"])

    return start


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come about")


class Watch:
    """A trigger that runs, and what it has fired."""

    def __init__(self, trigger: Any, events: AsyncIterator[Any] | None = None) -> None:
        self.trigger = trigger
        self.events: list[Any] = []
        self._stream = trigger.run() if events is None else events

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._collect())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _collect(self) -> None:
        async for event in self._stream:
            self.events.append(event.payload)


def polls(sandbox: Any) -> int:
    return sum(request.path == "/api/v1/monitors" for request in sandbox.state.requests)


def make(ids: Any = (1,), **more: Any) -> Any:
    return monitors.DatafoldMonitorAlertTrigger(ids, **{"poll_interval": INTERVAL, **more})


@needs_events
def test_alert_is_told_once(sandbox: Any, start_run: Callable[..., int]) -> None:
    start_run(1)  # It is over when the watch begins.

    async def watch() -> list[Any]:
        async with Watch(make([2, "1", 1])) as found:
            await until(lambda: polls(sandbox) >= 3)
            first = await asyncio.to_thread(start_run, 1)
            await asyncio.to_thread(start_run, 1, OK)
            await asyncio.to_thread(start_run, 3)  # Nobody watches it.
            await until(lambda: len(found.events) == 1)
            second = await asyncio.to_thread(start_run, 2)
            await until(lambda: len(found.events) == 2)
            seen = polls(sandbox)
            await until(lambda: polls(sandbox) >= seen + 4)
        assert [event["run_id"] for event in found.events] == [first, second]
        return found.events

    events = asyncio.run(watch())
    assert events[0] == {"monitor_id": 1, "run_id": events[0]["run_id"], "diff_id": 9}


@needs_events
def test_run_that_goes_on_at_the_start_is_told_when_it_alerts(
    sandbox: Any, start_run: Callable[..., int]
) -> None:
    run_id = start_run(1, Course((Step("checking"),), "alert"))

    async def watch() -> None:
        async with Watch(make()) as found:
            await until(lambda: polls(sandbox) >= 3)
            assert found.events == []
            with sandbox.state.lock:
                job = sandbox.state.monitors.jobs[run_id]
                job.read()
                job.read()
            await until(lambda: len(found.events) == 1)

    asyncio.run(watch())


@needs_events
def test_runs_are_read_only_where_an_alert_is_new(
    sandbox: Any, start_run: Callable[..., int]
) -> None:
    async def watch() -> None:
        async with Watch(make([1, 2])) as found:
            await until(lambda: polls(sandbox) >= 5)
            await asyncio.to_thread(start_run, 2)
            await until(lambda: len(found.events) == 1)
            seen = polls(sandbox)
            await until(lambda: polls(sandbox) >= seen + 4)

    asyncio.run(watch())
    read = [request.path for request in sandbox.state.requests if request.path.endswith("/runs")]
    assert read == [
        "/api/v1/monitors/1/runs",
        "/api/v1/monitors/2/runs",
        "/api/v1/monitors/2/runs",
    ]


@needs_events
def test_alert_in_a_restart_is_told_afterwards(sandbox: Any, start_run: Callable[..., int]) -> None:
    store = Store()

    async def watch(count: int) -> list[Any]:
        trigger = make()
        trigger.asset_state_store = store
        async with Watch(trigger) as found:
            await until(lambda: len(found.events) == count and store.kept is not None)
            await asyncio.sleep(0.3)
        return [event["run_id"] for event in found.events]

    assert asyncio.run(watch(0)) == []
    missed = [start_run(1), start_run(1)]
    assert asyncio.run(watch(2)) == missed
    assert store.kept == {"1": missed[-1]}
    assert asyncio.run(watch(0)) == []
    assert store.keys == {"datafold_told_runs"}


@needs_events
def test_alerts_at_the_same_time_are_told_and_noted_one_after_the_other(
    sandbox: Any, start_run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitors, "_WRITE_AFTER", 0.4)
    # Airflow's scheduler would leave all except the first of them to a later run of the DAG.
    trigger = make([1, 2])
    trigger.asset_state_store = store = Store({"1": 0, "2": 0})
    first, second, third = start_run(1), start_run(2), start_run(1)
    moments: list[float] = []

    async def watch() -> None:
        async with Watch(trigger) as found:
            for count in (1, 2, 3):
                await until(lambda count=count: len(found.events) == count)  # type: ignore[misc]
                moments.append(time.monotonic())
            await until(lambda: len(store.notes) == 3)

    asyncio.run(watch())
    assert store.notes == [{"1": first, "2": 0}, {"1": third, "2": 0}, {"1": third, "2": second}]
    assert min(moments[1] - moments[0], moments[2] - moments[1]) > 0.3


@needs_events
def test_unusable_store_is_warned_of_once(
    sandbox: Any, start_run: Callable[..., int], log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = make()
    warnings: list[str] = []
    monkeypatch.setattr(trigger.log, "warning", lambda text, *args: warnings.append(text % args))
    trigger.asset_state_store = Store(error=ValueError("two assets"))

    async def watch() -> None:
        async with Watch(trigger) as found:
            await until(lambda: polls(sandbox) >= 3)
            await asyncio.to_thread(start_run, 1)
            await until(lambda: len(found.events) == 1)
            await asyncio.sleep(0.3)

    asyncio.run(watch())
    assert len(warnings) == 1
    assert "no usable store (ValueError)" in warnings[0]


@needs_events
def test_faults_end_nothing(
    sandbox: Any, start_run: Callable[..., int], connect: Callable[..., None]
) -> None:
    from tests.conftest import API_KEY

    async def watch() -> None:
        async with Watch(make()) as found:
            await until(lambda: polls(sandbox) >= 2)
            connect("datafold_default", host=sandbox.url, password="another")
            seen = polls(sandbox)
            await until(lambda: polls(sandbox) >= seen + 2)
            connect("datafold_default", host=sandbox.url, password=API_KEY)
            await asyncio.to_thread(start_run, 1)
            await until(lambda: len(found.events) == 1)

    asyncio.run(watch())


@needs_events
def test_list_that_is_ahead_of_the_runs_is_looked_at_twice(
    sandbox: Any, start_run: Callable[..., int]
) -> None:
    trigger = make()
    run_id = start_run(1)
    trigger.asset_state_store = Store({"1": run_id - 1})
    read: list[int] = []
    runs = trigger._runs

    async def late(monitor_id: int) -> Any:
        read.append(monitor_id)
        return [] if len(read) == 1 else await runs(monitor_id)

    trigger._runs = late

    async def watch() -> None:
        async with Watch(trigger) as found:
            await until(lambda: len(found.events) == 1)
            seen = polls(sandbox)
            await until(lambda: polls(sandbox) >= seen + 3)

    asyncio.run(watch())
    assert read == [1, 1]


@needs_events
def test_newest_run_is_found_at_both_ends_of_the_list(
    sandbox: Any, start_run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitors, "_PAGE_SIZE", 2)
    started = [start_run(1) for _ in range(5)]

    found = asyncio.run(make()._runs(1))
    assert {started[0], started[-1]} <= {run["run_id"] for run in found}


@needs_events
def test_all_pages_of_monitors_are_read(
    sandbox: Any, start_run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitors, "_PAGE_SIZE", 2)
    start_run(4)

    async def first() -> Any:
        stream = monitors.DatafoldMonitorAlertTrigger.open_shared_stream(make().serialize()[1])
        return await anext(stream)

    seen = asyncio.run(first())
    assert set(seen) == set(sandbox.state.monitors.monitors)
    assert [number for number, last in seen.items() if last] == [4]


@needs_events
def test_what_lives_in_databases() -> None:
    classpath, kwargs = make([8, "7"]).serialize()
    assert classpath == "airflow_provider_datafold.triggers.monitors.DatafoldMonitorAlertTrigger"
    assert kwargs == {
        "monitor_ids": [7, 8],
        "datafold_conn_id": "datafold_default",
        "poll_interval": INTERVAL,
    }
    assert make(**kwargs | {"ids": kwargs.pop("monitor_ids")}).serialize()[1]["monitor_ids"] == [
        7,
        8,
    ]


@needs_events
def test_page_names_each_argument() -> None:
    parameters = inspect.signature(monitors.DatafoldMonitorAlertTrigger).parameters
    page = ROOT / "docs" / "monitors.md"
    rows = documents.rows(documents.section(page, "Start a DAG when a monitor alerts"))
    assert [row[:2] for row in rows if row[0].strip("`") in parameters] == [
        [f"`{name}`", default(parameter)] for name, parameter in parameters.items()
    ]


@needs_events
def test_triggers_of_a_connection_share_a_poll() -> None:
    assert make([1]).shared_stream_key() == make([2]).shared_stream_key()
    assert make([1]).shared_stream_key() != make([1], datafold_conn_id="x").shared_stream_key()
    assert make([1]).shared_stream_key() != make([1], poll_interval=9).shared_stream_key()


@needs_events
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


@needs_events
def test_monitor_that_is_not_there_disturbs_no_other(
    sandbox: Any, start_run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = make([1, 999])
    warnings: list[str] = []
    monkeypatch.setattr(trigger.log, "warning", lambda text, *args: warnings.append(text % args))

    async def watch() -> None:
        async with Watch(trigger) as found:
            await until(lambda: polls(sandbox) >= 2)
            await asyncio.to_thread(start_run, 1)
            await until(lambda: len(found.events) == 1)

    asyncio.run(watch())
    assert "Could not read the runs of monitor 999" in warnings[0]


@needs_events
def test_odd_items_of_a_list_are_passed_over() -> None:
    answer = {"runs": [{"run_id": 1}, None, "x"], "monitors": None}
    assert list(monitors._dicts(answer, "runs")) == [{"run_id": 1}]
    assert list(monitors._dicts(answer, "monitors")) == []

    class Client:
        async def call(self, operation: Any, **values: Any) -> Any:
            return {"monitors": [{"id": None}, {"id": 7}]}

    async def read() -> list[Any]:
        return [monitor async for monitor in monitors._all(Client())]

    assert asyncio.run(read()) == [{"id": 7}]


def test_older_airflow_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "airflow_provider_datafold.triggers.monitors"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "airflow.triggers.base", ModuleType("airflow.triggers.base"))
    with pytest.raises(Exception, match=r"needs Apache Airflow 3\.0 or newer"):
        importlib.import_module(name)
