"""A job's operator or sensor in a real Airflow, waiting in the worker and in the triggerer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.conftest import shows_error

MODES = ("worker", "triggerer")
"""The tasks' ids."""

_DAG_FILE = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.ci import *
from airflow_provider_datafold.operators.data_sources import *
from airflow_provider_datafold.operators.monitors import *
from airflow_provider_datafold.sensors.monitors import *

with DAG(
    "{dag_id}",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    params={params!r},
    render_template_as_native_obj={native},
    default_args={{"retries": 0}},
) as dag:
    {tasks}
"""


@dataclass(frozen=True)
class Outcome:
    """The outcome of the tasks.

    :param states: by their ids, such as ``t``, or ``t[0]`` for a mapped task.
    :param returned: their return values, by their ids.
    :param links: the addresses of the data diffs that they link to, by their ids.
    :param log: everything that was printed and logged.
    """

    states: dict[str, str]
    returned: dict[str, Any]
    links: dict[str, Any]
    log: str

    @property
    def plain_log(self) -> str:
        """The log without colours, which Airflow 3.0 prints."""
        return re.sub(r"\x1b\[[\d;]*m", "", self.log)

    def shows_error(self, error: str, text: str) -> bool:
        """Whether the log shows an error whose message starts so; Airflow 3.0 wraps the lines.

        :param error: the name of its class.
        :param text: the start of its text.
        """
        return shows_error(" ".join(self.plain_log.split()), error, text)


def run(
    run_dag: Any,
    capfd: Any,
    log: Any,
    tasks: str,
    dag_id: str,
    params: dict[str, Any] | None = None,
    *,
    native: bool = False,
) -> Outcome:
    """Run a DAG.

    :param run_dag: the fixture.
    :param capfd: the fixture.
    :param log: the fixture.
    :param tasks: the source of its tasks.
    :param dag_id: its id.
    :param params: its params.
    :param native: whether it renders native objects.
    """
    source = _DAG_FILE.format(dag_id=dag_id, params=params or {}, native=native, tasks=tasks)
    capfd.readouterr()
    log.clear()
    found = run_dag(source, dag_id).get_task_instances()
    printed = capfd.readouterr()
    return Outcome(
        {_named(task): str(task.state) for task in found},
        {_named(task): _pull(task, "return_value") for task in found},
        {_named(task): _pull(task, "datafold_data_diff_url") for task in found},
        printed.out + printed.err + log.text,
    )


def _named(task: Any) -> str:
    return str(task.task_id) if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"


def _pull(task: Any, key: str) -> Any:
    return task.xcom_pull(task.task_id, key=key, map_indexes=task.map_index)
