"""A retry takes over its data diff, however the service shows what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.once import ownership
from dev.sandbox.course import Job
from dev.sandbox.data_diffs import IDENTICAL
from tests.contexts import context_of
from tests.waits import NEVER, deferred, event_of, gate, sent

pytestmark = pytest.mark.usefixtures("connections")
ASKED: dict[str, Any] = {
    "table1": "PUBLIC.ORDERS",
    "table2": None,
    "query2": "select *\n  from staging.orders where state = 'Paid'",
    "filter1": "day = '2024-05-01'",
    "pk_columns": ["id", "Line"],
    "include_columns": ["amount", "Day"],
    "exclude_columns": ["loaded_at"],
    "tags": ["nightly"],
    "options": {
        "diff_tolerance": 0.5,
        "time_travel_point1": "2024-05-01T00:00:00",
        "column_mapping": [["amount", "total"]],
        "data_source1_session_parameters": {"password": "planted-password"},
    },
}
SHOWN: dict[str, Any] = {
    "table1": ["PROD", "public", '"ORDERS"'],
    "query2": "SELECT * FROM (select * from staging.orders ...) AS q",
    "filter1": "(DAY = DATE '2024-05-01')",
    "pk_columns": ["LINE", '"id"'],
    "include_columns": None,
    "exclude_columns": [],
    "columns_to_compare": ["id", "Line", "amount", "Day"],
    "sampling_tolerance": 0.001,
    "diff_tolerance": "0.5",
    "time_travel_point1": "2024-05-01T02:00:00+02:00",
    "column_mapping": [{"left": "amount", "right": "total"}],
    "source": None,
    "tags": str.upper,
}
"""Quoted, folded, filled in, left out, in other types: as services show what they were sent."""


@pytest.fixture(autouse=True)
def _tells_of_each_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow does from 3.2 on: before, a retry takes nothing over."""
    monkeypatch.setattr(ownership, "tells_of_each_clear", lambda: True)


def lost(sandbox: Any, **shown: Any) -> None:
    """Lose the worker of a gate's first try, whose data diff runs, and is shown so."""
    sandbox.state.data_diffs.courses.default = NEVER
    task = gate(**ASKED, wait_for_completion=False)
    assert task.execute(context_of(task))["id"] == 3
    diff = sandbox.state.data_diffs.diffs[3]
    if "tags" in shown:
        shown["tags"] = [*map(shown["tags"], diff["tags"])]
    diff.update(shown)
    # So that a second one ends.
    sandbox.state.data_diffs.courses.default = IDENTICAL
    sent(sandbox)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_takes_over_what_is_shown_in_another_way(sandbox: Any, deferrable: bool) -> None:
    lost(sandbox, **SHOWN)
    task = gate(**ASKED, deferrable=deferrable)
    context = context_of(task, try_number=2)
    if deferrable:
        wait = deferred(task.execute, context)
        sandbox.state.data_diffs.jobs[3] = Job(IDENTICAL)
        returned = task.execute_complete(context, event_of(wait.trigger), **wait.kwargs)
    else:
        sandbox.state.data_diffs.jobs[3] = Job(IDENTICAL)
        returned = task.execute(context)
    assert (returned["id"], returned["result"]) == (3, "identical")
    assert [request for request in sent(sandbox) if not request.startswith("GET ")] == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_persons_copy_is_neither_taken_nor_cancelled(
    sandbox: Any, deferrable: bool, task_log: Any
) -> None:
    lost(sandbox, source="interactive")
    task = gate(**ASKED, deferrable=deferrable)
    context = context_of(task, try_number=2)
    if deferrable:
        wait = deferred(task.execute, context)
        returned = task.execute_complete(context, event_of(wait.trigger), **wait.kwargs)
    else:
        returned = task.execute(context)
    assert returned["id"] == 4
    assert sandbox.state.data_diffs.peek(3)["status"] == "processing"
    assert "POST /datadiffs/3/cancel" not in sent(sandbox)
    (told,) = (text for text in task_log.messages if "copy" in text)
    assert told.startswith("Data diff 3 has this task's tag, but was not made through the API")
