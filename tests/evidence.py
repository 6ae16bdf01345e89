"""What Datafold says about a data diff that is done, and what a gate makes of it."""

from __future__ import annotations

from typing import Any

from airflow_provider_datafold.jobs.gate.figures import Figures
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Verdict, judge

EQUAL: dict[str, Any] = {
    "rows_added": 0,
    "rows_removed": 0,
    "diff_rows_count": 0,
    "match_ratio": 1.0,
    "diff_schema": 0.0,
}
COUNTED = {"table_a_row_count": 100, "table_b_row_count": 100}
GROWN = {"rows_added": 5, "table_a_row_count": 100, "table_b_row_count": 105, "match_ratio": 0.9}
RESULTS: dict[str, dict[str, Any]] = {
    "pks": {"total_rows": [100, 100], "exclusives": [0, 0], "dupes": [0, 0], "nulls": [0, 0]},
    "values": {
        "total_rows": 100,
        "rows_with_differences": 0,
        "values_with_differences": 0,
        "compared_columns": 3,
        "columns_with_differences": 0,
        "columns_diff_stats": [],
    },
    "schema": {
        "columns_mismatched": [0, 0],
        "column_type_mismatches": 0,
        "column_counts": [4, 4],
        "exclusive_columns": [[], []],
        "column_type_differs": [],
    },
}
"""The results of two equal tables."""

STATUS_ONLY = {"status": "success"}


def evidence(
    result: Any = "different", stats: Any = None, results: Any = None, sent: Any = None, **diff: Any
) -> Figures:
    """The evidence, in which two equal tables have other figures than these.

    :param stats: fields of ``diff_stats``.
    :param results: by section, fields of ``summary_results``, or ``STATUS_ONLY``.
    :param sent: the body of the creation, if it is known.
    :param diff: other fields of the data diff.
    """
    shown = {"result": result, "kind": "in_db", "pk_columns": ["id"], **diff}
    shown.setdefault("diff_stats", EQUAL | (stats or {}))
    if results is not STATUS_ONLY:
        changed = {
            name: {**RESULTS.get(name, {}), **fields} if isinstance(fields, dict) else fields
            for name, fields in (results or {}).items()
        }
        results = {"status": "success", **RESULTS, **changed}
    return Figures(shown, results, sent or {})


def of(figures: Figures, *, may_be_empty: bool = False, **limits: Any) -> Verdict:
    """The verdict with these limits."""
    return judge(figures, Limits(**limits), may_be_empty=may_be_empty)


def columns(**counts: int | None) -> dict[str, Any]:
    """What results say of the values of columns, with the totals that follow."""
    differ = [count for count in counts.values() if count]
    return {
        "values_with_differences": sum(differ),
        "columns_with_differences": len(differ),
        "columns_diff_stats": [
            {"column_name": name, "match": 90.0, "values_different": count}
            for name, count in counts.items()
        ],
    }
