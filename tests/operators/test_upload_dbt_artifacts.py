"""The upload of dbt's artifacts in one process. tests/dags runs it in a real Airflow."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datafold.dbt import upload_artifacts
from airflow_provider_datafold.exceptions import (
    DatafoldConnectionError,
    DatafoldInputError,
    DatafoldNotFoundError,
    DatafoldRejectedError,
)
from airflow_provider_datafold.jobs.dbt import upload
from airflow_provider_datafold.operators.dbt import DatafoldUploadDbtArtifactsOperator
from dev.faults import behaviours
from dev.sandbox.course import Course, Step
from tests.artifacts import FILES, SHA, form, target, unpacked
from tests.conftest import API_KEY, Log
from tests.contexts import context_of
from tests.pull_request import PULL_REQUEST
from tests.waits import sent, to_its_end

SUBMIT = "/api/v1/dbt/submit_artifacts/4"
CHECK = "/api/v1/dbt/post_upload_check_artifacts/4"


@pytest.fixture(autouse=True)
def _connected(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_PAUSES", (0.0, 0.0))


@pytest.fixture
def task(tmp_path: Path) -> Any:
    """Make the operator, with a target folder of its own."""
    folder = target(tmp_path / "target")

    def make(**arguments: Any) -> DatafoldUploadDbtArtifactsOperator:
        given = {
            "ci_config_id": 4,
            "run_type": "pull_request",
            "target": str(folder),
            "commit_sha": SHA,
            "poll_interval": 0.01,
            "wait_for_completion": False,
            "deferrable": False,
        }
        return DatafoldUploadDbtArtifactsOperator(task_id="artifacts", **{**given, **arguments})

    return make


def test_an_upload(task: Any, sandbox: Any, task_log: Log) -> None:
    returned = to_its_end(task(run_type="production", ci_config_id="4", run_id=" 7\n"))
    assert returned == {"ci_config_id": 4, "run_id": None, "status": None}
    _, request = sandbox.state.requests
    assert (request.method, request.path, request.status) == ("POST", SUBMIT, 200)
    assert request.headers["content-length"] == str(len(request.body))
    fields = form(request)
    assert unpacked(fields.pop("artifacts")) == FILES
    assert fields == {"commit_sha": SHA.encode(), "run_type": b"production", "run_id": b"7"}
    assert f"Uploaded dbt's artifacts of commit {SHA} (production)." in task_log.messages


def test_only_what_is_included_is_uploaded(task: Any, sandbox: Any) -> None:
    to_its_end(task(include='["manifest.json", "compiled/*"]', run_id="None"))
    _, request = sandbox.state.requests
    fields = form(request)
    assert [*fields] == ["commit_sha", "run_type", "artifacts"]
    assert {*unpacked(fields["artifacts"])} == {"manifest.json", "compiled/shop/orders.sql"}


@pytest.mark.parametrize(("is_waiting", "deferrable"), [(False, False), (True, True)])
def test_the_run_of_a_pull_request(
    is_waiting: bool, deferrable: bool, task: Any, sandbox: Any, task_log: Log
) -> None:
    facts = {**PULL_REQUEST, "pr_sha": SHA}
    sandbox.state.ci.courses.default = Course((), "failed")
    sandbox.state.ci.add(4, facts)  # Has ended.
    sandbox.state.ci.courses.default = Course((Step("processing", reads=4),), "done")
    if is_waiting:
        sandbox.state.ci.add(4, facts)

    returned = to_its_end(task(wait_for_completion=True, deferrable=deferrable))

    assert returned == {"ci_config_id": 4, "run_id": 2, "status": "done"}
    number = 8 if is_waiting else 1
    assert f"CI run 2 of pull request {number} is done." in task_log.messages
    posts = [each for each in sent(sandbox) if each.startswith("POST")]
    assert posts == [f"POST {path.removeprefix('/api/v1')}" for path in (CHECK, SUBMIT)]


def test_no_run_within_a_minute(task: Any, sandbox: Any) -> None:
    sandbox.state.ci.starts_for_artifacts = False
    sandbox.state.ci.courses.default = Course((), "failed")
    # Has ended, so it is not of this upload.
    sandbox.state.ci.add(4, {**PULL_REQUEST, "pr_sha": SHA})
    told = f"CI configuration 4 has no new CI run of commit {SHA} a minute later"
    with pytest.raises(DatafoldNotFoundError, match=told):
        to_its_end(task(wait_for_completion=True))


def test_a_production_run_has_no_run_to_wait_for(task: Any, sandbox: Any) -> None:
    to_its_end(task(run_type="production", wait_for_completion=True))
    assert [request.path for request in sandbox.state.requests] == [CHECK, SUBMIT]


def says(status: str) -> Any:
    """Say whether artifacts of the commit are stored."""
    return behaviours.answers(200, f'{{"status": "{status}"}}'.encode())


@pytest.mark.parametrize(
    ("before", "after", "is_stored"),
    [("missing", "ok", True), ("missing", "missing", False), ("ok", "ok", False)],
)
def test_a_lost_response(before: str, after: str, is_stored: bool, task: Any, serve: Any) -> None:
    server = serve(says(before), behaviours.says(), says(after))
    # What another run of the same commit has uploaded is not what this one did.
    broken = pytest.raises(DatafoldConnectionError, match="the connection broke before")
    with nullcontext() if is_stored else broken:
        to_its_end(task())
    check, submit = server.requests[:2]
    assert (submit.target, check.target) == (SUBMIT, CHECK)
    assert check.body == f"commit_sha={SHA}&run_type=pull_request&branch=HEAD".encode()


def test_it_is_sent_again_from_the_beginning(task: Any, serve: Any) -> None:
    server = serve(
        says("missing"),
        behaviours.answers(429, b"{}"),
        behaviours.answers(200, b""),
        extra={"max_retries": 1},
    )
    to_its_end(task())
    _, first, second = server.requests
    assert first.body == second.body
    assert unpacked(form(second)["artifacts"]) == FILES


@pytest.mark.parametrize("status", [413, 418])
def test_what_is_too_large_may_be_less(status: int, task: Any, serve: Any) -> None:
    serve(says("missing"), behaviours.answers(status, b"{}"))
    with pytest.raises(DatafoldRejectedError, match=f"{status}, ") as caught:
        to_its_end(task())
    assert (caught.value.status_code, caught.value.method) == (status, "POST")
    assert ("'include'" in str(caught.value)) is (status == 413)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("ci_config_id", 0, "must be a positive integer"),
        ("run_type", "nightly", "must be one of"),
        ("commit_sha", "main", "must be a commit's sha"),
        ("run_id", " ", "must be a name"),
        ("target", None, "must be a string"),
        ("target", "/nowhere", "/nowhere cannot be read (No such file or directory)."),
        ("include", "main", "must be a list of strings"),
        ("include", ["*.parquet"], "*.parquet fits no file in target."),
        ("include", ["run*"], "run* leaves out manifest.json."),
        ("timeout", 0, "must be a number above 0"),
    ],
)
def test_nothing_is_sent(field: str, value: Any, said: str, task: Any, sandbox: Any) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        to_its_end(task(**{field: value}, wait_for_completion=True))
    assert str(caught.value).startswith(f"{field}: {said}")
    assert str(caught.value).endswith("Nothing was sent.") or field == "target"
    assert sandbox.state.requests == []


# The callback for Cosmos.


class Rendered:
    """A task of another provider's, which renders templates."""

    task_id = "build"

    def render_template(self, given: Any, context: Any) -> Any:
        return {name: str(value).replace("{{ sha }}", SHA) for name, value in given.items()}


