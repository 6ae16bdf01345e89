"""What the trigger for alerts makes of each look, one after the other and without a pause.

tests/triggers/test_monitors.py lets it run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import monitors as api
from airflow_provider_datafold.exceptions import DatafoldNotFoundError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox.course import Course
from tests.conftest import API_KEY, Log
from tests.waits import defaults

try:
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    pytest.skip("Airflow watches assets from 3.0 on", allow_module_level=True)

GONE = DatafoldNotFoundError("Gone")


class Store:
    """An asset's store, as Airflow passes it to a trigger.

    :param kept: what is in it.
    :param writes: whether it can be written.
    :param reads: whether it can be read.
    """

    def __init__(self, kept: Any = None, *, writes: bool = True, reads: bool = True) -> None:
        self.kept = kept
        self.notes: list[Any] = []
        self._writes, self._reads = writes, reads

    async def aget(self, key: str) -> Any:
        assert key == "datafold_told_runs"
        if not self._reads:
            raise ValueError("two assets")
        return self.kept

    async def aset(self, key: str, value: Any) -> None:
        assert key == "datafold_told_runs"
        if not self._writes:
            raise ValueError("two assets")
        self.kept = value
        self.notes.append(value)


@pytest.fixture(autouse=True)
def _logged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where Airflow sends a trigger's messages differs between its versions.
    monkeypatch.setattr(monitors.DatafoldMonitorAlertTrigger, "log", logging.getLogger("trigger"))


def make(ids: Any = (7,), **more: Any) -> Any:
    return monitors.DatafoldMonitorAlertTrigger(ids, **more)


async def looks(*seen: dict[int, Any]) -> AsyncIterator[dict[int, Any]]:
    for each in seen:
        yield each


class Scripted:
    """A trigger whose runs are read from a script, and what it does.

    :param reads: for each read of a monitor's runs, what it gives or raises. The last one stays.
    :param kept: what is in its asset's store; ``...`` if it has none.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *reads: Any, kept: Any = ..., ids: Any = (7,)
    ) -> None:
        self.trigger = make(ids)
        self.slept: list[tuple[float, int]] = []
        self.reads: list[int] = []
        self._script = [*reads]
        monkeypatch.setattr(self.trigger, "_runs", self._read)
        monkeypatch.setattr(monitors, "asyncio", SimpleNamespace(sleep=self._sleep))
        self.store = Store() if kept is ... else Store(kept)
        if kept is not ...:
            self.trigger.asset_state_store = self.store

    async def _sleep(self, seconds: float) -> None:
        self.slept.append((seconds, len(self.store.notes)))

    async def _read(self, monitor_id: int) -> Any:
        self.reads.append(monitor_id)
        said = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(said, Exception):
            raise said
        return said

    def sees(self, *seen: dict[int, Any]) -> list[Any]:
        """Return the payloads of what it fires at some looks at the list of monitors."""

        async def events() -> list[Any]:
            stream = self.trigger.filter_shared_stream(looks(*seen))
            return [event.payload async for event in stream]

        return asyncio.run(events())


def ran(run_id: int, state: str = "alert", diff_id: Any = None) -> dict[str, Any]:
    return {"run_id": run_id, "state": state, "diff_id": diff_id}


def alert(run_id: int, monitor_id: int = 7, diff_id: Any = None) -> dict[str, Any]:
    return {"monitor_id": monitor_id, "run_id": run_id, "diff_id": diff_id}


