"""The example DAG with Astronomer Cosmos, which only ``nox -s cosmos`` installs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts import SHA
from tests.conftest import ROOT
from tests.dbt import PROJECT, artifact

pytest.importorskip("cosmos")

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

DAG = ROOT / "example_dags" / "with_cosmos" / "dbt_artifacts.py"

# dbt does not get on with Airflow in one environment.
DBT = """#!{python}
import pathlib, shutil, sys
options = dict(zip(sys.argv, sys.argv[1:]))
target = pathlib.Path("target")
target.mkdir(exist_ok=True)
for name in ("manifest", "run_results"):
    shutil.copy(f"{artifacts}/{{name}}.json", target)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder that the DAG calls /dbt, with a dbt that writes what the real one wrote."""
    folder = tmp_path / "shop"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("artifacts"))
    dbt = folder / "dbt"
    artifacts = Path(artifact("production")).parent
    dbt.write_text(DBT.format(python=sys.executable, artifacts=artifacts))
    dbt.chmod(0o700)
    return folder


def source(project: Path) -> str:
    return (
        DAG.read_text()
        .replace('"/dbt', f'"{project}')
        .replace("callback=", f'dbt_executable_path="{project}/dbt", callback=')
    )


def test_the_artifacts_of_a_production_run(project: Path, run_dag: Any, sandbox: Any) -> None:
    run = run_dag(source(project), "datafold_cosmos_artifacts", conf={"commit_sha": SHA})
    assert run.state == "success"
    (found,) = sandbox.state.seen.artifacts
    assert (found.ci_config_id, found.run_type, found.commit_sha) == (3, "production", SHA)
    assert {"manifest.json", "run_results.json"} <= {*found.files}
    assert not (project / "target").exists()


def test_a_wrong_sha_fails_the_task(project: Path, run_dag: Any, sandbox: Any) -> None:
    run = run_dag(source(project), "datafold_cosmos_artifacts", conf={"commit_sha": "main"})
    assert run.state == "failed"
    assert json.dumps([each.path for each in sandbox.state.requests]) == "[]"
