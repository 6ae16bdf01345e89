"""The trigger that fires for the alerts of monitors, against the sandbox."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from dev.sandbox.course import Course, Step
from tests import documents
from tests.alerts import Store
from tests.conftest import ROOT
from tests.docs.test_data_diffs_page import default

try:
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    monitors = None  # type: ignore[assignment]

needs_events = pytest.mark.skipif(monitors is None, reason="Airflow watches assets from 3.0 on")

ALERT = Course((), "alert", {"diff_id": 9})
OK = Course((), "ok")
INTERVAL = 0.05


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
def test_alert_is_reported_once(sandbox: Any, start_run: Callable[..., int]) -> None:
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
def test_run_that_goes_on_at_the_start_is_reported_when_it_alerts(
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
def test_alert_in_a_restart_is_reported_afterwards(
    sandbox: Any, start_run: Callable[..., int]
) -> None:
    store = Store()

    async def watch(count: int) -> list[Any]:
        trigger = make()
        trigger.asset_state_store = store
        async with Watch(trigger) as found:
            await until(lambda: len(found.events) == count and bool(store.kept))
            await asyncio.sleep(0.3)
        return [event["run_id"] for event in found.events]

    assert asyncio.run(watch(0)) == []
    missed = [start_run(1), start_run(1)]
    assert asyncio.run(watch(2)) == missed
    progress = {"newest": missed[-1], "pending": []}
    assert store.kept == {"datafold_reported_runs_datafold_default_1": {sandbox.url: progress}}
    assert asyncio.run(watch(0)) == []


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
def test_all_pages_of_monitors_are_read(
    sandbox: Any, start_run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitors, "_PAGE_SIZE", 2)
    start_run(4)

    async def first() -> Any:
        stream = monitors.DatafoldMonitorAlertTrigger.open_shared_stream(make().serialize()[1])
        return await anext(stream)

    seen = asyncio.run(first()).last_alerts
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


def test_older_airflow_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "airflow_provider_datafold.triggers.monitors"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "airflow.triggers.base", ModuleType("airflow.triggers.base"))
    with pytest.raises(Exception, match=r"needs Apache Airflow 3\.0 or newer"):
        importlib.import_module(name)
