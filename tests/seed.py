"""Runs of a DAG, its tasks' states and what they told, written into Airflow's database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.types import DagRunType
from sqlalchemy import insert

GATE = "DatafoldRunDataDiffOperator"
BEGIN = datetime(2026, 1, 1, 6, tzinfo=timezone.utc)

Tasks = Mapping[str, Mapping[int, tuple[Any, Mapping[str, Any]]]]


def verdict(outcome: str = "passes", table: str = "SHOP.ORDERS", **more: Any) -> dict[str, Any]:
    return {
        "kind": "data_diff",
        "id": 7,
        "url": "https://app.datafold.com/datadiffs/7/overview",
        "outcome": outcome,
        "reason": "identical" if outcome == "passes" else f"it is {outcome}",
        "table1": table,
        "table2": table,
        "figures": {},
        "columns": [],
        "doubts": [],
        "sampled": False,
        **more,
    }


def add_dag(session: Any, dag_id: str) -> None:
    """Add a DAG that no file has."""
    session.merge(DagBundleModel(name="none"))
    session.flush()
    session.add(DagModel(dag_id=dag_id, bundle_name="none", fileloc="/none", is_paused=False))
    session.commit()


def add_run(
    session: Any,
    dag_id: str,
    run_id: str,
    tasks: Tasks,
    *,
    number: int = 0,
    state: str = "success",
    operator: str = GATE,
    **more: Any,
) -> None:
    """Add a run with its tasks: by task id and map index, the state and the XComs."""
    when = BEGIN + timedelta(days=number)
    run = DagRun(dag_id=dag_id, run_id=run_id, run_type=DagRunType.MANUAL, run_after=when)
    run.state, run.start_date, run.logical_date = state, when, when
    session.add(run)
    session.flush()
    of_run = {"dag_id": dag_id, "run_id": run_id}
    instances, told = [], []
    for task_id, each in tasks.items():
        for map_index, (task_state, xcoms) in each.items():
            place = {**of_run, "task_id": task_id, "map_index": map_index}
            instances.append(
                {
                    **place,
                    "state": task_state,
                    "operator": operator,
                    "pool": "default_pool",
                    "start_date": when,
                    "end_date": when + timedelta(minutes=1),
                    **more,
                }
            )
            told += [
                {**place, "dag_run_id": run.id, "key": key, "value": value}
                for key, value in xcoms.items()
            ]
    if instances:
        session.execute(insert(TaskInstance), instances)
    if told:
        session.execute(insert(XComModel), told)
    session.commit()
