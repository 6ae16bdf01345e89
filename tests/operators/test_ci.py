"""The operators of CI in one process. tests/dags runs them in a real Airflow."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldConflictError,
    DatafoldConnectionError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
)
from airflow_provider_datafold.operators.ci import (
    DatafoldTriggerCIOperator,
    DatafoldUploadCIChangesOperator,
)
from dev.faults import behaviours
from dev.sandbox.course import Course, Step
from tests.conftest import API_KEY, Log
from tests.pull_request import CHANGES, PULL_REQUEST
from tests.waits import NEVER, changes, to_its_end

pytestmark = pytest.mark.usefixtures("connections")
AT_ONCE = {"wait_for_completion": False, "poll_interval": 0.01, "deferrable": False}


def trigger(**arguments: Any) -> DatafoldTriggerCIOperator:
    given = {"ci_config_id": 2, **PULL_REQUEST, **AT_ONCE, **arguments}
    return DatafoldTriggerCIOperator(task_id="ci", **given)


def upload(**arguments: Any) -> DatafoldUploadCIChangesOperator:
    given = {"ci_config_id": 2, "pr_number": 8, "changes": CHANGES, **AT_ONCE, **arguments}
    return DatafoldUploadCIChangesOperator(task_id="changes", **given)


MODES = [(False, False), (True, False), (True, True)]


@pytest.mark.parametrize(("waits", "deferrable"), MODES)
def test_a_run_is_started(waits: bool, deferrable: bool, sandbox: Any, task_log: Log) -> None:
    # Of another pull request, of another commit, and of this one before.
    for other in ({"pr_number": 9}, {"pr_sha": "ffffff1"}, {}):
        sandbox.state.ci.add(2, {**PULL_REQUEST, **other})
    sandbox.state.ci.courses.default = Course((Step("comparing"),), "done") if waits else NEVER

    returned = to_its_end(trigger(wait_for_completion=waits, deferrable=deferrable))

    status = "done" if waits else None
    assert returned == {"ci_config_id": 2, "run_id": 4, "status": status}
    assert changes(sandbox) == [("/api/v1/ci/2/trigger", PULL_REQUEST)]
    told = [text for text in task_log.messages if "pull request 8" in text]
    end = ["CI run 4 of pull request 8 is done."] if waits else []
    assert told == ["Started CI run 4 for pull request 8.", *end]


@pytest.mark.parametrize(("waits", "deferrable"), MODES)
def test_changes_are_uploaded(waits: bool, deferrable: bool, sandbox: Any, task_log: Log) -> None:
    number = sandbox.state.ci.add(2, PULL_REQUEST)

    returned = to_its_end(upload(wait_for_completion=waits, deferrable=deferrable))

    status = "done" if waits else None
    assert returned == {"ci_config_id": 2, "run_id": number, "status": status}
    assert changes(sandbox) == [("/api/v1/ci/2/8", CHANGES)]
    assert f"Uploaded the changes of the pull request to CI run {number}." in task_log.messages


@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        ("failed", DatafoldJobFailedError, "failed at Datafold. A retry of Datafo"),
        ("cancelled", DatafoldJobCancelledError, "was cancelled at Datafold."),
    ],
)
def test_a_run_that_comes_to_nothing(end: str, error: Any, text: str, sandbox: Any) -> None:
    sandbox.state.ci.courses.default = Course((), end)
    with pytest.raises(error, match=f"^CI run 1 of pull request 8 {text}"):
        to_its_end(trigger(wait_for_completion=True))


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        (trigger, "ci_config_id", 0),
        (trigger, "pr_number", "eight"),
        (trigger, "pr_sha", "main"),
        (trigger, "base_sha", API_KEY),
        (trigger, "pr_branch", "None"),
        (trigger, "base_branch", ""),
        (trigger, "timeout", 0),
        (upload, "ci_config_id", 0),
        (upload, "pr_number", "x"),
        (upload, "changes", "not a list"),
        (upload, "timeout", 0),
    ],
)
def test_a_wrong_argument_sends_nothing(make: Any, field: str, value: Any, sandbox: Any) -> None:
    with pytest.raises(DatafoldInputError, match=rf"^{field}: .*Nothing was sent\.$") as caught:
        make(**{field: value}).execute({})
    assert API_KEY not in str(caught.value)
    assert sandbox.state.requests == []


def test_what_a_template_made_of_the_arguments(sandbox: Any) -> None:
    facts = {"pr_number": " 8\n", "pr_sha": 1234567, "base_sha": " 7654321\n", "pr_branch": 2024}
    to_its_end(trigger(ci_config_id="2", **facts, base_branch=" main\n"))
    to_its_end(upload(ci_config_id="2", pr_number="8", changes=str(CHANGES)))
    shas = {"pr_sha": "1234567", "base_sha": "7654321"}
    checked = {"pr_number": 8, **shas, "pr_branch": "2024", "base_branch": "main"}
    assert changes(sandbox) == [("/api/v1/ci/2/trigger", checked), ("/api/v1/ci/2/8", CHANGES)]


def says(value: Any) -> Any:
    return behaviours.answers(200, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("answer", "started", "took"),
    [
        # An upload counts if a run took it.
        ({"ci_run_id": 5}, 5, None),
        ({"run_id": 6}, 6, 6),
        ({"ci_run_id": 5, "run_id": 6}, 5, 5),
        ({"ci_run_id": "x", "run_id": 6}, 6, 6),
    ],
)
def test_the_contract_has_two_names_for_the_id(
    answer: Any, started: int, took: int | None, serve: Any
) -> None:
    serve(says([]), says(answer), says(answer))
    assert to_its_end(trigger())["run_id"] == started
    if took:
        assert to_its_end(upload())["run_id"] == took
    else:
        with pytest.raises(DatafoldConflictError, match="8 of CI configuration 2 has no active"):
            to_its_end(upload())


# Not by the sha: a service that compares it as it is would hide the run from a short one.
LIST = "/api/v1/ci/2/runs?pr_num=8&limit=100&offset="
SHOWN = {
    ("pr_num" if name == "pr_number" else name): str(fact) for name, fact in PULL_REQUEST.items()
}


def run(number: Any, **shown: Any) -> dict[str, Any]:
    return {"id": number, **SHOWN, **shown}


@pytest.mark.parametrize(
    ("before", "after", "run_id"),
    [
        ([run(4)], [run(4), run(6), run(5)], 6),
        ([], [run("7"), {}, "nonsense"], None),
        ([], [run(5, pr_sha="0A1B2C3D4E", base_sha=f"{PULL_REQUEST['base_sha']}ff")], 5),
        # However the branches are written.
        ([], [run(5, pr_branch="refs/heads/feature/x", base_branch="origin/main")], 5),
        ([], [run(5, base_branch="refs/remotes/origin/main")], 5),
        ([], [run(5, base_branch="feature/main")], None),
        # Another's, or nobody's.
        *(([], [run(5, **{name: "eeeeeee"})], None) for name in SHOWN),
        *(([], [run(5, **{name: None})], None) for name in SHOWN),
        ([], [{"id": 5}], None),
    ],
)
def test_a_run_whose_response_is_lost(before: Any, after: Any, run_id: Any, serve: Any) -> None:
    end = [says([])]
    server = serve(says(before), *(end if before else []), behaviours.says(), says(after), *end)
    with nullcontext() if run_id else pytest.raises(DatafoldConnectionError):
        assert to_its_end(trigger())["run_id"] == run_id
    reads = [request.target for request in server.requests if request.method == "GET"]
    last = [f"{LIST}{len(before)}"] if before else []
    assert reads == [f"{LIST}0", *last, f"{LIST}0", f"{LIST}{len(after)}"]


def test_a_pull_request_with_endless_runs_is_read_to_the_tenth_page(serve: Any) -> None:
    pages = [says([run(5 * page + number) for number in range(5)]) for page in range(10)]
    server = serve(*pages, says({"ci_run_id": 61}))
    assert to_its_end(trigger())["run_id"] == 61
    reads = [request.target for request in server.requests if request.method == "GET"]
    assert reads == [f"{LIST}{offset}" for offset in range(0, 50, 5)]
