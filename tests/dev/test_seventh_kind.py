"""CONTRIBUTING.md is right about a seventh kind: its two blocks are enough.

They are put into a copy of the package and of dev/, which a program of its own then uses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import documents
from tests.conftest import API_KEY, ROOT

CHAPTER = (ROOT / "CONTRIBUTING.md").read_text().partition("\n### A seventh kind")[2]
KIND, OPERATOR = documents.blocks_in(CHAPTER.partition("\n## ")[0], "python")


@dataclass(frozen=True)
class Piece:
    """A piece of code, and its place in the repository.

    :param text: the text.
    :param file: the file.
    :param before: what stands in the file, once, where the text is to be put; empty for the end.
    """

    text: str
    file: str
    before: str = ""

    def put_into(self, folder: Path) -> None:
        file = folder / self.file
        source = file.read_text()
        if not self.before:
            source += f"\n\n{self.text}"
        else:
            assert source.count(self.before) == 1, f"{self.file} has not just one {self.before!r}"
            source = source.replace(self.before, f"{self.text}{self.before}")
        file.write_text(source)


DESCRIPTION = Piece(
    textwrap.indent(KIND.rstrip(), " " * 8) + ",\n",
    "airflow_provider_datafold/api/kinds.py",
    '    )\n}\n"""By the API\'s names."""',
)
PACKAGE = [DESCRIPTION, Piece(OPERATOR, "airflow_provider_datafold/operators/bi.py")]
SANDBOX = [
    Piece(
        '    "metabase": {"site_url": "https://metabase.example.com", "group_ids": []},\n',
        "dev/sandbox/bi.py",
        "}\n_ONLY_SCHEDULE",
    ),
]
"""Of this kind, an update changes all fields."""

PATH = "/api/v1/lineage/bi/metabase/"
SCHEMA = "MetabaseDataSourceConfig"


def contract() -> dict[str, Any]:
    """The contract, with the kind."""
    document: dict[str, Any] = json.loads((ROOT / "dev/sandbox/contract.json").read_text())
    text = {"type": "string"}
    document["components"]["schemas"][SCHEMA] = {
        "type": "object",
        "required": ["site_url", "token"],
        "properties": {
            "site_url": text,
            "token": {**text, "writeOnly": True},
            "group_ids": {"type": "array", "items": text},
            "indexing_cron": {"anyOf": [text, {"type": "null"}]},
            "name": {"anyOf": [text, {"type": "null"}]},
        },
    }
    reference = {"schema": {"$ref": f"#/components/schemas/{SCHEMA}"}}
    body = {"content": {"application/json": reference}, "required": True}
    for path, method in ((PATH, "post"), (f"{PATH}{{bi_datasource_id}}/", "put")):
        neighbour = document["paths"][path.replace("metabase", "dbt")][method]
        operation = {**neighbour, "operationId": f"{method}_metabase", "requestBody": body}
        document["paths"][path] = {method: operation}
    return document


TOKEN = "planted-metabase-token-3a6b"
CONFIG = {"site_url": "https://metabase.example.com", "token": TOKEN}
WRONG = [
    {"token": TOKEN},
    {**CONFIG, "colour": "red"},
    {**CONFIG, "group_ids": "a"},
    {**CONFIG, "site_url": None},
    {**CONFIG, "name": [TOKEN]},
]

PROGRAM = """
import json
import os
import sys

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators import bi
from dev.sandbox import Sandbox

given = json.loads(sys.argv[1])
found = {"from": bi.__file__, "refused": []}
with Sandbox(api_key=given["key"]) as sandbox, DatafoldHook() as hook:
    os.environ["AIRFLOW_CONN_DATAFOLD_DEFAULT"] = json.dumps(
        {"conn_type": "datafold", "host": sandbox.url, "password": given["key"]}
    )
    for config in given["wrong"]:
        try:
            hook.create_integration("metabase", config)
        except DatafoldInputError as error:
            found["refused"].append(str(error))
    found["requests after what is refused"] = len(sandbox.state.requests)
    if not given["is refused"]:
        created = hook.create_integration("metabase", given["config"])
        operator = bi.DatafoldUpdateMetabaseOperator(
            task_id="t",
            bi_datasource_id=created["id"],
            group_ids="['a']",
            indexing_cron="0 6 * * *",
        )
        found["id"] = created["id"]
        found["templated"] = operator.template_fields
        found["returned"] = operator.execute({})
        found["kept"] = sandbox.state.integrations[created["id"]]
        found["requests"] = [
            [seen.method, seen.path, seen.status, json.loads(seen.body)]
            for seen in sandbox.state.requests
        ]
print("found:", json.dumps(found))
"""


def run(folder: Path, pieces: list[Piece], **given: Any) -> dict[str, Any]:
    for part in ("airflow_provider_datafold", "dev"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for piece in pieces:
        piece.put_into(folder)
    published = folder / "published.json"
    published.write_text(json.dumps(contract()))
    subprocess.run(
        [sys.executable, "-m", "dev.scripts.contract", str(published)],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=120,
    )
    metabase = {"conn_type": "generic", "host": "metabase.example.com", "password": TOKEN}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps({"key": API_KEY, "is refused": False, **given})],
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
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("found:")]
    found: dict[str, Any] = json.loads(line.partition(":")[2])
    assert found["from"].startswith(str(folder))
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("seventh")
    config = {**CONFIG, "indexing_cron": None}
    return run(folder, PACKAGE + SANDBOX, config=config, wrong=WRONG)


def test_operator_updates_what_the_hook_created(found: dict[str, Any]) -> None:
    create, update = found["requests"]
    config = {**CONFIG, "indexing_cron": None}
    assert create == ["POST", "/api/v1/lineage/bi/metabase/", 200, config]
    path = f"/api/v1/lineage/bi/metabase/{found['id']}/"
    body = {**CONFIG, "group_ids": ["a"], "indexing_cron": "0 6 * * *"}
    assert update == ["PUT", path, 200, body]
    assert found["returned"] == found["kept"]
    assert {"site_url", "group_ids", "metabase_conn_id"} < set(found["templated"])


def test_hook_checks_it(found: dict[str, Any]) -> None:
    missing, unknown, wrong, null, secret = found["refused"]
    assert missing.startswith("site_url: ")
    assert "Metabase" in missing
    assert "'colour'" in unknown
    assert "Metabase" in unknown
    assert wrong.startswith("group_ids: ")
    assert "'a'" in wrong
    assert null.startswith("site_url: ")
    assert secret.startswith("name: ")
    assert TOKEN not in secret
    assert found["requests after what is refused"] == 0


def test_without_its_description_it_is_refused(tmp_path: Path) -> None:
    pieces = [piece for piece in PACKAGE + SANDBOX if piece is not DESCRIPTION]
    options = {"is refused": True, "wrong": [CONFIG]}
    found = run(tmp_path, pieces, **options)
    (refused,) = found["refused"]
    assert refused.startswith("kind: ")
    assert "'metabase'" in refused
    assert found["requests after what is refused"] == 0
