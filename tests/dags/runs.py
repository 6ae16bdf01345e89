"""DAGs made of tasks or snippets, and what became of their tasks."""

from __future__ import annotations

import re
import shutil
import sqlite3
import textwrap
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from tests.conftest import HOME, ROOT

LEAST: dict[str, Any] = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": "DB.PUBLIC.ORDERS",
    "table2": "DB.STAGING.ORDERS",
    "pk_columns": ["id"],
    "poll_interval": 0.01,
}
"""The arguments of a gate."""

# dag.test() of Airflow 3.1 keeps what a DAG was at first: each has another name.
_NUMBERS = count()
_DAG_FILE = """
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Asset, TaskGroup, task, task_group

from airflow_provider_datafold.operators.ci import (
    DatafoldTriggerCIOperator,
    DatafoldUploadCIChangesOperator,
)
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator as Gate
from airflow_provider_datafold.operators.data_sources import DatafoldTestDataSourceOperator
from airflow_provider_datafold.operators.dbt import DatafoldDbtModelsOperator
from airflow_provider_datafold.operators.monitors import (
    DatafoldApplyMonitorsOperator,
    DatafoldRunMonitorOperator,
    DatafoldToggleMonitorOperator,
)
from airflow_provider_datafold.operators.summary import DatafoldSummarizeOperator
from airflow_provider_datafold.operators.tables import DatafoldTablesOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor as Sensor
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor

LEAST = {least!r}
TABLELESS = {{name: value for name, value in LEAST.items() if not name.startswith("table")}}


@task
def give(value):
    return value


with DAG(
    {dag_id!r},
    schedule=None,
    start_date=datetime(2024, 1, 1),
    params={params!r},
    render_template_as_native_obj={native},
    default_args={{"retries": 0}},
) as dag:
{tasks}
"""


def source_of(tasks: str, params: Any = None, *, native: bool = False) -> tuple[str, str]:
    """Return the source of a DAG's file, and its id."""
    dag_id = f"dag_{next(_NUMBERS)}"
    shown = textwrap.indent(textwrap.dedent(tasks), "    ")
    fields = {"dag_id": dag_id, "params": params or {}, "native": native, "least": LEAST}
    return _DAG_FILE.format(tasks=shown, **fields), dag_id


def example(name: str) -> str:
    """Return a DAG that users copy, without retries, for which Airflow 2.11 would really wait."""
    source = (ROOT / "example_dags" / f"{name}.py").read_text()
    return re.sub(r"retries=\d+", "retries=0", source)


def execute(file: Path, sql: str) -> Any:
    """Execute a statement in a warehouse, and return its rows."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(sql).fetchall()
        connection.commit()
        return rows


def reserialize(source: Path) -> None:
    """Let Airflow read a DAG file as its scheduler does, which learns about assets there."""
    from airflow.cli.cli_parser import get_parser

    file = HOME / "dags" / source.name
    shutil.copy(source, file)
    # Airflow's own parser: the whole program would take seconds to start.
    arguments = get_parser().parse_args(["dags", "reserialize"])
    arguments.func(arguments)
    file.unlink()


class Run:
    """A run of a DAG.

    :param dag_run: what dag.test() returns.
    """

    def __init__(self, dag_run: Any) -> None:
        self.state = str(dag_run.state)
        self.run_id = dag_run.run_id
        self._tasks = {
            _named(task): task
            for task in sorted(dag_run.get_task_instances(), key=lambda task: task.map_index)
        }

    @property
    def states(self) -> dict[str, str]:
        """The tasks' states, by what Airflow's pages call them."""
        return {name: str(task.state) for name, task in self._tasks.items()}

    def xcom(self, name: str, key: str = "return_value") -> Any:
        task = self._tasks[name]
        return task.xcom_pull(task.task_id, key=key, map_indexes=task.map_index)


def _named(task: Any) -> str:
    if task.map_index < 0:
        return str(task.task_id)
    label = task.rendered_map_index
    # Some versions say its number if there is no template.
    return label if label and not label.isdecimal() else f"{task.task_id}[{task.map_index}]"
