"""Datafold for a run of a test: the sandbox, with jobs that go as the test or its plan says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from dev.faults.fault import API_KEY
from dev.harness.plan import CHANGE, COUNTS, MONITOR, Key, gate_of, is_good, monitor_of, seconds
from dev.sandbox import Sandbox
from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL
from dev.sandbox.disturbance import Disturbance
from dev.sandbox.state import State

CHECKING = "checking"
"""The status of a monitor's run that nobody has seen end."""


class Service:
    def __init__(self, disturbance: Disturbance, integrations: int = 1) -> None:
        self.state = State(count=integrations)
        self.sandbox = Sandbox(API_KEY, state=self.state, disturbance=disturbance)

    def statuses(self, method: str = ".*", path: str = ".*") -> Counter[int]:
        """Count the statuses of responses, of requests that match two patterns."""
        with self.state.lock:
            return Counter(
                request.status
                for request in self.state.requests
                if re.fullmatch(method, request.method) and re.fullmatch(path, request.path)
            )


class PlannedService(Service):
    """Datafold for the plan of the cluster, with what goes wrong."""

    def __init__(self, disturbance: Disturbance) -> None:
        super().__init__(disturbance, COUNTS[CHANGE])
        monitors = self.state.monitors
        self.state.data_diffs.courses.of, monitors.courses.of = _diff_course, _run_course
        while len(monitors.monitors) < monitor_of(COUNTS[MONITOR] - 1):
            monitors.add("schema", {"name": "Orders", "connection_id": 1, "table": "DB.PUBLIC.A"})

    def diffs(self) -> dict[Key, dict[int, str]]:
        """Return the data diffs that were made, with their statuses, by their gates."""
        diffs = self.state.data_diffs
        return self._made(diffs.diffs, diffs.jobs, gate_of)

    def runs(self) -> dict[int, dict[int, str]]:
        """Return the runs that were started, with their statuses, by their monitors."""
        monitors = self.state.monitors
        return self._made(monitors.runs, monitors.jobs, lambda run: run["monitor_id"])

    def _made(self, records: Any, jobs: Any, about: Callable[[Any], Any]) -> dict[Any, Any]:
        made: dict[Any, dict[int, str]] = defaultdict(dict)
        with self.state.lock:
            for number, record in records.items():
                made[about(record)][number] = jobs[number].status
        made.pop(None, None)
        return made

    def changes(self) -> set[tuple[int, str | None]]:
        """Return the integrations that were changed, with their new schedules."""
        with self.state.lock:
            return {(entry.bi_datasource_id, entry.indexing_cron) for entry in self.state.audit}


def _diff_course(body: dict[str, Any]) -> Course | None:
    if (gate := gate_of(body)) is None:
        return None
    end = IDENTICAL if is_good(gate) else DIFFERENT
    return Course((_step("processing", gate),), end.end, end.outcome)


def _run_course(monitor: int) -> Course:
    task = Key(MONITOR, monitor - monitor_of(0))
    return Course((_step(CHECKING, task),), "ok" if is_good(task) else "alert")


def _step(status: str, task: Key) -> Step:
    # It ends only for who looks: a job that nobody waits for any more is left running.
    return Step(status, reads=1, seconds=seconds(task))
