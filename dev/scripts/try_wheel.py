"""See what a user has who installs the wheel beside an Airflow, and nothing else.

It runs in that environment, which knows nothing of this folder:
``python -I dev/scripts/try_wheel.py``.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

NAME = "airflow-provider-datafold"
NEEDS = {"on_alert": (3, 0), "approve_difference": (3, 1)}
"""From which Airflow on an example DAG can be imported."""


def main() -> None:
    airflow = version("apache-airflow")
    print(f"Airflow {airflow}, {NAME} {version(NAME)}")
    print(f"links of the package's page: {metadata(NAME).get_all('Project-URL')}")
    print(f"Airflow says of it: {ask_airflow()}")
    for module, dags in example_dags(airflow).items():
        print(f"{module}: {', '.join(dags)}")
    subprocess.run([sys.executable, "-m", "pip", "check"], check=True)


def ask_airflow() -> dict[str, Any]:
    """Return what `airflow providers` lists, which has the link from the description."""
    command = [sys.executable, "-I", "-m", "airflow", "providers", "list", "--output", "json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    # Airflow may log before it prints.
    listed, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("[{") :])
    (provider,) = [each for each in listed if each["package_name"] == NAME]
    assert provider["version"] == version(NAME), provider
    assert provider["description"].endswith("https://www.datafold.com/"), provider
    return dict(provider)


def example_dags(airflow: str) -> dict[str, list[str]]:
    """Import the example DAGs from the wheel, and return those that each module makes."""
    package = importlib.import_module("airflow_provider_datafold")
    assert Path(package.__path__[0], "page", "page.js").exists(), "The page's script is missing"
    importlib.import_module(f"{package.__name__}.page.plugin")
    folder = Path(package.__path__[0], "example_dags")
    assert list(folder.glob("monitors/*.yaml")), "The files of monitors are not in the wheel"
    major, minor = map(int, airflow.split(".")[:2])
    names = {path.stem for path in folder.glob("*.py")}
    names = {name for name in names if (major, minor) >= NEEDS.get(name, (0, 0))}
    assert len(names) > 9, names
    found = {}
    for name in sorted(names):
        objects = vars(importlib.import_module(f"{package.__name__}.example_dags.{name}")).values()
        found[name] = [each.dag_id for each in objects if type(each).__name__ == "DAG"]
        assert found[name], name
    return found


if __name__ == "__main__":
    main()
