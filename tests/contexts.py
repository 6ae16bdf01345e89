"""What Airflow passes to a task, as far as this package uses it."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

RUN_START = datetime(2024, 5, 1, 6, 0, tzinfo=timezone.utc)


class TaskInstance(SimpleNamespace):
    """Keeps what the task pushes."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context_of(
    task: Any,
    *,
    try_number: int = 1,
    max_tries: int = 0,
    run_id: str = "run",
    start: datetime | None = RUN_START,
    clear_number: int = 0,
) -> Any:
    """Make the context of a task's run.

    :param task: the task.
    :param try_number: number of the try.
    :param max_tries: what Airflow counts up when a task is cleared.
    :param run_id: the DAG run's id.
    :param start: when the DAG run started.
    :param clear_number: how often Airflow counts that the DAG run was cleared.
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
    return {"ti": ti, "task": task, "dag_run": run}
