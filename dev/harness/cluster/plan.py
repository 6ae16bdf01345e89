"""What the cluster is asked to do, and what comes of it at Datafold; Airflow reads it, too."""

from __future__ import annotations

from dataclasses import dataclass

DEFERRED_GATE, GATE, MONITOR, CHANGE = "deferred_gate", "gate", "monitor", "change"
"""The tasks; a ``gate`` waits in its worker."""
GATES = (DEFERRED_GATE, GATE)
COUNTS = {DEFERRED_GATE: 54, GATE: 6, MONITOR: 20, CHANGE: 20}
"""How many there are of each task."""
DAG_ID, RUN_ID = "cluster", "1"


@dataclass(frozen=True)
class Key:
    """Which task it is, by its map index. Monitors and integrations are numbered from 1."""

    task_id: str
    index: int

    @property
    def table(self) -> str:
        """The table that a gate compares, and no other gate."""
        return f"DB.STAGING.{self.task_id.upper()}_{self.index}"

    @property
    def cron(self) -> str:
        """The schedule that a change asks for."""
        return f"{self.index} 6 * * *"

    @property
    def is_good(self) -> bool:
        """Whether it has to succeed: for a fifth, the sides differ or the monitor alerts."""
        return self.task_id == CHANGE or self.index % 5 > 0

    @property
    def seconds(self) -> float:
        """How long its job takes."""
        if self.task_id == DEFERRED_GATE:
            # The last ones are brief: in the end they alone are waited for.
            return 30.0 - 20.0 * self.index / COUNTS[DEFERRED_GATE]
        if self.task_id == MONITOR:
            return 2.0 + self.index % 3 * 5.0
        # It must not have ended before its worker is killed.
        return 7.0 + self.index % 3


def keys(*task_ids: str) -> list[Key]:
    """List the tasks with some ids."""
    return [Key(name, index) for name in task_ids for index in range(COUNTS[name])]
