"""What the page asks for: the verdicts of a DAG's runs, read from Airflow's database."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import FileResponse, JSONResponse
from sqlalchemy import or_, select

from airflow_provider_datafold.jobs.entry import HAS_ENDED, LEFT_OUT, VERDICT, Entry, Task
from airflow_provider_datafold.jobs.gate.figures import items, number, part
from airflow_provider_datafold.jobs.summary import Summary

OPERATORS = (
    *("DatafoldRunDataDiffOperator", "DatafoldDataDiffSensor"),
    *("DatafoldRunMonitorOperator", "DatafoldMonitorRunSensor"),
)
"""Whose tasks are shown without a verdict, too."""

_LONGEST = 500
_FIGURES = ("rows_added", "rows_removed", "diff_rows_count", "match_ratio")
_ORDER = ("failed", "waiting", "skipped", "passed")
_HAS_FAILED = ("upstream_failed", "removed")

app = FastAPI(title="Datafold", docs_url=None, redoc_url=None, openapi_url=None)
_READS = [
    Depends(requires_access_dag("GET", entity))
    for entity in (DagAccessEntity.XCOM, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.RUN)
]


@app.get("/page.js")
def page() -> FileResponse:
    """Return the page's script, which has nothing of anyone's."""
    return FileResponse(Path(__file__).with_name("page.js"), media_type="text/javascript")


@app.get("/verdicts/{dag_id}", dependencies=_READS)
def verdicts(
    dag_id: str,
    session: SessionDep,
    run_id: str | None = None,
    runs: Annotated[int, Query(ge=1, le=100)] = 30,
) -> JSONResponse:
    """Return what came of a run, or of the last runs, the newest first."""
    if session.get(DagModel, dag_id) is None:
        raise HTTPException(404, "There is no such DAG")
    wanted = select(DagRun.id, DagRun.run_id, DagRun.run_after, DagRun.state)
    wanted = wanted.where(DagRun.dag_id == dag_id)
    if run_id is not None:
        wanted = wanted.where(DagRun.run_id == run_id)
    found = session.execute(wanted.order_by(DagRun.run_after.desc()).limit(runs)).all()
    if run_id is not None and not found:
        raise HTTPException(404, "The DAG has no such run")
    tasks = _tasks(session, dag_id, {run.id: run.run_id for run in found})
    shown = [
        {
            "run_id": run.run_id,
            "run_after": run.run_after.isoformat(),
            "state": _word(run.state),
            **_shown(Summary(tasks[run.run_id]), is_whole=run_id is not None),
        }
        for run in found
    ]
    # Not checked by FastAPI once more: that would take a second for many gates and runs.
    return JSONResponse({"dag_id": dag_id, "runs": shown})


def _tasks(session: Any, dag_id: str, runs: Mapping[int, str]) -> dict[str, list[Task]]:
    """Return the tasks of each run that check data or leave something out, by its id."""
    told: dict[tuple[str, str, str], dict[int, Any]] = defaultdict(dict)
    found = session.execute(
        select(
            *(XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.key),
            XComModel.value,
        ).where(XComModel.dag_run_id.in_(runs), XComModel.key.in_((VERDICT, LEFT_OUT)))
    )
    for run_id, task_id, map_index, key, value in found:
        told[run_id, task_id, key][map_index] = _plain(value)
    ti = TaskInstance
    instances = session.execute(
        select(ti.run_id, ti.task_id, ti.map_index, ti.state, ti.operator).where(
            ti.dag_id == dag_id,
            ti.run_id.in_(runs.values()),
            or_(ti.operator.in_(OPERATORS), ti.task_id.in_({task_id for _, task_id, _ in told})),
        )
    )
    states: dict[tuple[str, str, str | None], dict[int, str | None]] = defaultdict(dict)
    for run_id, task_id, map_index, state, operator in instances:
        states[run_id, task_id, operator][map_index] = _word(state)
    # A mapped task without instances looks like this.
    has_empty = any(each == {-1: "skipped"} for each in states.values())
    mapped = _mapped(session, dag_id) if has_empty else ()
    tasks: dict[str, list[Task]] = {run_id: [] for run_id in runs.values()}
    for (run_id, task_id, operator), each in states.items():
        verdicts, left_out = (told.get((run_id, task_id, key), {}) for key in (VERDICT, LEFT_OUT))
        is_mapped = task_id in mapped
        tasks[run_id].append(Task(task_id, is_mapped, each, verdicts, left_out, operator))
    return tasks


def _mapped(session: Any, dag_id: str) -> set[str]:
    """Return the tasks that Airflow expands."""
    dag = SerializedDagModel.get_dag(dag_id, session=session)
    return {
        task_id
        for task_id, task in (dag.task_dict if dag else {}).items()
        if task.is_mapped or task.get_closest_mapped_task_group()
    }


def _shown(summary: Summary, *, is_whole: bool) -> dict[str, Any]:
    entries = [_entry(each, is_whole=is_whole) for each in summary.entries]
    entries.sort(key=lambda each: _ORDER.index(each["counts_as"]))
    # The summary comes when all have ended.
    waiting = sum(each["counts_as"] == "waiting" for each in entries)
    summary.failed -= waiting
    return {
        "headline": summary.headline + (f" {waiting} not ended yet." if waiting else ""),
        "left_out": [
            {name: _text(text) for name, text in each.items()} for each in summary.left_out
        ],
        "entries": entries,
    }


def _entry(entry: Entry, *, is_whole: bool) -> dict[str, Any]:
    """Return an entry as plain JSON, whatever a task wrote as its verdict."""
    told = entry.verdict if entry.outcome else {}
    has_ended = entry.state in (*HAS_ENDED, *_HAS_FAILED)
    shown = {
        "task_id": entry.task_id,
        "map_index": entry.map_index,
        "state": entry.state,
        "label": _text(entry.label),
        "counts_as": entry.counts_as if has_ended else "waiting",
        "outcome": entry.word if has_ended else entry.state or "not started",
        "reason": _text(entry.reason if has_ended else ""),
        "has_verdict": entry.outcome is not None,
        "is_different": entry.is_different,
        "figures": {name: _finite(part(told, "figures").get(name)) for name in _FIGURES},
    }
    if is_whole:
        url = entry.url if isinstance(entry.url, str) else ""
        shown["url"] = url if url.startswith(("https://", "http://")) else None
        shown["columns"] = [
            {
                "name": _text(column.get("name")),
                "different": _finite(column.get("different")),
                "match": _finite(column.get("match")),
            }
            for column in items(told, "columns")
            if isinstance(column, Mapping)
        ]
        shown["doubts"] = [_text(doubt) for doubt in items(told, "doubts")]
        shown["sampled"] = bool(told.get("sampled"))
    return shown


def _plain(value: Any) -> Any:
    """Return what an XCom holds; older versions of Airflow kept JSON as a string."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _finite(value: Any) -> float | None:
    """Return a number that JSON can hold."""
    found = number(value)
    return found if found is not None and math.isfinite(found) else None


def _text(value: Any) -> str:
    return str(value)[:_LONGEST]


def _word(state: Any) -> str | None:
    return state and str(getattr(state, "value", state))
