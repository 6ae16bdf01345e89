"""What became of a DAG's tasks: a program that asks Airflow, whose tables are its own affair."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(dag_id: str, file: str, key: str) -> None:
    """Write the state of each task of a DAG's only run, and what it returned.

    :param dag_id: the DAG.
    :param key: the key of what it left in XCom, ``"return_value"`` for what it returned.
    :param file: where to write them, as JSON; Airflow itself may print anything.
    """
    from airflow.models.dagrun import DagRun

    (run,) = DagRun.find(dag_id=dag_id)
    tasks = run.get_task_instances()
    found = {task.task_id: [task.state, task.xcom_pull(task.task_id, key=key)] for task in tasks}
    Path(file).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
