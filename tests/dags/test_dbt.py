"""Gates mapped over the models of a dbt project, in a real Airflow."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import IDENTICAL, done
from tests import documents
from tests.artifacts import SHA
from tests.conftest import ROOT
from tests.dbt import VERSIONS, artifact

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

DAG_FILE = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.dbt import DatafoldDbtModelsOperator

with DAG(
    {dag_id!r},
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args={{"retries": 0}},
    params={params!r},
    render_template_as_native_obj={native},
) as dag:
{tasks}
"""

MAPPED = """
models = DatafoldDbtModelsOperator(
    task_id="models",
    manifest="{{ params.manifest }}",
    production="{{ params.production }}",
    production_manifest="{{ params.nothing }}",
    run_results="{{ params.nothing }}",
    select="{{ params.selected }}",
    data_source_id="{{ params.source }}",
    primary_key_tag="{{ params.tag }}",
    missing_pk="{{ params.missing }}",
    upper_case="{{ params.upper }}",
    returns="{{ params.returns }}",
)
DatafoldRunDataDiffOperator.partial(
    task_id="gate",
    poll_interval=0.01,
    deferrable=DEFERRABLE,
    map_index_template="{{ task.table2 | last }}",
).expand_kwargs(models.output)
"""


def params(version: str) -> dict[str, Any]:
    return {
        "manifest": artifact("staging", "manifest", version),
        "production": {"schema": "public", "custom_schema": "public_<custom_schema>"},
        "selected": ["customers", "tag:nightly", "path:models/finance", "old_orders"],
        "source": 1,
        "nothing": None,
        "tag": "primary-key",
        "missing": "fail",
        "upper": True,
        "returns": "data_diffs",
    }


def source_of(dag_id: str, tasks: str, params: Any, *, native: bool = False) -> str:
    tasks = textwrap.indent(tasks, "    ")
    return DAG_FILE.format(dag_id=dag_id, params=params, native=native, tasks=tasks)


def tasks_of(run: Any) -> dict[str, Any]:
    """The tasks' states and names, by their ids."""
    return {
        f"{task.task_id}[{task.map_index}]": (str(task.state), task.rendered_map_index)
        for task in run.get_task_instances()
    }


def bodies(sandbox: Any) -> dict[str, Any]:
    """The data diffs that were started, by the second table."""
    sent = [
        json.loads(seen.body)
        for seen in sandbox.state.requests
        if (seen.method, seen.path) == ("POST", "/api/v1/datadiffs")
    ]
    return {body["table2"][-1]: body for body in sent}


@pytest.mark.parametrize(("version", "deferrable"), list(zip(VERSIONS, [False, True], strict=True)))
def test_each_model_has_a_gate(version: str, deferrable: bool, run_dag: Any, sandbox: Any) -> None:
    # The same for all, because nobody knows whose gate is first.
    different = done("different", rows_added=999, rows_removed=0, diff_rows_count=0)
    way = (Step("waiting"),) if deferrable else ()
    sandbox.state.data_diffs.courses.default = Course(way, "done", different.outcome)
    dag_id = f"dbt_{version}_{deferrable}"
    tasks = MAPPED.replace("DEFERRABLE", str(deferrable))

    run = run_dag(source_of(dag_id, tasks, params(version), native=deferrable), dag_id)

    # Only the project allows new rows, and only in the orders.
    assert tasks_of(run) == {
        "models[-1]": ("success", None),
        "gate[0]": ("failed", "customers"),
        "gate[1]": ("success", "orders"),
        "gate[2]": ("failed", "payments"),
        "gate[3]": ("failed", "prices"),
        "gate[4]": ("failed", "products"),
    }
    # dbt quotes the tables, and not the columns.
    sent = bodies(sandbox)
    assert (
        sent["customers"].items()
        >= {
            "table1": ["shop", "public", "customers"],
            "table2": ["shop", "staging", "customers"],
            "pk_columns": ["CUSTOMER_ID"],
            "filter1": "not is_test",
            "filter2": "not is_test",
            "exclude_columns": ["NAME"],
        }.items()
    )
    assert sent["prices"]["table1"] == ["shop", "public_finance", "prices"]


def test_gates_of_nothing_are_skipped(run_dag: Any, sandbox: Any) -> None:
    tasks = MAPPED.replace("DEFERRABLE", "False")
    given = {**params("1.11"), "selected": ["old_orders"]}

    run = run_dag(source_of("dbt_nothing", tasks, given), "dbt_nothing")

    assert tasks_of(run) == {"models[-1]": ("success", None), "gate[-1]": ("skipped", None)}
    assert sandbox.state.requests == []


SNIPPETS = documents.blocks(ROOT / "docs" / "dbt.md", "python")
COUNTS = (3, 0)
"""How many data diffs each of the page's snippets starts."""


@pytest.fixture
def project(tmp_path: Path) -> str:
    """The folder that the page calls /dbt."""
    for folder, target in (("target", "staging"), ("production", "production")):
        shutil.copytree(Path(artifact(target)).parent, tmp_path / folder)
    return str(tmp_path)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_page_runs(number: int, project: str, run_dag: Any, sandbox: Any) -> None:
    # One that waits in the triggerer would not defer if it had ended at the first poll.
    sandbox.state.data_diffs.courses.default = Course((Step("waiting"),), "done", IDENTICAL.outcome)
    sandbox.state.ci.courses.default = Course((Step("processing"),), "done")
    sandbox.state.ci.add(2, {"pr_number": 12, "pr_sha": "a" * 40})
    dag_id = f"dbt_page_{number}"
    source = SNIPPETS[number].replace("/dbt/", f"{project}/")

    run = run_dag(source_of(dag_id, source, {"commit_sha": SHA}), dag_id)

    assert run.state == "success"
    started = bodies(sandbox)
    assert len(started) == COUNTS[number]
    uploaded = [(each.run_type, each.files) for each in sandbox.state.seen.artifacts]
    files = ["manifest.json", "run_results.json"]
    assert uploaded == ([("pull_request", files)] if number == 1 else [])
