"""What the cluster is asked to do, what comes of it at Datafold, and what it must find.

The DAG's tasks, the sandbox and the result agree on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFERRED_GATE, GATE, MONITOR, CHANGE = "deferred_gate", "gate", "monitor", "change"
"""The tasks; a ``gate`` waits in its worker."""

GATES = (DEFERRED_GATE, GATE)
COUNTS = {DEFERRED_GATE: 54, GATE: 6, MONITOR: 20, CHANGE: 20}
"""How many there are of each task."""
DAG_ID, RUN_ID = "cluster", "1"

_SCHEMA = "DB.STAGING"
_LONGEST = 30.0
"""Seconds that the data diff of a deferred gate takes at most."""


@dataclass(frozen=True)
class Key:
    """Which task it is, by its map index."""

    task_id: str
    index: int


def keys(*task_ids: str) -> list[Key]:
    """List all tasks, or those with some ids."""
    return [Key(name, index) for name in task_ids or COUNTS for index in range(COUNTS[name])]


def seconds(task: Key) -> float:
    """Return how long the job of a task takes at Datafold."""
    if task.task_id == DEFERRED_GATE:
        # The last ones are brief: in the end they alone are waited for.
        return 10.0 + (_LONGEST - 10.0) * (1 - task.index / COUNTS[DEFERRED_GATE])
    if task.task_id == MONITOR:
        # Where CPU is short, Airflow starts a task again whose trigger fires within seconds of
        # its deferral: it has not read the executor's report by then. That must not run the
        # monitor twice.
        return 2.0 + task.index % 3 * 5.0
    # It must not have ended before its worker is killed.
    return 7.0 + task.index % 3


def is_good(task: Key) -> bool:
    """Say whether a task has to succeed: for a fifth, the sides differ or the monitor alerts."""
    return task.task_id == CHANGE or task.index % 5 > 0


def monitor_of(index: int) -> int:
    """Return the id of the monitor that a task runs, and no other task."""
    return index + 1


def cron_of(index: int) -> str:
    """Return the schedule that a task asks for."""
    return f"{index % 60} 6 * * *"


def table_of(gate: Key) -> str:
    """Return the table that a gate compares, and no other gate."""
    return f"{_SCHEMA}.{gate.task_id}_{gate.index}"


def gate_of(diff: Mapping[str, Any]) -> Key | None:
    """Return the gate for which a data diff was made, or will be; ``None`` if it is nobody's."""
    *schema, table = diff["table2"]
    if schema != _SCHEMA.split("."):
        return None
    task_id, index = table.rsplit("_", 1)
    return Key(task_id, int(index))
