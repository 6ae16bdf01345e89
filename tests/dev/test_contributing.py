"""CONTRIBUTING.md is right about a new operation: its three blocks are enough.

They are put into a copy of the package and of dev/, which a program of its own then uses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import documents
from tests.conftest import API_KEY, ROOT

pytestmark = pytest.mark.whole

CHAPTER = documents.section(ROOT / "CONTRIBUTING.md", "Adding an operation")
DECLARATION, METHOD, HANDLER = documents.blocks_in(CHAPTER, "python")

API = "airflow_provider_datafold/api/monitors.py"
SANDBOX = "dev/sandbox/monitors.py"
PIECES = [
    (API, f"{DECLARATION}\n\n\n", "class MonitorMethods(Caller):"),
    (API, f"{textwrap.indent(METHOD, '    ').rstrip()}\n\n", "    def _kind("),
    (SANDBOX, f"\n\n{HANDLER}", ""),
]
"""Files, what is put into them, and what stands behind that; at the end if that is empty."""

PROGRAM = """
import json
import os
import sys

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import Sandbox

with Sandbox(api_key=sys.argv[1]) as sandbox, DatafoldHook() as hook:
    os.environ["AIRFLOW_CONN_DATAFOLD_DEFAULT"] = json.dumps(
        {"conn_type": "datafold", "host": sandbox.url, "password": sys.argv[1]}
    )
    try:
        hook.snooze_monitor(4, hours="long")
    except DatafoldInputError as error:
        print("refused:", error)
    assert hook.snooze_monitor("4", hours="8")["snoozed_hours"] == 8
    print([(seen.method, seen.path, json.loads(seen.body)) for seen in sandbox.state.requests])
"""


def contract() -> str:
    """The contract, with the operation."""
    document = json.loads((ROOT / "dev/sandbox/contract.json").read_text())
    shape = {"type": "object", "required": ["hours"], "properties": {"hours": {"type": "integer"}}}
    document["components"]["schemas"]["Body_snooze_monitor"] = shape
    reference = {"$ref": "#/components/schemas/Body_snooze_monitor"}
    like = document["paths"]["/api/v1/monitors/{id}/toggle"]["put"]
    document["paths"]["/api/v1/monitors/{id}/snooze"] = {
        "put": {
            **like,
            "operationId": "snooze_monitor",
            "requestBody": {"content": {"application/json": {"schema": reference}}},
        }
    }
    return json.dumps(document)


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


def test_the_operation_works(tmp_path: Path) -> None:
    for part in ("airflow_provider_datafold", "dev"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    for name, text, before in PIECES:
        source = (tmp_path / name).read_text()
        assert not before or source.count(before) == 1, f"{name} has not just one {before!r}"
        head, behind, tail = source.partition(before) if before else (source, "", "")
        (tmp_path / name).write_text(f"{head}{text}{behind}{tail}")
    (tmp_path / "published.json").write_text(contract())
    run(tmp_path, "-m", "dev.scripts.contract", "published.json")

    printed = run(tmp_path, "-c", PROGRAM, API_KEY)

    assert "refused: hours: " in printed
    assert "[('PUT', '/api/v1/monitors/4/snooze', {'hours': 8})]" in printed
