"""The sandbox, controlled by the cases: each data diff runs until its case ends it."""

from __future__ import annotations

import json
import math
import secrets
from pathlib import Path
from typing import Any

from dev.kills.plan import TASK_ID
from dev.kills.runs import runs_of
from dev.sandbox import Sandbox
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import IDENTICAL, DataDiffs
from dev.sandbox.disturbance import NO_DELAY, Delay, Disturbance

_ENDLESS = Course((Step("processing", seconds=math.inf),), IDENTICAL.end, IDENTICAL.outcome)
# It is running in the response to its creation, and has ended at the first poll.
_BRIEF = Course((Step("processing", reads=0, seconds=0.2),), IDENTICAL.end, IDENTICAL.outcome)
_ENDED = Course((), IDENTICAL.end, IDENTICAL.outcome)
_ALERT = Course((), "alert", {"diff_id": 9})
_HELD_BACK = ("worker_killed_while_creating", "failed_while_creating")
"""The cases in which the creation is processed and the response does not arrive."""
_ENDS_AT_ONCE = "fires_at_once"
_TO_CANCEL = 3.0
_TO_COMPARE = 5.0
"""Seconds: time to kill a worker, and over before Airflow misses it."""
_NEVER = 120.0
"""Seconds; longer than any case waits for a response."""


class _DataDiffs(DataDiffs):
    """Data diffs that run until they are ended, except those of one case."""

    def __init__(self) -> None:
        super().__init__()
        self.courses.default = _ENDLESS

    def add(self, body: dict[str, Any], job: Any) -> dict[str, Any]:
        """Create a data diff."""
        if f"{_ENDS_AT_ONCE}.{TASK_ID}" in (body.get("tags") or ()):
            job = Job(_BRIEF)
        return super().add(body, job)


class Service:
    """A sandbox that takes three seconds to cancel a data diff.

    A data diff belongs to a case by its tag, ``<DAG>.<task>``.
    """

    def __init__(self) -> None:
        self.sandbox = Sandbox(secrets.token_urlsafe(), disturbance=Disturbance(delay=_delay))
        self.sandbox.state.data_diffs = self._diffs = _DataDiffs()
        self.runs = runs_of(self.sandbox.state)

    def connect(self, data_source_id: int, file: Path) -> None:
        """Put a database behind a data source. Its data diffs really compare, and take a while.

        :param data_source_id: the data source's id.
        :param file: the database.
        """
        self.sandbox.state.data_sources.connect(data_source_id, file)
        self._diffs.delay = _TO_COMPARE

    def ids(self, tag: str) -> list[int]:
        """Return the ids of a case's data diffs, in the order of their creation.

        :param tag: the case's tag.
        """
        with self.sandbox.state.lock:
            return sorted(
                number
                for number in self._diffs.diffs
                if tag in (self._diffs.diffs[number].get("tags") or ())
            )

    def reads(self, number: int) -> int:
        """Return how often a data diff was read.

        :param number: its id.
        """
        return self.reads_of(f"/api/v1/datadiffs/{number}")

    def reads_of(self, path: str) -> int:
        """Return how often something was read.

        :param path: its path.
        """
        with self.sandbox.state.lock:
            requests = self.sandbox.state.requests
            return sum(seen.method == "GET" and seen.path == path for seen in requests)

    def status(self, number: int) -> str:
        """Return the status of a data diff.

        :param number: its id.
        """
        with self.sandbox.state.lock:
            return str(self._diffs.peek(number)["status"])

    def finish(self, number: int) -> None:
        """Let a data diff end.

        :param number: its id.
        """
        with self.sandbox.state.lock:
            if not self._diffs.jobs[number].ended:
                self._diffs.jobs[number] = Job(_ENDED)

    def add_strangers(self, count: int) -> None:
        """Create data diffs that belong to no task.

        :param count: how many.
        """
        table = ["DB", "PUBLIC", "OTHER"]
        sides = {"data_source1_id": 1, "table1": table, "data_source2_id": 1, "table2": table}
        with self.sandbox.state.lock:
            for _ in range(count):
                self._diffs.add({**sides, "pk_columns": ["id"]}, Job(_ENDED))

    def alert(self, monitor_id: int) -> int:
        """Make a monitor alert.

        :param monitor_id: the monitor.
        :return: the id of its run.
        """
        with self.sandbox.state.lock:
            monitors = self.sandbox.state.monitors
            monitors.courses.coming.append(_ALERT)
            return monitors.start(monitor_id, None)


def _delay(method: str, path: str, body: bytes) -> Delay:
    if path.endswith("/cancel"):
        return Delay(before=_TO_CANCEL)
    if (method, path) == ("POST", "/api/v1/datadiffs"):
        tags = json.loads(body).get("tags") or ()
        if any(f"{dag_id}.{TASK_ID}" in tags for dag_id in _HELD_BACK):
            return Delay(after=_NEVER)
    return NO_DELAY
