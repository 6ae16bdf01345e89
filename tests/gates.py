"""A DAG of gates and sensors, made for a test, and the errors that its tasks end with."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import HOME

ERRORS = HOME / "errors.jsonl"

DAG_FILE = """
import json
from contextlib import contextmanager
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor


@contextmanager
def kept_error(task_id):
    try:
        yield
    except Exception as error:
        with open(ERRORS, "a") as file:
            print(json.dumps([task_id, type(error).__name__, str(error)]), file=file)
        raise


class Recorded:
    # With Airflow 2.11 there are more: a mark that the task runner has called it.
    def execute(self, context, **more):
        with kept_error(self.task_id):
            return super().execute(context, **more)

    def execute_complete(self, context, event=None, **more):
        with kept_error(self.task_id):
            return super().execute_complete(context, event, **more)


class Gate(Recorded, DatafoldRunDataDiffOperator):
    pass


class Sensor(Recorded, DatafoldDataDiffSensor):
    pass


@task
def give(value):
    return value


def gate(task_id, **arguments):
    Gate(task_id=task_id, **{**LEAST, **arguments})


with DAG(
    DAG_ID,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    params=PARAMS,
    render_template_as_native_obj=NATIVE,
    default_args={"retries": 0},
) as dag:
"""

LEAST = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": "DB.PUBLIC.ORDERS",
    "table2": "DB.STAGING.ORDERS",
    "pk_columns": ["id"],
    "poll_interval": 0.01,
}
BODY = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": ["DB", "PUBLIC", "ORDERS"],
    "table2": ["DB", "STAGING", "ORDERS"],
    "pk_columns": ["id"],
}
PARAMS = {
    "source": 2,
    "number": "2",
    "zero": 0,
    "nothing": None,
    "yes": True,
    "table": "DB.PUBLIC.ORDERS",
    "quoted": 'DB."my.schema".`a.b`',
    "parts": ["DB", "my.schema", "ORDERS"],
    "columns": ["id", "day"],
    "query": "SELECT * FROM orders WHERE name = 'a, b'",
    "limit": 5,
    "ratio": 0.25,
    "choice": "pass",
    "options": {"sampling_ratio": 0.5, "compare_duplicates": True},
    "blank": "",
}


def source_of(dag_id: str, tasks: str, *, native: bool = False, params: Any = PARAMS) -> str:
    names = {
        "ERRORS": str(ERRORS),
        "DAG_ID": dag_id,
        "PARAMS": params,
        "NATIVE": native,
        "LEAST": LEAST,
    }
    heads = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    body = "\n".join("    " + line for line in tasks.splitlines())
    return f"{heads}{DAG_FILE}{body}\n"


def recorded() -> dict[str, tuple[str, str]]:
    """The errors of a DAG run by task id: kind and text."""
    if not ERRORS.exists():
        return {}
    lines = [json.loads(line) for line in ERRORS.read_text().splitlines()]
    ERRORS.unlink()
    kept = [line for line in lines if line[1] != "AirflowRescheduleException"]
    return {task_id: (kind, text) for task_id, kind, text in kept}
