"""The DAGs of the cases: each has one task, a gate, and tags its data diffs with its own id.

The DAGs of :data:`WATCHES` have no gate: they start when a monitor alerts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TASK_ID = "gate"
NEIGHBOUR = "neighbour"
LOAD = "load"
LOGICAL_DATE = "2024-01-01T00:00:00+00:00"
RUN_ID = f"manual__{LOGICAL_DATE}"

RETRIES = 2
"""The number of retries of a gate, unless :func:`change_retries` has changed it."""

_RETRIES = "retries-of-{}"


@dataclass(frozen=True)
class Gate:
    """How a gate is set up.

    :param dag_id: the DAG's id.
    :param deferrable: whether the triggerer waits.
    :param count: the number of mapped tasks; by default the gate is not mapped.
    :param has_neighbour: whether another task keeps the DAG run going when the gate has ended.
    :param has_load: whether a task before it loads what it compares.
    """

    dag_id: str
    deferrable: bool = False
    count: int | None = None
    has_neighbour: bool = False
    has_load: bool = False


GATES = {
    gate.dag_id: gate
    for gate in (
        Gate("worker_killed"),
        Gate("worker_killed_while_creating"),
        Gate("worker_killed_150_younger"),
        Gate("triggerer_killed", deferrable=True),
        Gate("triggerer_restarted", deferrable=True, count=2),
        Gate("failed_while_running"),
        Gate("failed_while_creating"),
        Gate("failed_while_deferred", deferrable=True),
        Gate("cleared_after_end"),
        Gate("cleared_while_running"),
        Gate("cleared_with_its_load", has_load=True),
        Gate("cleared_while_deferred", deferrable=True),
        Gate("retries_changed", has_neighbour=True),
        Gate("two_airflows", deferrable=True),
        Gate("fires_at_once", deferrable=True, count=6),
    )
}

MONITOR_RUN, CI_RUN = "monitor_run", "ci_run"
"""The DAGs whose task waits for a run of a monitor or of CI instead."""

MONITOR_ID, CI_CONFIG_ID = 4, 2

WATCHES = {"watch_orders": 1, "watch_customers": 2}
"""The monitors that are watched, by the DAGs that their alerts start."""

POLL_INTERVAL = 1.0
"""Seconds between two polls of the list of monitors."""

REPORTED = "reported"
"""The task that returns which runs its DAG was started for."""


def change_retries(dag_id: str, retries: int, home: Path) -> None:
    """Change the number of retries of a gate, from the next parse on.

    :param dag_id: the gate's DAG.
    :param retries: the number of retries.
    :param home: Airflow's home.
    """
    (home / _RETRIES.format(dag_id)).write_text(str(retries))


def retries_of(dag_id: str) -> int:
    """Return the number of retries of a gate, in one of Airflow's processes.

    :param dag_id: the gate's DAG.
    """
    file = Path(os.environ["AIRFLOW_HOME"], _RETRIES.format(dag_id))
    return int(file.read_text()) if file.exists() else RETRIES
