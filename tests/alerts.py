"""A trigger for alerts, with a service and a store that do what a test says."""

from __future__ import annotations

import asyncio
import importlib
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.redaction.secret import Secret

HOST = "https://app.datafold.com"
OTHER_HOST = "https://us.datafold.com"
MONITOR = 7
INTERVAL = 60.0
_START = datetime(2024, 1, 1, tzinfo=timezone.utc)
_MOST_SLEEPS = 5000


class KilledError(Exception):
    """The triggerer was killed."""


class Service:
    """A Datafold with one monitor, 7. A run starts a minute after the one before."""

    def __init__(self) -> None:
        self.runs: dict[int, dict[str, Any]] = {}
        self.last_alert: datetime | None = None
        self.answers: list[Any] = []
        """What the next requests are answered with, or raise."""
        self.requests: list[dict[str, Any]] = []
        self.lists: dict[str, Any] = {}
        """What the list of monitors says instead."""

    def start(self, run_id: int) -> None:
        started = (_START + timedelta(minutes=run_id)).isoformat()
        self.runs[run_id] = {"run_id": run_id, "started_at": started, "state": "checking"}

    def end(self, *run_ids: int, state: str = "alert") -> None:
        """End runs, and start them if they have not started."""
        for run_id in run_ids:
            if run_id not in self.runs:
                self.start(run_id)
            self.runs[run_id]["state"] = state
            if state == "alert":
                moment = datetime.fromisoformat(self.runs[run_id]["started_at"])
                self.last_alert = max(self.last_alert or moment, moment)

    def listed(self) -> dict[str, Any]:
        """The monitor as the list shows it."""
        alerted = self.last_alert and self.last_alert.isoformat()
        last = self.runs.get(max(self.runs, default=0), {})
        run = {"last_run": last.get("started_at"), "state": last.get("state")}
        return {"id": MONITOR, "last_alert": alerted, **run, **self.lists}

    def answer(self, path: str, page: int, page_size: int, **more: Any) -> Any:
        self.requests.append({"path": path, "page": page, "page_size": page_size, **more})
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if path.endswith("/runs"):
            name, items = "runs", [{**self.runs[id_]} for id_ in sorted(self.runs, reverse=True)]
        else:
            name, items = "monitors", [self.listed()]
        return {
            name: items[(page - 1) * page_size : page * page_size],
            "total_pages": math.ceil(len(items) / page_size),
        }


class Store:
    """An asset's store, which outlives the trigger."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.writes = 0
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
        self.writes += 1


def nothing() -> None:
    """Let nothing happen before a poll."""


class World:
    """A trigger with all that is around it. It does not really sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service = Service()
        self.host = HOST
        self.store: Store | None = Store()
        self.reported: list[tuple[str, int]] = []
        """Each host and run of an event so far."""
        self.is_killed = False
        """Whether the triggerer is killed right after the next event."""
        self.slept: list[tuple[float, int]] = []
        """Seconds, and how often the store had been written by then."""
        # Only Airflow 3 can import them.
        self._triggers = importlib.import_module("airflow_provider_datafold.triggers.monitors")
        sleeps = SimpleNamespace(**{**vars(asyncio), "sleep": self._sleep})
        monkeypatch.setattr(self._triggers, "asyncio", sleeps)
        monkeypatch.setattr(self._triggers, "fetch_settings_async", self._fetch)

        async def call(client: Any, operation: Any, **values: Any) -> Any:
            return self.service.answer(operation.path, **values)

        monkeypatch.setattr(AsyncClient, "call", call)

    async def _sleep(self, seconds: float) -> None:
        if len(self.slept) == _MOST_SLEEPS:
            # The trigger goes on after any other.
            raise asyncio.CancelledError
        if self.is_killed and seconds != INTERVAL:
            raise KilledError
        self.slept.append((seconds, self.store.writes if self.store else 0))

    async def _fetch(self, conn_id: str) -> Settings:
        return Settings(conn_id, self.host, Secret("key"))

    def watch(self, *steps: Callable[[], Any], polls_after: int = 3) -> list[int]:
        """Start a triggerer, and stop it after some polls.

        :param steps: what happens before each poll.
        :param polls_after: how many more polls there are.
        :return: the runs that were reported.
        """
        count = len(self.reported)
        trigger = self._triggers.DatafoldMonitorAlertTrigger([MONITOR], poll_interval=INTERVAL)
        if self.store is not None:
            # An older Airflow has none.
            trigger.asset_state_store = self.store

        async def follow() -> None:
            stream = trigger.open_shared_stream(trigger.serialize()[1])

            async def looks() -> Any:
                for step in [*steps, *[nothing] * polls_after]:
                    step()
                    yield await anext(stream)

            async for event in trigger.filter_shared_stream(looks()):
                self.reported.append((self.host, event.payload["run_id"]))

        with suppress(KilledError):
            asyncio.run(follow())
        self.is_killed = False
        return [run_id for _, run_id in self.reported[count:]]
