"""Limits on the values of single columns: only what all counts prove passes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, judge

STATS = {
    "rows_added": 0,
    "rows_removed": 0,
    "diff_rows_count": 8,
    "match_ratio": 0.95,
    "diff_schema": 0.0,
    "sampled": False,
}


def of(
    limits: dict[str, Any],
    columns: Any,
    *,
    stats: dict[str, Any] | None = None,
    others: dict[str, Any] | None = None,
    **values: Any,
) -> Verdict:
    """The verdict with the counts of columns, whose totals are right unless they are given."""
    counts = [*columns.values()] if isinstance(columns, dict) else []
    found = {
        "total_rows": 100,
        "values_with_differences": sum(counts),
        "columns_with_differences": sum(count > 0 for count in counts),
        "columns_diff_stats": [
            {"column_name": name, "match": 90.0, "values_different": count}
            for name, count in columns.items()
        ]
        if isinstance(columns, dict)
        else columns,
        **values,
    }
    diff = {"result": "different", "kind": "in_db", "diff_stats": STATS | (stats or {})}
    given = Limits(max_values_different=limits, **(others or {}))
    assert judge(diff, given).outcome is Outcome.UNCONFIRMED
    return judge(diff, given, results={"status": "done", "pks": {}, "values": found})


COUNTS = {"amount": 5, "loaded_at": 8, "name": 0}


def test_columns_within_their_limits_pass() -> None:
    found = of({"amount": 5, "loaded_at": None}, COUNTS)
    assert found.outcome is Outcome.PASSES
    assert dict(found.assertions) == {
        "rows_added <= 0": True,
        "rows_removed <= 0": True,
        "values_different <= 5 in 'amount'": True,
        "values_different = 0 in other columns": True,
        "diff_schema = 0": True,
    }
    assert "values different in 'amount' 5 (at most 5)" in found.reason


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"amount": 4, "loaded_at": None}, "values different in 'amount' 5 (at most 4)"),
        ({"amount": 5}, "values different in other columns 8 (at most 0)"),
        ({"loaded_at": None}, "values different in other columns 5 (at most 0)"),
        ({}, "values different in other columns 13 (at most 0)"),
        ({"amount": 5, "LOADED_AT": None}, "values different in other columns 8 (at most 0)"),
    ],
)
def test_a_column_beyond_its_limit_differs(limits: dict[str, Any], words: str) -> None:
    found = of(limits, COUNTS)
    assert (found.outcome, found.reason) == (Outcome.DIFFERS, words)
    assert False in dict(found.assertions).values()


def test_other_limits_hold_as_before() -> None:
    limits = {"amount": None, "loaded_at": None}
    others = {"max_rows_different": 7}
    diff = {"result": "different", "kind": "in_db", "diff_stats": STATS}
    assert judge(diff, Limits(**others, max_values_different=limits)).outcome is Outcome.DIFFERS  # type: ignore[arg-type]
    added = {**STATS, "rows_added": 1}
    found = judge({**diff, "diff_stats": added}, Limits(max_values_different=limits))
    assert (found.outcome, found.reason) == (Outcome.DIFFERS, "rows added 1 (at most 0)")
    assert of(limits, COUNTS, others={"max_rows_different": 8}).outcome is Outcome.PASSES
    assert of({"amount": 5}, COUNTS, others={"min_match_ratio": 0.9}).outcome is Outcome.DIFFERS


UNKNOWN = "Datafold did not measure what there is a limit for: values different in "
ALL = {"amount": 5, "loaded_at": None}


@pytest.mark.parametrize(
    "columns",
    [
        None,
        [{"column_name": "amount", "values_different": None}],
        [{"column_name": None, "values_different": 5}],
        [{"column_name": "amount", "values_different": 2.5}],
        [{"column_name": "amount", "values_different": -5}],
        [{"column_name": "amount", "values_different": 5}] * 2,
        ["odd"],
    ],
    ids=repr,
)
def test_columns_that_were_not_counted_never_pass(columns: Any) -> None:
    # Nor with totals that fit.
    found = of(ALL, columns, values_with_differences=8, columns_with_differences=1)
    assert found.outcome is Outcome.NOT_COMPARED
    assert found.reason == f"{UNKNOWN}'amount', values different in each column"
    assert not dict(found.assertions)["values_different <= 5 in 'amount'"]


@pytest.mark.parametrize("total", ["values_with_differences", "columns_with_differences"])
def test_columns_without_a_total_never_pass(total: str) -> None:
    assert of(ALL, COUNTS, **{total: None}).outcome is Outcome.NOT_COMPARED


@pytest.mark.parametrize(
    ("name", "hint"),
    [("amuont", " (did you mean 'amount'?)"), ("AMOUNT", " (did you mean 'amount'?)"), ("z", "")],
)
def test_a_limit_on_a_column_that_was_not_compared_never_passes(name: str, hint: str) -> None:
    found = of({name: 5, "amount": None, "loaded_at": None}, COUNTS)
    assert (found.outcome, found.reason) == (Outcome.NOT_COMPARED, f"{UNKNOWN}{name!r}{hint}")
    # Any number is no limit.
    assert of({name: None, "amount": None, "loaded_at": None}, COUNTS).outcome is Outcome.PASSES


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"values_with_differences": 20},
            "values different 20, but 13 by the counts of each column",
        ),
        (
            {"columns_with_differences": 3},
            "columns with differences 3, but 2 by the counts of each column",
        ),
    ],
)
def test_columns_that_do_not_add_up_never_pass(values: dict[str, Any], words: str) -> None:
    found = of(ALL, COUNTS, **values)
    assert found.outcome is Outcome.NOT_COMPARED
    assert found.reason == f"Datafold's answer contradicts itself: {words}"


def test_more_rows_than_values_that_differ_never_pass() -> None:
    found = of(ALL, COUNTS, stats={"diff_rows_count": None}, rows_with_differences=90)
    assert found.outcome is Outcome.NOT_COMPARED
    assert found.reason == (
        "Datafold's answer contradicts itself: rows different in the results 90, but values "
        "different 13"
    )
    assert of(ALL, COUNTS, stats={"diff_rows_count": None}).outcome is Outcome.PASSES


def test_a_sample_never_passes() -> None:
    diff = {"result": "different", "diff_stats": {**STATS, "sampled": True}}
    limits = Limits(max_values_different=ALL, min_match_ratio=0.5)
    found = judge(diff, limits)
    assert found.outcome is Outcome.NOT_COMPARED
    assert "only a sample was compared" in found.reason


def test_rows_that_do_not_differ_need_no_values() -> None:
    stats = {**STATS, "diff_rows_count": 0, "rows_added": 3, "match_ratio": None}
    diff = {"result": "different", "diff_stats": stats}
    limits = Limits(max_values_different=ALL, max_rows_added=3)
    results = {"status": "done", "pks": {"exclusives": [0, 3]}, "values": None}
    assert judge(diff, limits, results=results).outcome is Outcome.PASSES
    stats["diff_rows_count"] = 3
    assert judge(diff, limits, results=results).outcome is Outcome.NOT_COMPARED
