"""The snippets of docs/monitors.md and docs/ci.md, as tasks in a real Airflow."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import pytest

from dev.sandbox.course import Course, Job, Step
from dev.sandbox.moment import now
from tests import documents
from tests.conftest import HOME, ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

DAG_FILE = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

with DAG(
    "{dag_id}",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    params={params!r},
    default_args={{"retries": 0}},
) as dag:
{snippet}
"""
PARAMS = {
    "run_id": 1,
    "pr_number": 12,
    "pr_sha": "a" * 40,
    "base_sha": "b" * 40,
    "pr_branch": "feature",
}
FILE = """
monitors:
  orders:
    type: test
    connection_id: 1
    query: SELECT 1
    schedule: {type: none}
"""
SNIPPETS = [
    (page, number, snippet)
    for page in ("monitors", "ci")
    for number, snippet in enumerate(documents.blocks(ROOT / "docs" / f"{page}.md", "python"))
    if "AssetWatcher" not in snippet
]


@pytest.fixture
def monitors() -> Any:
    """A file next to the DAG's file."""
    file = HOME / "dags" / "monitors" / "orders.yaml"
    file.parent.mkdir()
    file.write_text(FILE)
    yield file
    file.unlink()
    file.parent.rmdir()


@pytest.mark.usefixtures("monitors")
@pytest.mark.parametrize(("page", "number", "snippet"), SNIPPETS, ids=lambda it: str(it)[:8])
def test_a_snippet_runs(page: str, number: int, snippet: str, run_dag: Any, sandbox: Any) -> None:
    state = sandbox.state
    # For the upload, a run that has not ended before the first look.
    state.ci.courses.default = Course((Step("processing"),), "done")
    state.ci.add(2, {"pr_number": 12, "pr_sha": "a" * 40})
    state.monitors.jobs[1] = Job(Course((), "ok"))
    state.monitors.runs[1] = {"run_id": 1, "monitor_id": 4, "started_at": now()}
    state.monitors.monitors[4]["tags"] = ["airflow-set:orders/ids"]
    source = re.sub(r"retries=\d+", "retries=0", snippet)

    dag_id = f"{page}_{number}"  # dag.test() of Airflow 3.1 keeps what a DAG was at first.
    file = DAG_FILE.format(dag_id=dag_id, params=PARAMS, snippet=textwrap.indent(source, "    "))
    run = run_dag(file, dag_id)

    assert run.state == "success"
    assert sandbox.state.requests
