"""The gate of a case: actions on it, and its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dev.kills.patience import wait_until
from dev.kills.person import Task
from dev.kills.plan import RUN_ID, TASK_ID
from dev.kills.runs import Runs
from dev.kills.scene import Scene
from dev.kills.service import Service

_ENDS = ("success", "failed", "skipped", "upstream_failed", "removed")


class Gate:
    """A gate of a DAG's run.

    :param scene: where it is.
    :param dag_id: the DAG.
    :param task_id: the gate.
    """

    def __init__(self, scene: Scene, dag_id: str, task_id: str = TASK_ID) -> None:
        self.scene = scene
        self.dag_id = dag_id
        self.task_id = task_id
        self.jobs: Service | Runs = scene.service.runs.get(dag_id, scene.service)

    @property
    def tasks(self) -> list[Task]:
        """Its task instances: several if it is mapped."""
        return self.scene.person.tasks(self.dag_id, self.task_id)

    @property
    def task(self) -> Task:
        """Its only task instance."""
        (task,) = self.tasks
        return task

    @property
    def diffs(self) -> list[int]:
        """The ids of its data diffs, in the order of their creation."""
        return self.jobs.ids(f"{self.dag_id}.{self.task_id}")

    def values(self) -> list[Any]:
        """Return what its task instances returned."""
        return [
            self.scene.person.value(self.dag_id, self.task_id, task.map_index)
            for task in self.tasks
        ]

    def start(self, run_id: str = RUN_ID) -> None:
        """Start the DAG's run.

        :param run_id: the run's id.
        """
        self.scene.person.trigger(self.dag_id, run_id)

    def fail(self) -> None:
        """Mark it as failed."""
        self.scene.person.fail(self.dag_id, self.task_id)

    def clear(self, *others: str) -> None:
        """Clear it.

        :param others: further tasks to clear with it.
        """
        self.scene.person.clear(self.dag_id, self.task_id, *others)

    def kill_worker(self) -> None:
        """Kill its process, with the worker."""
        self.scene.kill_worker(self.task)

    def wait_for_diff(self, count: int = 1) -> int:
        """Wait until there is a number of data diffs.

        :param count: the number.
        :return: the newest one's id.
        """
        self.until(f"it had {count} data diffs", lambda: len(self.diffs) >= count)
        return self.diffs[-1]

    def wait_for_look(self, number: int) -> None:
        """Wait until a task or a trigger reads a data diff.

        :param number: its id.
        """
        before = self.jobs.reads(number)
        self.until(f"it looked at job {number}", lambda: self.jobs.reads(number) > before)

    def wait_for_state(self, state: str) -> None:
        """Wait until it is in a state.

        :param state: Airflow's name for the state.
        """
        self.until(
            f"it was {state}",
            lambda: bool(self.tasks) and all(task.state == state for task in self.tasks),
        )

    def wait_for_end(self) -> None:
        """Wait until Airflow has finished with it."""
        self.until(
            "it ended", lambda: bool(self.tasks) and all(task.state in _ENDS for task in self.tasks)
        )

    def finish(self, number: int) -> None:
        """Let a data diff end, and wait until Airflow has finished with the gate.

        :param number: its id.
        """
        self.jobs.finish(number)
        self.wait_for_end()

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait.

        :param what: what to wait for, in words.
        :param condition: returns whether it has happened.
        :raises CaseError: it takes too long.
        """
        wait_until(what, condition)
