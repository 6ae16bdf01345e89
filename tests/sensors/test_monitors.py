"""The sensor of monitor runs in one process. tests/dags/test_jobs.py runs it in Airflow."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldAnswerError,
    DatafoldInputError,
    DatafoldNotComparedError,
    DatafoldServerError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from dev.sandbox.course import Course, Job, Step
from tests.contexts import context_of
from tests.waits import sent, to_its_end

pytestmark = pytest.mark.usefixtures("connections")
READ = "GET /monitors/4/runs/7"
ALERT = Course((Step("checking"),), "alert", {"diff_id": 9})


def make(sandbox: Any, course: Course) -> None:
    """Let run 7 of monitor 4 follow a course."""
    sandbox.state.monitors.jobs[7] = Job(course)
    sandbox.state.monitors.runs[7] = {"run_id": 7, "monitor_id": 4, "started_at": None}


def sensor(**arguments: Any) -> DatafoldMonitorRunSensor:
    given = {"monitor_id": "4", "run_id": "7", "poke_interval": 0.01, "deferrable": False}
    return DatafoldMonitorRunSensor(task_id="sensor", **{**given, **arguments})


@pytest.mark.parametrize(("deferrable", "reads"), [(False, 2), (True, 3)])
def test_a_run_that_passes(sandbox: Any, deferrable: bool, reads: int) -> None:
    make(sandbox, ALERT)
    task = sensor(deferrable=deferrable, on_alert="pass")
    context = context_of(task)

    returned = to_its_end(task, context)

    url = f"{sandbox.url}/datadiffs/9/overview"
    ids = {"monitor_id": 4, "run_id": 7}
    assert returned == {**ids, "state": "alert", "diff_id": 9, "url": url}
    verdict = context["ti"].pushed.pop("verdict")
    assert (verdict["id"], verdict["monitor_id"], verdict["outcome"]) == (7, 4, "alert")
    assert context["ti"].pushed == {"datafold_data_diff_url": url}
    assert sent(sandbox)[:reads] == [READ] * reads


@pytest.mark.parametrize(
    ("course", "arguments", "error"),
    [
        (ALERT, {}, DatafoldAlertError),
        (ALERT, {"on_alert": "skip", "deferrable": True}, AirflowSkipException),
        (Course((), "skipped"), {"on_skipped": "fail"}, DatafoldNotComparedError),
    ],
)
def test_a_run_that_does_not_pass(
    course: Course, arguments: Any, error: type[Exception], sandbox: Any
) -> None:
    make(sandbox, course)
    with pytest.raises(error, match="^Run 7 of monitor 4 "):
        to_its_end(sensor(**arguments))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("monitor_id", 0), ("run_id", None), ("on_alert", "x"), ("on_skipped", "skip")],
)
def test_a_wrong_argument_is_named(sandbox: Any, field: str, wrong: Any) -> None:
    task = sensor(**{field: wrong})
    with pytest.raises(DatafoldInputError, match=rf"^{field}: "):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


def test_a_name_that_cannot_be_looked_up_for_a_while_ends_nothing(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each poke looks it up if the sensor reschedules itself.
    make(sandbox, Course((), "ok"))
    read = JobHook.list_monitors
    errors = [DatafoldServerError("503: busy"), DatafoldAnswerError("odd")]

    def fail_first(hook: JobHook, **place: Any) -> Any:
        if errors:
            raise errors.pop()
        return read(hook, **place)

    monkeypatch.setattr(JobHook, "list_monitors", fail_first)
    task = sensor(monitor_id="Orders have an id")
    assert task.execute(context_of(task))["state"] == "ok"
    assert errors == []


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"run_id": "x"}, "run_id: must be"),
        ({"monitor_id": "orders"}, "monitor_id: no monitor is called 'orders'"),
    ],
)
def test_what_soft_fail_skips_is_told_as_failed(
    sandbox: Any, wrong: Any, reason: str, deferrable: bool
) -> None:
    # The summary takes a skipped task without a verdict for one that was not needed.
    task = sensor(**wrong, deferrable=deferrable, soft_fail=True)
    context = context_of(task)
    with pytest.raises(AirflowSkipException):
        task.execute(context)
    verdict = context["ti"].pushed["verdict"]
    assert verdict.pop("reason").startswith(reason)
    assert verdict == {"kind": "monitor_run", "outcome": "failed", "skips": True}


def test_what_soft_fail_skips_when_it_is_resumed_is_told_as_failed(sandbox: Any) -> None:
    task = sensor(datafold_conn_id="lost", deferrable=True, soft_fail=True)
    context = context_of(task)
    with pytest.raises(AirflowSkipException):
        task.resume_execution("execute_complete", {"event": {"state": "succeeded"}}, context)
    verdict = context["ti"].pushed["verdict"]
    assert verdict["reason"].startswith("There is no Airflow connection 'lost'")
    assert (verdict["outcome"], verdict["skips"]) == ("failed", True)
