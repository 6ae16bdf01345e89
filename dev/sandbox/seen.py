"""What datafold-sdk calls outside of the published contract, as seen in its version 0.4.1.

``seen.json`` declares these operations. How Datafold answers them is known only as far as that SDK
and its MCP server read the answers.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

from fastapi import HTTPException

from dev.comparison.comparison import Comparison
from dev.sandbox.ci import CI
from dev.sandbox.data_sources import DataSources
from dev.sandbox.register import Register
from dev.sandbox.router import Later, Router
from dev.sandbox.validation import refusal

router = Router()

_COLUMNS = [
    {"name": name, "number": place, "type": "integer"}
    for place, name in enumerate(("id", "amount"))
]


@dataclass(frozen=True)
class Artifacts:
    """What was uploaded of a dbt project."""

    ci_config_id: int
    run_type: str
    commit_sha: str
    run_id: str | None
    files: list[str]


@dataclass
class Seen:
    artifacts: list[Artifacts] = field(default_factory=list)
    schemas: Register[Comparison | None] = field(default_factory=lambda: Register("Task"))
    """The tasks that read a table's columns, ``None`` where there is no database."""


@router.handles("GET", "/api/v1/organization/meta")
def show_organization() -> Any:
    return {"org_id": 1, "org_name": "Sandbox", "user_id": 1}


@router.handles("POST", "/api/v1/data_sources/{data_source_id}/dataset_schema")
def read_schema(
    data_sources: DataSources, seen: Seen, data_source_id: int, body: dict[str, Any]
) -> Any:
    data_sources.sources.require(data_source_id)
    address = data_sources.address(data_source_id)
    task = seen.schemas.number()
    seen.schemas[task] = (
        data_sources.comparisons.start({"address1": address, "table1": body["table"], "limit": 0})
        if address
        else None
    )
    return {"task_id": task}


@router.handles("GET", "/api/v1/data_sources/{data_source_id}/dataset_schema/{task_id}")
def show_schema(data_sources: DataSources, seen: Seen, data_source_id: int, task_id: int) -> Any:
    data_sources.sources.require(data_source_id)
    reading = seen.schemas[task_id]
    if reading is None:
        return {"status": "done", "result": {"columns": _COLUMNS}}
    if reading.error:
        return {"status": "failed", "result": {"error": reading.error["error_value"]}}
    if reading.answer is None:
        return {"status": "processing", "result": None}
    return {"status": "done", "result": {"columns": reading.answer["columns"]}}


@router.handles("POST", "/api/v1/data_sources/{data_source_id}/guess_pk", changes=False)
def guess_key(data_sources: DataSources, data_source_id: int, body: dict[str, Any]) -> Any:
    """Look for a column that identifies the rows of a table."""
    data_sources.sources.require(data_source_id)
    address = data_sources.address(data_source_id)
    if address is None:
        return {"candidates": [{"pk": ["id"]}], "error": None}
    # A comparison with itself infers the key.
    sides = {"address1": address, "address2": address}
    avoid = {f"infer_pk_{name}": body.get(name) for name in ("avoid_names", "avoid_types")}
    tables = {"table1": body["table"], "table2": body["table"], "infer_pk": True}
    question = {**sides, **tables, **avoid}

    def guess() -> Any:
        try:
            key = data_sources.comparisons.ask(question)["pk_columns"]
        except HTTPException as refused:
            problems: Any = refused.detail
            return {"candidates": [], "error": problems[0]["msg"]}
        return {"candidates": [{"pk": key}] if key else [], "error": None}

    return Later(guess)


@router.handles("POST", "/api/v1/dbt/submit_artifacts/{ci_config_id}")
def submit_artifacts(ci: CI, seen: Seen, ci_config_id: int, body: dict[str, str]) -> Any:
    ci.configs.require(ci_config_id)
    files = _files(body["artifacts"].encode("latin-1"))
    if not any(name.rpartition("/")[2] == "manifest.json" for name in files):
        message = "Input should be a zip archive with a manifest.json"
        raise refusal(message, "body", "artifacts")
    seen.artifacts.append(
        Artifacts(ci_config_id, body["run_type"], body["commit_sha"], body.get("run_id"), files)
    )
    if body["run_type"] == "pull_request":
        ci.take_artifacts(ci_config_id, body["commit_sha"])
    return {}


@router.handles("POST", "/api/v1/dbt/post_upload_check_artifacts/{ci_config_id}", changes=False)
def check_artifacts(ci: CI, seen: Seen, ci_config_id: int, body: dict[str, str]) -> Any:
    """Say whether the artifacts of a commit were submitted."""
    ci.configs.require(ci_config_id)
    wanted = (ci_config_id, body["run_type"], body["commit_sha"])
    found = ((each.ci_config_id, each.run_type, each.commit_sha) for each in seen.artifacts)
    return {"status": "ok" if wanted in found else "missing"}


def _files(content: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []
