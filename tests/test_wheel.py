"""The wheel: what is in it, and that a user who has only it gets the README's DAG to run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import API_KEY, ROOT, TOKEN

CONSTRAINTS = ROOT / "dev" / "constraints" / "airflow-3.3.txt"


def run(*command: str | Path, **more: Any) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=600, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    run(sys.executable, "-m", "twine", "check", "--strict", *folder.iterdir())
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "airflow_provider_datafold").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == package
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def first_dag() -> str:
    readme = (ROOT / "README.md").read_text()
    (source,) = re.findall(r"## First DAG\n\n```python\n(.*?)```", readme, re.DOTALL)
    return str(source)


def test_first_dag_is_short() -> None:
    assert len(first_dag().strip().splitlines()) < 20


def test_first_dag_runs_beside_an_airflow_that_has_only_the_wheel(
    wheel: Path, tmp_path: Path, sandbox: Any
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, "--constraint", CONSTRAINTS)

    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "first.py").write_text(first_dag())
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(
            {"conn_type": "datafold", "host": sandbox.url, "password": API_KEY}
        ),
        "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps({"conn_type": "generic", "password": TOKEN}),
    }
    airflow = [python, "-I", "-m", "airflow"]
    assert "airflow-provider-datafold" in run(*airflow, "providers", "list", env=environment)
    run(*airflow, "db", "migrate", env=environment)
    run(*airflow, "dags", "test", "hightouch_schedule", env=environment)
    read, request = sandbox.state.requests
    assert read.method == "GET"
    assert json.loads(request.body) == {
        "token": TOKEN,
        "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
        "indexing_cron": "0 6 * * *",
    }
    assert sandbox.state.integrations[7]["indexing_cron"] == "0 6 * * *"
