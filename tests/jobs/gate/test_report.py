"""The verdict as data: pushed in every outcome, before the task fails."""

from __future__ import annotations

import json
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_datafold.exceptions import DatafoldDifferenceError, DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.gate.decision import Gate
from airflow_provider_datafold.jobs.gate.report import KEY
from airflow_provider_datafold.jobs.job import DATA_DIFF
from airflow_provider_datafold.redaction.secret import conceal
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from tests.conductor import Conductor
from tests.conftest import API_KEY
from tests.contexts import context_of
from tests.jobs.gate.test_decision import ARGUMENTS, BODY

TASK: Any = SimpleNamespace(task_id="gate", outlets=())
NOTHING = {
    "columns": [],
    "assertions": {},
    "sampled": False,
    "table1": "A",
    "table2": "B",
}


@pytest.fixture
def tell(connections: None, sandbox: Any, log: Any) -> Any:
    """Let a gate decide about a data diff that has ended, and return what it tells."""

    def of(
        status: str, outcome: Any = None, context: Any = None, body: Any = None, **arguments: Any
    ) -> Any:
        context = context or context_of(TASK)
        job = Job(Course((), status, outcome or {}))
        with DatafoldHook() as hook:
            number = sandbox.state.data_diffs.add({**BODY, **(body or {})}, job)["id"]
            reading = hook.look(DATA_DIFF, {"datadiff_id": number})
            gate = Gate({**ARGUMENTS, **arguments})
            try:
                gate.decide(hook, context, number, reading)
            except DatafoldError as error:
                gate.give_up(hook, context, number, error)
        told = context["ti"].pushed.get(KEY)
        assert json.loads(json.dumps(told)) == told
        return told

    return of


def figures(**known: Any) -> dict[str, Any]:
    names = (*DIFFERENT.outcome["diff_stats"],)
    return dict.fromkeys(name for name in names if name not in ("version", "sampled")) | known


@pytest.mark.parametrize(
    ("status", "outcome", "found", "reason"),
    [
        ("done", IDENTICAL.outcome, "passes", "identical"),
        ("done", done("empty").outcome, "empty", "there are no rows to compare"),
        ("done", done("bad-pks").outcome, "not_compared", "primary keys are null or not unique"),
        ("done", {"result": "error"}, "failed", "Datafold does not say why"),
        ("failed", {"error": {"error_value": "no table"}}, "failed", "no table"),
        ("cancelled", {}, "cancelled", "it was cancelled at Datafold, not by this task"),
        ("needs_confirmation", {}, "blocked", "it waits for a person (needs_confirmation)"),
        (
            "done",
            {**done("identical", sampled=None).outcome, "summary_results": {"status": "running"}},
            "not_compared",
            "its results, which have to confirm its figures, are not complete (status 'running')",
        ),
    ],
)
def test_each_outcome_is_told(
    tell: Any, sandbox: Any, status: str, outcome: Any, found: str, reason: str
) -> None:
    told = tell(status, outcome)
    assert (told["outcome"], told["reason"]) == (found, reason)
    assert told["url"] == f"{sandbox.url}/datadiffs/3/overview"
    assert set(told) == {*NOTHING, "id", "url", "outcome", "reason", "figures"}
    assert set(told["figures"]) == set(figures())


def test_what_differs_is_told(tell: Any) -> None:
    stats = [
        {"column_name": "equal", "match": 100.0, "values_different": 0},
        {"column_name": "few", "match": 99.0, "values_different": 1},
        {"column_name": "many", "values_different": 7},
        {"column_name": "unknown", "values_different": None},
    ]
    results = {"values": {"columns_diff_stats": stats, "values_with_differences": 8}}
    body = {"table1": ["DB", "a.b", 'say "c"'], "table2": None, "query2": "SELECT 1"}
    told = tell("done", {**DIFFERENT.outcome, "summary_results": results}, body=body)
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
    outcome = {
        **DIFFERENT.outcome,
        "summary_results": {
            "values": {"columns_diff_stats": stats, "values_with_differences": 4950}
        },
    }
    names = [column["name"] for column in tell("done", outcome)["columns"]]
    assert names == [f"c{n}" for n in range(99, 49, -1)]


def test_a_sample_is_told(tell: Any) -> None:
    assert tell("done", done("identical", sampled=True).outcome)["sampled"] is True


def test_results_that_cannot_be_read_are_told(tell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Conductor(monkeypatch, faults={"mine": {"results": [404, ...]}})
    told = tell("done", done("identical", sampled=None).outcome)
    assert told["outcome"] == "not_compared"
    assert told["reason"].startswith("404, there is no such data diff")


def test_no_secret_is_told(tell: Any) -> None:
    stats = [{"column_name": API_KEY, "values_different": 5}]
    results = {"values": {"columns_diff_stats": stats}}
    body = {"table1": [API_KEY]}
    limits = {API_KEY: 1}
    outcome = {**DIFFERENT.outcome, "summary_results": results}
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
    assert event.extra == {
        "mine": 1,
        **{name: told[name] for name in ("id", "url", "figures")},
    }


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DatafoldDifferenceError("It was late. See x"), "It was late"),
        (RuntimeError("secret"), "the task ended with RuntimeError"),
    ],
)
def test_what_was_not_judged_is_told(
    connections: None, sandbox: Any, error: Exception, reason: str
) -> None:
    context = context_of(TASK)
    gate = Gate(ARGUMENTS)
    body = conceal({"table1": ["A"], "table2": ["B"], "sampling_ratio": 0.5})
    with DatafoldHook() as hook:
        gate.give_up(hook, context, 7, error, body)
        # Once is enough.
        gate.give_up(hook, context, 8, error, body)
    assert context["ti"].pushed[KEY] == {
        **NOTHING,
        "id": 7,
        "url": f"{sandbox.url}/datadiffs/7/overview",
        "outcome": "not_compared",
        "reason": reason,
        "figures": figures(),
        "sampled": True,
    }


def test_the_cause_of_a_skip_is_told(connections: None) -> None:
    context = context_of(TASK)
    with suppress(ValueError), DatafoldHook() as hook:
        try:
            raise DatafoldDifferenceError("401, the key was refused. See x")
        except DatafoldError as cause:
            Gate(ARGUMENTS).give_up(hook, context, 7, _caused(cause))
    assert context["ti"].pushed[KEY]["reason"] == "401, the key was refused"


def _caused(cause: Exception) -> Exception:
    error = ValueError("Skipping")
    error.__cause__ = cause
    return error
