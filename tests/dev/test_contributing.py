"""CONTRIBUTING.md is right about a new operation and a seventh kind: its five blocks are enough.

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

pytestmark = pytest.mark.whole

CHAPTER = documents.section(ROOT / "CONTRIBUTING.md", "Adding an operation")
DECLARATION, METHOD, HANDLER, KIND, OPERATOR = documents.blocks_in(CHAPTER, "python")

METABASE = "/api/v1/lineage/bi/metabase/"
API = "airflow_provider_datafold/api"
PIECES = [
    (f"{API}/monitors.py", f"{DECLARATION}\n\n\n", "class MonitorMethods(Caller):"),
    (f"{API}/monitors.py", f"{textwrap.indent(METHOD, '    ').rstrip()}\n\n", "    def _kind("),
    (f"{API}/bi.py", f"{textwrap.indent(KIND.rstrip(), ' ' * 8)},\n", '    )\n}\n"""By the API'),
    ("airflow_provider_datafold/operators/bi.py", f"\n\n{OPERATOR}", ""),
    ("dev/sandbox/monitors.py", f"\n\n{HANDLER}", ""),
    (
        "dev/sandbox/bi.py",
        '    "metabase": {"site_url": "", "group_ids": []},\n',
        "}\n_ONLY_SCHEDULE",
    ),
]
"""Files, what is put into them, and what stands behind that; at the end if that is empty."""

PROGRAM = """
import json
import os
import sys

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators import bi
from dev.sandbox import Sandbox

key, token = sys.argv[1:]
with Sandbox(api_key=key) as sandbox, DatafoldHook() as hook:
    os.environ["AIRFLOW_CONN_DATAFOLD_DEFAULT"] = json.dumps(
        {"conn_type": "datafold", "host": sandbox.url, "password": key}
    )
    try:
        hook.snooze_monitor(4, hours="long")
    except DatafoldInputError as error:
        print("refused:", error)
    assert hook.snooze_monitor("4", hours="8")["snoozed_hours"] == 8
    config = {"site_url": "https://metabase.example.com", "token": token}
    created = hook.create_integration("metabase", config)
    operator = bi.DatafoldUpdateMetabaseOperator(
        task_id="t", bi_datasource_id=created["id"], group_ids="['a']", indexing_cron="0 6 * * *"
    )
    assert operator.execute({}) == sandbox.state.integrations[created["id"]]
    requests = [
        [seen.method, seen.path, seen.status, json.loads(seen.body)]
        for seen in sandbox.state.requests
    ]
print("sent:", json.dumps(requests))
"""
TOKEN = "planted-metabase-token-3a6b"


def contract() -> dict[str, Any]:
    """The contract, with the operation and the kind."""
    document: dict[str, Any] = json.loads((ROOT / "dev/sandbox/contract.json").read_text())
    text = {"type": "string"}
    optional = {"anyOf": [text, {"type": "null"}]}
    config = {
        "site_url": text,
        "token": {**text, "writeOnly": True},
        "group_ids": {"type": "array", "items": text},
        "indexing_cron": optional,
        "name": optional,
    }
    for schema, fields, needed in (
        ("Body_snooze_monitor", {"hours": {"type": "integer"}}, ["hours"]),
        ("MetabaseDataSourceConfig", config, ["site_url", "token"]),
    ):
        shape = {"type": "object", "required": needed, "properties": fields}
        document["components"]["schemas"][schema] = shape
    bi, monitor = "/api/v1/lineage/bi", "/api/v1/monitors/{id}"
    number = "{bi_datasource_id}/"
    for path, like, method, schema in (
        (f"{monitor}/snooze", f"{monitor}/toggle", "put", "Body_snooze_monitor"),
        (METABASE, f"{bi}/dbt/", "post", "MetabaseDataSourceConfig"),
        (f"{METABASE}{number}", f"{bi}/dbt/{number}", "put", "MetabaseDataSourceConfig"),
    ):
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        document["paths"][path] = {
            method: {
                **document["paths"][like][method],
                "operationId": f"{method}_{schema}",
                "requestBody": {"content": content, "required": True},
            }
        }
    return document


def run(folder: Path, *arguments: str) -> str:
    metabase = {"conn_type": "generic", "host": "metabase.example.com", "password": TOKEN}
    home = {"PYTHONPATH": str(folder), "AIRFLOW_CONN_METABASE_DEFAULT": json.dumps(metabase)}
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **home},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_operation_and_the_kind_work(tmp_path: Path) -> None:
    for part in ("airflow_provider_datafold", "dev"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    for name, text, before in PIECES:
        source = (tmp_path / name).read_text()
        assert not before or source.count(before) == 1, f"{name} has not just one {before!r}"
        head, behind, tail = source.partition(before) if before else (source, "", "")
        (tmp_path / name).write_text(f"{head}{text}{behind}{tail}")
    (tmp_path / "published.json").write_text(json.dumps(contract()))
    run(tmp_path, "-m", "dev.scripts.contract", "published.json")

    printed = run(tmp_path, "-c", PROGRAM, API_KEY, TOKEN)

    assert "refused: hours: " in printed
    config = {"site_url": "https://metabase.example.com", "token": TOKEN}
    body = {**config, "group_ids": ["a"], "indexing_cron": "0 6 * * *"}
    snoozed, created, updated = json.loads(printed.rpartition("sent:")[2].splitlines()[0])
    assert snoozed == ["PUT", "/api/v1/monitors/4/snooze", 200, {"hours": 8}]
    assert created == ["POST", METABASE, 200, config]
    assert updated == ["PUT", updated[1], 200, body]
    assert updated[1].startswith(METABASE)
