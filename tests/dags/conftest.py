"""A real Airflow with short pauses, in which DAGs run."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import pauses
from tests.dags.runs import Run, source_of

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
def run_file(run_dag: Any) -> Callable[..., Run]:
    """Run a DAG, given as the source of its file."""
    return lambda *given, **more: Run(run_dag(*given, **more))


@pytest.fixture
def run_tasks(run_file: Any) -> Callable[..., Run]:
    """Run tasks, given as source that stands under ``with DAG(...)``."""
    return lambda tasks, params=None, **more: run_file(*source_of(tasks, params, **more))


@pytest.fixture
def printed(capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return what was printed, on one line: Airflow 3.0 wraps the lines."""
    return lambda: " ".join("".join(capfd.readouterr()).split())


@pytest.fixture
def created(sandbox: Any) -> Callable[[], list[dict[str, Any]]]:
    """Return what each data diff so far was asked for."""
    return lambda: [
        json.loads(request.body)
        for request in sandbox.state.requests
        if (request.method, request.path) == ("POST", "/api/v1/datadiffs")
    ]


@pytest.fixture
def warehouse(connect: Callable[..., None], tmp_path: Path) -> Path:
    """The file of an empty warehouse, with a connection to it."""
    file = tmp_path / "warehouse.db"
    connect("warehouse_default", conn_type="sqlite", host=str(file))
    return file
