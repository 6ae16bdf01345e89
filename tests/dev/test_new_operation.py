"""CONTRIBUTING.md is right about a new operation: its three blocks are enough.

They are put into a copy of the package and of dev/, which programs of their own then use.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests import documents
from tests.conftest import API_KEY, ROOT

CHAPTER = documents.section(ROOT / "CONTRIBUTING.md", "Adding an operation")
DECLARATION, METHOD, HANDLER = documents.blocks_in(CHAPTER.partition("\n### ")[0], "python")

PATH = "/api/v1/monitors/{id}/snooze"
BODY = "Body_snooze_monitor"
MONITORS = "airflow_provider_datafold/api/monitors.py"

PROGRAM = """
import json
import os
import sys

from airflow_provider_datafold.api import monitors
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import Sandbox

found = {"from": monitors.__file__, "errors": {}}
with Sandbox(api_key=sys.argv[1]) as sandbox, DatafoldHook() as hook:
    os.environ["AIRFLOW_CONN_DATAFOLD_DEFAULT"] = json.dumps(
        {"conn_type": "datafold", "host": sandbox.url, "password": sys.argv[1]}
    )

    def refused(name, call, *arguments, **options):
        try:
            call(*arguments, **options)
        except DatafoldError as error:
            found["errors"][name] = [type(error).__name__, str(error), error.errors]

    refused("by the hook", hook.snooze_monitor, 4, hours="long")
    refused("by the hook as well", hook.call, monitors.SNOOZE, {"hour": 8}, monitor_id=4)
    found["requests after that"] = len(sandbox.state.requests)
    found["returned"] = hook.snooze_monitor("4", hours="8")
    refused("by the sandbox", hook.run, "PUT", "/api/v1/monitors/4/snooze", {"hours": "long"})
    refused("there is none", hook.snooze_monitor, 99, hours=8)
    found["requests"] = [
        [seen.method, seen.path, seen.status, json.loads(seen.body)]
        for seen in sandbox.state.requests
    ]
print("found:", json.dumps(found))
"""


def insert(file: Path, text: str, before: str = "") -> None:
    """Insert code into a file: before a string that occurs once, or at the end."""
    source = file.read_text()
    if before:
        assert source.count(before) == 1, f"{file.name} has not just one {before!r}"
        source = source.replace(before, f"{text}\n\n{before}")
    else:
        source += f"\n\n{text}"
    file.write_text(source)


def contract() -> dict[str, Any]:
    """The contract, with the operation."""
    document: dict[str, Any] = json.loads((ROOT / "dev/sandbox/contract.json").read_text())
    neighbour = document["paths"]["/api/v1/monitors/{id}/toggle"]["put"]
    document["components"]["schemas"][BODY] = {
        "type": "object",
        "required": ["hours"],
        "properties": {"hours": {"type": "integer", "title": "Hours"}},
    }
    content = {"schema": {"$ref": f"#/components/schemas/{BODY}"}}
    document["paths"][PATH] = {
        "put": {
            **neighbour,
            "operationId": "snooze_monitor",
            "requestBody": {"content": {"application/json": content}, "required": True},
        }
    }
    return document


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of package and dev/ with the operation."""
    copied = tmp_path_factory.mktemp("new-operation")
    for part in ("airflow_provider_datafold", "dev"):
        shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "docs").mkdir()
    insert(copied / MONITORS, f"{DECLARATION}\n", "class MonitorMethods(Caller):")
    insert(copied / MONITORS, textwrap.indent(METHOD, "    ").rstrip(), "    def _kind(")
    insert(copied / "dev/sandbox/monitors.py", HANDLER)
    published = copied / "published.json"
    published.write_text(json.dumps(contract()))
    run(copied, "-m", "dev.scripts.contract", str(published))
    return copied


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    (line,) = [
        line
        for line in run(folder, "-c", PROGRAM, API_KEY).splitlines()
        if line.startswith("found:")
    ]
    result: dict[str, Any] = json.loads(line.partition(":")[2])
    assert result["from"] == str(folder / MONITORS)
    return result


def test_the_contract_is_taken_in(folder: Path) -> None:
    shapes = json.loads((folder / "airflow_provider_datafold/api/shapes.json").read_text())
    assert shapes["schemas"][BODY]["properties"] == {"hours": {"type": "integer"}}
    assert PATH in json.loads((folder / "dev/sandbox/contract.json").read_text())["paths"]


def test_the_rest_of_what_is_generated_stays_as_it_is(folder: Path) -> None:
    path = "airflow_provider_datafold/api/shapes.json"
    shapes, before = json.loads((folder / path).read_text()), json.loads((ROOT / path).read_text())
    for section in ("bodies", "schemas"):
        assert before[section].items() <= shapes[section].items()
        assert len(shapes[section]) == len(before[section]) + 1


def test_the_method_calls_it(found: dict[str, Any]) -> None:
    assert found["returned"].items() >= {"id": 4, "snoozed_hours": 8}.items()
    path = "/api/v1/monitors/4/snooze"
    assert found["requests"] == [
        ["PUT", path, 200, {"hours": 8}],
        ["PUT", path, 422, {"hours": "long"}],
        ["PUT", "/api/v1/monitors/99/snooze", 404, {"hours": 8}],
    ]


def test_a_wrong_body_is_refused(found: dict[str, Any]) -> None:
    kind, text, _ = found["errors"]["by the hook"]
    assert kind == "DatafoldInputError"
    assert text.startswith("hours: ")
    kind, text, _ = found["errors"]["by the hook as well"]
    assert kind == "DatafoldInputError"
    assert "'hour'" in text
    assert found["requests after that"] == 0
    kind, _, errors = found["errors"]["by the sandbox"]
    assert kind == "DatafoldValidationError"
    assert [location for location, _ in errors] == ["body.hours"]


def test_its_errors_call_it_a_monitor(found: dict[str, Any]) -> None:
    kind, text, _ = found["errors"]["there is none"]
    assert kind == "DatafoldNotFoundError"
    assert "no such monitor" in text


def test_the_coverage_page_has_it(folder: Path) -> None:
    run(folder, "-m", "dev.scripts.api_coverage")
    page = (folder / "docs/coverage.md").read_text()
    assert f"| `PUT {PATH}` | `snooze_monitor` | - |" in page
    assert "**52 of 52 operations by the hook" in page
