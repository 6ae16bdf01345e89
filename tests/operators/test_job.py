"""What an operator that waits asks of its hook, whatever the kind of job."""

from __future__ import annotations

import runpy
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datafold.exceptions import (
    DatafoldDeadlineError,
    DatafoldError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldServerError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs import trouble
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import DATA_DIFF
from airflow_provider_datafold.jobs.once import ownership
from airflow_provider_datafold.operators import job
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from dev.sandbox.course import Course
from dev.sandbox.data_diffs import IDENTICAL
from tests import waits
from tests.conductor import Conductor, busy, changed
from tests.conftest import NOW, Log
from tests.contexts import context_of
from tests.waits import NEVER, Waits, add_diff, deferred, sent

CREATE, READ, CANCEL = "POST /datadiffs", "GET /datadiffs/3", "POST /datadiffs/3/cancel"
IDS = {"datadiff_id": 3}
pytestmark = pytest.mark.usefixtures("connections")


def gate(**arguments: Any) -> DatafoldRunDataDiffOperator:
    return waits.gate(**{"tags": ["mine"], "poll_interval": None, **arguments})


# How it waits.


@pytest.mark.parametrize(("value", "default"), [("True", True), ("False", False), (None, False)])
def test_defers_by_default_as_airflow_is_configured(
    monkeypatch: pytest.MonkeyPatch, value: str | None, default: bool
) -> None:
    name = "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"
    monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    assert runpy.run_path(job.__file__)["DEFAULT_DEFERRABLE"] is default


@pytest.mark.parametrize(
    ("arguments", "interval", "seconds"),
    [
        ({}, None, 86_400.0),
        ({"poll_interval": 5, "timeout": timedelta(hours=1)}, 5.0, 3600.0),
        ({"execution_timeout": timedelta(seconds=1000)}, None, 990.0),
        ({"timeout": 1000, "execution_timeout": timedelta(seconds=50)}, None, 45.0),
    ],
    ids=repr,
)
def test_in_the_worker(
    monkeypatch: pytest.MonkeyPatch, now: float, arguments: Any, interval: Any, seconds: float
) -> None:
    # Datafold's clock may be late: its time begins when the task starts the data diff.
    early = changed(created_at="2020-01-01T00:00:00Z")
    Conductor(monkeypatch, faults={"mine": {"create": [early]}})
    asked_of = Waits(monkeypatch, "done")
    task = gate(**arguments)
    assert task.execute(context_of(task))["result"] == "identical"
    asked = {"job": DATA_DIFF, "ids": IDS, "deadline": now + seconds, "since": now}
    assert asked_of.asked == [{**asked, "poll_interval": interval}]


TROUBLE = {"state": "trouble", "error": "KeyError", "ids": IDS}
LASTING = {**TROUBLE, "error": "DatafoldServerError", "is_lasting": True}
LOOKED = {"job": DATA_DIFF, "ids": IDS, "is_troubled": False}
WAITED = {"job": DATA_DIFF, "ids": IDS, "poll_interval": 5.0}


@pytest.mark.parametrize(
    ("event", "wait", "asked"),
    [
        ({"ids": IDS, "state": "succeeded"}, {}, LOOKED),
        (None, {"ids": IDS, "since": 1.0, "deadline": 2.0}, LOOKED),
        ({"ids": {"datadiff_id": 9}}, {"ids": IDS, "deadline": 2.0}, LOOKED),
        (LASTING, {}, {**LOOKED, "is_troubled": True}),
        # The last look.
        ({"ids": IDS, "state": "deadline"}, {}, {**WAITED, "since": NOW, "deadline": NOW}),
        (
            {"ids": IDS, "state": "deadline"},
            {"since": 1.0, "deadline": 2.0, "is_taken_over": False},
            {**WAITED, "since": 1.0, "deadline": NOW},
        ),
    ],
    ids=repr,
)
def test_after_the_triggerer(
    monkeypatch: pytest.MonkeyPatch, now: float, event: Any, wait: Any, asked: dict[str, Any]
) -> None:
    asked_of = Waits(monkeypatch, "done")
    task = gate(timeout=60, poll_interval=5)
    task.execute_complete(context_of(task), event, **wait)
    assert asked_of.asked == [asked]


@pytest.mark.parametrize(
    ("deferrable", "kept", "deadline"),
    [
        # From dag.test(): a wait whose deadline nobody keeps must not be deferred again and again.
        (True, {"since": 1.0}, NOW + 60),
        (False, {"since": 1.0, "deadline": NOW + 9}, NOW + 9),
    ],
)
def test_what_still_runs_and_cannot_be_deferred_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, now: float, deferrable: bool, kept: Any, deadline: float
) -> None:
    asked_of = Waits(monkeypatch, "processing", "done")
    task = gate(timeout=60, poll_interval=5, deferrable=deferrable)
    task.execute_complete(context_of(task), {"ids": IDS, "state": "succeeded"}, **kept)
    assert asked_of.asked == [LOOKED, {**WAITED, "since": 1.0, "deadline": deadline}]