def test_the_callback_uploads_the_target_of_a_project(
    tmp_path: Path, sandbox: Any, log: Log
) -> None:
    target(tmp_path / "target")
    facts: Any = {"ci_config_id": 4, "run_type": "production", "commit_sha": "{{ sha }}"}
    upload_artifacts(tmp_path, context=context_of(Rendered()), **facts)
    (found,) = sandbox.state.seen.artifacts
    assert (found.ci_config_id, found.run_type, found.commit_sha) == (4, "production", SHA)
    assert {*found.files} == {*FILES}
    assert f"Uploaded the artifacts of commit {SHA} to Datafold" in log.text


def test_the_callback_uploads_no_whole_project(tmp_path: Path, sandbox: Any) -> None:
    target(tmp_path, **{"dbt_project.yml": b"target-path: ."})
    (tmp_path / "target").symlink_to(".")
    said = "^project_dir: .* has a dbt project in it"
    with pytest.raises(DatafoldInputError, match=said):
        upload_artifacts(tmp_path, ci_config_id=4, run_type="production", commit_sha=SHA)
    assert sandbox.state.requests == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"run_type": "nightly"}, "run_type: must be one of"),
        ({"commit_sha": API_KEY}, "commit_sha: must be a commit's sha, .* not '[*]{3}'"),
        ({}, "project_dir: "),
    ],
)
def test_the_callback_refuses(wrong: Any, said: str, tmp_path: Path, sandbox: Any) -> None:
    given = {"ci_config_id": 4, "run_type": "production", "commit_sha": SHA, **wrong}
    with pytest.raises(DatafoldInputError, match=f"^{said}") as caught:
        upload_artifacts(str(tmp_path), **given)
    assert API_KEY not in str(caught.value)
    assert sandbox.state.requests == []
