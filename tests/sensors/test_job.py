"""What a sensor asks of its hook, whatever the kind of job."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldDeadlineError,
    DatafoldNotFoundError,
    DatafoldServerError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators.base import DatafoldOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.waiting.job import DATA_DIFF
from dev.sandbox.course import Course, Step
from tests.conftest import NOW, Log
from tests.contexts import context_of
from tests.waits import NEVER, Waits, add_diff, deferred, sent


@pytest.fixture(autouse=True)
def _connected(connections: None) -> None:
    """All of these send to the sandbox."""


def sensor(**arguments: Any) -> DatafoldDataDiffSensor:
    given = {"datadiff_id": 3, "poke_interval": 0.01, "deferrable": False}
    return DatafoldDataDiffSensor(task_id="sensor", **{**given, **arguments})


@pytest.mark.parametrize(
    ("event", "wait", "asked"),
    [
        ({"state": "succeeded"}, {}, {"deadline": NOW + 60}),
        (None, {}, {"deadline": NOW + 60}),
        ({"state": "deadline"}, {}, {"deadline": NOW}),
        ({"state": "deadline"}, {"deadline": 2.0, "since": 1.0}, {"deadline": 2.0, "since": 1.0}),
        (
            {"state": "trouble", "error": "DatafoldServerError"},
            {"try_number": 1, "since": 1.0, "deadline": 2.0},
            {"deadline": 2.0, "since": 1.0, "is_troubled": True},
        ),
    ],
    ids=repr,
)
def test_after_the_triggerer(
    monkeypatch: pytest.MonkeyPatch, now: float, event: Any, wait: Any, asked: dict[str, Any]
) -> None:
    waits = Waits(monkeypatch, "done")
    task = sensor(timeout=60, poke_interval=5)
    task.resume(context_of(task), event, **wait)
    usual = {"job": DATA_DIFF, "ids": {"datadiff_id": 3}, "poll_interval": 5.0}
    assert waits.asked == [{**usual, "since": None, "is_troubled": False, **asked}]


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
    wait = deferred(task.execute, context_of(task))
    assert (wait.kwargs or {})["deadline"] == NOW + seconds
    assert wait.trigger.serialize()[1]["deadline"] == NOW + seconds


def test_the_trigger_may_have_waited_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    Waits(monkeypatch, DatafoldDeadlineError("over"))
    task = sensor(timeout=60)
    with pytest.raises(DatafoldDeadlineError, match=r"^The data diff had not ended after 60 s"):
        task.resume(context_of(task), {"state": "deadline"})


@pytest.mark.parametrize(("value", "waits"), [("True", True), ("False", False), (None, False)])
def test_defers_by_default_as_airflow_is_configured(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, value: str | None, waits: bool
) -> None:
    name = "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"
    monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    add_diff(sandbox, Course((Step("processing"),), "done", {"result": "identical"}))
    task = sensor(deferrable=None)
    if waits:
        deferred(task.execute, context_of(task))
    else:
        assert task.execute(context_of(task))["id"] == 3


def looking(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[Any]:
    """Let each look at the job fail. Returns the looks."""
    looks: list[Any] = []

    def look(hook: Any, job: Any, ids: Any) -> None:
        looks.append(ids)
        raise error

    monkeypatch.setattr(DatafoldHook, "look", look)
    return looks


@pytest.mark.parametrize(("seconds", "count"), [(None, 2), (0.0, 2), (0.5, 1)])
def test_asks_again_when_datafold_wants(
    monkeypatch: pytest.MonkeyPatch, task_log: Log, seconds: float | None, count: int
) -> None:
    looks = looking(monkeypatch, DatafoldServerError("Busy", retry_after=seconds))
    task = sensor()
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    for _ in range(2):
        assert not task.poke(context_of(task)).is_done
    assert len(looks) == count
    monkeypatch.setattr(time, "monotonic", lambda: seconds or 0.0)
    task.poke(context_of(task))
    assert len(looks) == count + 1
    assert "Could not check the data diff: Busy." in task_log.warnings


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_stop_is_no_passing_fault(monkeypatch: pytest.MonkeyPatch, deferrable: bool) -> None:
    looking(monkeypatch, DatafoldStoppedError("Stopped"))
    task = sensor(deferrable=deferrable)
    with pytest.raises(DatafoldStoppedError):
        task.execute(context_of(task))


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("how", [{"soft_fail": True}, {"never_fail": True}, {}], ids=list)
def test_what_fails_for_good_may_be_skipped(
    monkeypatch: pytest.MonkeyPatch, deferrable: bool, how: dict[str, bool]
) -> None:
    looking(monkeypatch, DatafoldNotFoundError("Gone"))
    task = sensor(deferrable=deferrable, **how)
    with pytest.raises(AirflowSkipException if how else DatafoldNotFoundError) as caught:
        task.execute(context_of(task))
    if deferrable and how:
        assert str(caught.value) == "Skipped instead of failed: Gone"


def test_what_goes_on_is_told(sandbox: Any, task_log: Log) -> None:
    add_diff(sandbox, Course((Step("queued"),), "done", {"result": "identical"}))
    task = sensor()
    context = context_of(task)
    assert not task.poke(context).is_done
    assert "The data diff is queued." in task_log.messages
    page = f"{sandbox.url}/datadiffs/3/overview"
    assert context["ti"].pushed == {"datafold_data_diff_url": page}
    returned = task.poke(context)
    assert (returned.is_done, (returned.xcom_value or {})["url"]) == (True, page)
    assert sent(sandbox) == ["GET /datadiffs/3"] * 2


def test_its_defaults() -> None:
    task = DatafoldDataDiffSensor(task_id="t", datadiff_id=3)
    assert (task.poke_interval, task.trigger_interval, task.deferrable) == (60.0, None, None)
    assert task.template_fields[0] == "datafold_conn_id"
    assert task.ui_color == DatafoldOperator.ui_color
