"""Gates mapped over the models of a dbt project, and the snippets of docs/dbt.md."""

from __future__ import annotations

import shutil
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
Gate.partial(
    task_id="gate",
    poll_interval=0.01,
    deferrable=DEFERRABLE,
    map_index_template="{{ task.table2 | last }}",
).expand_kwargs(models.output)
"""
PARAMS = {
    "production": {"schema": "public", "custom_schema": "public_<custom_schema>"},
    "selected": ["customers", "tag:nightly", "path:models/finance", "old_orders"],
    "source": 1,
    "nothing": None,
    "tag": "primary-key",
    "missing": "fail",
    "upper": True,
    "returns": "data_diffs",
}


@pytest.mark.parametrize(("version", "deferrable"), list(zip(VERSIONS, [False, True], strict=True)))
def test_each_model_has_a_gate(
    version: str, deferrable: bool, run_tasks: Any, sandbox: Any, created: Any
) -> None:
    # The same for all, because nobody knows whose gate is first.
    different = done("different", rows_added=999, rows_removed=0, diff_rows_count=0)
    way = (Step("waiting"),) if deferrable else ()
    sandbox.state.data_diffs.courses.default = Course(way, "done", different.outcome)
    params = {**PARAMS, "manifest": artifact("staging", "manifest", version)}
    tasks = MAPPED.replace("DEFERRABLE", str(deferrable))

    run = run_tasks(tasks, params, native=deferrable)

    # Only the project allows new rows, and only in the orders.
    assert run.states == {
        "models": "success",
        "customers": "failed",
        "orders": "success",
        "payments": "failed",
        "prices": "failed",
        "products": "failed",
    }
    # dbt quotes the tables, and not the columns.
    sent = {body["table2"][-1]: body for body in created()}
    customers = {
        "table1": ["shop", "public", "customers"],
        "table2": ["shop", "staging", "customers"],
        "pk_columns": ["CUSTOMER_ID"],
        "filter1": "not is_test",
        "filter2": "not is_test",
        "exclude_columns": ["NAME"],
    }
    assert sent["customers"].items() >= customers.items()
    assert sent["prices"]["table1"] == ["shop", "public_finance", "prices"]


SNIPPETS = documents.blocks(ROOT / "docs" / "dbt.md", "python")
FILES = ["manifest.json", "run_results.json"]


@pytest.fixture
def project(tmp_path: Path) -> str:
    """The folder that the page calls /dbt."""
    for folder, target in (("target", "staging"), ("production", "production")):
        shutil.copytree(Path(artifact(target)).parent, tmp_path / folder)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("snippet", "diffs", "uploads"),
    zip(SNIPPETS, (3, 0), ([], [("pull_request", FILES)]), strict=True),
    ids=["selected", "artifacts"],
)
def test_a_snippet_of_the_page_runs(
    snippet: str,
    diffs: int,
    uploads: Any,
    project: str,
    run_tasks: Any,
    sandbox: Any,
    created: Any,
) -> None:
    # One that waits in the triggerer would not defer if it had ended at the first poll.
    sandbox.state.data_diffs.courses.default = Course((Step("waiting"),), "done", IDENTICAL.outcome)
    sandbox.state.ci.courses.default = Course((Step("processing"),), "done")
    sandbox.state.ci.add(2, {"pr_number": 12, "pr_sha": "a" * 40})

    run = run_tasks(snippet.replace("/dbt/", f"{project}/"), {"commit_sha": SHA})

    assert run.state == "success"
    assert len(created()) == diffs
    assert [(each.run_type, each.files) for each in sandbox.state.seen.artifacts] == uploads