@pytest.mark.parametrize(
    ("kept", "reads", "seen", "fired", "notes", "read"),
    [
        # What has ended by the first look is not told.
        (None, [[ran(1)]], [{7: "a"}], [], [{"7": 1}], 1),
        (None, [[ran(1)], [ran(2), ran(1)]], [{7: "a"}, {7: "b"}], [2], [{"7": 1}, {"7": 2}], 2),
        # What is in the store goes on.
        ({"7": 1}, [[ran(2)]], [{7: "b"}], [2], [{"7": 2}], 1),
        ({"7": 1}, [[ran(3), ran(2)]], [{7: "c"}], [2, 3], [{"7": 2}, {"7": 3}], 1),
        ({"8": 5}, [[ran(1)]], [{7: "a"}], [], [{"8": 5, "7": 1}], 1),
        ("odd", [[ran(1)]], [{7: "a"}], [], [{"7": 1}], 1),
        # Its runs are read again only if the list shows another alert ...
        ({"7": 1}, [[ran(2)]], [{7: "b"}] * 3, [2], [{"7": 2}], 1),
        ({"7": 1}, [[]], [{7: None}] * 3, [], [], 1),
        ({"7": 1}, [[]], [{}] * 3, [], [], 1),
        ({"7": 1}, [[]], [{7: None}, {7: "b"}], [], [], 2),
        # ... and once more if the runs do not have it yet.
        ({"7": 1}, [[ran(1)]], [{7: "b"}] * 4, [], [], 2),
        ({"7": 1}, [[ran(1)], [ran(2)]], [{7: "b"}] * 4, [2], [{"7": 2}], 2),
        ({"7": 1}, [[ran(1)]], [{7: "b"}, {7: "c"}, {7: "c"}, {7: "c"}], [], [], 3),
        # A read that fails is made again at the next look.
        ({"7": 1}, [GONE, [ran(2)]], [{7: "b"}] * 3, [2], [{"7": 2}], 2),
        # It is told of monitors that are watched, only.
        ({"7": 1}, [[]], [{8: "b"}, {8: "c"}], [], [], 1),
    ],
)
def test_what_it_makes_of_each_look(
    monkeypatch: pytest.MonkeyPatch,
    log: Log,
    kept: Any,
    reads: list[Any],
    seen: list[dict[int, Any]],
    fired: list[int],
    notes: list[Any],
    read: int,
) -> None:
    script = Scripted(monkeypatch, *reads, kept=kept)
    assert script.sees(*seen) == [alert(run_id) for run_id in fired]
    assert script.store.notes == notes
    assert script.reads == [7] * read
    told = [text for text in log.messages if "alerts" in text]
    assert told == [f"Monitor 7 alerts in run {run_id}." for run_id in fired]
    failures = ["Could not read the runs of monitor 7: Gone."]
    assert log.warnings == (failures if GONE in reads else [])


def test_each_monitor_has_its_own_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Scripted(
        monkeypatch, [ran(2, diff_id=9)], [ran(3)], [ran(4)], kept={"7": 1, "8": 1}, ids=[8, 7]
    )
    assert script.sees({7: "a", 8: "a"}, {7: "a", 8: "b"}) == [
        alert(2, 7, 9),
        alert(3, 8),
        alert(4, 8),
    ]
    assert script.reads == [7, 8, 8]
    assert script.store.kept == {"7": 2, "8": 4}


def test_without_a_store_it_tells_without_a_warning(
    monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    script = Scripted(monkeypatch, [], [ran(2)])
    assert script.sees({7: None}, {7: "b"}) == [alert(2)]
    assert log.warnings == script.store.notes == []


@pytest.mark.parametrize(
    "store", [Store(writes=False, reads=False), Store(writes=False)], ids=["unusable", "read only"]
)
def test_a_store_that_cannot_be_used_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, log: Log, store: Store
) -> None:
    script = Scripted(monkeypatch, [ran(1)], [ran(2)], [ran(3)], kept=None)
    script.trigger.asset_state_store = store
    assert script.sees({7: "a"}, {7: "b"}, {7: "c"})[-1] == alert(3)
    (warning,) = log.warnings
    assert "no usable store (ValueError)" in warning


# What it reads.