def test_in_the_triggerer(sandbox: Any, monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    Waits(monkeypatch, "processing")
    found = deferred(
        (task := gate(deferrable=True, timeout=60, poll_interval=5)).execute, context_of(task)
    )
    assert (found.method_name, found.timeout) == ("execute_complete", None)
    wait = {"since": now, "deadline": now + 60, "ids": IDS}
    tag = sandbox.state.data_diffs.peek(3)["tags"][-1]
    of_claim = {"is_taken_over": False, "tag": tag, "is_doubtful": False}
    assert found.kwargs == {"try_number": 1, **of_claim, **wait}
    assert found.trigger.serialize()[1] == {
        "job": "data_diff",
        "datafold_conn_id": "datafold_default",
        "poll_interval": 5.0,
        "cancel_on_kill": True,
        "not_before": now,
        **wait,
    }


# After a triggerer that could not wait, or that was told of an end too early.

KEPT = {
    "since": NOW - 9,
    "deadline": NOW + 900,
    "is_taken_over": False,
    "tag": "airflow:0123456789ab:0-0-0123456789ab",
    "is_doubtful": False,
    "ids": IDS,
}
HINT = {"state": "succeeded", "status": "done", "ids": IDS}


@pytest.mark.parametrize(
    ("faults", "event", "pause"), [([], LASTING, 60.0), ([busy], TROUBLE, 600.0)]
)
def test_a_job_that_still_runs_is_deferred_again(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    task_log: Log,
    now: float,
    faults: list[Any],
    event: Any,
    pause: float,
) -> None:
    monkeypatch.setattr(trouble, "AFTER_TROUBLE", 60.0)
    Conductor(monkeypatch, faults={"mine": {"read": faults}})
    add_diff(sandbox, NEVER)
    task = gate(deferrable=True)
    context = context_of(task, try_number=2)
    found = deferred(task.execute_complete, context, event, try_number=2, **KEPT)
    assert found.kwargs == {"try_number": 2, **KEPT}
    fields = found.trigger.serialize()[1]
    assert (fields["not_before"], fields["deadline"]) == (NOW + pause, NOW + 900)
    assert f"The triggerer could not go on waiting: {event['error']}." in task_log.warnings
    assert sent(sandbox) == [READ]
    # The triggerer may not have taken over yet, and never will.
    task.on_kill()
    assert sent(sandbox) == [CANCEL]


def test_a_service_that_says_two_things_is_believed_by_neither_and_has_an_end(
    sandbox: Any,
) -> None:
    # The triggerer's replica says done, the worker's says processing.
    later = time.time() + 900
    add_diff(sandbox, NEVER)
    task = gate(deferrable=True)
    kept: Any = {**KEPT, "deadline": later}
    for _ in range(2):
        kept = deferred(task.execute_complete, context_of(task), HINT, **kept).kwargs
        assert kept.pop("try_number") == 1
        assert kept["deadline"] == later
    with pytest.raises(DatafoldDeadlineError):
        task.execute_complete(context_of(task), {**HINT, "state": "deadline"}, **kept)
    assert sent(sandbox) == [*[READ] * 3, CANCEL]


def test_a_job_that_ended_meanwhile_is_judged_at_the_first_look(
    sandbox: Any, task_log: Log
) -> None:
    add_diff(sandbox, Course((), "done", IDENTICAL.outcome), tag=None)
    task = gate(deferrable=True)
    assert task.execute_complete(context_of(task), LASTING, **KEPT)["result"] == "identical"
    assert sent(sandbox) == [READ, f"{READ}/summary_results"]
    assert "The triggerer could not go on waiting: DatafoldServerError." in task_log.warnings


def test_trouble_that_has_lasted_ends_with_the_next_look(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Conductor(monkeypatch, faults={"mine": {"read": [503, ...]}})
    add_diff(sandbox, NEVER)
    task = gate(deferrable=True)
    with pytest.raises(DatafoldServerError):
        task.execute_complete(context_of(task), LASTING, **KEPT)
    assert sent(sandbox) == [READ, CANCEL]


def test_its_time_begins_when_it_starts_the_data_diff(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    # Datafold's clock may be late.
    early = changed(created_at="2020-01-01T00:00:00Z")
    Conductor(monkeypatch, faults={"mine": {"create": [early]}})
    asked_of = Waits(monkeypatch, "done")
    task = gate()
    task.execute(context_of(task))
    assert asked_of.asked[0]["since"] == now


def test_what_has_ended_already_is_not_deferred(sandbox: Any) -> None:
    sandbox.state.data_diffs.courses.default = Course((), "done", IDENTICAL.outcome)
    task = gate(deferrable=True)
    assert task.execute(context_of(task))["result"] == "identical"


@pytest.mark.parametrize(("field", "wrong"), [("timeout", "soon"), ("poll_interval", timedelta(0))])
def test_a_wrong_duration_is_named(sandbox: Any, field: str, wrong: Any) -> None:
    task = gate(**{field: wrong})
    with pytest.raises(DatafoldInputError, match=f"^{field}: "):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_replacement_has_the_time_that_was_left(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, task_log: Log, now: float, deferrable: bool
) -> None:
    asked_of = Waits(monkeypatch, "cancelled", "processing" if deferrable else "done")
    task = gate(deferrable=deferrable)
    wait: Any = {"ids": {"datadiff_id": 1}, "since": NOW - 9, "deadline": NOW + 9}
    wait |= {"is_taken_over": True}
    kept = {"ids": IDS, "since": NOW, "deadline": NOW + 9}
    if deferrable:
        found = deferred(task.execute_complete, context_of(task), None, **wait)
        own = {"is_taken_over": False, "is_doubtful": False}
        assert found.kwargs.items() >= {**kept, **own}.items()
    else:
        assert task.execute_complete(context_of(task), None, **wait)["id"] == 3
        assert asked_of.asked[1].items() >= kept.items()
    assert "page_size=100" in sandbox.state.requests[0].query
    assert "Another try of this task cancelled the data diff. Starting a new one." in (
        task_log.messages
    )


def test_a_replacement_may_have_a_second_one(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Waits(monkeypatch, "cancelled", "processing")
    Conductor(monkeypatch, faults={"mine": {"create": [503]}})
    task = gate(deferrable=True)
    wait: Any = {"ids": {"datadiff_id": 1}, "is_taken_over": True}
    kept = deferred(task.execute_complete, context_of(task), None, **wait).kwargs
    assert kept["tag"] in sandbox.state.data_diffs.peek(kept["ids"]["datadiff_id"])["tags"]
    assert kept["is_doubtful"]


@pytest.mark.parametrize("wait", [{}, {"is_taken_over": False}], ids=repr)
def test_what_is_its_own_is_not_replaced(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, wait: Any
) -> None:
    Waits(monkeypatch, "cancelled")
    task = gate()
    with pytest.raises(DatafoldJobCancelledError):
        task.execute_complete(context_of(task), {"ids": IDS, "state": "cancelled"}, **wait)
    assert sent(sandbox) == []


PASSWORD = "planted-password-3b8a"
WITH_PASSWORD = {"data_source1_session_parameters": {"password": PASSWORD}}


def test_no_message_repeats_a_secret_of_the_options(sandbox: Any) -> None:
    task = gate(options=WITH_PASSWORD, on_empty=PASSWORD)
    with pytest.raises(DatafoldInputError, match="^on_empty: ") as wrong:
        task.execute(context_of(task))
    assert PASSWORD not in str(wrong.value)
    error = {"error_value": f"cannot log in with {PASSWORD}"}
    sandbox.state.data_diffs.courses.default = Course((), "failed", {"error": error})
    task = gate(options=WITH_PASSWORD)
    with pytest.raises(DatafoldJobFailedError, match=r"cannot log in with \*\*\*") as failed:
        task.execute(context_of(task))
    assert PASSWORD not in str(failed.value)


# Who cancels.


ASKED, NOT_ASKED = "Asked Datafold to cancel the data diff", "Could not cancel the data diff: 409"


@pytest.mark.parametrize(
    ("cancel_on_kill", "faults", "said"),
    [(True, [], [ASKED]), (False, [], []), (True, [409, ...], [NOT_ASKED])],
)
@pytest.mark.parametrize(
    "error", [DatafoldServerError("an hour of trouble"), DatafoldStoppedError("stopped")], ids=repr
)
def test_a_wait_that_comes_to_nothing_cancels(
    sandbox: Any,
    monkeypatch: Any,
    task_log: Log,
    error: Any,
    cancel_on_kill: bool,
    faults: Any,
    said: Any,
) -> None:
    Conductor(monkeypatch, faults={"mine": {"cancel": faults}})
    Waits(monkeypatch, error)
    sandbox.state.data_diffs.courses.default = NEVER
    task = gate(cancel_on_kill=cancel_on_kill)
    # What the cancel comes to hides nothing.
    with pytest.raises(type(error), match=str(error)):
        task.execute(context_of(task))
    is_stopped = isinstance(error, DatafoldStoppedError)
    cancels = [CANCEL] * cancel_on_kill
    assert sent(sandbox) == [CREATE, *([] if is_stopped else cancels)]
    # After it has cancelled, killing it cancels nothing.
    task.on_kill()
    assert sent(sandbox) == (cancels if is_stopped else [])
    found = [text for text in task_log.messages if "cancel the data diff" in text]
    assert [text[: len(start)] for text, start in zip(found, said, strict=True)] == said
    assert all(("the task was stopped" in text) is is_stopped for text in found if ASKED in text)


def test_the_cancel_of_a_stopped_task_has_four_seconds(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Waits(monkeypatch, DatafoldStoppedError("stopped"))
    task = gate()
    with pytest.raises(DatafoldStoppedError):
        task.execute(context_of(task))
    asked: list[Any] = []
    monkeypatch.setattr(
        JobHook, "call_after_stop", lambda _, operation, **how: asked.append((operation, how))
    )
    task.on_kill()
    ((operation, how),) = asked
    # Airflow 3 ends the process after five.
    assert 3.5 < how.pop("within") <= 4.0
    assert operation is DATA_DIFF.cancel
    assert how == {"max_retries": None, **IDS}


def test_a_task_that_has_ended_is_not_cancelled(sandbox: Any) -> None:
    sandbox.state.data_diffs.courses.default = Course((), "done", IDENTICAL.outcome)
    # What has ended already is not deferred.
    task = gate(deferrable=True)
    assert task.execute(context_of(task))["result"] == "identical"
    sent(sandbox)
    task.on_kill()
    assert sent(sandbox) == []


# Retries.


@pytest.mark.parametrize(
    ("arguments", "try_number", "searches"),
    [
        ({}, 1, []),
        ({"deferrable": True}, 1, ["100"]),
        ({"wait_for_completion": False}, 2, ["100"]),
    ],
    ids=repr,
)
def test_how_far_it_looks_for_its_own(
    sandbox: Any, monkeypatch: Any, arguments: Any, try_number: int, searches: Any
) -> None:
    Waits(monkeypatch, "done")
    task = gate(**arguments)
    with suppress(TaskDeferred):
        task.execute(context_of(task, try_number=try_number))
    queries = [seen.query for seen in sandbox.state.requests if seen.query]
    assert queries == [f"page=1&page_size={size}&sort_order=desc" for size in searches]


def test_what_it_says_about_its_data_diff(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, task_log: Log
) -> None:
    monkeypatch.setattr(ownership, "tells_of_each_clear", lambda: True)
    sandbox.state.data_diffs.courses.default = NEVER
    for try_number in (1, 2):
        task = gate(wait_for_completion=False)
        task.execute(context_of(task, try_number=try_number))
    page = f"{sandbox.url}/datadiffs/3/overview"
    assert [text for text in task_log.messages if page in text] == [
        f"Started data diff 3: {page}",
        f"Took over data diff 3: {page}",
    ]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_openlineage_is_told_of_nothing_that_was_not_compared(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    Waits(monkeypatch, status)
    task = gate()
    with pytest.raises(DatafoldError):
        task.execute(context_of(task))
    assert task.get_openlineage_facets_on_complete(None) is None
