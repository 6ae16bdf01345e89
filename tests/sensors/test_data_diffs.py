"""The sensor in one process. tests/dags/test_gate_courses.py has its modes in a real Airflow."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_datafold.exceptions import (
    DatafoldDeadlineError,
    DatafoldDifferenceError,
    DatafoldInputError,
    DatafoldNotComparedError,
    DatafoldNotFoundError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.links import DatafoldDataDiffLink
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.sensors.job import DatafoldJobSensor
from dev.sandbox.course import Course
from dev.sandbox.data_diffs import DIFFERENT, done
from tests.conductor import Conductor, changed, lost
from tests.conftest import API_KEY
from tests.contexts import context_of
from tests.waits import NEVER, add_diff, defaults, deferred


@pytest.fixture(autouse=True)
def _connected(connections: None) -> None:
    """All of these send to the sandbox."""


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
    assert context["ti"].pushed == {DatafoldDataDiffLink.xcom_key: first["url"]}
    # What has ended needs no triggerer.
    assert sensor(deferrable=True, on_difference="pass").execute(context) == first
    add_diff(sandbox, DIFFERENT)
    task = sensor(4, deferrable=True, on_difference="pass")
    found = deferred(task.execute, context_of(task))
    returned = task.resume(context, {"state": "succeeded"}, **found.kwargs)
    assert returned == {**first, "id": 4, "url": first["url"].replace("/3/", "/4/")}
    assert sent(sandbox) == {
        f"GET /datadiffs/{number}{rest}" for number in (3, 4) for rest in ("", "/summary_results")
    }


def test_a_sample_is_known_by_the_data_diff(sandbox: Any) -> None:
    number = add_diff(sandbox, done("different", diff_rows_count=32, sampled=None))
    sandbox.state.data_diffs.diffs[number]["sampling_max_rows"] = 500
    with pytest.raises(DatafoldNotComparedError, match="only a sample was compared"):
        sensor(number, max_rows_different=50).execute({})


def test_defers_without_the_right_to_cancel(sandbox: Any) -> None:
    add_diff(sandbox, NEVER)
    task = sensor(
        deferrable=True, poke_interval=None, timeout=100, execution_timeout=timedelta(seconds=50)
    )
    before = time.time()
    found = deferred(task.execute, context_of(task, try_number=2))
    assert found.method_name == "resume"
    since = found.kwargs["since"]
    assert before <= since <= time.time()
    assert found.kwargs == {"try_number": 2, "since": since, "deadline": since + 50}
    fields = found.trigger.serialize()[1]
    assert json.loads(json.dumps(fields)) == {
        "job": "data_diff",
        "ids": {"datadiff_id": 3},
        "datafold_conn_id": "datafold_default",
        "deadline": since + 50,
        "since": since,
        "poll_interval": None,
        "cancel_on_kill": False,
        "not_before": 0.0,
    }


@pytest.mark.parametrize(
    ("given", "poke_interval", "of_the_trigger"),
    [(None, 60.0, None), (5, 5.0, 5.0), (timedelta(minutes=1), 60.0, 60.0)],
)
def test_how_often_it_looks(given: Any, poke_interval: float, of_the_trigger: Any) -> None:
    task = sensor(poke_interval=given)
    assert (task.poke_interval, task.trigger_interval) == (poke_interval, of_the_trigger)
    assert task.timeout == 86_400.0
    assert sensor(timeout=timedelta(hours=1)).timeout == 3600.0


def test_its_signature() -> None:
    limits = ("max_rows_added", "max_rows_removed", "max_rows_different", "min_match_ratio")
    of_the_gate = {
        **dict.fromkeys(limits),
        "on_difference": "fail",
        "allow_schema_changes": False,
        "on_empty": "fail",
    }
    assert defaults(DatafoldDataDiffSensor) == {
        **of_the_gate,
        "deferrable": None,
        "poke_interval": None,
        "timeout": timedelta(hours=24),
        "datafold_conn_id": "datafold_default",
    }
    task = DatafoldDataDiffSensor(task_id="t", datadiff_id=3)
    assert {*task.template_fields} == {*of_the_gate, "datadiff_id", "datafold_conn_id"}
    assert [link.name for link in task.operator_extra_links] == ["Datafold data diff"]


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"datadiff_id": 0}, "datadiff_id"),
        ({"datadiff_id": None}, "datadiff_id"),
        ({"datadiff_id": "1/../2"}, "datadiff_id"),
        ({"on_difference": "stop"}, "on_difference"),
        ({"on_empty": "skip"}, "on_empty"),
        ({"max_rows_added": -1}, "max_rows_added"),
        ({"min_match_ratio": 2}, "min_match_ratio"),
        ({"allow_schema_changes": "maybe"}, "allow_schema_changes"),
    ],
    ids=repr,
)
def test_checks_before_it_sends(
    sandbox: Any, deferrable: bool, arguments: dict[str, Any], field: str
) -> None:
    task = sensor(**{"datadiff_id": 3, "deferrable": deferrable, **arguments})
    with pytest.raises(DatafoldInputError, match=rf"^{field}: "):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


@pytest.mark.parametrize("arguments", [{"on_empty": API_KEY}, {"datadiff_id": API_KEY}], ids=list)
def test_a_wrong_argument_that_holds_the_api_key_is_not_shown(arguments: dict[str, Any]) -> None:
    task = sensor(**{"datadiff_id": 3, **arguments})
    with pytest.raises(DatafoldInputError, match="is not shown, because") as caught:
        task.execute(context_of(task))
    assert API_KEY not in str(caught.value)


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("how", [{"soft_fail": True}, {"never_fail": True}], ids=list)
@pytest.mark.parametrize("number", [3, 99], ids=["different", "gone"])
def test_airflows_ways_to_fail_softly(
    sandbox: Any, deferrable: bool, how: dict[str, Any], number: int
) -> None:
    add_diff(sandbox, Course((), DIFFERENT.end, DIFFERENT.outcome))
    task = sensor(number, deferrable=deferrable, **how)
    with pytest.raises(AirflowSkipException):
        task.execute(context_of(task))


@pytest.mark.parametrize("deferrable", [False, True])
def test_fails_at_its_first_look(sandbox: Any, deferrable: bool) -> None:
    add_diff(sandbox, Course((), DIFFERENT.end, DIFFERENT.outcome))
    for number, error in ((3, DatafoldDifferenceError), (99, DatafoldNotFoundError)):
        task = sensor(number, deferrable=deferrable)
        with pytest.raises(error):
            task.execute(context_of(task))


of_another = changed(id=8, status="done", result="different")


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_passing_fault_is_no_end(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, deferrable: bool, log: Any
) -> None:
    Conductor(monkeypatch, faults={"mine": {"read": [503, lost, of_another]}})
    add_diff(sandbox)
    task = sensor(deferrable=deferrable)
    context = context_of(task)
    if deferrable:
        returned = task.resume(context, None, **deferred(task.execute, context).kwargs)
    else:
        returned = task.execute(context)
    assert returned["result"] == "identical"


def test_goes_on_where_it_is_handed_the_event_alone(sandbox: Any) -> None:
    # As by dag.test().
    add_diff(sandbox)
    task = sensor(deferrable=True)
    context = context_of(task)
    assert task.resume(context, {"state": "succeeded"})["id"] == 3
    assert task.resume(context, "odd")["id"] == 3  # type: ignore[arg-type]
    add_diff(sandbox, NEVER)
    task = sensor(4, deferrable=True, timeout=0.1)
    for event in ({"state": "deadline"}, None):
        with pytest.raises(DatafoldDeadlineError, match=r"after 0\.1 s"):
            task.resume(context, event)
    assert {request.method for request in sandbox.state.requests} == {"GET"}


def test_an_event_of_another_try_is_not_its_own(sandbox: Any) -> None:
    add_diff(sandbox, NEVER)
    task = sensor(deferrable=True)
    kwargs = deferred(task.execute, context_of(task)).kwargs
    with pytest.raises(TaskDeferred) as caught:
        task.resume(context_of(task, try_number=2), {"state": "succeeded"}, **kwargs)
    assert caught.value.kwargs["try_number"] == 2


def test_a_sensor_that_is_stopped_cancels_nothing(sandbox: Any) -> None:
    add_diff(sandbox, NEVER)
    task = sensor()
    task.on_kill()
    with pytest.raises(DatafoldStoppedError):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


def test_a_job_sensor_says_what_a_kind_has_to_do() -> None:
    task: Any = DatafoldJobSensor(task_id="t")
    task.begin(None, None)
    for call, count in ((task.check, 1), (task.ids, 0), (task.ended, 4)):
        with pytest.raises(NotImplementedError):
            call(*[None] * count)
