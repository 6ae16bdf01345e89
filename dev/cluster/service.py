"""The sandbox, with jobs that go as the plan says, and what came of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dev.cluster.plan import CHANGE, Key, Plan, gate_of, is_good
from dev.faults.fault import API_KEY
from dev.sandbox import Sandbox
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, DataDiffs
from dev.sandbox.disturbance import Disturbance
from dev.sandbox.monitors import Monitors
from dev.sandbox.state import State

_CHECKING = "checking"


class _DataDiffs(DataDiffs):
    """Data diffs that take as long, and end, as a plan says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        super().__init__()

    def add(self, body: dict[str, Any], job: Any) -> dict[str, Any]:
        """Create a data diff."""
        if (gate := gate_of(body)) is not None:
            end = IDENTICAL if is_good(gate) else DIFFERENT
            going = _step("processing", self._plan.seconds(gate))
            job = Job(Course((going,), end.end, end.outcome))
        return super().add(body, job)


class _Monitors(Monitors):
    """Monitors whose runs take as long, and end, as a plan says."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._tasks = plan.monitors()
        spec = {"name": "Orders", "connection_id": 1, "table": "DB.PUBLIC.ORDERS"}
        while len(self.monitors) < len(self._tasks):
            self.add("schema", spec)

    def start(self, number: int, address: str | None) -> int:
        """Start a run."""
        task = self._tasks[number]
        going = _step(_CHECKING, self._plan.seconds(task))
        self.courses.coming.append(Course((going,), "ok" if is_good(task) else "alert"))
        return super().start(number, address)


class Service:
    """Datafold for a run of a test.

    :param plan: what is asked of it.
    :param disturbance: what goes wrong.
    """

    def __init__(self, plan: Plan, disturbance: Disturbance) -> None:
        self.state = State(count=plan.counts[CHANGE])
        self.state.data_diffs = self._diffs = _DataDiffs(plan)
        self.state.monitors = self._monitors = _Monitors(plan)
        self.sandbox = Sandbox(API_KEY, state=self.state, disturbance=disturbance)

    def diffs(self) -> dict[Key, list[int]]:
        """Return the ids of the data diffs that were made, by their gates."""
        made: dict[Key, list[int]] = {}
        with self.state.lock:
            for number, diff in self._diffs.diffs.items():
                if (gate := gate_of(diff)) is not None:
                    made.setdefault(gate, []).append(number)
        return made

    def diff_statuses(self) -> Counter[str]:
        """Count the statuses of the gates' data diffs."""
        numbers = [number for made in self.diffs().values() for number in made]
        with self.state.lock:
            return Counter(self._diffs.jobs[number].status for number in numbers)

    def runs(self) -> dict[int, list[int]]:
        """Return the ids of the runs that were started, by their monitors."""
        made: dict[int, list[int]] = {}
        with self.state.lock:
            for number, run in self._monitors.runs.items():
                made.setdefault(run["monitor_id"], []).append(number)
        return made

    def runs_left(self) -> int:
        """Count the monitor runs that nobody has seen end."""
        with self.state.lock:
            return sum(job.status == _CHECKING for job in self._monitors.jobs.values())

    def changes(self) -> set[tuple[int, str | None]]:
        """Return the integrations that were changed, with their new schedules."""
        with self.state.lock:
            return {(entry.bi_datasource_id, entry.indexing_cron) for entry in self.state.audit}

    def statuses(self, method: str = "", path: str = "") -> Counter[int]:
        """Count what requests were answered with.

        :param method: only these, by default all.
        :param path: only those whose path starts so.
        """
        with self.state.lock:
            return Counter(
                request.status
                for request in self.state.requests
                if method in ("", request.method) and request.path.startswith(path)
            )


def _step(status: str, seconds: float) -> Step:
    # It ends only for who looks: a job that nobody waits for any more is left running.
    return Step(status, reads=1, seconds=seconds)
