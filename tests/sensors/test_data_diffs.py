"""The sensor in one process. tests/dags/test_gates.py has its modes in a real Airflow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldAuthenticationError,
    DatafoldDeadlineError,
    DatafoldDifferenceError,
    DatafoldInputError,
    DatafoldJobFailedError,
    DatafoldNotComparedError,
    DatafoldNotFoundError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs import trouble
from airflow_provider_datafold.jobs.gate.report import KEY, TEXT
from airflow_provider_datafold.links import DatafoldDataDiffLink
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from dev.sandbox.course import Course
from dev.sandbox.data_diffs import DIFFERENT, done
from tests.conductor import Conductor
from tests.conftest import Log
from tests.contexts import RUN_START, context_of
from tests.waits import NEVER, add_diff, deferred, event_of, poked_since, to_its_end

pytestmark = pytest.mark.usefixtures("connections")


def sensor(number: Any = 3, **arguments: Any) -> DatafoldDataDiffSensor:
    given = {"datadiff_id": number, "poke_interval": 0.01, "deferrable": False}
    return DatafoldDataDiffSensor(task_id="sensor", **{**given, **arguments})


def sent(sandbox: Any) -> set[str]:
    return {f"{request.method} {request.path[7:]}" for request in sandbox.state.requests}


def test_returns_the_same_in_each_mode(sandbox: Any) -> None:
    add_diff(sandbox, DIFFERENT)
    task = sensor("3", on_difference="pass")
    context = context_of(task)
    first = task.execute(context)
    assert first == {
        "id": 3,
        "status": "done",
        "result": "different",
        "url": f"{sandbox.url}/datadiffs/3/overview",
        "diff_stats": DIFFERENT.outcome["diff_stats"],
    }
    verdict = context["ti"].pushed.pop(KEY)
    assert (verdict["id"], verdict["outcome"]) == (3, "differs")
    assert (verdict["table1"], verdict["table2"]) == ("A", "B")
    assert context["ti"].pushed.pop(TEXT).startswith("`B` differs: rows added 3")
    assert context["ti"].pushed == {DatafoldDataDiffLink.xcom_key: first["url"]}
    # What has ended needs no triggerer.
    assert sensor(deferrable=True, on_difference="pass").execute(context) == first
    add_diff(sandbox, DIFFERENT)
    task = sensor(4, deferrable=True, on_difference="pass")
    found = deferred(task.execute, context_of(task))
    returned = task.execute_complete(context, event_of(found.trigger), **found.kwargs)
    assert returned == {**first, "id": 4, "url": first["url"].replace("/3/", "/4/")}
    assert sent(sandbox) == {
        f"GET /datadiffs/{number}{rest}"
        for number in (3, 4)
        for rest in ("", "/summary_results", "/summary")
    }


def test_a_sample_is_known_by_the_data_diff(sandbox: Any) -> None:
    number = add_diff(sandbox, done("different", diff_rows_count=32, sampled=None))
    sandbox.state.data_diffs.diffs[number]["sampling_max_rows"] = 500
    with pytest.raises(DatafoldNotComparedError, match="only a sample was compared"):
        sensor(number, max_rows_different=50).execute({})


@pytest.mark.parametrize(
    ("given", "poke_interval", "of_the_trigger"),
    [(None, 60.0, None), (timedelta(minutes=1), 60.0, 60.0)],
)
def test_how_often_it_looks(given: Any, poke_interval: float, of_the_trigger: Any) -> None:
    task = sensor(poke_interval=given, timeout=timedelta(hours=1))
    assert (task.poke_interval, task.trigger_interval) == (poke_interval, of_the_trigger)
    assert task.timeout == 3600.0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"datadiff_id": 0}, "datadiff_id"),
        ({"datadiff_id": None}, "datadiff_id"),
        ({"datadiff_id": "1/../2"}, "datadiff_id"),
        ({"on_difference": "stop"}, "on_difference"),
    ],
    ids=repr,
)
def test_checks_before_it_sends(sandbox: Any, arguments: dict[str, Any], field: str) -> None:
    task = sensor(**{"datadiff_id": 3, **arguments})
    with pytest.raises(DatafoldInputError, match=rf"^{field}: "):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("how", ["", "soft_fail", "never_fail"])
@pytest.mark.parametrize(
    ("number", "error"), [(3, DatafoldDifferenceError), (99, DatafoldNotFoundError)]
)
def test_fails_at_its_first_look_or_is_skipped(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
    how: str,
    number: int,
    error: type[Exception],
) -> None:
    monkeypatch.setattr(trouble, "LONGEST_REFUSAL", -1.0)
    add_diff(sandbox, Course((), DIFFERENT.end, DIFFERENT.outcome))
    task = sensor(number, deferrable=deferrable, **({how: True} if how else {}))
    context = context_of(task)
    with pytest.raises(AirflowSkipException if how else error) as caught:
        task.execute(context)
    if told := context["ti"].pushed.get("verdict"):
        assert told["skips"] == bool(how)
    if deferrable and how:
        assert str(caught.value).startswith("Skipped instead of failed: ")


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("how", "error"), [("soft_fail", DatafoldJobFailedError), ("never_fail", AirflowSkipException)]
)
def test_only_never_fail_skips_what_a_retry_may_change(
    sandbox: Any, deferrable: bool, how: str, error: type[Exception]
) -> None:
    add_diff(sandbox, Course((), "failed"))
    task = sensor(deferrable=deferrable, **{how: True})
    with pytest.raises(error):
        task.execute(context_of(task))


def test_goes_on_where_it_is_handed_the_event_alone(sandbox: Any) -> None:
    # As by dag.test().
    add_diff(sandbox)
    task = sensor(deferrable=True)
    context = context_of(task)
    assert task.execute_complete(context, {"state": "succeeded"})["id"] == 3
    assert task.execute_complete(context, "odd")["id"] == 3  # type: ignore[arg-type]
    add_diff(sandbox, NEVER)
    task = sensor(4, deferrable=True, timeout=0.1)
    for event in ({"state": "deadline"}, None):
        with pytest.raises(DatafoldDeadlineError, match=r"after 0\.1 s"):
            task.execute_complete(context, event)
    assert {request.method for request in sandbox.state.requests} == {"GET"}


def test_a_sensor_that_is_stopped_cancels_nothing(sandbox: Any) -> None:
    add_diff(sandbox, NEVER)
    task = sensor()
    task.on_kill()
    with pytest.raises(DatafoldStoppedError):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


@pytest.mark.parametrize(
    "how", [{}, {"soft_fail": True}, {"deferrable": True}, {"mode": "reschedule"}], ids=repr
)
def test_tells_that_it_was_not_judged_in_time(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    add_diff(sandbox, NEVER)
    task = sensor(timeout=0.05, **how)
    context = context_of(task)
    if "mode" in how:
        poked_since(monkeypatch, context, RUN_START)
    with pytest.raises((DatafoldDeadlineError, AirflowSkipException)):
        to_its_end(task, context)
    told = context["ti"].pushed[KEY]
    assert (told["id"], told["outcome"]) == (3, "not_compared")
    if not how.get("soft_fail"):
        assert told["reason"].startswith("The data diff had not ended after 0.05 s")


@pytest.mark.parametrize(
    "how", [{}, {"soft_fail": True}, {"deferrable": True, "never_fail": True}], ids=repr
)
def test_tells_what_it_fails_of(monkeypatch: Any, sandbox: Any, how: dict[str, Any]) -> None:
    Conductor(monkeypatch, faults={"mine": {"read": [401, ...]}})
    add_diff(sandbox)
    task = sensor(**how)
    context = context_of(task)
    with pytest.raises((DatafoldAuthenticationError, AirflowSkipException)):
        task.execute(context)
    told = context["ti"].pushed[KEY]
    assert told["outcome"] == "not_compared"
    assert told["reason"].startswith("401, ")


def test_a_poke_that_waits_tells_nothing(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add_diff(sandbox, NEVER)
    task = sensor(mode="reschedule")
    context = context_of(task)
    poked_since(monkeypatch, context, None)
    with pytest.raises(AirflowRescheduleException):
        task.execute(context)
    assert KEY not in context["ti"].pushed


def test_a_verdict_that_cannot_be_told_does_not_hide_the_error(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, task_log: Log
) -> None:
    add_diff(sandbox, NEVER)
    task = sensor(timeout=0.05)
    poke = DatafoldDataDiffSensor.poke

    def poke_and_lose_the_connection(self: Any, context: Any) -> Any:
        found = poke(self, context)
        monkeypatch.delenv("AIRFLOW_CONN_DATAFOLD_DEFAULT")
        return found

    monkeypatch.setattr(DatafoldDataDiffSensor, "poke", poke_and_lose_the_connection)
    task.timeout = 0.0
    with pytest.raises(DatafoldDeadlineError):
        task.execute(context_of(task))
    (warning,) = task_log.warnings
    assert warning.startswith(
        "Could not tell of the end: There is no Airflow connection 'datafold_default'"
    )
