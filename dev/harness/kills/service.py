"""The sandbox, controlled by the cases: each job runs until its case ends it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from dev.harness.kills.plan import CI_CONFIG_ID, CI_RUN, MONITOR_ID, MONITOR_RUN, TASK_ID
from dev.harness.service import Service
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import IDENTICAL
from dev.sandbox.disturbance import NO_DELAY, Delay, Disturbance

_ENDLESS = replace(IDENTICAL, steps=(Step("processing", seconds=math.inf),))
# It is running in the response to its creation, and has ended at the first poll.
_BRIEF = replace(IDENTICAL, steps=(Step("processing", reads=0, seconds=0.2),))
_QUEUED = (Step("queued", seconds=math.inf),)
_ALERT = Course((), "alert", {"diff_id": 9})
_HELD_BACK = ("worker_killed_while_creating", "failed_while_creating")
"""The cases in which the creation is processed and the response does not arrive."""
_ENDS_AT_ONCE = "fires_at_once"
_TO_CANCEL = 3.0
_TO_COMPARE = 5.0
"""Seconds: time to kill a worker, and over before Airflow misses it."""
_NEVER = 120.0
"""Seconds; longer than any case waits for a response."""


class Jobs:
    """The jobs of one section of the sandbox, each of which runs until its case ends it.

    The section has records of them, and a path at which one is read, with a place for its id.
    """

    def __init__(
        self, service: Service, section: Any, records: Any, path: str, course: Course
    ) -> None:
        self._service, self._records, self._path = service, records, path
        self._jobs, self._ended = section.jobs, replace(course, steps=())
        section.courses.default = course

    def ids(self, tag: str) -> list[int]:
        with self._service.state.lock:
            return sorted(key for key, each in self._records.items() if _belongs(each, tag))

    def reads(self, number: int) -> int:
        return self._service.statuses("GET", self._path.format(number)).total()

    def status(self, number: int) -> str:
        """Return how a job has ended, ``"processing"`` before that."""
        with self._service.state.lock:
            job = self._jobs[number]
            return str(job.status) if job.ended else "processing"

    def finish(self, number: int) -> None:
        with self._service.state.lock:
            if not self._jobs[number].ended:
                self._jobs[number] = Job(self._ended)


class ControlledService(Service):
    """A sandbox that takes three seconds to cancel a data diff."""

    def __init__(self) -> None:
        super().__init__(Disturbance(delay=_delay))
        diffs, monitors, ci = self.state.data_diffs, self.state.monitors, self.state.ci
        diffs.courses.of = _diff_course
        # Those that really compare take a while.
        diffs.delay = _TO_COMPARE
        self._diffs = Jobs(self, diffs, diffs.diffs, "/api/v1/datadiffs/{}", _ENDLESS)
        run = f"/api/v1/monitors/{MONITOR_ID}/runs/{{}}"
        ci_runs = f"/api/v1/ci/{CI_CONFIG_ID}/runs"
        self._runs = {
            MONITOR_RUN: Jobs(self, monitors, monitors.runs, run, Course(_QUEUED, "ok")),
            CI_RUN: Jobs(self, ci, ci.runs[CI_CONFIG_ID], ci_runs, Course(_QUEUED, "done")),
        }

    def jobs_of(self, dag_id: str) -> Jobs:
        return self._runs.get(dag_id, self._diffs)

    def add_strangers(self, count: int) -> None:
        """Create data diffs that belong to no task."""
        table = ["DB", "PUBLIC", "OTHER"]
        sides = {"data_source1_id": 1, "table1": table, "data_source2_id": 1, "table2": table}
        with self.state.lock:
            for _ in range(count):
                ended = Job(replace(_ENDLESS, steps=()))
                self.state.data_diffs.add({**sides, "pk_columns": ["id"]}, ended)

    def alert(self, monitor_id: int) -> int:
        """Make a monitor alert, and return the id of its run."""
        with self.state.lock:
            monitors = self.state.monitors
            monitors.courses.coming.append(_ALERT)
            return monitors.start(monitor_id)


def _is_tagged(diff: dict[str, Any], tag: str) -> bool:
    return tag in (diff.get("tags") or ())


def _belongs(job: dict[str, Any], tag: str) -> bool:
    if "tags" in job:
        return _is_tagged(job, tag)
    # Runs have no tags, and the monitors that are watched run, too.
    return bool(job.get("monitor_id", MONITOR_ID) == MONITOR_ID)


def _diff_course(body: dict[str, Any]) -> Course | None:
    return _BRIEF if _is_tagged(body, f"{_ENDS_AT_ONCE}.{TASK_ID}") else None


def _delay(method: str, path: str, body: bytes) -> Delay:
    if path.endswith("/cancel"):
        return Delay(before=_TO_CANCEL)
    if (method, path) == ("POST", "/api/v1/datadiffs"):
        diff = json.loads(body)
        if any(_is_tagged(diff, f"{dag_id}.{TASK_ID}") for dag_id in _HELD_BACK):
            return Delay(after=_NEVER)
    return NO_DELAY
