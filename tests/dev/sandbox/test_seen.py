"""The operations that datafold-sdk calls outside of the published contract."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from tests.dev.test_sandbox import call

SUBMIT = "/api/v1/dbt/submit_artifacts/4"
CHECK = "/api/v1/dbt/post_upload_check_artifacts/4"


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, "{\r\n--x\r\n}\x00é")
    return content.getvalue()


def test_artifacts_are_taken_once_they_have_a_manifest(sandbox: Any) -> None:
    facts = {"commit_sha": "a1", "run_type": "production"}
    check = {**facts, "branch": "main"}
    assert call(sandbox, "POST", CHECK, data=check).json() == {"status": "missing"}

    names = ("./manifest.json", "compiled/a.sql")
    files = {"artifacts": io.BytesIO(archive(*names))}
    assert call(sandbox, "POST", SUBMIT, data={**facts, "run_id": "r7"}, files=files).ok

    (artifacts,) = sandbox.state.seen.artifacts
    assert (artifacts.run_id, artifacts.files) == ("r7", [*names])
    assert call(sandbox, "POST", CHECK, data=check).json() == {"status": "ok"}
    check["run_type"] = "pull_request"
    assert call(sandbox, "POST", CHECK, data=check).json() == {"status": "missing"}


@pytest.mark.parametrize(
    ("facts", "content", "field"),
    [
        ({}, archive("catalog.json"), "artifacts"),
        ({"commit_sha": None}, archive("manifest.json"), "commit_sha"),
        ({"run_type": "nightly"}, archive("manifest.json"), "run_type"),
    ],
)
def test_wrong_artifacts_are_refused(facts: Any, content: bytes, field: str, sandbox: Any) -> None:
    data = {"commit_sha": "a1", "run_type": "production", **facts}
    answer = call(sandbox, "POST", SUBMIT, data=data, files={"artifacts": io.BytesIO(content)})
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", field]]
    assert sandbox.state.seen.artifacts == []
