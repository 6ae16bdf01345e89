"""Upload the same dbt artifacts with Datafold's own SDK and with this provider, and compare.

Run by ``nox -s datafold-sdk-upload``: the SDK brings dbt, which does not get on with Airflow. It is
given the SDK's command.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from dev.sandbox import Sandbox
from dev.sandbox.form import fields_of
from dev.sandbox.journal import Request

TARGET = Path(__file__).resolve().parent.parent / "dbt_project" / "artifacts" / "1.11" / "staging"
SHA = "0a1b2c3d" * 5
OPTIONS = ("--ci-config-id=4", "--run-type=production", f"--commit-sha={SHA}")
UPLOAD = ("upload", *OPTIONS, f"--target-folder={TARGET}", "--run-id=r7")
CHECK = ("check-post-upload-dbt-artifacts", *OPTIONS, "--branch=HEAD")


def main(command: str) -> int:
    """Print the requests of both, side by side; return the exit code, 0 if they are equal."""
    with tempfile.TemporaryDirectory() as home, Sandbox() as sandbox:
        os.environ["AIRFLOW_HOME"] = home
        for arguments in (UPLOAD, CHECK):
            subprocess.run(
                [command, "dbt", *arguments],
                env={"DATAFOLD_HOST": sandbox.url, "DATAFOLD_API_KEY": sandbox.api_key},
                check=True,
            )
        _upload(sandbox)
        # The SDK's command also asks whose key it is.
        sent = [each for each in sandbox.state.requests if each.path.startswith("/api/v1/dbt/")]
    found = [_shown(request) for request in sent]
    half = len(found) // 2
    for theirs, ours in zip(found[:half], found[half:], strict=True):
        for name in theirs:
            print(f"{name:24} | {theirs[name]!s:60} | {ours[name]}")
    return 0 if found[:half] == found[half:] else 1


def _upload(sandbox: Sandbox) -> None:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.jobs.dbt.target import packed

    connection = {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
    os.environ["AIRFLOW_CONN_DATAFOLD_DEFAULT"] = json.dumps(connection)
    facts = {"commit_sha": SHA, "run_type": "production"}
    with DatafoldHook() as hook, packed("target", str(TARGET), None) as archive:
        hook.submit_dbt_artifacts(4, archive, **facts, run_id="r7")
        hook.check_dbt_artifacts(4, **facts, branch="HEAD")


def _shown(request: Request) -> dict[str, Any]:
    kind = request.headers["content-type"]
    fields = fields_of(request.body, kind)
    shown = {
        "request": f"{request.method} {request.path}",
        "status": request.status,
        "authorization": request.headers["authorization"].partition(" ")[0],
        "content-type": kind.partition(";")[0],
    }
    if "artifacts" in fields:
        content = fields.pop("artifacts").encode("latin-1")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
        shown["files in the zip"] = sorted(each.filename for each in entries)
        shown["compression"] = {each.compress_type == zipfile.ZIP_DEFLATED for each in entries}
        shown["sums of the files"] = sorted(each.CRC for each in entries)
    return {**shown, **fields}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
