"""The operators of CI, each in a real Airflow and over a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException

from dev.faults import behaviours
from dev.sandbox.course import Course, Job, Step
from tests import modes
from tests.conftest import API_KEY
from tests.modes import MODES, in_both
from tests.pull_request import CHANGES, PULL_REQUEST

pytestmark = pytest.mark.airflow

CONFIG = 2
FAILED = dict.fromkeys(MODES, "failed")
SUCCESS = dict.fromkeys(MODES, "success")


def trigger(ci_config_id: Any = CONFIG, wait: bool = True, **changes: Any) -> str:
    facts = {**PULL_REQUEST, **changes}
    given = ", ".join(f"{name}={value!r}" for name, value in facts.items())
    return (
        f"DatafoldTriggerCIOperator(ci_config_id={ci_config_id!r}, {given}, "
        f"wait_for_completion={wait})"
    )


def upload(pr_number: Any = 8, changes: Any = CHANGES, wait: bool = True) -> str:
    return (
        f"DatafoldUploadCIChangesOperator(ci_config_id=2, pr_number={pr_number!r}, "
        f"changes={changes!r}, wait_for_completion={wait})"
    )


Go = Callable[..., modes.Outcome]


@pytest.fixture
def go(connections: None, run_dag: Any, capfd: Any, log: Any) -> Go:
    """Run the tasks of a DAG."""
    return lambda tasks, *more, **how: modes.run(run_dag, capfd, log, tasks, "ci", *more, **how)


def writes(sandbox: Any) -> list[str]:
    return [seen.path for seen in sandbox.state.requests if seen.method != "GET"]


ENDS = [
    ("done", None),
    ("failed", ("DatafoldJobFailedError", "failed at Datafold. A retry starts a new run.")),
    ("cancelled", ("DatafoldJobCancelledError", "was cancelled at Datafold.")),
]


@pytest.mark.parametrize(("end", "error"), ENDS)
def test_a_run_is_started_and_waited_for(end: str, error: Any, go: Go, sandbox: Any) -> None:
    way = (Step("waiting"), Step("queued"), Step("comparing"), Step("processing"))
    sandbox.state.ci.courses.default = Course(way, end)

    outcome = go(in_both(trigger()))

    assert writes(sandbox) == ["/api/v1/ci/2/trigger"] * 2
    bodies = [json.loads(seen.body) for seen in sandbox.state.requests if seen.body]
    assert bodies == [PULL_REQUEST] * 2
    if error:
        kind, text = error
        assert outcome.states == FAILED
        for run_id in (1, 2):
            assert outcome.shows_error(kind, f"CI run {run_id} of pull request 8 {text}")
    else:
        assert outcome.states == SUCCESS
        returned = list(outcome.returned.values())
        assert sorted(value.pop("run_id") for value in returned) == [1, 2]
        assert returned == [{"ci_config_id": 2, "status": "done"}] * 2


def test_a_run_is_started_and_not_waited_for(go: Go, sandbox: Any) -> None:
    sandbox.state.ci.courses.default = Course((Step("processing", reads=10**6),), "done")

    outcome = go(in_both(trigger(wait=False)))

    assert outcome.states == SUCCESS
    returned = list(outcome.returned.values())
    assert sorted(value.pop("run_id") for value in returned) == [1, 2]
    assert returned == [{"ci_config_id": 2, "status": None}] * 2


@pytest.mark.parametrize("native", [False, True])
def test_a_pull_request_from_params(native: bool, go: Go, sandbox: Any) -> None:
    params = {**PULL_REQUEST, "pr_sha": "1234567", "pr_branch": "2024", "ci_config_id": 2}
    given = {name: f"{{{{ params.{name} }}}}" for name in params}

    outcome = go(in_both(trigger(**given)), params, native=native)

    assert outcome.states == SUCCESS
    bodies = [json.loads(seen.body) for seen in sandbox.state.requests if seen.body]
    del params["ci_config_id"]
    assert bodies == [params] * 2


WRONG = [
    ("ci_config_id", trigger(0)),
    ("ci_config_id", trigger("x")),
    ("pr_number", trigger(pr_number="eight")),
    ("pr_number", trigger(pr_number="{{ params.nothing }}")),
    ("pr_sha", trigger(pr_sha="abc123")),
    ("pr_sha", trigger(pr_sha="a" * 65)),
    ("pr_sha", trigger(pr_sha="main")),
    ("pr_sha", trigger(pr_sha="{{ params.nothing }}")),
    ("base_sha", trigger(base_sha="g" * 40)),
    ("base_sha", trigger(base_sha=API_KEY)),
    ("pr_branch", trigger(pr_branch=" ")),
    ("pr_branch", trigger(pr_branch="{{ params.nothing }}")),
    ("base_branch", trigger(base_branch="")),
    ("pr_number", upload(0)),
    ("changes", upload(changes="{{ params.nothing }}")),
    ("changes[0].pr", upload(changes=[{"prod": "a"}])),
    ("changes[0]", upload(changes=[{"prod": "a", "pr": "b", "keys": []}])),
    ("changes[0].pk", upload(changes=[{"prod": "a", "pr": "b", "pk": ["id", "id"]}])),
    ("changes", upload(changes="not a list")),
]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(("field", "call"), WRONG)
def test_wrong_arguments_send_nothing(
    field: str, call: str, native: bool, go: Go, sandbox: Any
) -> None:
    outcome = go(in_both(call), {"nothing": None}, native=native)

    assert outcome.states == FAILED
    assert sandbox.state.requests == []
    assert outcome.shows_error("DatafoldInputError", f"{field}: ")


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("changes", [CHANGES, "{{ params.changes }}"])
def test_changes_are_uploaded(changes: Any, native: bool, wait: bool, go: Go, sandbox: Any) -> None:
    courses = sandbox.state.ci.courses
    courses.default = Course((Step("processing", reads=9),), "done")
    run_id = sandbox.state.ci.add(2, PULL_REQUEST)
    tasks = in_both(upload("{{ params.pr }}", changes, wait)).splitlines()[0]

    outcome = go(tasks, {"pr": 8, "changes": CHANGES}, native=native)

    status = "done" if wait else None
    assert outcome.states == {"worker": "success"}
    assert outcome.returned["worker"] == {"ci_config_id": 2, "run_id": run_id, "status": status}
    assert sandbox.state.ci.changes[run_id] == CHANGES


@pytest.mark.parametrize("wait", [False, True])
def test_changes_without_an_active_run(wait: bool, go: Go, sandbox: Any) -> None:
    outcome = go(in_both(upload(wait=wait)))

    assert outcome.states == FAILED
    text = "Pull request 8 of CI configuration 2 has no active CI run (the response's 'run_id' is"
    assert outcome.shows_error("DatafoldConflictError", text)
    assert writes(sandbox) == ["/api/v1/ci/2/8"] * 2


class Troubled(Job):
    """A job that cannot be read for some time."""

    faults = 0

    def read(self) -> str:
        self.faults += 1
        if self.faults < 4:
            raise HTTPException(503, "Not now")
        return super().read()


def test_a_passing_fault_does_not_end_a_wait(
    go: Go, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course((Step("processing"),), "done")
    monkeypatch.setattr(sandbox.state.ci.courses, "start", lambda: Troubled(course))
    worker, triggerer = in_both(trigger()).splitlines()

    for mode, task in (("worker", worker), ("triggerer", triggerer.strip())):
        # A separate pull request, because each poll reads all runs of one.
        call = task.replace("pr_number=8", f"pr_number={len(mode)}")
        assert go(call).states == {mode: "success"}


def test_a_run_that_takes_too_long(go: Go, sandbox: Any) -> None:
    sandbox.state.ci.courses.default = Course((Step("processing", reads=10**6),), "done")

    outcome = go(in_both(trigger().removesuffix(")") + ", timeout=0.3)"))

    assert outcome.states == FAILED
    assert outcome.shows_error("DatafoldDeadlineError", "The CI run had not ended after")


def test_a_configuration_that_is_not_there(go: Go, sandbox: Any) -> None:
    outcome = go(in_both(trigger(99)))

    assert outcome.states == FAILED
    assert "DatafoldNotFoundError" in outcome.log
    assert writes(sandbox) == []


def test_a_lost_response(serve: Any, run_dag: Any, capfd: Any, log: Any) -> None:
    def says(value: Any) -> Any:
        return behaviours.answers(200, json.dumps(value).encode())

    run = {"id": 5, "status": "done"}
    # An empty page ends a list.
    before, after = (says([{"id": 4}]), says([])), (says([{"id": 4}, run]), says([]))
    server = serve(*before, behaviours.says(), *after, says([run]))
    tasks = in_both(trigger()).splitlines()[0]

    outcome = modes.run(run_dag, capfd, log, tasks, "ci")

    assert outcome.returned["worker"] == {"ci_config_id": 2, "run_id": 5, "status": "done"}
    assert [request.method for request in server.requests] == [
        *["GET"] * 2,
        "POST",
        *["GET"] * 3,
    ]
