"""The gate of a case: a user's actions on it, through Airflow's API, and its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dev.kills.plan import LOGICAL_DATE, RUN_ID, TASK_ID
from dev.kills.runs import Runs
from dev.kills.scene import Scene
from dev.kills.service import Service
from dev.local_airflow.api import ApiError

_ENDS = ("success", "failed", "skipped", "upstream_failed", "removed")
_LONGEST_WAIT = 90.0


class CaseError(Exception):
    """A case did not continue."""


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Wait.

    :param what: what to wait for, in words.
    :param condition: returns whether it has happened.
    :raises CaseError: it takes too long.
    """
    deadline = time.monotonic() + _LONGEST_WAIT
    while not condition():
        if time.monotonic() > deadline:
            raise CaseError(f"{_LONGEST_WAIT:g} s passed before {what}")
        time.sleep(0.3)


class Gate:
    """A gate of a DAG's only run.

    :param scene: where it is.
    :param dag_id: the DAG.
    :param task_id: the gate.
    """

    def __init__(self, scene: Scene, dag_id: str, task_id: str = TASK_ID) -> None:
        self.scene = scene
        self.task_id = task_id
        self.dag_id = dag_id
        self._api = scene.api
        self._run_id = RUN_ID
        self.jobs: Service | Runs = scene.service.runs.get(dag_id, scene.service)

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """Its task instances, as Airflow's API shows them: several if it is mapped."""
        page = self._api.get(f"{self._run}/taskInstances", limit=100)
        found = [task for task in page["task_instances"] if task["task_id"] == self.task_id]
        return sorted(found, key=lambda task: int(task["map_index"]))

    @property
    def state(self) -> str | None:
        """The state of its only task instance, ``None`` before it is scheduled."""
        (task,) = self.tasks
        return task["state"]  # type: ignore[no-any-return]

    @property
    def run_state(self) -> str:
        """The state of the DAG's run."""
        return str(self._api.get(self._run)["state"])

    @property
    def retries(self) -> int:
        """The number of its retries, in the DAG as Airflow has read it last."""
        return int(self._api.get(f"dags/{self.dag_id}/tasks/{self.task_id}")["retries"])

    @property
    def diffs(self) -> list[int]:
        """The ids of its data diffs, in the order of their creation."""
        return self.jobs.ids(f"{self.dag_id}.{self.task_id}")

    def values(self) -> list[Any]:
        """Return what its task instances returned, ``None`` for nothing."""
        return [self._value(task["map_index"]) for task in self.tasks]

    def start(self, run_id: str = RUN_ID) -> None:
        """Start the DAG's run.

        :param run_id: the run's id.
        """
        self._run_id = run_id
        body = {"dag_run_id": run_id, "logical_date": LOGICAL_DATE}
        self._api.send("POST", f"dags/{self.dag_id}/dagRuns", body)

    def begin(self) -> int:
        """Start the DAG's run, and wait until the gate waits for its data diff.

        :return: the data diff's id.
        """
        self.start()
        diff = self.wait_for_diff()
        self.wait_for_look(diff)
        return diff

    def go_on(self, number: int) -> None:
        """Wait until it waits for a data diff, and let both end.

        :param number: the data diff's id.
        """
        self.wait_for_look(number)
        self.finish(number)

    def fail(self) -> None:
        """Mark it as failed."""
        path = f"{self._run}/taskInstances/{self.task_id}"
        self._api.send("PATCH", path, {"new_state": "failed"})

    def clear(self, *others: str) -> None:
        """Clear it.

        :param others: further tasks to clear with it.
        """
        body = {
            "dry_run": False,
            "dag_run_id": self._run_id,
            "task_ids": [self.task_id, *others],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._api.send("POST", f"dags/{self.dag_id}/clearTaskInstances", body)

    def kill_worker(self) -> None:
        """Kill its process, with the worker."""
        (task,) = self.tasks
        self.scene.kill_worker(task["pid"])

    def wait_for_diff(self, count: int = 1) -> int:
        """Wait until there is a number of data diffs.

        :param count: the number.
        :return: the newest one's id.
        """
        wait_until(f"it had {count} data diffs", lambda: len(self.diffs) >= count)
        return self.diffs[-1]

    def wait_for_look(self, number: int) -> None:
        """Wait until a task or a trigger reads a data diff.

        :param number: its id.
        """
        before = self.jobs.reads(number)
        wait_until(f"it looked at job {number}", lambda: self.jobs.reads(number) > before)

    def wait_for_end(self) -> None:
        """Wait until Airflow has finished with it."""

        def has_ended() -> bool:
            tasks = self.tasks
            return bool(tasks) and all(task["state"] in _ENDS for task in tasks)

        wait_until("it ended", has_ended)

    def finish(self, number: int) -> None:
        """Let a data diff end, and wait until Airflow has finished with the gate.

        :param number: its id.
        """
        self.jobs.finish(number)
        self.wait_for_end()

    @property
    def _run(self) -> str:
        return f"dags/{self.dag_id}/dagRuns/{self._run_id}"

    def _value(self, map_index: int) -> Any:
        path = f"{self._run}/taskInstances/{self.task_id}/xcomEntries/return_value"
        try:
            return self._api.get(path, map_index=map_index, stringify="false")["value"]
        except ApiError as error:
            if error.status == 404:
                return None
            raise
