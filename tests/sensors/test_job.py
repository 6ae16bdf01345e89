"""What a sensor asks of its hook, whatever the kind of job."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException

from airflow_provider_datafold.exceptions import (
    DatafoldNotFoundError,
    DatafoldServerError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs import trouble
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
    ("event", "wait", "asked"),
    [
        ({"state": "succeeded"}, {}, LOOKED),
        (None, {}, LOOKED),
        ({"state": "deadline"}, {}, {**WAITED, "since": NOW}),
        ({"state": "deadline"}, {"deadline": 2.0, "since": 1.0}, {**WAITED, "since": 1.0}),
    ],
    ids=repr,
)
def test_after_the_triggerer(
    monkeypatch: pytest.MonkeyPatch, now: float, event: Any, wait: Any, asked: dict[str, Any]
) -> None:
    waits = Waits(monkeypatch, "done")
    task = sensor(timeout=60, poke_interval=5)
    task.execute_complete(context_of(task), event, **wait)
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
    sandbox: Any, now: float, arguments: dict[str, Any], seconds: float
) -> None:
    add_diff(sandbox, NEVER)
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
        "not_before": 0.0,
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
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    reads(monkeypatch, sandbox, busy)
    task = sensor(deferrable=True)
    found = deferred(task.execute, context_of(task))
    assert found.trigger.serialize()[1]["not_before"] == NOW + 600


# After a triggerer that could not wait, or that was told of an end too early.

TROUBLE = {"state": "trouble", "error": "KeyError"}
LASTING = {**TROUBLE, "is_lasting": True}
HINT = {"state": "succeeded", "status": "done"}
KEPT = {**OWN, "since": NOW - 9, "deadline": NOW + 900}


@pytest.mark.parametrize(
    ("faults", "event", "pause"),
    [
        ([], TROUBLE, 60.0),
        ([], LASTING, 60.0),
        ([503], TROUBLE, 60.0),
        ([busy], TROUBLE, 600.0),
        ([], HINT, 60.0),
    ],
    ids=["runs", "lasting", "503", "busy", "hint"],
)
def test_a_job_that_still_runs_is_deferred_again(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    now: float,
    faults: list[Any],
    event: dict[str, Any],
    pause: float,
) -> None:
    monkeypatch.setattr(trouble, "AFTER_TROUBLE", 60.0)
    reads(monkeypatch, sandbox, *faults)
    task = sensor(deferrable=True)
    found = deferred(
        task.execute_complete, context_of(task, try_number=2), event, try_number=2, **KEPT
    )
    assert found.kwargs == {"try_number": 2, **KEPT}
    fields = found.trigger.serialize()[1]
    assert (fields["not_before"], fields["deadline"]) == (NOW + pause, NOW + 900)
    assert sent(sandbox) == [READ]


@pytest.mark.parametrize("event", [TROUBLE, LASTING], ids=["trouble", "lasting"])
def test_a_job_that_ended_meanwhile_is_judged_at_the_first_look(
    sandbox: Any, event: dict[str, Any], task_log: Log
) -> None:
    add_diff(sandbox, DONE)
    task = sensor(deferrable=True)
    assert task.execute_complete(context_of(task), event, **KEPT)["result"] == "identical"
    assert sent(sandbox) == [READ, f"{READ}/summary_results"]
    assert "The triggerer could not go on waiting: KeyError." in task_log.warnings


@pytest.mark.parametrize(
    ("status", "error"), [(503, DatafoldServerError), (404, DatafoldNotFoundError)]
)
def test_trouble_that_has_lasted_ends_with_the_next_look(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    reads(monkeypatch, sandbox, *[status] * 5)
    task = sensor(deferrable=True)
    with pytest.raises(error):
        task.execute_complete(context_of(task), LASTING, **KEPT)
    assert sent(sandbox) == [READ]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_stop_is_no_passing_fault(monkeypatch: pytest.MonkeyPatch, deferrable: bool) -> None:
    def look(hook: Any, job: Any, ids: Any) -> None:
        raise DatafoldStoppedError("Stopped")

    monkeypatch.setattr(JobHook, "look", look)
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
