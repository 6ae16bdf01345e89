"""The runs of a monitor and of CI that cases wait for: they have no tags, but a place of their own.

Each runs until its case ends it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dev.kills.plan import CI_CONFIG_ID, CI_RUN, MONITOR_ID, MONITOR_RUN
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.state import State


class Runs:
    """The runs of a case, for a gate in place of the service's data diffs.

    :param state: the sandbox's state.
    :param section: the section that has them.
    :param find: returns their ids.
    :param path: the path at which they are read, with a place for the id.
    :param end: how they end.
    """

    def __init__(
        self, state: State, section: Any, find: Callable[[], list[int]], path: str, end: str
    ) -> None:
        self._state = state
        self._jobs: dict[int, Job] = section.jobs
        self._find = find
        self._path = path
        self._end = end
        section.courses.default = Course((Step("queued", seconds=math.inf),), end)

    def ids(self, tag: str) -> list[int]:
        """Return the ids of the runs, in the order of their starts."""
        with self._state.lock:
            return sorted(self._find())

    def reads(self, number: int) -> int:
        """Return how often a run was looked at."""
        path = self._path.format(number)
        with self._state.lock:
            return sum(seen.path == path for seen in self._state.requests)

    def status(self, number: int) -> str:
        """Return the status of a run, until its end as that of a data diff."""
        with self._state.lock:
            job = self._jobs[number]
            return job.status if job.ended else "processing"

    def finish(self, number: int) -> None:
        """Let a run end."""
        with self._state.lock:
            self._jobs[number] = Job(Course((), self._end))


def runs_of(state: State) -> dict[str, Runs]:
    """Return the runs of the cases, by the cases' DAGs.

    :param state: the sandbox's state.
    """
    monitors, ci = state.monitors, state.ci
    return {
        MONITOR_RUN: Runs(
            state,
            monitors,
            lambda: [
                number for number, run in monitors.runs.items() if run["monitor_id"] == MONITOR_ID
            ],
            f"/api/v1/monitors/{MONITOR_ID}/runs/{{}}",
            "ok",
        ),
        CI_RUN: Runs(
            state, ci, lambda: [*ci.runs[CI_CONFIG_ID]], f"/api/v1/ci/{CI_CONFIG_ID}/runs", "done"
        ),
    }
