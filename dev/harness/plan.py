"""What is asked of a cluster, and how each task has to end: mapped tasks of one DAG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFERRED_GATE, GATE, MONITOR, CHANGE = "deferred_gate", "gate", "monitor", "change"
"""The tasks; a ``gate`` waits in its worker."""

GATES = (DEFERRED_GATE, GATE)

_SCHEMA = "DB.STAGING"
_RUNS_AT_A_TIME = 10
"""A multiple of five, so that a monitor ends alike whenever it is run."""


@dataclass(frozen=True)
class Key:
    """Which task it is: of which DAG run, by its number from 1, and its map index."""

    run: int
    task_id: str
    index: int


@dataclass(frozen=True)
class Plan:
    """A DAG of mapped tasks.

    :param counts: how many there are of each task.
    :param longest: seconds that the data diff of a deferred gate takes at most.
    """

    dag_id: str
    counts: Mapping[str, int]
    longest: float

    def keys(self, runs: int, *task_ids: str) -> list[Key]:
        """List the tasks of so many DAG runs, or only those with some ids."""
        return [
            Key(run, task_id, index)
            for run in range(1, runs + 1)
            for task_id in task_ids or self.counts
            for index in range(self.counts[task_id])
        ]

    def monitor_of(self, task: Key) -> int:
        """Return the id of the monitor that a task runs, and no other one at the same time."""
        return task.run % _RUNS_AT_A_TIME * self.counts[MONITOR] + task.index + 1

    def monitors(self) -> dict[int, Key]:
        """Return all monitors by their ids, each with a task that runs it; all such end alike."""
        tasks = self.keys(_RUNS_AT_A_TIME, MONITOR)
        return {self.monitor_of(task): task for task in tasks}

    def seconds(self, task: Key) -> float:
        """Return how long the job of a task takes at Datafold."""
        if task.task_id == DEFERRED_GATE:
            # The last ones are brief: in the end they alone are waited for.
            return 10.0 + (self.longest - 10.0) * (1 - task.index / self.counts[DEFERRED_GATE])
        if task.task_id == MONITOR:
            # Where CPU is short, Airflow starts a task again whose trigger fires within seconds of
            # its deferral: it has not read the executor's report by then. That must not run the
            # monitor twice.
            return 2.0 + task.index % 3 * 5.0
        # It must not have ended before its worker is killed.
        return 7.0 + task.index % 3


def is_good(task: Key) -> bool:
    """Say whether a task has to succeed: for a fifth, the sides differ or the monitor alerts."""
    return task.task_id == CHANGE or (task.run + task.index) % 5 > 0


def cron_of(change: Key) -> str:
    """Return the schedule that a task asks for, and no other one of the same integration."""
    return f"{change.index % 60} {change.run % 24} {change.run // 24 % 28 + 1} * *"


def table_of(gate: Key) -> str:
    """Return the table that a gate compares, and no other gate."""
    return f"{_SCHEMA}.{gate.task_id}_{gate.run}_{gate.index}"


def gate_of(diff: Mapping[str, Any]) -> Key | None:
    """Return the gate for which a data diff was made, or will be; ``None`` if it is nobody's."""
    *schema, table = diff["table2"]
    if schema != _SCHEMA.split("."):
        return None
    task_id, run, index = table.rsplit("_", 2)
    return Key(int(run), task_id, int(index))


CLUSTER = Plan("cluster", {DEFERRED_GATE: 180, GATE: 20, MONITOR: 60, CHANGE: 40}, longest=40.0)
SOAK = Plan("soak", {DEFERRED_GATE: 4, GATE: 1, MONITOR: 2, CHANGE: 2}, longest=30.0)
