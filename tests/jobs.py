"""An operator that starts a job, in one process instead of a worker and a triggerer."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from tests.contexts import context_of


def run(task: Any) -> Any:
    """Run a task as Airflow does, with its wait in a trigger if it defers.

    :param task: the task.
    :return: its return value, which must be plain JSON.
    """
    context = context_of(task)
    # Another process resumes it.
    other = copy.copy(task)
    try:
        returned = task.execute(context)
    except TaskDeferred as deferred:
        # In its database Airflow keeps plain JSON.
        kwargs = json.loads(json.dumps(deferred.kwargs))
        returned = getattr(other, deferred.method_name)(context, _fired(deferred.trigger), **kwargs)
    assert json.loads(json.dumps(returned)) == returned
    return returned


def _fired(trigger: Any) -> Any:
    """Return what a trigger fires, in an event loop."""
    _, fields = trigger.serialize()

    async def events() -> list[Any]:
        waiting = type(trigger)(**json.loads(json.dumps(fields)))
        return [event.payload async for event in waiting.run()]

    (payload,) = asyncio.run(events())
    return json.loads(json.dumps(payload))


def sent(sandbox: Any) -> list[tuple[str, Any]]:
    """Return path and body of each request that the sandbox got, except those that only read."""
    return [
        (request.path, json.loads(request.body) if request.body else None)
        for request in sandbox.state.requests
        if request.method != "GET"
    ]
