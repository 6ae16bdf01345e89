"""The sensor of monitor runs in one process. tests/dags/test_jobs.py runs it in Airflow."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldDeadlineError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
)
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from dev.sandbox.course import Course, Job, Step
from tests.contexts import context_of
from tests.waits import NEVER, defaults, deferred, sent, to_its_end

READ = "GET /monitors/4/runs/7"


@pytest.fixture(autouse=True)
def _connected(connections: None) -> None:
    """All of these send to the sandbox."""


def make(sandbox: Any, course: Course) -> None:
    """Let run 7 of monitor 4 follow a course."""
    sandbox.state.monitors.jobs[7] = Job(course)
    sandbox.state.monitors.runs[7] = {"run_id": 7, "monitor_id": 4, "started_at": None}


def sensor(**arguments: Any) -> DatafoldMonitorRunSensor:
    given = {"monitor_id": "4", "run_id": "7", "poke_interval": 0.01, "deferrable": False}
    return DatafoldMonitorRunSensor(task_id="sensor", **{**given, **arguments})


@pytest.mark.parametrize(
    ("deferrable", "steps", "reads"),
    [(False, 0, 1), (False, 1, 2), (True, 0, 1), (True, 1, 3)],
)
@pytest.mark.parametrize(
    ("state", "outcome"), [("ok", {}), ("alert", {"diff_id": 9}), ("skipped", {})]
)
def test_a_run_that_passes(
    sandbox: Any, deferrable: bool, steps: int, reads: int, state: str, outcome: dict[str, Any]
) -> None:
    make(sandbox, Course((Step("checking"),) * steps, state, outcome))
    task = sensor(deferrable=deferrable, on_alert="pass")
    context = context_of(task)

    returned = to_its_end(task, context)

    url = f"{sandbox.url}/datadiffs/9/overview" if outcome else None
    ids = {"monitor_id": 4, "run_id": 7}
    assert returned == {**ids, "state": state, "diff_id": outcome.get("diff_id"), "url": url}
    assert context["ti"].pushed == ({"datafold_data_diff_url": url} if url else {})
    assert sent(sandbox) == [READ] * reads


@pytest.mark.parametrize(("deferrable", "steps"), [(False, 0), (True, 0), (True, 1)])
@pytest.mark.parametrize(
    ("state", "on_alert", "error"),
    [
        ("alert", "fail", DatafoldAlertError),
        ("alert", "skip", AirflowSkipException),
        ("error", "pass", DatafoldJobFailedError),
        ("cancelled", "pass", DatafoldJobCancelledError),
    ],
)
def test_a_run_that_does_not_pass(
    sandbox: Any, deferrable: bool, steps: int, state: str, on_alert: str, error: type[Exception]
) -> None:
    make(sandbox, Course((Step("checking"),) * steps, state))
    task = sensor(deferrable=deferrable, on_alert=on_alert)
    with pytest.raises(error, match="^Run 7 of monitor 4 "):
        to_its_end(task, context_of(task))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_that_does_not_end(sandbox: Any, deferrable: bool) -> None:
    make(sandbox, NEVER)
    task = sensor(deferrable=deferrable, timeout=0.05)
    with pytest.raises(DatafoldDeadlineError) as caught:
        to_its_end(task, context_of(task))
    assert str(caught.value) == (
        "The monitor run had not ended after 0.05 s, the limit from the sensor's 'timeout' and "
        "'execution_timeout'. It is still running: a sensor does not cancel it."
    )
    assert {*sent(sandbox)} == {READ}


@pytest.mark.parametrize("interval", [None, 5, timedelta(minutes=1)])
def test_how_it_waits(sandbox: Any, interval: Any) -> None:
    make(sandbox, NEVER)
    task = sensor(deferrable=True, poke_interval=interval, timeout=timedelta(hours=1))
    before = time.time()
    wait = deferred(task.execute, context_of(task))
    kwargs = wait.kwargs or {}
    since = kwargs["since"]
    assert before <= since <= time.time()
    assert kwargs == {"try_number": 1, "since": since, "deadline": since + 3600}
    seconds = {5: 5.0, timedelta(minutes=1): 60.0}.get(interval)
    assert task.poke_interval == (seconds or 60.0)
    assert wait.trigger.serialize()[1] == {
        "job": "monitor_run",
        "ids": {"monitor_id": 4, "run_id": 7},
        "datafold_conn_id": "datafold_default",
        "deadline": since + 3600,
        "since": since,
        "poll_interval": seconds,
        "cancel_on_kill": False,
        "not_before": 0.0,
    }


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("field", "wrong"), [("monitor_id", 0), ("run_id", "x"), ("run_id", None), ("on_alert", "x")]
)
def test_a_wrong_argument_is_named(sandbox: Any, deferrable: bool, field: str, wrong: Any) -> None:
    task = sensor(deferrable=deferrable, **{field: wrong})
    with pytest.raises(DatafoldInputError, match=rf"^{field}: "):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


def test_its_signature() -> None:
    assert defaults(DatafoldMonitorRunSensor) == {
        "on_alert": "fail",
        "deferrable": False,
        "poke_interval": None,
        "timeout": timedelta(hours=24),
        "datafold_conn_id": "datafold_default",
    }
    task = DatafoldMonitorRunSensor(task_id="t", monitor_id=4, run_id=7)
    assert task.template_fields == ("datafold_conn_id", "monitor_id", "run_id", "on_alert")
    assert task.timeout == 86_400.0
    assert [link.name for link in task.operator_extra_links] == ["Datafold data diff"]


def test_airflows_own_arguments_reach_airflow(sandbox: Any) -> None:
    make(sandbox, Course((), "alert"))
    task = sensor(soft_fail=True)
    with pytest.raises(AirflowSkipException):
        task.execute(context_of(task))
