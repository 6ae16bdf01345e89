"""What became of a DAG's tasks: a program that asks Airflow, whose tables are its own affair."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(dag_id: str, file: str, key: str) -> None:
    """Write the state of each task of a DAG's only run, and what it left in XCom, as JSON."""
    from airflow.models.dagrun import DagRun

    (run,) = DagRun.find(dag_id=dag_id)
    tasks = run.get_task_instances()
    # Of a mapped task its last one is left.
    found = {
        task.task_id: [
            task.state,
            task.xcom_pull(task.task_id, key=key, map_indexes=task.map_index),
        ]
        for task in tasks
    }
    # Into a file: Airflow itself may print anything.
    Path(file).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
