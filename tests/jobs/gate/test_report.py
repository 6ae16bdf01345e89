"""The verdict as data: pushed in every outcome, before the task fails."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_datafold.exceptions import DatafoldDifferenceError, DatafoldError
from airflow_provider_datafold.jobs.gate.decision import Gate
from airflow_provider_datafold.jobs.gate.report import KEY, TEXT
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import DATA_DIFF
from airflow_provider_datafold.redaction.secret import conceal
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from tests.conductor import Conductor
from tests.conftest import API_KEY
from tests.contexts import context_of
from tests.jobs.gate.test_decision import ARGUMENTS, BODY

TASK: Any = SimpleNamespace(task_id="gate", outlets=())


@pytest.fixture
def tell(connections: None, sandbox: Any, log: Any) -> Any:
    """Let a gate decide about a data diff that has ended, and return what it tells."""

    def of(
        status: str, outcome: Any = None, context: Any = None, body: Any = None, **arguments: Any
    ) -> Any:
        context = context or context_of(TASK)
        job, raised = Job(Course((), status, outcome or {})), []
        with JobHook() as hook:
            number = sandbox.state.data_diffs.add({**BODY, **(body or {})}, job)["id"]
            reading = hook.look(DATA_DIFF, {"datadiff_id": number})
            gate = Gate({**ARGUMENTS, **arguments})
            try:
                gate.decide(hook, context, number, reading)
            except DatafoldError as error:
                gate.give_up(hook, context, number, error)
                raised.append(error.verdict)
        told = context["ti"].pushed.get(KEY)
        assert json.loads(json.dumps(told)) == told
        # A callback gets it with the error.
        assert raised in ([], [told])
        return told

    return of


def results_of(*columns: dict[str, Any]) -> dict[str, Any]:
    """A difference in these columns."""
    total = sum(column["values_different"] or 0 for column in columns)
    values = {"columns_diff_stats": columns, "values_with_differences": total}
    return {**DIFFERENT.outcome, "summary_results": {"values": values}}


def test_what_passes_is_told(tell: Any, sandbox: Any) -> None:
    told = tell("done", IDENTICAL.outcome)
    assert told == {
        "kind": "data_diff",
        "id": 3,
        "url": f"{sandbox.url}/datadiffs/3/overview",
        "outcome": "passes",
        "reason": "identical",
        "table1": "A",
        "table2": "B",
        "figures": {
            "rows_added": 0,
            "rows_removed": 0,
            "diff_rows_count": 0,
            "match_ratio": 1.0,
            "diff_schema": 0.0,
            "table_a_row_count": 100,
            "table_b_row_count": 100,
        },
        "columns": [],
        "assertions": {"identical": True, "diff_schema = 0": True},
        "sampled": False,
        "doubts": [],
        "skips": False,
    }


def test_what_differs_is_told(tell: Any) -> None:
    outcome = results_of(
        {"column_name": "equal", "match": 100.0, "values_different": 0},
        {"column_name": "few", "match": 99.0, "values_different": 1},
        {"column_name": "many", "values_different": 7},
        {"column_name": "unknown", "values_different": None},
    )
    body = {"table1": ["DB", "a.b", 'say "c"'], "table2": None, "query2": "SELECT 1"}
    told = tell("done", outcome, body=body)
    assert told["table1"] == 'DB."a.b"."say ""c"""'
    assert told["table2"] is None
    assert told["columns"] == [
        {"name": "many", "different": 7, "match": None},
        {"name": "few", "different": 1, "match": 99.0},
    ]
    assert told["figures"]["rows_added"] == 3
    assert told["assertions"] == {"identical": False}


def test_fifty_columns_are_told_at_most(tell: Any) -> None:
    stats = [{"column_name": f"c{n}", "values_different": n} for n in range(100)]
    names = [column["name"] for column in tell("done", results_of(*stats))["columns"]]
    assert names == [f"c{n}" for n in range(99, 49, -1)]


