"""What the tests of gates share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_datafold.links import DatafoldDataDiffLink
from tests import pauses
from tests.gates import ERRORS, recorded, source_of

_IN_ONE_DAG = 5
_LONGEST_SLEEP = 0.05


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses.shorten(monkeypatch.setattr)
    # dag.test() sleeps for a second while no task can run, such as one that is rescheduled.
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, _LONGEST_SLEEP)))


@pytest.fixture(autouse=True)
def _plain_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not render tracebacks of failed tasks: that takes longer than everything else."""
    with contextlib.suppress(ImportError):  # Airflow 2 may have none.
        from structlog import dev

        monkeypatch.setattr(
            dev.RichTracebackFormatter,
            "__call__",
            lambda _, out, error: dev.plain_traceback(out, error),
        )


@pytest.fixture
def run_gates(
    run_dag: Any, sandbox: Any, connections: None
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Run tasks, and return by task id the tasks' states, XComs and links."""

    def run_tasks(dag_id: str, tasks: list[str], **more: Any) -> dict[str, Any]:
        recorded()
        sandbox.state.requests.clear()
        found: dict[str, Any] = {}
        # Airflow 3.0 processes the whole DAG for each of its tasks.
        for begin in range(0, len(tasks), _IN_ONE_DAG):
            some = "\n".join(tasks[begin : begin + _IN_ONE_DAG])
            found |= run_some(f"{dag_id}_{begin}", some, **more)
        return found

    def run_some(dag_id: str, tasks: str, **more: Any) -> dict[str, Any]:
        dag_run = run_dag(source_of(dag_id, tasks, **more), dag_id)
        found: dict[str, Any] = {}
        for ti in sorted(dag_run.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index)):
            returned, link = (
                ti.xcom_pull(ti.task_id, key=key, map_indexes=ti.map_index)
                for key in ("return_value", DatafoldDataDiffLink.xcom_key)
            )
            found.setdefault(ti.task_id, []).append((str(ti.state), returned, link or None))
        return found

    yield run_tasks
    ERRORS.unlink(missing_ok=True)
