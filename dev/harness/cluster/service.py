"""Datafold for the plan of the cluster, with what goes wrong."""

from __future__ import annotations

from dev.harness.cluster.plan import CHANGE, COUNTS, GATES, MONITOR, Key, keys
from dev.harness.service import Service
from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL
from dev.sandbox.disturbance import Disturbance

FLAKY = 0.2
"""Share of the requests that are refused."""
# It is exceeded whenever many tasks and triggers send at once, and is what they can keep to
# otherwise.
_RATE = 10.0
_ENDS = {"done", "ok", "alert"}


class PlannedService(Service):
    def __init__(self) -> None:
        super().__init__(Disturbance(flaky=FLAKY, rate=_RATE), COUNTS[CHANGE])
        self._gates = {gate.table: gate for gate in keys(*GATES)}
        diffs, monitors = self.state.data_diffs, self.state.monitors
        diffs.courses.of = lambda body: _diff_course(self._gates[".".join(body["table2"])])
        monitors.courses.of = lambda number: _run_course(Key(MONITOR, number - 1))
        self.add_monitors(COUNTS[MONITOR])

    def made(self) -> dict[Key, dict[int, bool]]:
        """Return the jobs by their tasks, and whether each has ended without a cancel."""
        found: dict[Key, dict[int, bool]] = {key: {} for key in keys(*GATES, MONITOR)}
        diffs, monitors = self.state.data_diffs, self.state.monitors
        with self.state.lock:
            for number, diff in diffs.diffs.items():
                # There are others from the beginning.
                if gate := self._gates.get(".".join(diff["table2"])):
                    found[gate][number] = diffs.jobs[number].status in _ENDS
            for number, run in monitors.runs.items():
                key = Key(MONITOR, run["monitor_id"] - 1)
                found[key][number] = monitors.jobs[number].status in _ENDS
        return found

    def changes(self) -> set[tuple[int, str | None]]:
        """Return the integrations that were changed, with their new schedules."""
        with self.state.lock:
            return {(entry.bi_datasource_id, entry.indexing_cron) for entry in self.state.audit}


def _diff_course(gate: Key) -> Course:
    end = IDENTICAL if gate.is_good else DIFFERENT
    return Course(_until_seen("processing", gate), end.end, end.outcome)


def _run_course(task: Key) -> Course:
    return Course(_until_seen("checking", task), "ok" if task.is_good else "alert")


def _until_seen(status: str, task: Key) -> tuple[Step, ...]:
    # It ends only if somebody looks: a job that nobody waits for any more is left running.
    return (Step(status, seconds=task.seconds),)
