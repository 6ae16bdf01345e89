"""The test of a data source in one process. tests/dags runs it in a real Airflow."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldWaitingForPersonError,
)
from airflow_provider_datafold.operators.data_sources import DatafoldTestDataSourceOperator
from dev.faults import behaviours
from dev.sandbox.course import Course, Step
from tests.conftest import API_KEY, Log
from tests.waits import NEVER, changes, to_its_end

NAME = "The test of data source 2"
pytestmark = pytest.mark.usefixtures("connections")


def operator(**arguments: Any) -> DatafoldTestDataSourceOperator:
    given = {"data_source_id": 2, "poll_interval": 0.01, "deferrable": False, **arguments}
    return DatafoldTestDataSourceOperator(task_id="test", **given)


def ends(sandbox: Any, status: str, *steps: Any, **more: Any) -> None:
    """Let the next test end so."""
    course = Course((), status, {"results": [*steps], **more})
    sandbox.state.data_sources.courses.default = course


def step(name: Any, result: Any, status: str = "done") -> dict[str, Any]:
    return {"step": name, "status": status, "result": result}


def says(code: Any, outcome: Any, message: str = "refused") -> dict[str, Any]:
    return {"code": code, "outcome": outcome, "message": message}


PASSED = step("connection", None)
SKIPS = (("SKIP", "skipped"), ("skip", "SKIPPED"))


@pytest.mark.parametrize(("number", "deferrable"), [(2, False), (" 2\n", True)])
def test_a_data_source_passes(number: Any, deferrable: bool, sandbox: Any, task_log: Log) -> None:
    results = [PASSED, *(step("schema", says(*skip)) for skip in SKIPS)]
    way = (Step("queued"), Step("processing"))
    sandbox.state.data_sources.courses.default = Course(way, "done", {"results": results})

    returned = to_its_end(operator(data_source_id=number, deferrable=deferrable))

    assert returned == {"data_source_id": 2, "job_id": 1, "status": "done", "results": results}
    assert changes(sandbox) == [("/api/v1/data_sources/2/test", None)]
    assert "Started test 1 of data source 2." in task_log.messages
    assert f"{NAME} passes." in task_log.messages


def test_a_test_that_is_not_waited_for(sandbox: Any) -> None:
    sandbox.state.data_sources.courses.default = NEVER
    task = operator(wait_for_completion=False)
    assert to_its_end(task) == {"data_source_id": 2, "job_id": 1, "status": None, "results": None}


@pytest.mark.parametrize(
    "result",
    [
        says("OK", "success"),
        # A healthy source, for whose type Datafold has no lineage downloader.
        says("OK", "skipped", "No lineage downloader for this data source"),
        says(None, "success"),
        says("ok", "SUCCESS"),
        {"code": "OK"},
        "ok",
        None,
    ],
)
def test_a_step_passes(result: Any, sandbox: Any) -> None:
    ends(sandbox, "done", step("connection", result))
    assert to_its_end(operator())["status"] == "done"


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ("nonsense", "its response has no steps"),
        ([], "its response has no steps"),
        ([step("a", says("SKIP", "skipped"))], "every step was skipped"),
    ],
)
def test_without_a_step_that_passed_nothing_is_certain(
    results: Any, found: str, sandbox: Any
) -> None:
    ends(sandbox, "done", results=results)
    said = f"^{NAME} is done, but {found}, so it is not certain that Datafold can read the data s"
    with pytest.raises(DatafoldJobFailedError, match=said):
        to_its_end(operator())


STEPS = [
    ([step("a", says("ERROR", "failed"))], "step 'a' (ERROR, failed: refused)"),
    # What contradicts itself, or is unknown.
    ([step("a", says("OK", "failed"))], "step 'a' (OK, failed: refused)"),
    ([step("a", says("SKIP", "success"))], "step 'a' (SKIP, success: refused)"),
    ([step("a", says("UNKNOWN", None))], "step 'a' (UNKNOWN: refused)"),
    ([step("a", says(["OK"], {}))], "step 'a' (['OK'], {}: refused)"),
    ([step("a", says(None, None))], "step 'a' (refused)"),
    ([step("a", {})], "step 'a' ({})"),
    ([step("a", "refused by X..")], "step 'a' (refused by X)"),
    ([step("a", "SKIP")], "step 'a' (SKIP)"),
    ([step("a", ["x"])], "step 'a' ([\"x\"])"),
    ([step("a", {"code": 7, "error": "refused"})], "step 'a' (7: refused)"),
    ([step("a", {"message": 7, "detail": "refused"})], "step 'a' (refused)"),
    # Steps that are not done.
    ([step("a", None, "failed")], "step 'a' (failed: Datafold does not say why)"),
    ([step("a", "OK", "processing")], "step 'a' (processing: OK)"),
    ([PASSED, step(None, "x", "queued"), step("b", "y")], "step 'None' (queued: x); step 'b' (y)"),
    (["nonsense"] * 7, "; ".join(["a step that is not an object"] * 5 + ["and 2 more"])),
    ([step(f"a {API_KEY}", f"No right for {API_KEY}")], "step 'a ***' (No right for ***)"),
    ([step("a", "x" * 999)], f"step 'a' ({'x' * 200})"),
]


@pytest.mark.parametrize(
    ("status", "steps", "said"),
    [
        *(("done", *each) for each in STEPS),
        ("failed", *STEPS[0]),
        *(("failed", steps, "Datafold does not say which step") for steps in ([], [PASSED])),
    ],
)
def test_a_step_fails(status: str, steps: Any, said: str, sandbox: Any) -> None:
    ends(sandbox, status, *steps)
    with pytest.raises(DatafoldJobFailedError) as caught:
        to_its_end(operator())
    assert str(caught.value) == (
        f"{NAME} failed: {said}. Fix the data source in Datafold; a retry tests it again."
    )


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        ("cancelled", DatafoldJobCancelledError, "was cancelled at Datafold"),
        ("needs_authentication", DatafoldWaitingForPersonError, "waits for a person "),
    ],
)
def test_another_end(status: str, error: type[Exception], text: str, sandbox: Any) -> None:
    # Whatever its steps say.
    ends(sandbox, status, step("a", "refused"))
    with pytest.raises(error, match=f"^{NAME} {text}"):
        to_its_end(operator())


@pytest.mark.parametrize(("field", "value"), [("data_source_id", 0), ("timeout", 0)])
def test_a_wrong_argument_sends_nothing(field: str, value: Any, sandbox: Any) -> None:
    with pytest.raises(DatafoldInputError, match=f"^{field}: "):
        operator(**{field: value}).execute({})
    assert sandbox.state.requests == []


@pytest.mark.parametrize("answer", [b"{}", b'{"job_id": "x"}'])
def test_a_test_without_an_id(answer: bytes, serve: Any) -> None:
    serve(behaviours.answers(200, answer))
    said = "accepted the test of data source 2, but its response has no 'job_id'"
    with pytest.raises(DatafoldAnswerError, match=said):
        to_its_end(operator())
