"""What Airflow passes to a task, as far as this package uses it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

RUN_START = datetime(2024, 5, 1, 6, 0, tzinfo=timezone.utc)


class TaskInstance(SimpleNamespace):
    """Keeps what the task pushes."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class Store:
    """A task's store, as Airflow has it from 3.3 on."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.broken: set[str] = set()
        """The names of the methods that fail."""

    def get(self, key: str) -> Any:
        self._fail("get")
        return json.loads(self.kept.get(key, "null"))

    def set(self, key: str, value: Any) -> None:
        self._fail("set")
        self.kept[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._fail("delete")
        self.kept.pop(key, None)

    def _fail(self, name: str) -> None:
        if name in self.broken:
            raise RuntimeError("planted-response-of-the-store")


def context_of(
    task: Any,
    *,
    try_number: int = 1,
    max_tries: int = 0,
    run_id: str = "run",
    start: datetime | None = RUN_START,
    clear_number: int = 0,
    store: Store | None = None,
) -> Any:
    """Make the context of a task's run.

    :param task: the task.
    :param try_number: number of the try.
    :param max_tries: what Airflow counts up when a task is cleared.
    :param run_id: the DAG run's id.
    :param start: when the DAG run started.
    :param clear_number: how often Airflow counts that the DAG run was cleared.
    :param store: the task's store, which Airflow has from 3.3 on.
    """
    ti = TaskInstance(
        dag_id="dag",
        task_id=task.task_id,
        run_id=run_id,
        map_index=-1,
        try_number=try_number,
        max_tries=max_tries,
        pushed={},
        # Sensors in reschedule mode use it.
        get_first_reschedule_date=lambda context: None,
    )
    run = SimpleNamespace(start_date=start, clear_number=clear_number)
    context = {"ti": ti, "task": task, "dag_run": run}
    return context if store is None else {**context, "task_state_store": store}
