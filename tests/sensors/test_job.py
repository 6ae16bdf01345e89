"""What a sensor asks of its hook, whatever the kind of job."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException

from airflow_provider_datafold.exceptions import (
    DatafoldServerError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import DATA_DIFF
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import IDENTICAL
from tests.conductor import Conductor, busy
from tests.conftest import NOW, Log
from tests.contexts import context_of
from tests.waits import NEVER, Waits, add_diff, deferred, poked_since, sent

pytestmark = pytest.mark.usefixtures("connections")
READ = "GET /datadiffs/3"
DONE = Course((), "done", IDENTICAL.outcome)


def sensor(**arguments: Any) -> DatafoldDataDiffSensor:
    given = {"datadiff_id": 3, "poke_interval": 0.01, "deferrable": False}
    return DatafoldDataDiffSensor(task_id="sensor", **{**given, **arguments})


IDS = {"datadiff_id": 3}
OWN = {"ids": IDS, "is_taken_over": False, "tag": None, "is_doubtful": False}
LOOKED = {"job": DATA_DIFF, "ids": IDS, "is_troubled": False}
WAITED = {"job": DATA_DIFF, "ids": IDS, "poll_interval": 5.0, "deadline": NOW}


@pytest.mark.parametrize(
    ("event", "asked"),
    [
        (None, LOOKED),
        ({"state": "deadline"}, {**WAITED, "since": NOW}),
    ],
    ids=repr,
)
def test_after_the_triggerer(
    monkeypatch: pytest.MonkeyPatch, now: float, event: Any, asked: dict[str, Any]
) -> None:
    waits = Waits(monkeypatch, "done")
    task = sensor(timeout=60, poke_interval=5)
    task.execute_complete(context_of(task), event)
    assert waits.asked == [asked]


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ({}, 86_400.0),
        ({"timeout": 60}, 60.0),
        ({"timeout": 60, "execution_timeout": timedelta(seconds=50)}, 50.0),
        ({"timeout": 60, "execution_timeout": timedelta(hours=1)}, 60.0),
    ],
    ids=repr,
)
def test_how_long_it_waits(
    monkeypatch: pytest.MonkeyPatch, now: float, arguments: dict[str, Any], seconds: float
) -> None:
    Waits(monkeypatch, "processing")
    task = sensor(deferrable=True, **arguments)
    wait = deferred(task.execute, context_of(task, try_number=2))
    assert wait.method_name == "execute_complete"
    asked = {"since": NOW, "deadline": NOW + seconds}
    assert wait.kwargs == {"try_number": 2, **OWN, **asked}
    assert wait.trigger.serialize()[1] == {
        "job": "data_diff",
        "ids": IDS,
        "datafold_conn_id": "datafold_default",
        "poll_interval": 0.01,
        "cancel_on_kill": False,
        "not_before": now,
        **asked,
    }


def reads(monkeypatch: pytest.MonkeyPatch, sandbox: Any, *faults: Any) -> None:
    """Let the sandbox have a data diff that runs, and fail the first reads of it."""
    Conductor(monkeypatch, faults={"mine": {"read": [*faults]}})
    add_diff(sandbox, NEVER)


@pytest.mark.parametrize(("faults", "count"), [([503], 2), ([busy], 1)], ids=["503", "busy"])
def test_asks_again_when_datafold_wants(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    task_log: Log,
    now: float,
    faults: list[Any],
    count: int,
) -> None:
    reads(monkeypatch, sandbox, *faults)
    task = sensor()
    for _ in range(2):
        assert not task.poke(context_of(task)).is_done
    assert len(sent(sandbox)) == count
    monkeypatch.setattr(time, "time", lambda: NOW + 600.0)
    task.poke(context_of(task))
    assert len(sent(sandbox)) == 1
    assert task_log.warnings[0].startswith("Could not check the data diff: ")
    told = [text for text in task_log.messages if text.startswith("The data diff is ")]
    assert {*told} == {"The data diff is processing."}


@pytest.mark.parametrize(
    ("faults", "arguments", "seconds"),
    [
        ([busy], {}, 600.0),
        ([busy], {"timeout": 100}, 100.0),
        ([busy], {"poke_interval": 900}, 900.0),
        ([503], {"poke_interval": 30}, 30.0),
    ],
    ids=["asked", "timeout", "poke_interval", "503"],
)
def test_airflow_starts_it_again_when_datafold_wants(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[Any],
    arguments: dict[str, Any],
    seconds: float,
) -> None:
    reads(monkeypatch, sandbox, *faults)
    task = sensor(mode="reschedule", **arguments)
    context = context_of(task)
    poked_since(monkeypatch, context, None)
    before = time.time()
    with pytest.raises(AirflowRescheduleException) as caught:
        task.execute(context)
    assert before <= caught.value.reschedule_date.timestamp() - seconds <= time.time()


def test_the_triggerer_asks_again_when_datafold_wants(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(monkeypatch, sandbox, busy)
    task = sensor(deferrable=True)
    before = time.time()
    found = deferred(task.execute, context_of(task))
    assert before + 600 <= found.trigger.serialize()[1]["not_before"] <= time.time() + 600


def test_trouble_that_has_lasted_cancels_nothing(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More of what comes after the triggerer: tests/operators/test_job.py.
    reads(monkeypatch, sandbox, 503)
    task = sensor(deferrable=True)
    lasting = {"state": "trouble", "error": "KeyError", "is_lasting": True}
    with pytest.raises(DatafoldServerError):
        task.execute_complete(context_of(task), lasting, **OWN, since=NOW, deadline=NOW + 9)
    assert sent(sandbox) == [READ]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_stop_is_no_passing_fault(monkeypatch: pytest.MonkeyPatch, deferrable: bool) -> None:
    def look(hook: Any, job: Any, ids: Any, **how: Any) -> None:
        raise DatafoldStoppedError("Stopped")

    monkeypatch.setattr(JobHook, "wait" if deferrable else "look", look)
    task = sensor(deferrable=deferrable)
    context = context_of(task)
    with pytest.raises(DatafoldStoppedError):
        task.execute(context)
    # It tells of no end.
    assert [*context["ti"].pushed] == ["datafold_data_diff_url"]


def test_what_goes_on_is_told(sandbox: Any, task_log: Log) -> None:
    add_diff(sandbox, Course((Step("queued"),), "done", IDENTICAL.outcome))
    task = sensor()
    context = context_of(task)
    assert not task.poke(context).is_done
    assert "The data diff is queued." in task_log.messages
    page = f"{sandbox.url}/datadiffs/3/overview"
    assert context["ti"].pushed == {"datafold_data_diff_url": page}
    returned = task.poke(context)
    assert (returned.is_done, (returned.xcom_value or {})["url"]) == (True, page)
    assert sent(sandbox) == [READ, READ, f"{READ}/summary_results"]
