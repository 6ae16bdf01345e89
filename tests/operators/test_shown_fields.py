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
WAYS: dict[str, dict[str, Any]] = {
    "as it was sent": {},
    "no source": {"source": None},
    "a filter in parentheses": {"filter1": "(day = '2024-05-01')"},
    "a filter with a cast": {"filter1": "day = DATE '2024-05-01'"},
    "a filter in capitals": {"filter1": "DAY = '2024-05-01'"},
    "no filter": {"filter1": None},
    "the database in front of the path": {"table1": ["PROD", "PUBLIC", "ORDERS"]},
    "a path in lower case": {"table1": ["public", "orders"]},
    "quoted parts": {"table1": ['"PUBLIC"', '"ORDERS"']},
    "a path of one part": {"table1": ["PUBLIC.ORDERS"]},
    "no path": {"table1": None},
    "a query instead of a table": {"table1": None, "query1": 'SELECT * FROM "PUBLIC"."ORDERS"'},
    "a query in one line": {"query2": "select * from staging.orders where state = 'Paid'"},
    "a query with keywords in capitals": {
        "query2": "SELECT *\nFROM staging.orders\nWHERE state = 'Paid'"
    },
    "a query in a query": {"query2": "SELECT * FROM (select * from staging.orders ...) AS q"},
    "no query": {"query2": None},
    "keys in another order and case": {"pk_columns": ["LINE", "ID"]},
    "quoted keys": {"pk_columns": ['"id"', '"Line"']},
    "keys to be inferred": {"infer_pk": True, "pk_columns": []},
    "columns to compare filled in": {"columns_to_compare": ["id", "Line", "amount", "Day"]},
    "included columns with the keys": {"include_columns": ["id", "Line", "amount", "Day"]},
    "no included columns": {"include_columns": None},
    "no excluded columns": {"exclude_columns": []},
    "defaults of sampling": {"sampling_tolerance": 0.001, "sampling_confidence": 99},
    "a threshold of sampling": {"sampling_threshold": 100000, "sampling_ratio": 1.0},
    "tolerances as strings": {"diff_tolerance": "0.5", "tolerance_mode": "absolute"},
    "tolerances for each column": {
        "diff_tolerance": None,
        "diff_tolerances_per_column": [{"column_name": "amount", "tolerance_value": 0.5}],
    },
    "a precision of times": {"datetime_tolerance": 0},
    "modifiers and sorted arrays": {
        "table_modifiers": ["case_insensitive_strings"],
        "sort_array_columns": True,
    },
    "a time in another zone": {"time_travel_point1": "2024-05-01T02:00:00+02:00"},
    "a mapping as objects": {"column_mapping": [{"left": "amount", "right": "total"}]},
    "other defaults": {"compare_duplicates": False, "run_profiles": True, "download_limit": 1000},
    "tags in capitals": {"tags": str.upper},
}


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
@pytest.mark.parametrize("way", WAYS)
def test_a_retry_takes_over_what_is_shown_in_another_way(
    sandbox: Any, way: str, deferrable: bool
) -> None:
    lost(sandbox, **WAYS[way])
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
