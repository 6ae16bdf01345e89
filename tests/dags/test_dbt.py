"""The snippets of docs/dbt.md."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import IDENTICAL
from tests import documents
from tests.artifacts import SHA
from tests.conftest import ROOT
from tests.dbt import artifact

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

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
