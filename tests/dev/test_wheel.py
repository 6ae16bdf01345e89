"""The package: what is in it, its page, and that a DAG runs with nothing but the wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hatch_build import long_description
from tests.conftest import API_KEY, ROOT

pytestmark = pytest.mark.whole

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
    examples = {
        f"airflow_provider_datafold/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "example_dags").rglob("*.*")
        if "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == package | examples
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_page_leads_to_the_files_of_the_version_if_there_is_an_address() -> None:
    readme = "![a](docs/images/a.png) [b](docs/b.md) [c](https://example.com/)"
    assert long_description(readme, "https://git.example.com/team", "1.2") == (
        "![a](https://git.example.com/team/raw/v1.2/docs/images/a.png)"
        " [b](https://git.example.com/team/blob/v1.2/docs/b.md) [c](https://example.com/)"
    )
    assert long_description(readme, "", "1.2") == "*Picture: a* b [c](https://example.com/)"


def test_dags_run_beside_an_airflow_that_has_only_the_wheel(
    wheel: Path, tmp_path: Path, sandbox: Any
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, "--constraint", CONSTRAINTS)

    # An example that needs more than its own file.
    (examples,) = (tmp_path / "venv").glob(
        "lib/*/site-packages/airflow_provider_datafold/example_*"
    )
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(examples),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(
            {"conn_type": "datafold", "host": sandbox.url, "password": API_KEY}
        ),
    }
    seen = run(python, "-I", ROOT / "dev" / "scripts" / "try_wheel.py", env=environment)
    assert "write_audit_publish: datafold_write_audit_publish" in seen
    assert "No broken requirements found" in seen
    airflow = [python, "-I", "-m", "airflow"]
    run(*airflow, "db", "migrate", env=environment)
    run(*airflow, "dags", "test", "datafold_monitors_as_code", env=environment)
    made = {monitor["name"] for monitor in sandbox.state.monitors.monitors.values()}
    assert {"Orders come in", "Orders cost something"} <= made
