"""Good loads pass, and bad ones do not: in a worker, in the triggerer, and for a sensor."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import done
from tests.contexts import context_of
from tests.waits import gate, to_its_end

ACROSS = {"data_source2_id": 2}
COLUMN = {"column_name": "amount", "match": 90.0, "values_different": 5}
FIVE = {
    "rows_with_differences": 5,
    "values_with_differences": 5,
    "columns_with_differences": 1,
    "columns_diff_stats": [COLUMN],
}


def ended(result: str, results: Any = None, **stats: Any) -> dict[str, Any]:
    """How a data diff ends, with sections of its detailed results."""
    outcome = dict(done(result, **stats).outcome)
    return outcome if results is None else {**outcome, "summary_results": results}


GOOD: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # The end, what was asked for, and the limits.
    "counts from before the filters": (
        ended("identical", table_a_row_count=1000, table_b_row_count=1200),
        {"filter1": "day = 1", "filter2": "day = 1"},
        {},
    ),
    "counts from before the filters, rows added": (
        ended("different", rows_added=3, table_a_row_count=1000, table_b_row_count=1200),
        {"filter1": "day = 1", "filter2": "day = 1"},
        {"max_rows_added": 5},
    ),
    "a table that is written to": (
        ended(
            "different",
            rows_added=9,
            match_ratio=0.99999,
            table_a_row_count=1_000_000,
            table_b_row_count=1_000_010,
        ),
        {},
        {"min_match_ratio": 0.999},
    ),
    "all that the contract requires across databases": (
        ended("different", {"pks": None, "values": None}, rows_added=3),
        ACROSS,
        {"max_rows_added": 3},
    ),
    "an excluded column of one side": (
        ended("identical", diff_schema=1.0),
        {"exclude_columns": ["loaded_at"]},
        {},
    ),
    "a ratio that is not quite 1": (ended("identical", match_ratio=0.9999999), {}, {}),
    "results that list the rows that differ": (
        ended("different", {"values": {"total_rows": 2, **FIVE}}, diff_rows_count=5),
        {},
        {"max_rows_different": 5},
    ),
}
SHOWN = {"sampling_tolerance": 0.001, "sampling_confidence": 99.0}
"""Defaults of sampling that the service shows."""

BAD: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], type[DatafoldError]]] = {
    "a column lost across databases": (
        ended("identical", {"values": None}, match_ratio=0.5),
        ACROSS,
        {},
        DatafoldDifferenceError,
    ),
    "a column lost across databases, with a ratio": (
        ended("identical", {"values": None}, match_ratio=0.5),
        ACROSS,
        {"min_match_ratio": 0.99, "allow_schema_changes": True},
        DatafoldDifferenceError,
    ),
    "a schema that is told across databases": (
        ended("different", rows_added=3, diff_schema=0.5),
        ACROSS,
        {"max_rows_added": 3},
        DatafoldDifferenceError,
    ),
    "a search that ended at a limit": (
        ended("different", {"values": {"total_rows": 5, **FIVE}}, diff_rows_count=5),
        {**ACROSS, "options": {"per_column_diff_limit": 5}},
        {"max_rows_different": 100},
        DatafoldNotComparedError,
    ),
    "a search that ended at a limit, with columns": (
        ended("different", {"values": {"total_rows": 5, **FIVE}}, diff_rows_count=5),
        {**ACROSS, "options": {"download_limit": 100}},
        {"max_values_different": {"amount": 9}},
        DatafoldNotComparedError,
    ),
    "no rows in the results": (
        ended(
            "identical",
            {"pks": {"total_rows": [0, 0]}, "values": {"total_rows": 0}},
            table_a_row_count=None,
            table_b_row_count=None,
        ),
        {},
        {},
        DatafoldNotComparedError,
    ),
    "no columns in the results": (
        ended("identical", {"values": {"total_rows": 100, "compared_columns": 0}}),
        {},
        {},
        DatafoldNotComparedError,
    ),
}
WAYS = ("worker", "triggerer", "sensor")
pytestmark = pytest.mark.usefixtures("connections")


def judged(sandbox: Any, way: str, end: Any, asked: Any, limits: Any, shown: Any = ()) -> Any:
    course = Course((), "done", end)
    if way != "sensor":
        sandbox.state.data_diffs.courses.default = course
        task = gate(deferrable=way == "triggerer", **asked, **limits)
        if way == "triggerer":
            # What has ended at once is not deferred.
            sandbox.state.data_diffs.courses.default = Course(done("identical").steps, "done", end)
        return to_its_end(task)
    body = {"data_source1_id": 1, "data_source2_id": 1, "table1": ["A"], "table2": ["B"]}
    fields = {**asked, **asked.get("options", {})}
    fields.pop("options", None)
    number = sandbox.state.data_diffs.add(
        {**body, "pk_columns": ["id"], **fields, **dict(shown)}, Job(course)
    )["id"]
    sensor = DatafoldDataDiffSensor(task_id="gate", datadiff_id=number, **limits)
    return sensor.execute(context_of(sensor))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GOOD)
def test_a_good_load_passes(sandbox: Any, way: str, name: str) -> None:
    assert judged(sandbox, way, *GOOD[name])["status"] == "done"


@pytest.mark.parametrize("way", WAYS)
def test_defaults_of_sampling_are_no_sample(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    peek = type(sandbox.state.data_diffs).peek

    def with_defaults(diffs: Any, number: int) -> Any:
        return {**peek(diffs, number), **SHOWN}

    monkeypatch.setattr(type(sandbox.state.data_diffs), "peek", with_defaults)
    end = ended("different", rows_added=3, sampled=None)
    assert judged(sandbox, way, end, {}, {"max_rows_added": 3})["status"] == "done"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_load_does_not(sandbox: Any, way: str, name: str) -> None:
    end, asked, limits, error = BAD[name]
    with pytest.raises(error):
        judged(sandbox, way, end, asked, limits)
