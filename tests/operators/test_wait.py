"""Who waits for a brief job, and when a trigger may fire, whatever waits."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datafold.operators import wait
from airflow_provider_datafold.operators.ci import DatafoldTriggerCIOperator
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.data_sources import DatafoldTestDataSourceOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import IDENTICAL
from tests.contexts import context_of
from tests.pull_request import PULL_REQUEST
from tests.waits import Waits, add_diff, deferred, gate

pytestmark = pytest.mark.usefixtures("connections")

BRIEF, HOLD = wait.BRIEF, wait.HOLD
"""As they are before the tests shorten them."""

SIDES = {"data_source1_id": 1, "data_source2_id": 1, "table1": "A.B", "table2": "A.C"}
PASSED = {"results": [{"step": "connection", "status": "done", "result": None}]}
KINDS: dict[str, tuple[Any, dict[str, Any], str, str, Any]] = {
    "data diff": (
        DatafoldRunDataDiffOperator,
        {**SIDES, "pk_columns": ["id"]},
        "data_diffs",
        "done",
        IDENTICAL.outcome,
    ),
    "monitor run": (DatafoldRunMonitorOperator, {"monitor_id": 4}, "monitors", "ok", {}),
    "CI run": (DatafoldTriggerCIOperator, {"ci_config_id": 2, **PULL_REQUEST}, "ci", "done", {}),
    "source test": (
        DatafoldTestDataSourceOperator,
        {"data_source_id": 2},
        "data_sources",
        "done",
        PASSED,
    ),
    "data diff's sensor": (
        DatafoldDataDiffSensor,
        {"datadiff_id": 3},
        "data_diffs",
        "done",
        IDENTICAL.outcome,
    ),
    "monitor run's sensor": (
        DatafoldMonitorRunSensor,
        {"monitor_id": 4, "run_id": 7},
        "monitors",
        "ok",
        {},
    ),
}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, sandbox: Any) -> Any:
    """Make a task that defers, whose job goes through steps before its end."""
    operator, given, section, end, outcome = KINDS[request.param]

    def make_task(*steps: Step, **arguments: Any) -> Any:
        course = Course(steps, end, outcome)
        getattr(sandbox.state, section).courses.default = course
        if operator is DatafoldDataDiffSensor:
            add_diff(sandbox, course)
        if operator is DatafoldMonitorRunSensor:
            sandbox.state.monitors.jobs[7] = Job(course)
            sandbox.state.monitors.runs[7] = {"run_id": 7, "monitor_id": 4, "started_at": None}
        return operator(task_id="waits", deferrable=True, **given, **arguments)

    return make_task


def test_a_brief_job_is_not_deferred(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "BRIEF", 60.0)
    task = make(Step("processing", reads=3))
    task.execute(context_of(task))


def test_a_trigger_holds_from_the_deferral_on(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "HOLD", 10.0)
    task = make(Step("processing", seconds=math.inf))
    before = time.time()
    fields = deferred(task.execute, context_of(task)).trigger.serialize()[1]
    assert before + 10 <= fields["not_before"] <= time.time() + 10


def test_the_worker_waits_where_the_deadline_comes_before_the_hold_ends(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait, "HOLD", 10.0)
    task = make(Step("processing", reads=9), timeout=9)
    task.execute(context_of(task))


def test_the_worker_waits_on_where_a_slow_look_has_left_too_little_for_the_hold(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make(Step("processing", reads=9), timeout=30)
    watch = task._watch

    def look_slowly(*given: Any, **until: float) -> Any:
        reading = watch(*given, **until)
        monkeypatch.setattr(wait, "HOLD", 60.0)
        return reading

    monkeypatch.setattr(task, "_watch", look_slowly)
    task.execute(context_of(task))


def test_how_long(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    assert (BRIEF, HOLD) == (3.0, 10.0)
    monkeypatch.setattr(wait, "BRIEF", BRIEF)
    asked_of = Waits(monkeypatch, "processing")
    task = gate(deferrable=True)
    deferred(task.execute, context_of(task))
    assert asked_of.asked[0]["until"] == now + BRIEF


@pytest.mark.parametrize(("left", "defers"), [(60.0, True), (9.0, False)])
def test_the_rule_holds_for_each_further_deferral(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, left: float, defers: bool
) -> None:
    monkeypatch.setattr(wait, "HOLD", 10.0)
    course = Course((Step("processing", reads=3),), "done", IDENTICAL.outcome)
    ids = {"datadiff_id": add_diff(sandbox, course, tag=None)}
    task, now = gate(deferrable=True), time.time()
    kept: Any = {"ids": ids, "since": now, "deadline": now + left}
    with deferring(defers) as found:
        task.execute_complete(context_of(task), {"state": "succeeded", "ids": ids}, **kept)
    assert not defers or found.value.trigger.serialize()[1]["not_before"] >= now + 10


def deferring(defers: bool) -> Any:
    return pytest.raises(TaskDeferred) if defers else nullcontext()