def test_results_that_cannot_be_read_are_told(tell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Conductor(monkeypatch, faults={"mine": {"results": [503, ...]}})
    told = tell("done", IDENTICAL.outcome)
    assert told["outcome"] == "not_compared"
    assert told["reason"].startswith("503, the service failed")


def test_what_is_odd_is_told(tell: Any, log: Any) -> None:
    told = tell("done", done("identical", table_b_row_count=101).outcome)
    odd = "the counts do not add up: rows on the first side 100, rows on the second side 101"
    assert (told["outcome"], told["doubts"]) == ("passes", [odd])
    assert log.warnings == [f"Data diff 3: {odd}. This does not change the verdict."]


def test_people_get_a_paragraph_of_what_does_not_pass(tell: Any, sandbox: Any) -> None:
    context, passed = context_of(TASK), context_of(TASK)
    tell("done", results_of({"column_name": "amount", "values_different": 5}), context)
    text = "`B` differs: rows added 3, rows removed 2, rows different 5, match ratio 0.95. "
    page = f"Values differ in 'amount' (5). [Data diff 3]({sandbox.url}/datadiffs/3/overview)"
    assert context["ti"].pushed[TEXT] == text + page
    tell("done", IDENTICAL.outcome, passed)
    assert TEXT not in passed["ti"].pushed


def test_no_secret_is_told(tell: Any) -> None:
    body = {"table1": [API_KEY]}
    limits = {API_KEY: 1}
    outcome = results_of({"column_name": API_KEY, "values_different": 5})
    for told in (
        tell("done", outcome, body=body, max_values_different=limits, on_difference="pass"),
        tell("failed", {"error": {"error_value": f"x {API_KEY}"}}, body=body),
        tell("done", {"result": API_KEY}, body=body),
    ):
        assert API_KEY not in json.dumps(told)
        assert told["table1"] == "***"


def test_a_verdict_that_cannot_be_stored_changes_nothing(tell: Any, sandbox: Any, log: Any) -> None:
    def refuse(key: str, value: Any) -> None:
        raise RuntimeError(API_KEY)

    context = context_of(TASK)
    context["ti"].xcom_push = refuse
    assert tell("done", IDENTICAL.outcome, context=context) is None
    assert log.warnings == [
        "Could not store the verdict on data diff 3 (RuntimeError), so the tasks after this one do "
        "not see it."
    ]


def test_the_events_of_assets_have_the_figures(tell: Any, sandbox: Any) -> None:
    asset = Asset("warehouse://orders")
    context = context_of(SimpleNamespace(task_id="gate", outlets=[asset, "a file"]))
    event = SimpleNamespace(extra={"mine": 1})
    context["outlet_events"] = {asset: event}
    told = tell("done", IDENTICAL.outcome, context=context)
    assert event.extra == {"mine": 1, **{name: told[name] for name in ("id", "url", "figures")}}


def caused(cause: Exception) -> Exception:
    error = ValueError("Skipping")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DatafoldDifferenceError("It was late. See x"), "It was late"),
        (RuntimeError("secret"), "the task ended with RuntimeError"),
        (caused(DatafoldDifferenceError("The key was refused. See x")), "The key was refused"),
    ],
)
def test_what_was_not_judged_is_told(
    connections: None, sandbox: Any, error: Exception, reason: str
) -> None:
    context = context_of(TASK)
    gate = Gate(ARGUMENTS)
    body = conceal({"table1": ["A"], "table2": ["B"], "sampling_ratio": 0.5})
    with JobHook() as hook:
        gate.give_up(hook, context, 7, error, body)
        # Once is enough.
        gate.give_up(hook, context, 8, error, body)
    told = context["ti"].pushed[KEY]
    assert (told["id"], told["outcome"], told["reason"]) == (7, "not_compared", reason)
    assert (told["table1"], told["table2"], told["sampled"]) == ("A", "B", True)
    assert (told["columns"], told["assertions"]) == ([], {})
    assert {*told["figures"].values()} == {None}
