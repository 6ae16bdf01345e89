"""The test of a data source, in a real Airflow and over a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException

from dev.faults import behaviours
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_sources import checked
from tests import modes
from tests.conftest import API_KEY
from tests.modes import MODES, in_both

pytestmark = pytest.mark.airflow

TEST = "DatafoldTestDataSourceOperator(data_source_id=2)"
FAILED = dict.fromkeys(MODES, "failed")
SUCCESS = dict.fromkeys(MODES, "success")
NAME = "The test of data source 2"

Go = Callable[..., modes.Outcome]


@pytest.fixture
def go(connections: None, run_dag: Any, capfd: Any, log: Any) -> Go:
    """Run the tasks of a DAG."""
    return lambda tasks, *more, **how: modes.run(run_dag, capfd, log, tasks, "test", *more, **how)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("number", ["2", "'2'", "'{{ params.id }}'"])
def test_a_data_source_passes(number: str, native: bool, go: Go, sandbox: Any) -> None:
    outcome = go(in_both(TEST.replace("2", number)), {"id": 2}, native=native)

    assert outcome.states == SUCCESS
    returned = list(outcome.returned.values())
    assert sorted(value.pop("job_id") for value in returned) == [1, 2]
    results = checked().outcome["results"]
    assert returned == [{"data_source_id": 2, "status": "done", "results": results}] * 2
    posts = [seen.path for seen in sandbox.state.requests if seen.method != "GET"]
    assert posts == ["/api/v1/data_sources/2/test"] * 2


def results(*steps: Any) -> dict[str, Any]:
    return {"results": list(steps)}


def failed(step: str, message: str) -> dict[str, Any]:
    result = {"code": "ERROR", "outcome": "failed", "message": message}
    return {"step": step, "status": "done", "result": result}


JOB_FAILED = "DatafoldJobFailedError"
ENDS = {
    "a step of a test that is done": (
        checked("temp_schema", f"No right to create tables with {API_KEY}."),
        JOB_FAILED,
        f"{NAME} failed: step 'temp_schema' (ERROR, failed: No right to create tables with ***). "
        "Fix the",
    ),
    "a test that failed": (
        Course((), "failed", results(failed("connection", "refused"), failed("schema", "x"))),
        JOB_FAILED,
        f"{NAME} failed: step 'connection' (ERROR, failed: refused); step 'schema' (ERROR, failed: "
        "x).",
    ),
    "no steps": (
        Course((), "done", {"results": None}),
        JOB_FAILED,
        f"{NAME} is done, but its response has no steps, so",
    ),
    "cancelled": (
        Course((), "cancelled"),
        "DatafoldJobCancelledError",
        f"{NAME} was cancelled at Datafold.",
    ),
    "needs_authentication": (
        Course((Step("queued"),), "needs_authentication"),
        "DatafoldWaitingForPersonError",
        f"{NAME} waits for a person (needs_authentication), so waiting longer will not help.",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_data_source_does_not_pass(name: str, go: Go, sandbox: Any) -> None:
    course, error, text = ENDS[name]
    sandbox.state.data_sources.courses.default = course

    outcome = go(in_both(TEST))

    assert outcome.states == FAILED
    assert outcome.returned == dict.fromkeys(MODES)
    assert outcome.shows_error(error, text)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("number", ["0", "True", "None", "'{{ params.nothing }}'", repr(API_KEY)])
def test_wrong_arguments_send_nothing(number: str, native: bool, go: Go, sandbox: Any) -> None:
    outcome = go(in_both(TEST.replace("2", number)), {"nothing": None}, native=native)

    assert outcome.states == FAILED
    assert sandbox.state.requests == []
    assert outcome.shows_error("DatafoldInputError", "data_source_id: ")


def test_a_data_source_that_is_not_there(go: Go) -> None:
    outcome = go(in_both(TEST.replace("2", "99")))

    assert outcome.states == FAILED
    assert "DatafoldNotFoundError" in outcome.log


class Troubled(Job):
    """A job that cannot be read for some time."""

    faults = 0

    def read(self) -> str:
        self.faults += 1
        if self.faults < 4:
            raise HTTPException(502, "Not now")
        return super().read()


def test_a_passing_fault_does_not_end_a_wait(
    go: Go, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    courses = sandbox.state.data_sources.courses
    monkeypatch.setattr(courses, "start", lambda: Troubled(checked()))

    assert go(in_both(TEST)).states == SUCCESS


def test_a_test_that_takes_too_long(go: Go, sandbox: Any) -> None:
    course = Course((Step("processing", reads=10**6),), "done")
    sandbox.state.data_sources.courses.default = course

    outcome = go(in_both(TEST.replace(")", ", timeout=0.3)")))

    assert outcome.states == FAILED
    assert outcome.shows_error("DatafoldDeadlineError", "The test of a data source had not")


@pytest.mark.parametrize("answer", [{}, {"job_id": None}, {"job_id": "x"}])
def test_a_test_without_an_id(answer: Any, serve: Any, run_dag: Any, capfd: Any, log: Any) -> None:
    serve(behaviours.answers(200, json.dumps(answer).encode()))

    outcome = modes.run(run_dag, capfd, log, in_both(TEST), "test")

    assert outcome.states == FAILED
    text = "Datafold accepted the test of data source 2, but its response has no 'job_id'"
    assert outcome.shows_error("DatafoldAnswerError", text)