class Pages:
    """Stands in for the trigger's client: answers with pages, and notes what it is asked for."""

    def __init__(self, *pages: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self._pages = pages

    async def __aenter__(self) -> Pages:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def call(self, operation: Any, **values: Any) -> Any:
        assert len(self.asked) < 9
        self.asked.append({"operation": operation, **values})
        return self._pages[values.get("page", 1) - 1]


@pytest.mark.parametrize(
    ("pages", "asked", "found"),
    [
        ([{"runs": [ran(1)]}], [None], [1]),
        ([{"runs": [ran(1), "odd"], "total_pages": 1}], [None], [1]),
        ([{"runs": [ran(1)], "total_pages": "2"}], [None], [1]),
        ([{"runs": [ran(3)], "total_pages": 2}, {"runs": [ran(1)]}], [None, 2], [3, 1]),
        ([{"runs": None, "total_pages": 3}, {}, {"runs": [ran(1)]}], [None, 3], [1]),
    ],
)
def test_the_runs_that_it_reads(
    monkeypatch: pytest.MonkeyPatch, pages: list[Any], asked: list[Any], found: list[int]
) -> None:
    client = Pages(*pages)
    trigger = make()

    async def open_client() -> Pages:
        return client

    monkeypatch.setattr(trigger, "_open_client", open_client)
    runs = asyncio.run(trigger._runs(7))
    assert [run["run_id"] for run in runs] == found
    usual = {"operation": api.LIST_RUNS, "monitor_id": 7, "page_size": 100}
    assert client.asked == [{**usual, **({"page": page} if page else {})} for page in asked]


@pytest.mark.parametrize(
    ("pages", "count", "found"),
    [
        ([{"monitors": [{"id": 1}, "odd", {"id": "2"}, {"id": 3}]}], 1, [1, 3]),
        ([{"monitors": [{"id": 1}], "total_pages": 0}], 1, [1]),
        ([{"monitors": [{"id": 1}], "total_pages": 1}], 1, [1]),
        ([{"monitors": [{"id": 1}], "total_pages": 2}, {"monitors": [{"id": 2}]}], 2, [1, 2]),
    ],
)
def test_the_monitors_that_it_lists(pages: list[Any], count: int, found: list[int]) -> None:
    client: Any = Pages(*pages)

    async def read() -> list[Any]:
        return [monitor["id"] async for monitor in monitors._all(client)]

    assert asyncio.run(read()) == found
    order = {"page_size": 100, "order_by": "id", "sort_order": "asc"}
    assert client.asked == [
        {"operation": api.LIST, "page": page, **order} for page in range(1, count + 1)
    ]


def test_what_each_look_at_the_list_gives(
    connections: None,
    sandbox: Any,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    log: Log,
) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert")
    with DatafoldHook() as hook:
        run_id = hook.run_monitor(4)["run_id"]
    sandbox.state.requests.clear()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        # A key that is wrong for some time does not end the watch.
        connect("datafold_default", host=sandbox.url, password=API_KEY)

    monkeypatch.setattr(monitors, "asyncio", SimpleNamespace(sleep=sleep))

    async def two() -> list[Any]:
        connect("datafold_default", host=sandbox.url, password="another")
        arguments = make(poll_interval=30).serialize()[1]
        stream = monitors.DatafoldMonitorAlertTrigger.open_shared_stream(arguments)
        return [await anext(stream), await anext(stream)]

    first, second = asyncio.run(two())
    alerted = sandbox.state.monitors.runs[run_id]["started_at"]
    assert first == second == {**dict.fromkeys((1, 2, 3)), 4: alerted}
    assert slept == [30.0, 30.0]
    (warning,) = log.warnings
    assert warning.startswith("Could not list the monitors: 401")
    agents = {seen.headers["user-agent"] for seen in sandbox.state.requests}
    assert agents == {f"airflow-provider-datafold/{__version__}"}
    assert {seen.path for seen in sandbox.state.requests} == {"/api/v1/monitors"}


def test_it_runs_alone_where_airflow_shares_no_poll(
    connections: None, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert", {"diff_id": 9})
    with DatafoldHook() as hook:
        run_id = hook.run_monitor(4)["run_id"]
    trigger = make([4])
    trigger.asset_state_store = Store({"4": run_id - 1})

    async def first() -> Any:
        return await anext(trigger.run())

    assert asyncio.run(first()).payload == alert(run_id, 4, 9)


# What it is given.


def test_its_defaults() -> None:
    assert defaults(monitors.DatafoldMonitorAlertTrigger) == {
        "datafold_conn_id": "datafold_default",
        "poll_interval": 60.0,
    }


def test_an_alert_is_noted_three_seconds_after_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # Until then, a triggerer that is killed tells it again.
    script = Scripted(monkeypatch, [ran(2), ran(3)], kept={"7": 1})
    script.sees({7: "a"})
    assert script.slept == [(3.0, 0), (3.0, 1)]
