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

SNOOZE, METABASE = "/api/v1/monitors/{id}/snooze", "/api/v1/lineage/bi/metabase/"
BODY, CONFIG = "Body_snooze_monitor", "MetabaseDataSourceConfig"
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

from airflow_provider_datafold.api import monitors
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators import bi
from dev.sandbox import Sandbox

key, token = sys.argv[1:]
config = {"site_url": "https://metabase.example.com", "token": token}
found = {"from": monitors.__file__, "errors": []}
with Sandbox(api_key=key) as sandbox, DatafoldHook() as hook:
    os.environ["AIRFLOW_CONN_DATAFOLD_DEFAULT"] = json.dumps(
        {"conn_type": "datafold", "host": sandbox.url, "password": key}
    )

    def refused(call, *arguments, **options):
        try:
            call(*arguments, **options)
        except DatafoldError as error:
            found["errors"].append([type(error).__name__, str(error)])

    refused(hook.snooze_monitor, 4, hours="long")
    refused(hook.call, monitors.SNOOZE, {"hour": 8}, monitor_id=4)
    refused(hook.create_integration, "metabase", {"token": token})
    refused(hook.create_integration, "metabase", {**config, "name": [token]})
    found["requests after that"] = len(sandbox.state.requests)
    found["snoozed"] = hook.snooze_monitor("4", hours="8")
    refused(hook.run, "PUT", "/api/v1/monitors/4/snooze", {"hours": "long"})
    refused(hook.snooze_monitor, 99, hours=8)
    created = hook.create_integration("metabase", config)
    operator = bi.DatafoldUpdateMetabaseOperator(
        task_id="t", bi_datasource_id=created["id"], group_ids="['a']", indexing_cron="0 6 * * *"
    )
    found["returned"] = operator.execute({})
    found["kept"] = sandbox.state.integrations[created["id"]]
    found["requests"] = [
        [seen.method, seen.path, seen.status, json.loads(seen.body)]
        for seen in sandbox.state.requests
    ]
print("found:", json.dumps(found))
"""
TOKEN = "planted-metabase-token-3a6b"


def contract() -> dict[str, Any]:
    """The contract, with the operation and the kind."""
    document: dict[str, Any] = json.loads((ROOT / "dev/sandbox/contract.json").read_text())
    text = {"type": "string"}
    optional = {"anyOf": [text, {"type": "null"}]}
    document["components"]["schemas"] |= {
        BODY: {
            "type": "object",
            "required": ["hours"],
            "properties": {"hours": {"type": "integer", "title": "Hours"}},
        },
        CONFIG: {
            "type": "object",
            "required": ["site_url", "token"],
            "properties": {
                "site_url": text,
                "token": {**text, "writeOnly": True},
                "group_ids": {"type": "array", "items": text},
                "indexing_cron": optional,
                "name": optional,
            },
        },
    }
    for path, like, method, schema in (
        (SNOOZE, "/api/v1/monitors/{id}/toggle", "put", BODY),
        (METABASE, METABASE.replace("metabase", "dbt"), "post", CONFIG),
        (
            f"{METABASE}{{bi_datasource_id}}/",
            "/api/v1/lineage/bi/dbt/{bi_datasource_id}/",
            "put",
            CONFIG,
        ),
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
    done = subprocess.run(
        [sys.executable, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "AIRFLOW_CONN_METABASE_DEFAULT": json.dumps(metabase),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of dev/ with the operation and the kind."""
    copied = tmp_path_factory.mktemp("contributing")
    for part in ("airflow_provider_datafold", "dev"):
        shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "docs").mkdir()
    for name, text, before in PIECES:
        source = (copied / name).read_text()
        assert not before or source.count(before) == 1, f"{name} has not just one {before!r}"
        head, behind, tail = source.partition(before) if before else (source, "", "")
        (copied / name).write_text(f"{head}{text}{behind}{tail}")
    published = copied / "published.json"
    published.write_text(json.dumps(contract()))
    run(copied, "-m", "dev.scripts.contract", str(published))
    return copied


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    lines = run(folder, "-c", PROGRAM, API_KEY, TOKEN).splitlines()
    (line,) = [line for line in lines if line.startswith("found:")]
    result: dict[str, Any] = json.loads(line.partition(":")[2])
    assert result["from"] == str(folder / API / "monitors.py")
    return result


def test_the_contract_is_taken_in_and_the_rest_stays(folder: Path) -> None:
    shapes, before = (json.loads((it / API / "shapes.json").read_text()) for it in (folder, ROOT))
    assert shapes["schemas"][BODY]["properties"] == {"hours": {"type": "integer"}}
    for section, more in (("bodies", 3), ("schemas", 2)):
        assert before[section].items() <= shapes[section].items()
        assert len(shapes[section]) == len(before[section]) + more


def test_the_method_and_the_operator_send_what_they_should(found: dict[str, Any]) -> None:
    assert found["snoozed"].items() >= {"id": 4, "snoozed_hours": 8}.items()
    config = {"site_url": "https://metabase.example.com", "token": TOKEN}
    number = found["kept"]["id"]
    body = {**config, "group_ids": ["a"], "indexing_cron": "0 6 * * *"}
    assert found["requests"] == [
        ["PUT", "/api/v1/monitors/4/snooze", 200, {"hours": 8}],
        ["PUT", "/api/v1/monitors/4/snooze", 422, {"hours": "long"}],
        ["PUT", "/api/v1/monitors/99/snooze", 404, {"hours": 8}],
        ["POST", METABASE, 200, config],
        ["PUT", f"{METABASE}{number}/", 200, body],
    ]
    assert found["returned"] == found["kept"]


def test_what_is_wrong_is_refused(found: dict[str, Any]) -> None:
    assert found["requests after that"] == 0
    wanted = [
        ("DatafoldInputError", "hours: "),
        ("DatafoldInputError", "'hour'"),
        ("DatafoldInputError", "site_url: "),
        ("DatafoldInputError", "name: "),
        ("DatafoldValidationError", "body.hours"),
        ("DatafoldNotFoundError", "no such monitor"),
    ]
    for (kind, text), (expected, part) in zip(found["errors"], wanted, strict=True):
        assert kind == expected
        assert part in text
        assert TOKEN not in text
