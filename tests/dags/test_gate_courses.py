"""The outcome of a gate in a real Airflow for courses of a data diff, in the worker and in the
triggerer, and of a sensor in each of its modes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, failed
from tests.conductor import Conductor, Fault, error_500, lost
from tests.gates import BODY, recorded
from tests.waits import NEVER

pytestmark = pytest.mark.airflow


@dataclass
class Case:
    """A course of a data diff, and the outcome of the task.

    :param name: of the course.
    :param course: what the data diff goes through.
    :param arguments: of the gate that are not the usual ones.
    :param error: the error's class, ``None`` where there is none.
    :param text: what the error says.
    :param state: the task's.
    :param faults: by operation, what becomes of the first request, the second and so on; the last
        one stays if ``...`` follows.
    :param cancelled: whether the data diff is cancelled at the end.
    """

    name: str
    course: Course = IDENTICAL
    arguments: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    text: str = ""
    state: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    cancelled: bool = False
    diffs: int = 1

    @property
    def task_id(self) -> str:
        return re.sub(r"\W+", "_", self.name)

    @property
    def end(self) -> str:
        return self.state or ("failed" if self.error else "success")


def _ends(status: str, **outcome: Any) -> Course:
    return Course((Step("waiting"),), status, outcome)


# How each verdict comes about, tests/jobs/gate says.
DIFFERENCE = "DatafoldDifferenceError"
CANCELLED = "DatafoldJobCancelledError"

COURSES = [
    Case("identical"),
    Case(
        "different",
        DIFFERENT,
        error=DIFFERENCE,
        text="Data diff N differs: rows added 3, rows removed 2, rows different 5, match ratio "
        "0.95. Values differ in 'amount' (5). See URL",
    ),
    Case(
        "different skipped",
        DIFFERENT,
        {"on_difference": "skip"},
        "AirflowSkipException",
        "Data diff N differs: rows added 3",
        "skipped",
    ),
    Case(
        "failed",
        failed("QueryError", 'relation\n"orders" does not exist.'),
        error="DatafoldJobFailedError",
        text='Data diff N failed: QueryError: relation?"orders" does not exist. A retry starts a '
        "new data diff. See URL",
    ),
    Case(
        "cancelled",
        _ends("cancelled"),
        error=CANCELLED,
        text="Data diff N was cancelled at Datafold, not by this task.",
        cancelled=True,
    ),
    Case(
        "never ends",
        NEVER,
        {"timeout": 0.3},
        "DatafoldDeadlineError",
        "The data diff had not ended after",
        cancelled=True,
    ),
    Case(
        "execution timeout",
        NEVER,
        {"execution_timeout": 2.0},
        "DatafoldDeadlineError",
        "The data diff had not ended after",
        cancelled=True,
    ),
    Case("faults between looks", faults={"read": [503, 500, 429, lost, error_500, 408]}),
    Case(
        "the key is refused later",
        faults={"read": [None, 401, ...]},
        error="DatafoldAuthenticationError",
        text="GET /api/v1/datadiffs/N on HOST",
        cancelled=True,
    ),
    Case("the reply is lost", faults={"create": [lost]}),
    Case(
        "nothing comes of it",
        faults={"create": [422]},
        error="DatafoldValidationError",
        text="POST /api/v1/datadiffs on HOST",
        diffs=0,
    ),
]


def _conductor(patched: pytest.MonkeyPatch, cases: list[Case]) -> Conductor:
    courses = {case.task_id: case.course for case in cases}
    return Conductor(patched, courses, {case.task_id: case.faults for case in cases})


def _neutral(value: Any, url: str) -> Any:
    """Take ids, addresses and times out, which differ between two runs."""
    text = json.dumps(value).replace(url, "HOST")
    text = re.sub(r"(?<=Data diff )\d+|(?<=datadiffs/)\d+|(?<=\"id\": )\d+", "N", text)
    text = re.sub(r"after [\d.]+ s", "after N s", text)
    return json.loads(
        text.replace('"id": N', '"id": "N"').replace("HOST/datadiffs/N/overview", "URL")
    )


def _arguments(case: Case, **more: Any) -> str:
    given = {**case.arguments, **more}
    if "datadiff_id" not in given:
        given["tags"] = [case.task_id]
    limit = given.pop("execution_timeout", None)
    shown = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return shown if limit is None else f"{shown}, execution_timeout=timedelta(seconds={limit})"


def _run_courses(
    dag_id: str,
    run_gates: Any,
    sandbox: Any,
    conductor: Conductor,
    tasks: list[str],
    cases: list[Case],
) -> dict[str, Any]:
    """Run a task for each case, and return each outcome: the task's state, XCom, link and error,
    and the states of the data diffs that there are for it."""
    found = run_gates(dag_id, tasks, params={})
    errors = recorded()
    statuses: dict[str, list[str]] = {}
    for number, name in conductor.names.items():
        status = sandbox.state.data_diffs.peek(number)["status"]
        statuses.setdefault(name, []).append(status)
    return {
        case.name: _neutral(
            [*found[case.task_id][0], errors.get(case.task_id), statuses.get(case.task_id, [])],
            sandbox.url,
        )
        for case in cases
    }


def test_courses(run_gates: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len({case.task_id for case in COURSES}) == len(COURSES)
    both = {}
    for deferrable in (False, True):
        sandbox.state.reset()
        tasks = [
            f"gate({case.task_id!r}, {_arguments(case, deferrable=deferrable)})" for case in COURSES
        ]
        with monkeypatch.context() as patched:
            conductor = _conductor(patched, COURSES)
            both[deferrable] = _run_courses(
                f"gates_{deferrable}", run_gates, sandbox, conductor, tasks, COURSES
            )
    # The outcome is exactly the same in the worker and in the triggerer.
    assert both[True] == both[False]
    assert _unexpected(COURSES, both[False]) == {}


WAITED_FOR = (
    "identical",
    "different",
    "different skipped",
    "failed",
    "cancelled",
    "never ends",
    "faults between looks",
)
"""A selection for the sensor, which has three modes."""


def test_courses_of_what_a_sensor_waits_for(
    run_gates: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        replace(case, cancelled=case.error == CANCELLED)
        for case in COURSES
        if case.name in WAITED_FOR
    ]
    assert len(cases) == len(WAITED_FOR)
    found = {}
    for mode in ("poke", "reschedule", "deferrable"):
        sandbox.state.reset()
        how = {"deferrable": True} if mode == "deferrable" else {"mode": mode, "deferrable": False}
        with monkeypatch.context() as patched:
            conductor = _conductor(patched, cases)
            tasks = []
            for case in cases:
                diff = sandbox.state.data_diffs.add(
                    {**BODY, "tags": [case.task_id]}, Job(case.course)
                )
                arguments = _arguments(case, datadiff_id=diff["id"], poke_interval=0.05, **how)
                tasks.append(f"Sensor(task_id={case.task_id!r}, {arguments})")
            found[mode] = _run_courses(
                f"sensors_{mode}", run_gates, sandbox, conductor, tasks, cases
            )
        methods = {request.method for request in sandbox.state.requests}
        assert methods == {"GET"}, "it never cancels what something else started"
    assert found["poke"] == found["reschedule"] == found["deferrable"]
    assert _unexpected(cases, found["poke"]) == {}


def _unexpected(cases: list[Case], found: dict[str, Any]) -> dict[str, Any]:
    return {
        case.name: found[case.name] for case in cases if not _is_right_end(case, *found[case.name])
    }


def _is_right_end(
    case: Case, state: str, returned: Any, link: Any, error: Any, statuses: list[str]
) -> bool:
    kind, text = error or (None, "")
    if (state, kind) != (case.end, case.error) or case.text not in text:
        return False
    if len(statuses) != case.diffs or ("cancelled" in statuses) != case.cancelled:
        return False
    if link != ("URL" if case.diffs else None):
        return False
    if case.error:
        return returned is None
    return returned == {
        "id": "N",
        "status": "done",
        "result": case.course.outcome.get("result"),
        "url": "URL",
        "diff_stats": case.course.outcome.get("diff_stats"),
    }
