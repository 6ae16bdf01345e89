"""What a message says of the differences, out of a data diff's results."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.figures import Figures
from airflow_provider_datafold.jobs.gate.report import explain


def column(name: Any, count: Any) -> dict[str, Any]:
    return {"column_name": name, "values_different": count, "match": 1.0}


@pytest.mark.parametrize(
    ("results", "sentences"),
    [
        ({}, []),
        ({"status": "success", "values": None, "schema": None, "pks": None}, []),
        ({"values": [], "schema": "x", "pks": 5}, []),
        ({"values": {"columns_diff_stats": [column("a", 0), column("b", None), "odd"]}}, []),
        (
            {"values": {"columns_diff_stats": [column("a", 2), column("b", 7), column("c", 2)]}},
            ["values differ in 'b' (7), 'a' (2), 'c' (2)"],
        ),
        (
            {"values": {"columns_diff_stats": [column(f"c{n}", n) for n in range(1, 9)]}},
            ["values differ in 'c8' (8), 'c7' (7), 'c6' (6), 'c5' (5), 'c4' (4) and 3 more"],
        ),
        (
            {"schema": {"exclusive_columns": [["a", "b"], ["c"]]}},
            ["only side 1 has 'a', 'b'", "only side 2 has 'c'"],
        ),
        (
            {"schema": {"exclusive_columns": [[f"c{n}" for n in range(6)], None]}},
            ["only side 1 has 'c0', 'c1', 'c2', 'c3', 'c4' and 1 more"],
        ),
        (
            {"schema": {"column_type_differs": ["a", "b", "c", "d", "e"]}},
            ["other types: 'a', 'b', 'c', 'd', 'e'"],
        ),
        ({"pks": {"dupes": [0, 0], "nulls": [0, 0]}}, []),
        ({"pks": {"dupes": [0, 3], "nulls": [None, None]}}, ["duplicate primary keys: 0 and 3"]),
        ({"pks": {"dupes": None, "nulls": [1, 0]}}, ["null primary keys: 1 and 0"]),
        (
            {
                "pks": {"dupes": [1, 0], "nulls": [0, 2]},
                "schema": {"exclusive_columns": [[], ["b"]], "column_type_differs": ["c"]},
                "values": {"columns_diff_stats": [column("a", 1)]},
            },
            [
                *("values differ in 'a' (1)", "only side 2 has 'b'", "other types: 'c'"),
                *("duplicate primary keys: 1 and 0", "null primary keys: 0 and 2"),
            ],
        ),
    ],
)
def test_explains(results: dict[str, Any], sentences: list[str]) -> None:
    figures = Figures({}, {"status": "done", **results}, {})
    assert explain(figures) == sentences
