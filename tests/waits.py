"""Tasks that wait, run to their end in one process: the worker's part and the triggerer's."""

from __future__ import annotations

import asyncio
import copy
import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import DATA_DIFF
from airflow_provider_datafold.jobs.watch import JobStatus
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import IDENTICAL
from tests.conftest import AIRFLOW
from tests.contexts import context_of

NEVER = Course((Step("processing", seconds=math.inf),), "done")
"""The course of a job that does not end."""


def event_of(trigger: Any) -> dict[str, Any]:
    """Return the one event of a trigger, which a triggerer makes of what it serializes to."""
    _, fields = trigger.serialize()

    async def events() -> list[Any]:
        waiting = type(trigger)(**_plain(fields))
        return [event.payload async for event in waiting.run()]

    (payload,) = asyncio.run(events())
    event: dict[str, Any] = _plain(payload)
    return event


def deferred(call: Callable[..., object], *arguments: Any, **named: Any) -> TaskDeferred:
    """Make a call that must defer the task, such as ``task.execute``."""
    with pytest.raises(TaskDeferred) as caught:
        call(*arguments, **named)
    return caught.value


def poked_since(monkeypatch: pytest.MonkeyPatch, context: Any, begin: datetime | None) -> None:
    """Say when a sensor was poked first; Airflow 2 would ask its database."""
    context["ti"].get_first_reschedule_date = lambda context: begin
    if AIRFLOW < (3,):
        monkeypatch.setattr("airflow.sensors.base._orig_start_date", lambda **_: begin)


def to_its_end(task: Any, context: Any = None) -> Any:
    """Execute a task. If it defers, wait with its trigger, and resume it.

    :param task: the task.
    :param context: Airflow's context of it; by default that of a first try.
    :return: the task's return value.
    """
    context = context or context_of(task)
    # Another process resumes it.
    other = copy.copy(task)
    try:
        return _plain(task.execute(context))
    except TaskDeferred as deferral:
        wait = deferral
    resume = getattr(other, wait.method_name)
    return _plain(resume(context, event_of(wait.trigger), **_plain(wait.kwargs)))


def _plain(value: Any) -> Any:
    """Put a value through JSON, as Airflow's database does, and check that it stays the same."""
    plain = json.loads(json.dumps(value))
    assert plain == value
    return plain


def gate(**arguments: Any) -> DatafoldRunDataDiffOperator:
    """Make a gate, which waits in the worker unless told otherwise."""
    given = {
        "data_source1_id": 1,
        "data_source2_id": 1,
        "table1": "A.B",
        "table2": "A.C",
        "pk_columns": ["id"],
        "poll_interval": 0.01,
        "deferrable": False,
    }
    return DatafoldRunDataDiffOperator(task_id="gate", **{**given, **arguments})


def add_diff(sandbox: Any, course: Course = IDENTICAL, tag: str | None = "mine") -> int:
    """Let the sandbox have a data diff that follows a course.

    :return: its id.
    """
    body = {
        "data_source1_id": 1,
        "data_source2_id": 1,
        "table1": ["A"],
        "table2": ["B"],
        "pk_columns": ["id"],
        "tags": [tag] if tag else [],
    }
    number: int = sandbox.state.data_diffs.add(body, Job(course))["id"]
    return number


class Waits:
    """Stands in for a hook's waits and looks: records what each is asked for, and ends it.

    :param monkeypatch: puts the hook back afterwards.
    :param script: errors, or statuses with which a data diff ends.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self._script = [*script]
        for name in ("wait", "look"):
            monkeypatch.setattr(JobHook, name, lambda _, job, ids, **how: self(job, ids, how))

    def __call__(self, job: Any, ids: Any, how: dict[str, Any]) -> JobStatus:
        self.asked.append({"job": job, "ids": ids, **how})
        end = self._script.pop(0)
        if isinstance(end, Exception):
            raise end
        return JobStatus(DATA_DIFF.states[end], end, {"status": end, **IDENTICAL.outcome})


def sent(sandbox: Any) -> list[str]:
    """Return the requests so far, e.g. ``"GET /monitors/4"``, and forget them."""
    found = [
        f"{request.method} {request.path.removeprefix('/api/v1')}"
        for request in sandbox.state.requests
    ]
    sandbox.state.requests.clear()
    return found


def changes(sandbox: Any) -> list[tuple[str, Any]]:
    """Return path and body of each request so far, except those that only read."""
    return [
        (request.path, json.loads(request.body) if request.body else None)
        for request in sandbox.state.requests
        if request.method != "GET"
    ]
